//! `hearthwatch-edge replay`: its arguments, the files that it writes, and its output.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hearthwatch_detector::detector::{DetectorConfig, HomeDetector, Model, SHIPPED_VERSION};
use hearthwatch_edge_core::alarm::StoredAlarm;
use hearthwatch_edge_core::explain::{self, Language};
use hearthwatch_edge_core::preferences::Place;
use hearthwatch_protocol::ModelVersion;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use tempfile::NamedTempFile;

use super::alarms_csv::AlarmBook;
use super::entities::Entities;
use super::error::{ReplayError, RowFault, RowFaults};
use super::moment::Moment;
use super::odd::{FaultKind, OddRows};
use super::playback::{Company, Playback, Played};
use super::recall::Recall;
use super::scores_csv::ScoresCsv;
use super::sorted::SortedRows;
use super::source::{Row, Source};
use super::span::{Days, Span};
use super::summary::Summary;
use super::thermometers::Thermometers;
use super::verdicts::Verdicts;
use super::watch::Watchlist;

/// Salt of the alarm ids of replays. A constant, so that the same history gives the same ids wherever it is replayed;
/// a home that shares its answers has a secret one instead.
const SALT: &[u8] = b"hearthwatch replay";
/// Rows from which a progress bar is worth its line: about a second of work.
const BAR_ROWS_MIN: u64 = 20_000;
/// Rows between two movements of the bar.
const BAR_ROWS: u64 = 1_000;
/// Rows between two turns of the spinner: about a tenth of a second of reading.
const SPINNER_ROWS: u64 = 100_000;
/// Alarms a week that may be asked for: one an hour is not an alarm any more.
const BUDGET_MAX: f64 = 168.0;
/// Bytes of a model file that are read: well above what an artifact may have, well below what would hurt.
const MODEL_BYTES_MAX: u64 = 16 << 20;
/// Ids that an error names when it was given a wrong one.
const IDS_SHOWN: usize = 5;

/// Arguments of `hearthwatch-edge replay`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ReplayArgs {
    /// What was recorded: a CSV file, a JSON history, a Home Assistant database, a dump of one or an unencrypted backup
    ///
    /// The database is Home Assistant's own home-assistant_v2.db, of any version since 2018, alone or in a backup (.tar);
    /// it is only read. Its long-term statistics stand for the time before an entity's first state. Dumps of sqlite3,
    /// mysqldump and pg_dump (.sql) are read too.
    ///
    /// A CSV file is the download of the history panel (entity_id,state,last_changed) or of the energy panel, statistics
    /// (statistic_id,unit,start,min,max,mean), InfluxDB's annotated CSV, the answer of a query to the recorder, a time
    /// followed by one column an entity, or the columns timestamp,entity_id,device_class,unit,state in any order. Commas,
    /// semicolons, tabs or bars part the columns. Times are RFC 3339 (2026-01-31T08:30:00Z), Unix times, or without an
    /// offset those of --timezone (UTC in columns of the recorder's names: last_updated, last_changed); dates may be 31.01.2026, 31/01/2026 or 01/31/2026. A JSON history is the answer of
    /// /api/history/period. unavailable, unknown and nothing at all are gaps; entities of two states take on/off or
    /// 1/0. Rows that are not in the order of time are sorted first. All may be gzipped.
    ///
    /// Of a recorder on a server give its address: postgresql://USER@HOST/DATABASE or mysql://USER@HOST/DATABASE (MariaDB too). It is
    /// read within one read-only transaction. Its password is taken from PGPASSWORD or ~/.pgpass, or from MYSQL_PWD. Or put the whole
    /// of Home Assistant's db_url, password and all, into HEARTHWATCH_EVENTS_URL and leave --events out: what stands on the command
    /// line is shown to every user of the machine.
    #[arg(long, value_name = "FILE|ADDRESS", env = "HEARTHWATCH_EVENTS_URL", hide_env_values = true)]
    pub events: PathBuf,

    /// What the entities are, where the file does not say it or is wrong
    ///
    /// A CSV file with the columns entity_id,device_class,unit (Home Assistant's names), or the JSON that Home Assistant
    /// answers at /api/states. Without it, class and unit of an entity of which a CSV file says neither are guessed from
    /// its id and its first value; the closing lines say what was guessed.
    #[arg(long, value_name = "FILE")]
    pub entities: Option<PathBuf>,

    /// The model that judges: a file, or `baseline` (earlier: `routine`) for the detector without a network [default: the shipped model]
    #[arg(long, value_name = "FILE|baseline")]
    pub model: Option<String>,

    /// Where the home is, for the time of day: an IANA name such as Europe/London
    #[arg(long, value_name = "TZ", default_value = "UTC")]
    pub timezone: String,

    /// How many alarms a week the whole home should raise
    #[arg(long, value_name = "PER_WEEK", default_value_t = 1.0, value_parser = budget)]
    pub budget: f64,

    /// Answers of the resident: a CSV file with the columns at,entity_id,start,end,verdict
    ///
    /// The verdict is confirmed, dismissed or expected. It is heard at its time `at`, and applies to every alarm of the
    /// entity that touches start..end. An empty end means: until `at`.
    #[arg(long, value_name = "FILE")]
    pub verdicts: Option<PathBuf>,

    /// Draw this alarm as SVG and PNG; may be given several times
    ///
    /// The id is the first column of alarms.csv. The same history gives the same ids, so replay once, choose, and replay
    /// again.
    #[arg(long, value_name = "ALARM_ID")]
    pub explain: Vec<String>,

    /// Folder for scores.csv, alarms.csv and the drawings; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

const EXAMPLES: &str = "\
Results:
  scores.csv   timestamp,entity_id,score,threshold,expected_low,expected,expected_high
               One row for each entity and 10-minute step (UTC); the timestamp is the end of the step.
               Scores are empty while an entity warms up. A step is written once a row after it shows
               that it is complete, and nothing later ever changes it.
  alarms.csv   alarm_id,start,end,raised_at,entity_id,severity,score,reason
               The end is empty while an alarm lasts; severity is info, warning or critical.

Examples:
  hearthwatch-edge replay --events home.csv --timezone Europe/London --out result
  hearthwatch-edge replay --events history.csv --entities entities.csv --out result
  hearthwatch-edge replay --events home-assistant_v2.db --model baseline --budget 2 --out result
  PGPASSWORD=… hearthwatch-edge replay --events postgresql://ha@192.168.1.5/homeassistant --out result
  hearthwatch-edge replay --events home.csv --explain 3f5c0d9a71b2e684 --out result

Rows that cannot be read, or lie over 400 days away from the rest, are passed over; states that are no value are gaps.
Both are counted in the closing lines, as is what was not watched.

Exit codes: 0 done, 1 a result could not be written, 2 something given is not usable (the text says what to mend),
3 done, but nothing in the file could be watched, or it is of one moment only.";

/// Exit code of a replay that watched nothing: scripts would take its silence for calm.
const NOTHING_WATCHED: u8 = 3;
/// Printed with [`NOTHING_WATCHED`].
const NOTHING_WATCHED_TEXT: &str = "nothing in this file could be watched, so that no alarm means nothing; name the \
                                    entities to watch in --entities FILE (entity_id,device_class,unit)\n";

/// The note on a list of all states.
const ONE_MOMENT_TEXT: &str = "this file holds one state of each entity (as /api/states answers): one moment only, so that no alarm \
                               means nothing; give the answer of /api/history/period, or give this file as --entities\n";

fn budget(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(budget) if budget > 0.0 && budget <= BUDGET_MAX => Ok(budget),
        _ => Err(format!("give a number above 0 and up to {BUDGET_MAX}, such as 1 or 0.5")),
    }
}

/// Runs the command for a terminal: results to standard output, errors to standard error, and an exit code.
#[must_use]
pub fn main(args: &ReplayArgs) -> ExitCode {
    match run(args, &mut io::stdout()) {
        Ok(summary) if summary.nothing_watched() || summary.one_moment => ExitCode::from(NOTHING_WATCHED),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Replays, writes the results into `args.out` and the closing lines to `output`.
///
/// # Errors
/// [`ReplayError`]; results of an earlier replay are then still as they were.
pub fn run(args: &ReplayArgs, output: &mut dyn Write) -> Result<Summary, ReplayError> {
    let timezone = TimeZone::get(&args.timezone).map_err(|_| ReplayError::Timezone(args.timezone.clone()))?;
    let (model, note) = load_model(args.model.as_deref())?;
    let verdicts = args.verdicts.as_deref().map_or_else(|| Ok(Verdicts::default()), Verdicts::read)?;
    if args.out.exists() && !args.out.is_dir() {
        return Err(ReplayError::OutFolder(args.out.clone()));
    }
    let entities = Arc::new(args.entities.as_deref().map_or_else(|| Ok(Entities::default()), Entities::read)?);
    let mut source = Source::open_in(&args.events, &timezone, Span::possible())?;
    let survey = Survey::of(&mut source)?;

    std::fs::create_dir_all(&args.out).map_err(ReplayError::write(&args.out))?;
    let scores_path = args.out.join("scores.csv");
    let scores_file = temporary(&args.out)?;
    let scores = ScoresCsv::new(BufWriter::new(scores_file)).map_err(ReplayError::write(&scores_path))?;
    let config = DetectorConfig { timezone: timezone.clone(), budget_per_week: args.budget, salt: SALT.to_vec() };
    let watch = Watchlist::new(entities, !source.tells_kinds()).with_fahrenheit(survey.fahrenheit);
    let company = Company { verdicts, watch, recall: Recall::new(&args.explain), scores_path: scores_path.clone() };
    let detector = HomeDetector::new(config, Arc::new(model));
    let playback = Playback::new(source.path().to_owned(), detector, scores, company);
    let played = play(&source, &survey, playback)?;

    let mut summary = Summary::of(&played);
    summary.left_out.extend(note);
    summary.notes.extend(survey.odd.notes());
    summary.notes.extend(source.notes());
    summary.one_moment = source.one_moment();
    let Played { watch, book, recall, scores, .. } = played;
    let scores =
        scores.into_inner().map_err(io::IntoInnerError::into_error).map_err(ReplayError::write(&scores_path))?;
    let alarms_path = args.out.join("alarms.csv");
    let alarms = book
        .write(BufWriter::new(temporary(&args.out)?), watch.infos())
        .and_then(|writer| writer.into_inner().map_err(io::IntoInnerError::into_error))
        .map_err(ReplayError::write(&alarms_path))?;
    publish(scores, &scores_path)?;
    publish(alarms, &alarms_path)?;
    for id in &args.explain {
        let Some((alarm, points)) = book.find(id).zip(recall.points(id)) else {
            return Err(ReplayError::NoSuchAlarm { id: id.clone(), known: known_ids(&book, &alarms_path) });
        };
        let info = &watch.infos()[alarm.entity as usize];
        let shown = &StoredAlarm::new(alarm.clone(), info, Place::default(), ModelVersion::ROUTINE);
        let language = Language::default();
        draw(&explain::Picture { shown, info, language, points, timezone: &timezone }, &args.out, id)?;
    }
    let mut lines = format!("{summary}; wrote {} and {}\n", scores_path.display(), alarms_path.display());
    for note in &summary.notes {
        lines.push_str(&format!("note: {note}\n"));
    }
    if summary.one_moment {
        lines.push_str(ONE_MOMENT_TEXT);
    } else if summary.nothing_watched() {
        lines.push_str(NOTHING_WATCHED_TEXT);
    }
    match output.write_all(lines.as_bytes()) {
        // Everything is written, and whoever called reads no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        said => said.map_err(ReplayError::write(Path::new("standard output")))?,
    }
    Ok(summary)
}

/// The model that was asked for, and a note where it is not the one that the user expects.
fn load_model(model: Option<&str>) -> Result<(Model, Option<String>), ReplayError> {
    match model {
        Some("baseline" | "routine") => Ok((Model::baseline(), None)),
        // A build that carries no usable network still has a detector; the closing line names the one that judged.
        None => Ok(Model::shipped().map_or_else(
            |error| (Model::baseline(), Some(format!("the network, which this build does not carry ({error})"))),
            |model| (model, None),
        )),
        Some(path) => {
            let bytes = read_model(Path::new(path)).map_err(ReplayError::read(Path::new(path)))?;
            Model::from_artifact(&bytes, SHIPPED_VERSION)
                .map(|model| (model, None))
                .map_err(|error| ReplayError::Model { path: path.to_owned(), why: error.to_string() })
        }
    }
}

/// Reads no more than [`MODEL_BYTES_MAX`]; the artifact's own check refuses what was cut off.
fn read_model(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MODEL_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The result of a first look at the rows: how many there are, whether they must be sorted, and which cannot be read.
#[derive(Debug)]
struct Survey {
    rows: u64,
    sorted: bool,
    odd: OddRows,
    /// Whether thermometers are in °F, where that has to be guessed.
    fahrenheit: Option<bool>,
}

impl Survey {
    /// Reads every row once; of a damaged database a second time, what can be read of it.
    ///
    /// From then on the source passes over what lies far from the rest: another clock wrote it.
    fn of(source: &mut Source) -> Result<Self, ReplayError> {
        let (mut survey, days) = match Self::take(source) {
            Err(error @ ReplayError::Database { .. }) if source.salvage() => match Self::take(source) {
                Ok(survey) => survey,
                // That nothing can be read is the damage, not an empty database.
                Err(_) => return Err(error),
            },
            survey => survey?,
        };
        let (span, strays) = days.recording();
        source.keep_to(span);
        for stray in strays {
            let kind = if stray.recording { FaultKind::Apart } else { FaultKind::Clock };
            let fault = RowFault { line: stray.line, kind, what: stray.what, of: Vec::new() };
            survey.odd.push_all(stray.rows, &fault);
        }
        Ok(survey)
    }

    fn take(source: &Source) -> Result<(Self, Days), ReplayError> {
        let mut days = Days::default();
        let mut survey = Self { rows: 0, sorted: true, odd: OddRows::default(), fahrenheit: None };
        let mut thermometers = Thermometers::default();
        let guesses = !source.tells_kinds();
        let mut faults = RowFaults::new(source.path());
        let mut last: Option<Moment> = None;
        let mut good = 0_u64;
        let spinner = ProgressBar::new_spinner().with_message("reading");
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {human_pos} rows") {
            spinner.set_style(style);
        }
        source.read(&mut |row| {
            survey.rows += 1;
            if survey.rows.is_multiple_of(SPINNER_ROWS) {
                spinner.set_position(survey.rows);
            }
            match row {
                Ok(row) => {
                    good += 1;
                    if guesses && row.unit.is_empty() && row.device_class.is_empty() && row.state_class.is_empty() {
                        thermometers.push(row.entity_id, row.state);
                    }
                    days.push(row.at, row.line);
                    survey.sorted &= last.is_none_or(|last| last <= row.at);
                    last = Some(row.at);
                }
                Err(fault) => {
                    survey.odd.push(&fault);
                    faults.push(fault);
                }
            }
            Ok(())
        })?;
        spinner.finish_and_clear();
        survey.fahrenheit = thermometers.fahrenheit();
        if good > 0 {
            return Ok((survey, days));
        }
        faults.into_result()?;
        Err(ReplayError::Empty(source.path().to_owned()))
    }
}

fn play<W: Write>(source: &Source, survey: &Survey, mut playback: Playback<W>) -> Result<Played<W>, ReplayError> {
    let bar = if survey.rows >= BAR_ROWS_MIN { ProgressBar::new(survey.rows) } else { ProgressBar::hidden() };
    // Without the template the bar still moves; it only looks plainer.
    if let Ok(style) =
        ProgressStyle::with_template("replaying {wide_bar} {percent:>3} % of {human_len} rows, {eta} left")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    let mut done = 0_u64;
    let mut each = |row: Row<'_>| {
        done += 1;
        if done.is_multiple_of(BAR_ROWS) {
            bar.set_position(done);
        }
        // Those that cannot be read were counted by the survey.
        row.map_or(Ok(()), |row| playback.row(&row))
    };
    if survey.sorted {
        source.read(&mut each)?;
    } else {
        SortedRows::load(source)?.read(&mut each)?;
    }
    bar.finish_and_clear();
    playback.finish()
}

fn temporary(folder: &Path) -> Result<NamedTempFile, ReplayError> {
    NamedTempFile::with_prefix_in(".replay-", folder).map_err(ReplayError::write(folder))
}

/// Puts a finished file in its place, whole or not at all. Readable by whom the user's umask would let: temporary files
/// are private, results are not secrets.
fn publish(file: NamedTempFile, path: &Path) -> Result<(), ReplayError> {
    let write = || ReplayError::write(path);
    file.as_file().sync_all().map_err(write())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(write())?;
    }
    file.persist(path).map_err(|error| write()(error.error))?;
    Ok(())
}

fn draw(picture: &explain::Picture<'_>, out: &Path, id: &str) -> Result<(), ReplayError> {
    let save = |name: String, bytes: &[u8]| {
        let path = out.join(name);
        let mut file = temporary(out)?;
        file.write_all(bytes).map_err(ReplayError::write(&path))?;
        publish(file, &path)
    };
    save(format!("alarm-{id}.svg"), explain::svg(picture, explain::Theme::Auto).as_bytes())?;
    for (theme, name) in [(explain::Theme::Light, ""), (explain::Theme::Dark, "-dark")] {
        let name = format!("alarm-{id}{name}.png");
        let png = explain::png(&explain::svg(picture, theme))
            .map_err(|source| ReplayError::Draw { path: out.join(&name), source })?;
        save(name, &png)?;
    }
    Ok(())
}

fn known_ids(book: &AlarmBook, alarms_path: &Path) -> String {
    if book.alarms().is_empty() {
        return "it raised none".to_owned();
    }
    let ids: Vec<&str> = book.alarms().iter().take(IDS_SHOWN).map(|alarm| alarm.id.as_str()).collect();
    format!("{} lists them, beginning with {}", alarms_path.display(), ids.join(", "))
}
