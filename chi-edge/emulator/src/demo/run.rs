//! The run itself: homes live, residents answer, the aggregator learns, the fleet updates, the table tells.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_learning::training::{Corpora, ModelLearner};
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_rounds::ModelTrainer;
use hearthwatch_train_round::PROGRAM;
use hearthwatch_training::{Corpus, RetrainConfig};

use super::agent::FleetAgent;
use super::cast::{self, HOMES_MAX, Player};
use super::federated::hold;
use super::home::SimulatedHome;
use super::learn::{self, Learn};
use super::replay::Replay;
use super::resident::Habits;
use super::round_report::FederatedRound;
use super::stage::{Rounds, Stage};
use super::table::{Report, Round, Row};
use super::tally::Tally;
use super::teach::teach;
use super::timeline::{EPOCH, Timeline};
use crate::cli::DemoArguments;
use crate::data;
use crate::screen::{Screen, spoken};

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
    /// What the fleet learns from.
    pub learn: Learn,
    /// Federated rounds, where it learns in such.
    pub rounds: u32,
}

impl Settings {
    /// A world of the usual size and length, as fast as it goes.
    #[must_use]
    pub fn new(folder: PathBuf, seed: u64) -> Self {
        let (timeline, habits) = (Timeline::default(), Habits::default());
        let (learn, rounds) = (Learn::Labels, 0);
        Self { folder, data: None, homes: HOMES_MAX, speed: 0.0, seed, timeline, habits, learn, rounds }
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
        learn: arguments.learn,
        rounds: arguments.rounds,
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
    let mut players = load(settings, screen)?;
    if settings.learn == Learn::Rounds {
        learn::name(&mut players);
    }
    let corpus = cast::corpus(&players);
    // Exchanged at every barrier: a run sees nothing that lies in the homes' future.
    let known = Arc::new(Mutex::new(Arc::new(corpus.until(timeline.history_end()))));
    let stage = build(settings, &players, &corpus, &known).await?;
    screen.say(format!(
        "  broker on port {} (TLS, client certificates, one access list), aggregator and signed repository at {}",
        stage.broker.port(),
        stage.url
    ));
    let (homes, rounds, federated) = tokio::select! {
        failed = stage.aggregator.failed() => return Err(failed.into()),
        whole = live_through(settings, &players, &corpus, &known, &stage, screen) => whole?,
    };
    let report = Report { federated, ..report(settings, &players, &homes, rounds) };
    write(&settings.folder, &report, &homes)?;
    Ok((report, stage))
}

async fn build(
    settings: &Settings,
    players: &[Player],
    corpus: &Corpus,
    known: &Arc<Mutex<Arc<Corpus>>>,
) -> anyhow::Result<Stage> {
    let ids: Vec<HomeId> = players.iter().map(|player| player.id.clone()).collect();
    let rounds = (settings.learn == Learn::Rounds).then(|| {
        // What homes live through stays with them: the aggregator has what was recorded before the world began.
        let past = Arc::new(corpus.until(EPOCH));
        exchange(known, corpus.until(EPOCH));
        let config = RetrainConfig { seed: settings.seed, ..RetrainConfig::default() };
        let trainer = Arc::new(ModelTrainer::new(Corpora::Given(past), config).kept());
        Rounds { config: learn::config(players), trainer }
    });
    let learner = Arc::new(ModelLearner::new(Corpora::Exchanged(Arc::clone(known))).with_seed(settings.seed));
    let program = std::env::current_exe().context("finding this program")?;
    let now = (settings.seed, settings.timeline.history_end());
    Stage::build_with(&program, &settings.folder, &ids, learner, now, rounds).await
}

type Lived = (Vec<SimulatedHome>, Vec<Round>, Vec<FederatedRound>);

async fn live_through(
    settings: &Settings,
    players: &[Player],
    corpus: &Corpus,
    known: &Mutex<Arc<Corpus>>,
    stage: &Stage,
    screen: &Screen,
) -> anyhow::Result<Lived> {
    let timeline = &settings.timeline;
    let (mut homes, mut agents) = move_in(settings, players, stage).await?;
    let by_labels = settings.learn == Learn::Labels;
    let (mut rounds, mut federated) = (Vec::new(), Vec::new());
    for phase in 0..timeline.phases {
        let (from, until) = timeline.phase(phase);
        let from = if phase == 0 { EPOCH } else { from };
        let in_rounds = !by_labels && learn::phase_of_rounds(timeline) == Some(phase);
        let moments = if in_rounds { learn::moments(timeline, settings.rounds) } else { Vec::new() };
        let mut replay = Replay::new(screen, phase, (from, until), &homes, settings.speed);
        for (number, at) in (1..).zip(moments) {
            homes = replay.until(at, homes, &agents, stage).await?;
            federated.push(hold(stage, (number, at), &mut homes, &mut agents, screen).await?);
        }
        homes = replay.until(until, homes, &agents, stage).await?;
        replay.finish(&homes, if by_labels { "every one stored by the aggregator" } else { "none left its home" })?;
        if phase + 1 < timeline.phases && !in_rounds {
            if by_labels {
                exchange(known, corpus.until(until));
            }
            rounds.push(teach(stage, &mut homes, &mut agents, screen).await?);
        }
    }
    for agent in agents {
        agent.stop().await?;
    }
    Ok((homes, rounds, federated))
}

async fn move_in(
    settings: &Settings,
    players: &[Player],
    stage: &Stage,
) -> anyhow::Result<(Vec<SimulatedHome>, Vec<FleetAgent>)> {
    let (mut homes, mut agents) = (Vec::new(), Vec::new());
    let trainer = (settings.learn == Learn::Rounds).then(|| train_program(&settings.folder)).transpose()?;
    for player in players {
        let (id, lived) = (player.id.clone(), player.lived.clone());
        let shares = (settings.seed, settings.learn.sharing());
        let mut agent = FleetAgent::start(stage, &id, lived.entities.len(), &settings.folder, shares)?;
        let speaks = settings.timeline.speaks_from(player.moves_in);
        let home = SimulatedHome::new(id, lived, settings.habits, settings.seed, player.moves_in, speaks);
        if let Some(program) = &trainer {
            agent.join_rounds(stage, &home, program.clone(), settings.seed).await?;
        }
        homes.push(home);
        agents.push(agent);
    }
    Ok((homes, agents))
}

/// This program under the name of the one that homes train with.
fn train_program(folder: &Path) -> anyhow::Result<PathBuf> {
    let (own, named) = (std::env::current_exe().context("finding this program")?, folder.join(PROGRAM));
    std::os::unix::fs::symlink(own, &named).with_context(|| format!("making {}", named.display()))?;
    Ok(named)
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
    Report { seed: settings.seed, before: "routine detector".to_owned(), after, rows, rounds, federated: Vec::new() }
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
