//! The run itself: homes live, residents answer, the aggregator learns, the fleet updates, the table tells.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_edge_detection::service::ToFleet;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_evaluation::evaluate::{GateReport, GateVerdict};
use hearthwatch_learning::training::{Corpora, ModelLearner};
use hearthwatch_protocol::messages::UpdateResult;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::RunRow;
use hearthwatch_training::Corpus;

use super::agent::FleetAgent;
use super::cast::{self, HOMES_MAX, Player};
use super::home::SimulatedHome;
use super::pace::Pace;
use super::resident::Habits;
use super::stage::Stage;
use super::table::{Report, Round, Row};
use super::tally::Tally;
use super::timeline::{EPOCH, Timeline, WEEK};
use crate::cli::DemoArguments;
use crate::data;
use crate::screen::{Bar, Screen, spoken};

/// Longest name in the table; some sets name homes by UUID.
const NAME_CHARS_MAX: usize = 14;

/// What a world needs to know; the scenario tests make small ones.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where everything is written; made if it is not there.
    pub folder: PathBuf,
    /// See [`DemoArguments::data`].
    pub data: Option<PathBuf>,
    /// Most homes.
    pub homes: usize,
    /// Virtual seconds in a real one; 0 for no limit.
    pub speed: f64,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// When what happens.
    pub timeline: Timeline,
    /// How residents behave.
    pub habits: Habits,
}

impl Settings {
    /// A world of the usual size and length, as fast as it goes.
    #[must_use]
    pub fn new(folder: PathBuf, seed: u64) -> Self {
        let (timeline, habits) = (Timeline::default(), Habits::default());
        Self { folder, data: None, homes: HOMES_MAX, speed: 0.0, seed, timeline, habits }
    }
}

/// The newcomer's command: builds a world, prints the table, and says where everything lies.
///
/// # Errors
/// What went wrong, and what to do about it.
pub fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    let folder = fresh_folder(&arguments.out)?;
    log_to(&folder.join("log.txt"))?;
    let settings = Settings {
        data: arguments.data.clone(),
        homes: arguments.homes.unwrap_or(HOMES_MAX),
        speed: arguments.speed,
        ..Settings::new(folder.clone(), arguments.seed)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let screen = Screen::new();
        let start = Instant::now();
        let (report, stage) = tokio::select! {
            built = world(&settings, &screen) => built?,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped; what was written is in {}", folder.display()),
        };
        println!("{report}");
        println!("seed {}, {} in all; everything is in {}", settings.seed, spoken(start.elapsed()), folder.display());
        if arguments.stay {
            let token = stage.admin_token(&folder.join("admin.token")).await?;
            println!("the page is at {}/ (authority: {})", stage.url, stage.layout.ca_cert().display());
            println!("its token, and that of the admin API, is in {}", token.display());
            println!("Ctrl-C ends it");
            tokio::select! {
                asked = tokio::signal::ctrl_c() => asked?,
                failed = stage.aggregator.failed() => return Err(failed.into()),
            }
        }
        stage.strike().await;
        Ok(())
    })
}

/// Builds a world, lets it run to its end, and returns what was found together with the installation, still up.
///
/// # Errors
/// Whatever part failed, by name.
pub async fn world(settings: &Settings, screen: &Screen) -> anyhow::Result<(Report, Stage)> {
    let timeline = &settings.timeline;
    let players = load(settings, screen)?;
    let ids: Vec<HomeId> = players.iter().map(|player| player.id.clone()).collect();
    let corpus = cast::corpus(&players);
    // Exchanged at every barrier: a run sees nothing that lies in the homes' future.
    let known = Arc::new(Mutex::new(Arc::new(corpus.until(timeline.history_end()))));
    let learner = Arc::new(ModelLearner::new(Corpora::Exchanged(Arc::clone(&known))).with_seed(settings.seed));
    let program = std::env::current_exe().context("finding this program")?;
    let stage = Stage::build(&program, &settings.folder, &ids, learner, settings.seed, timeline.history_end()).await?;
    screen.say(format!(
        "  broker on port {} (TLS, client certificates, one access list), aggregator and signed repository at {}",
        stage.broker.port(),
        stage.url
    ));
    let whole = async {
        let mut homes: Vec<SimulatedHome> = Vec::new();
        let mut agents: Vec<FleetAgent> = Vec::new();
        for player in &players {
            let (id, lived) = (player.id.clone(), player.lived.clone());
            agents.push(FleetAgent::start(&stage, &id, lived.entities.len(), &settings.folder, settings.seed)?);
            let speaks = timeline.speaks_from(player.moves_in);
            homes.push(SimulatedHome::new(id, lived, settings.habits, settings.seed, player.moves_in, speaks));
        }
        let mut rounds = Vec::new();
        for phase in 0..timeline.phases {
            let (from, until) = timeline.phase(phase);
            let from = if phase == 0 { EPOCH } else { from };
            homes = replay(homes, &agents, &stage, (from, until), phase, settings, screen).await?;
            if phase + 1 < timeline.phases {
                exchange(&known, corpus.until(until));
                rounds.push(teach(&stage, &mut homes, &mut agents, screen).await?);
            }
        }
        for agent in agents {
            agent.stop().await;
        }
        Ok::<_, anyhow::Error>((homes, rounds))
    };
    let (homes, rounds) = tokio::select! {
        failed = stage.aggregator.failed() => return Err(failed.into()),
        whole = whole => whole?,
    };
    let report = report(settings, &players, &homes, rounds);
    write(&settings.folder, &report, &homes)?;
    Ok((report, stage))
}

fn exchange(known: &Mutex<Arc<Corpus>>, corpus: Corpus) {
    *known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(corpus);
}

fn load(settings: &Settings, screen: &Screen) -> anyhow::Result<Vec<Player>> {
    let sets: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let source = data::find(settings.data.as_deref(), &sets)?;
    screen.say(match &source {
        data::Source::Bundled => "reading the bundled recordings".to_owned(),
        data::Source::Folder(folder) => format!("reading recordings in {}", folder.display()),
    });
    let homes = data::homes(&source, cast::SETS)?;
    let players = cast::cast(homes, settings.homes, &settings.timeline, settings.seed);
    let faults: usize = players.iter().map(|player| player.lived.labels.len()).sum();
    let entities: usize = players.iter().map(|player| player.clean.entities.len()).sum();
    screen.say(format!("  {} homes, {entities} entities, {faults} labelled events to come", players.len()));
    anyhow::ensure!(!players.is_empty(), "no home has a recording; leave --homes away or ask for at least 1");
    Ok(players)
}

/// Lets every home live through a phase, week by week; what residents answer goes out at once.
async fn replay(
    mut homes: Vec<SimulatedHome>,
    agents: &[FleetAgent],
    stage: &Stage,
    (from, until): (i64, i64),
    phase: usize,
    settings: &Settings,
    screen: &Screen,
) -> anyhow::Result<Vec<SimulatedHome>> {
    let steps = u64::try_from((until - from) / STEP_SECONDS).unwrap_or_default() * homes.len() as u64;
    let bar = Arc::new(screen.bar("replay", steps));
    let pace = Pace::new(settings.speed, from);
    let start = Instant::now();
    let (mut alarms_before, mut answers) = (alarms_of(&homes), 0);
    let mut at = from;
    while at < until {
        at = (at + WEEK).min(until);
        pace.reach(at).await;
        let told;
        (homes, told) = live(homes, at, &bar).await?;
        stage.clock.set(at);
        for (agent, words) in agents.iter().zip(told) {
            answers += words.iter().filter(|word| matches!(word, ToFleet::Answer(_))).count();
            agent.say(words).await?;
        }
        let alarms = alarms_of(&homes) - alarms_before;
        bar.message(format!("{alarms} alarms, {answers} answers"));
    }
    for agent in agents {
        agent.all_stored().await?;
    }
    alarms_before = alarms_of(&homes) - alarms_before;
    let bar = Arc::try_unwrap(bar).map_err(|_| anyhow::anyhow!("the replay still holds its bar"))?;
    bar.finish(format!(
        "phase {}: {} weeks of {} homes in {}: {alarms_before} alarms, {answers} answers, every one stored by the aggregator",
        phase + 1,
        (until - from) / WEEK,
        homes.len(),
        spoken(start.elapsed())
    ));
    Ok(homes)
}

fn alarms_of(homes: &[SimulatedHome]) -> usize {
    homes.iter().map(|home| home.alarms.len()).sum()
}

/// All homes until `at`, on every core; results in the order of the homes.
async fn live(
    homes: Vec<SimulatedHome>,
    at: i64,
    bar: &Arc<Bar>,
) -> anyhow::Result<(Vec<SimulatedHome>, Vec<Vec<ToFleet>>)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut lanes: Vec<Vec<(usize, SimulatedHome)>> = (0..cores).map(|_| Vec::new()).collect();
    for (index, home) in homes.into_iter().enumerate() {
        lanes[index % cores].push((index, home));
    }
    let lanes = lanes.into_iter().map(|lane| {
        let bar = Arc::clone(bar);
        tokio::task::spawn_blocking(move || {
            let one = |(index, mut home): (usize, SimulatedHome)| {
                let words = home.live_until(at, &mut |steps| bar.advance(steps));
                (index, home, words)
            };
            lane.into_iter().map(one).collect::<Vec<_>>()
        })
    });
    let mut done = Vec::new();
    for lane in lanes.collect::<Vec<_>>() {
        done.extend(lane.await.context("a home's thread")?);
    }
    done.sort_by_key(|(index, _, _)| *index);
    Ok(done.into_iter().map(|(_, home, words)| (home, words)).unzip())
}

/// A barrier: retrain, let the gate judge, and if it promotes, let every home verify, swap and prove the new model.
async fn teach(
    stage: &Stage,
    homes: &mut [SimulatedHome],
    agents: &mut [FleetAgent],
    screen: &Screen,
) -> anyhow::Result<Round> {
    let start = Instant::now();
    let before = stage.aggregator.state().store.champion()?.map(|model| model.version);
    let run = train(stage, screen).await?;
    let report: GateReport = serde_json::from_str(run.report.as_deref().context("a finished run has a gate report")?)?;
    let champion = stage.aggregator.state().store.champion()?.map(|model| model.version);
    let released = champion.filter(|version| Some(*version) != before);
    let verdict = match &report.verdict {
        GateVerdict::Promote => "Promote".to_owned(),
        GateVerdict::Hold { reasons } => format!("Hold: {}", reasons.join("; ")),
    };
    let learning_s = start.elapsed().as_secs_f64();
    screen.say(format!("gate after {}: {verdict}", spoken(start.elapsed())));
    let start = Instant::now();
    if let Some(version) = released {
        update_all(version, homes, agents, screen).await?;
    }
    let snapshot = stage.aggregator.state().store.snapshot(&run.snapshot)?.context("the run's snapshot is stored")?;
    Ok(Round {
        answers: usize::try_from(snapshot.rows).unwrap_or(usize::MAX),
        snapshot: run.snapshot,
        verdict,
        figures: figures(&report),
        gate: report,
        released: released.map(|version| version.0),
        learning_s,
        updating_s: start.elapsed().as_secs_f64(),
    })
}

async fn train(stage: &Stage, screen: &Screen) -> anyhow::Result<RunRow> {
    let bar = screen.bar("learn", 1);
    let mut status = stage.aggregator.training_status();
    let mut training = std::pin::pin!(stage.aggregator.retrain_now());
    let run = loop {
        tokio::select! {
            run = &mut training => break run?,
            Ok(()) = status.changed() => {
                let status = status.borrow_and_update().clone();
                let loss = status.loss.map(|loss| format!(", loss {loss:.4}")).unwrap_or_default();
                bar.message(format!("{}{loss}", status.phase));
                bar.reach(status.done, status.total.max(1));
            }
        }
    };
    bar.finish("");
    Ok(run)
}

/// Every agent verifies, swaps and proves the release; the homes go on with what proved itself.
async fn update_all(
    version: ModelVersion,
    homes: &mut [SimulatedHome],
    agents: &mut [FleetAgent],
    screen: &Screen,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let bar = screen.bar("update", homes.len() as u64);
    let mut installed = 0;
    for (home, agent) in homes.iter_mut().zip(agents) {
        let result = agent.update(home, version).await?;
        match result {
            UpdateResult::Installed => installed += 1,
            UpdateResult::Refused { reason } => screen.say(format!("  {} refused model {version}: {reason}", home.id)),
            UpdateResult::RolledBack { reason, to } => {
                screen.say(format!("  {} went back to model {to}: {reason}", home.id));
            }
        }
        bar.advance(1);
    }
    bar.finish(format!(
        "model {version} signed, verified and in charge in {installed} of {} homes after {}",
        homes.len(),
        spoken(start.elapsed())
    ));
    Ok(())
}

/// The gate's figures in lines.
fn figures(report: &GateReport) -> Vec<String> {
    let mut lines =
        vec![format!("candidate         {}", report.candidate), format!("routine detector  {}", report.baseline)];
    lines.extend(report.champion.iter().map(|champion| format!("champion          {champion}")));
    lines.extend(report.control.iter().map(|control| format!("without feedback  {control}")));
    lines.extend(report.comparisons.iter().map(|comparison| {
        let interval = comparison.recall;
        format!(
            "recall against the {}: {:+.3}, interval {:+.3} to {:+.3}",
            comparison.against, interval.point, interval.low, interval.high
        )
    }));
    lines
}

fn report(settings: &Settings, players: &[Player], homes: &[SimulatedHome], rounds: Vec<Round>) -> Report {
    let (from, until) = settings.timeline.phase(settings.timeline.phases - 1);
    let mut rows: Vec<Row> = players
        .iter()
        .zip(homes)
        .map(|(player, home)| {
            let span = (from.max(settings.timeline.speaks_from(player.moves_in)), until);
            Row {
                home: player.clean.name.chars().take(NAME_CHARS_MAX).collect(),
                set: player.clean.set.clone(),
                part: player.part,
                entities: player.clean.entities.len(),
                before: Tally::count(&home.twin_alarms, &home.recording.labels, span),
                after: Tally::count(&home.alarms, &home.recording.labels, span),
            }
        })
        .collect();
    rows.sort_by(|left, right| (left.part, &left.set, &left.home).cmp(&(right.part, &right.set, &right.home)));
    let version = homes.iter().map(SimulatedHome::version).max().unwrap_or(ModelVersion::ROUTINE);
    let after = if version == ModelVersion::ROUTINE {
        "the routine detector still, for no model passed the gate".to_owned()
    } else {
        format!("model {version}")
    };
    Report { seed: settings.seed, before: "routine detector".to_owned(), after, rows, rounds }
}

fn write(folder: &Path, report: &Report, homes: &[SimulatedHome]) -> anyhow::Result<()> {
    std::fs::write(folder.join("table.txt"), report.to_string())?;
    std::fs::write(folder.join("table.json"), serde_json::to_vec_pretty(report)?)?;
    let mut alarms = csv::Writer::from_path(folder.join("alarms.csv"))?;
    alarms.write_record(["home", "alarm_id", "entity_id", "raised_at", "kind", "score", "reason"])?;
    for home in homes {
        for alarm in &home.alarms {
            let entity = usize::try_from(alarm.entity).ok().and_then(|index| home.recording.entities.get(index));
            alarms.write_record([
                home.id.as_str(),
                &alarm.id,
                entity.map_or("", |entity| &entity.entity_id),
                &jiff::Timestamp::from_second(alarm.raised_at)?.to_string(),
                alarm.kind.as_str(),
                &format!("{:.3}", alarm.score),
                &alarm.reason,
            ])?;
        }
    }
    alarms.flush()?;
    Ok(())
}

/// A folder of its own for each run, so that nothing of an earlier one is lost.
fn fresh_folder(out: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    for number in 1.. {
        let folder = out.join(format!("run-{number}"));
        match std::fs::create_dir(&folder) {
            Ok(()) => return folder.canonicalize().with_context(|| format!("finding {}", folder.display())),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("making {}", folder.display())),
        }
    }
    unreachable!("the numbers do not end")
}

/// The parts' own logs go to a file: the screen belongs to the story.
fn log_to(path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("making {}", path.display()))?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,hearthwatch=info"));
    // A second call in one process (tests) keeps the first log.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).try_init();
    Ok(())
}
