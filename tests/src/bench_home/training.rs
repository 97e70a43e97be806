//! Whether alarms are later while the home trains in a round: a home of its own, alarms by turns without training and beside the real
//! program that trains on the agent's history.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::Model;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::round_job::{JobFigures, JobLimits, JobReport, RoundJob};
use hearthwatch_edge_rounds::process::{Ended, Running};
use hearthwatch_protocol::round::{RoundFile, RoundWork, TrainRecipe, TrainWork};

use super::{HomeArguments, name, percentile, recorded_since, sensors};
use crate::guest::Guest;
use crate::guest::rounds::trainer_of;

/// Sensors with history: as many as a round trains on.
const SENSORS: usize = 24;
/// Days that the recorder holds: a round needs three weeks.
const DAYS: i64 = 28;
/// How often the program is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Longest wait until a run has ended: the default limit of one.
const RUN_MAX: Duration = Duration::from_secs(600);
/// Longest wait until it has begun once more.
const BEGIN_MAX: Duration = Duration::from_secs(60);
/// What it makes itself.
const NICE: i32 = 19;
/// Alarms of one turn.
const TURN: usize = 5;
/// Alarms that a detector allows in four weeks.
const ALARMS_MAX: usize = 160;

/// Measures and prints.
///
/// # Errors
/// The part that did not start or did not answer; a program that does not train.
pub async fn run(arguments: &HomeArguments, trainer: &Path) -> anyhow::Result<()> {
    let (repeats, alarms) = (arguments.training_repeats, arguments.training_alarms);
    ensure!(
        2 * repeats * alarms <= ALARMS_MAX && repeats * alarms > 0,
        "between one and {ALARMS_MAX} alarms, both ways together"
    );
    let begun = Instant::now();
    // Each timed alarm is another sensor's, and one beside which a run ended is timed again.
    let all = SENSORS + ALARMS_MAX;
    let recorder = |entity: &str, from, until| {
        let number = entity.rsplit('_').next().and_then(|text| text.parse::<usize>().ok());
        let has_history = number.is_some_and(|number| number < SENSORS);
        if has_history { recorded_since(entity, from, until, DAYS * 86_400) } else { Vec::new() }
    };
    let mut guest = Guest::start(&arguments.agent, sensors(all), Box::new(recorder)).await?;
    guest.allow_alarms().await?;
    println!(
        "\na home that trains: {SENSORS} sensors with {DAYS} days of states, warm start {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let folder = tempfile::tempdir()?;
    let job = job(&guest, folder.path())?;
    let mut home = Home { guest, broken: SENSORS, turn: 0, changes: arguments.changes };
    let (mut all_without, mut all_with) = (Vec::new(), Vec::new());
    for repeat in 1..=repeats {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        // By short turns: whatever else the machine does falls on both.
        while without.len() < alarms {
            let turn = TURN.min(alarms - without.len());
            without.extend(home.time(turn, None).await?);
            let training = Training::begin(trainer.to_owned(), job.clone());
            let timed = home.time(turn, Some(&training)).await;
            training.end()?;
            with.extend(timed?);
        }
        compare(&format!("repeat {repeat}"), &mut without, &mut with);
        all_without.extend(without);
        all_with.extend(with);
    }
    compare("all", &mut all_without, &mut all_with);
    let alone = Training::begin(trainer.to_owned(), job).first()?;
    ensure!(alone.entities as usize == SENSORS, "it trained on {} sensors", alone.entities);
    println!("a run alone: {} sensors, {} days, {:.1} s, nice {NICE}", alone.entities, alone.days, alone.seconds);
    Ok(())
}

fn compare(name: &str, without: &mut [Duration], with: &mut [Duration]) {
    for (title, times) in [("without training", &mut *without), ("while it trains", &mut *with)] {
        println!("{name:<9} {title:<17} {} alarms: {}", times.len(), described(times));
    }
    let at = |share| percentile(with, share) / percentile(without, share);
    println!("{name:<9} ratio                        p50 {:.2}, p90 {:.2}", at(0.5), at(0.9));
}

/// Middle, upper tenth and end of some times.
fn described(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share| percentile(times, share) * 1000.0;
    format!("p50 {:.1} ms, p90 {:.1} ms, longest {:.1} ms", at(0.5), at(0.9), at(1.0))
}

struct Home {
    guest: Guest,
    /// The next sensor that breaks.
    broken: usize,
    turn: usize,
    changes: u32,
}

impl Home {
    /// Ordinary changes at the asked pace, and each second an alarm, which is timed; beside `training`, one through whose whole time the
    /// program ran.
    async fn time(&mut self, alarms: usize, training: Option<&Training>) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(alarms);
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / self.changes);
        while times.len() < alarms {
            for _ in 0..self.changes {
                ticks.tick().await;
                let value = 20.0 + (self.turn % 17) as f64 / 10.0;
                self.guest.double.say([(name(self.turn * 7 % SENSORS).as_str(), format!("{value:.1}"))]);
                self.turn += 1;
            }
            let before = match training {
                Some(training) => Some(training.running().await?),
                None => None,
            };
            ensure!(self.broken < SENSORS + ALARMS_MAX, "too many runs end beside an alarm");
            let said = Instant::now();
            let id = self.guest.break_sensor(&name(self.broken)).await?;
            let took = said.elapsed();
            self.broken += 1;
            if before.is_none_or(|before| trainer_of(std::process::id()) == Some(before)) {
                times.push(took);
            }
            self.guest.confirm(&id).await?;
        }
        Ok(times)
    }
}

/// The program that trains, run after run, as the agent runs it.
struct Training {
    stop: Arc<AtomicBool>,
    /// Whether a run has ended.
    whole: Arc<AtomicBool>,
    /// Gives the figures of the first whole run, if one ended.
    runs: JoinHandle<anyhow::Result<Option<JobFigures>>>,
}

impl Training {
    fn begin(program: PathBuf, job: RoundJob) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let whole = Arc::new(AtomicBool::new(false));
        let (stopped, tells) = (Arc::clone(&stop), Arc::clone(&whole));
        let runs = std::thread::spawn(move || {
            let mut first = None;
            while !stopped.load(Ordering::Relaxed) {
                std::fs::create_dir_all(&job.out)?;
                let mut running = Running::begin(&program, &job)?;
                let ended = loop {
                    match running.poll() {
                        // Ended with the process.
                        None if stopped.load(Ordering::Relaxed) => return Ok(first),
                        None => std::thread::sleep(POLL),
                        Some(ended) => break ended,
                    }
                };
                match ended {
                    Ended::Report(JobReport::Done(figures)) => {
                        first = first.or(Some(figures));
                        tells.store(true, Ordering::Relaxed);
                    }
                    other => bail!("it does not train: {other:?}"),
                }
                std::fs::remove_dir_all(&job.out)?;
            }
            Ok(first)
        });
        Self { stop, whole, runs }
    }

    /// Its process, once that has the lowest priority.
    async fn running(&self) -> anyhow::Result<u32> {
        let begun = Instant::now();
        loop {
            if let Some(id) = trainer_of(std::process::id())
                && nice(id) == Some(NICE)
            {
                return Ok(id);
            }
            ensure!(!self.runs.is_finished() && begun.elapsed() < BEGIN_MAX, "the program that trains does not run");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets it go on until a run has ended; its figures.
    fn first(self) -> anyhow::Result<JobFigures> {
        let begun = Instant::now();
        while !self.runs.is_finished() && begun.elapsed() < RUN_MAX {
            std::thread::sleep(POLL);
            if self.whole.load(Ordering::Relaxed) {
                break;
            }
        }
        self.end()?.context("no run has ended")
    }

    fn end(self) -> anyhow::Result<Option<JobFigures>> {
        self.stop.store(true, Ordering::Relaxed);
        match self.runs.join() {
            Ok(runs) => runs,
            Err(_) => bail!("the thread that runs it has panicked"),
        }
    }
}

fn nice(process: u32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name in brackets: state, and fifteen numbers before it.
    stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
}

/// A round's work, as the aggregator plans it by default, on the agent's own history.
fn job(guest: &Guest, folder: &Path) -> anyhow::Result<RoundJob> {
    let bytes = Model::shipped_artifact();
    let model = folder.join("model");
    std::fs::write(&model, bytes).context("the model")?;
    let recipe = TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 1 };
    let work = TrainWork { base: RoundFile::of(bytes), recipe, clip: 2.0, noise: 0.0, server_noise: 0.0 };
    let entity =
        |number| EntityInfo { entity_id: name(number), class: DeviceClass::Temperature, unit: "°C".to_owned() };
    Ok(RoundJob {
        history: guest.folder().join("state/history.sqlite"),
        entities: (0..SENSORS).map(entity).collect(),
        work: RoundWork::Train(work),
        models: vec![model],
        out: folder.join("out"),
        now: jiff::Timestamp::now().as_second(),
        timezone: "UTC".to_owned(),
        seed: 7,
        limits: JobLimits::default(),
    })
}
