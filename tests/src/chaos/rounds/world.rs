//! The fleet that is struck in its rounds: agents that train, one after another without a pause, and a scripted home that answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hearthwatch_emulator::data::{self, Source};
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::homes;
use hearthwatch_store::Store as _;
use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundRow, RoundStage, RoundStore as _};
use hearthwatch_store::sqlite::SqliteStore;
use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::agreement::{self, Ledgers};
use super::fault::RoundFault;
use crate::chaos::answers;
use crate::chaos::world::home_process;
use crate::program;
use crate::round_fleet::{Plan, RoundFleet, fresh};
use hearthwatch_emulator::process::Process;

/// Homes that train, and those that evaluate.
const TRAIN: usize = 3;
const EVALUATE: usize = 1;
/// Days of their history.
const DAYS: i64 = 40;
/// Rounds without a pause, and short: a program that was killed leaves its home no time for a second try. No strategy that leaves out what
/// does not help on the recordings: each round is to be evaluated. The scripted home answers beyond what a home may say in a day.
const ROUNDS: &str = "interval_hours = 0\ndeadline_minutes = 2\nevaluate_minutes = 2\nleast = 2\nleast_evaluators = 1\n\
    strategy = \"clipped-mean\"\nsteps = 10\nbatch = 64\nreplay_steps = 2\nreplay_batch = 32\n[ingest]\nrecords_per_day = 864000\n";
/// Days that the scripted home's certificate lives.
const CERTIFIED_DAYS: u32 = 7;
/// Longest that the moment for a fault may be waited for: several rounds.
const MOMENT_MAX: Duration = Duration::from_secs(600);
/// Pause between two looks at the store and at processes.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A fault falls so many milliseconds after its moment has come, at most.
const AFTER_MS_MAX: u64 = 400;

/// Everything that can be struck.
pub struct RoundWorld {
    fleet: RoundFleet,
    talker: Talker,
    store: SqliteStore,
    rng: SmallRng,
    /// Faults still to come before each has come once.
    deck: Vec<RoundFault>,
    /// Sensors of each home that were broken so far.
    broken: usize,
}

/// A home that takes part in no round: its answers are counted.
struct Talker {
    id: HomeId,
    folder: PathBuf,
    _process: Process,
}

/// What was struck.
pub struct Struck {
    /// The round that was open.
    pub round: u64,
    /// What was killed, and when.
    pub what: String,
    /// The home to be started again; none: the aggregator, or nothing.
    home: Option<usize>,
    aggregator: bool,
}

impl RoundWorld {
    /// Makes and starts everything, and waits until a round with every home has ended. `faults` may be made.
    ///
    /// # Errors
    /// The part that could not be made or started.
    pub async fn build(seed: u64, faults: usize) -> anyhow::Result<Self> {
        let recordings = data::homes(&Source::Bundled, &["citylearn_2022_homes"])?;
        let recordings: Vec<_> = recordings.into_iter().take(TRAIN + EVALUATE).map(lately).collect();
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chi-edge/emulator/data");
        // One sensor of each home breaks after each fault, and one at the start.
        let fresh = faults + 1;
        let plan = Plan { recordings, evaluators: EVALUATE, programs: &[], corpus: &corpus, fresh, rounds: ROUNDS };
        let fleet = RoundFleet::start(plan).await?;
        let store = SqliteStore::open(&fleet.database)?;
        let talker = Talker::start(&fleet, &store)?;
        let rng = SmallRng::seed_from_u64(seed);
        let mut world = Self { fleet, talker, store, rng, deck: Vec::new(), broken: 0 };
        for (_, guest) in &mut world.fleet.homes {
            guest.allow_alarms().await?;
        }
        world.alarms_go_on().await?;
        let mut round = 1;
        // The first rounds may come before every home has read its recorder.
        while world.fleet.ended(round).await?.1.iter().filter(|row| row.duty == RoundDuty::Train).count() < TRAIN {
            round += 1;
        }
        Ok(world)
    }

    /// The next fault: each comes once, in an order of the seed's, before any comes again.
    pub fn draw_fault(&mut self) -> RoundFault {
        if self.deck.is_empty() {
            self.deck = RoundFault::ALL.to_vec();
        }
        let index = self.rng.random_range(0..self.deck.len());
        self.deck.swap_remove(index)
    }

    /// Waits for the fault's moment, and lets it happen.
    ///
    /// # Errors
    /// When that moment does not come.
    pub async fn strike(&mut self, fault: RoundFault) -> anyhow::Result<Struck> {
        let begun = Instant::now();
        let (victim, whole) = (self.rng.random_range(0..TRAIN), self.rng.random_bool(0.5));
        let stages = [RoundStage::Aggregating, RoundStage::Evaluating, RoundStage::Judging];
        let stage = stages[self.rng.random_range(0..stages.len())];
        loop {
            ensure!(begun.elapsed() < MOMENT_MAX, "its moment does not come:\n{}", self.fleet.logs());
            let after = Duration::from_millis(self.rng.random_range(0..AFTER_MS_MAX));
            let struck = match fault {
                RoundFault::KillTraining => self.kill_training(victim, whole, after).await?,
                RoundFault::KillBetweenDeltas => {
                    let between = |round: &RoundRow, homes: &[RoundHomeRow]| {
                        let trains = |row: &&RoundHomeRow| row.duty == RoundDuty::Train;
                        round.stage == RoundStage::Training
                            && homes.iter().filter(trains).any(|row| row.state == RoundHomeState::Taken)
                            && homes.iter().filter(trains).any(|row| row.state.open())
                    };
                    self.kill_aggregator(between, Duration::ZERO).await?
                }
                RoundFault::KillEvaluation => self.kill_aggregator(|round, _| round.stage == stage, after).await?,
            };
            match struck {
                Some(struck) => return Ok(struck),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Kills the program that trains for a home, or the `whole` home with it; none when it does not train now.
    async fn kill_training(&mut self, victim: usize, whole: bool, after: Duration) -> anyhow::Result<Option<Struck>> {
        let Some(trainer) = self.fleet.homes[victim].1.trainer() else { return Ok(None) };
        tokio::time::sleep(after).await;
        let (id, guest) = &mut self.fleet.homes[victim];
        if guest.trainer() != Some(trainer) {
            return Ok(None);
        }
        if whole {
            guest.kill();
        } else {
            let killed = Command::new("kill").args(["-s", "KILL", &trainer.to_string()]).status().context("kill")?;
            if !killed.success() {
                return Ok(None);
            }
        }
        let what = format!("{id}'s {}", if whole { "agent" } else { "trainer" });
        let newest = self.store.newest_round_home(id)?.context("a home that trains was asked")?;
        Ok(Some(Struck { round: newest.round, what, home: whole.then_some(victim), aggregator: false }))
    }

    /// Kills the aggregator when the newest round is as `wanted`, and a moment `after`; none when it is not, or was not any more when the
    /// aggregator was dead.
    async fn kill_aggregator(
        &mut self,
        wanted: impl Fn(&RoundRow, &[RoundHomeRow]) -> bool,
        after: Duration,
    ) -> anyhow::Result<Option<Struck>> {
        let (round, homes) = self.newest()?;
        if !wanted(&round, &homes) {
            return Ok(None);
        }
        tokio::time::sleep(after).await;
        self.fleet.aggregator.kill();
        let (left, homes) = self.newest()?;
        if left.number != round.number || !wanted(&left, &homes) {
            self.fleet.aggregator.start()?;
            return Ok(None);
        }
        let taken = homes.iter().filter(|row| row.state == RoundHomeState::Taken).count();
        let what = format!("aggregator in {}, {taken} of {} taken", left.stage.as_str(), homes.len());
        Ok(Some(Struck { round: left.number, what, home: None, aggregator: true }))
    }

    /// Starts again what was killed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn mend(&mut self, struck: &Struck) -> anyhow::Result<()> {
        if struck.aggregator {
            self.fleet.aggregator.start()?;
        }
        match struck.home {
            Some(home) => self.fleet.homes[home].1.start_again().await,
            None => Ok(()),
        }
    }

    /// What does not hold yet, of the rounds up to `through`: each has ended, and homes' ledgers and the rows agree.
    ///
    /// # Errors
    /// What can never hold again: an answer that counts twice, a number that was skipped.
    pub fn unsettled(&mut self, through: u64) -> anyhow::Result<Vec<String>> {
        ensure!(self.fleet.aggregator.is_running()?, "the aggregator has ended:\n{}", self.fleet.aggregator.tail());
        let mut rounds = self.store.rounds(None, 0)?;
        rounds.reverse();
        let numbers: Vec<u64> = rounds.iter().map(|round| round.number).collect();
        ensure!(agreement::numbered(&numbers).is_none(), "{}", agreement::numbered(&numbers).unwrap_or_default());
        let (ledgers, log) = (self.ledgers()?, self.fleet.aggregator.log());
        let mut open = Vec::new();
        for round in rounds.iter().filter(|round| round.number <= through) {
            if round.outcome.is_none() || round.stage != RoundStage::Ended {
                open.push(format!("round {} is {}", round.number, round.stage.as_str()));
                continue;
            }
            let homes = self.store.round_homes(round.number, None, 0)?;
            let wrong = agreement::counted_wrong(round.number, &homes, &log);
            ensure!(wrong.is_empty(), "round {}: {}", round.number, wrong.join("; "));
            let said = agreement::disagreements(round.number, &homes, &ledgers);
            open.extend(said.into_iter().map(|said| format!("round {}: {said}", round.number)));
        }
        let (accepted, stored) = (self.accepted()?, answers::stored(&answers::open(&self.fleet.database)?)?);
        let twice = stored.iter().find(|(_, count)| **count > 1);
        ensure!(twice.is_none(), "{twice:?}: stored more than once");
        let missing = accepted.iter().filter(|id| !stored.contains_key(*id)).count();
        if missing > 0 {
            open.push(format!("{missing} answers of the scripted home are not stored"));
        }
        Ok(open)
    }

    /// The answers that the scripted home's outbox took.
    ///
    /// # Errors
    /// When its journal cannot be read.
    pub fn accepted(&self) -> anyhow::Result<BTreeSet<String>> {
        answers::accepted(std::iter::once((&self.talker.id, self.talker.folder.as_path())))
    }

    /// Breaks a sensor in every home: its alarm is raised, and the resident's answer is taken.
    ///
    /// # Errors
    /// The first home in which it is not.
    pub async fn alarms_go_on(&mut self) -> anyhow::Result<()> {
        let sensor = fresh(self.broken);
        self.broken += 1;
        for (id, guest) in &mut self.fleet.homes {
            let alarm = guest.break_sensor(&sensor).await.with_context(|| format!("{id} raises no alarm"))?;
            guest.confirm(&alarm).await.with_context(|| format!("{id} takes no answer"))?;
        }
        Ok(())
    }

    /// Has the aggregator's own command verify its lineage.
    ///
    /// # Errors
    /// What it finds.
    pub fn verify_lineage(&self) -> anyhow::Result<()> {
        let command = format!("--config={}", self.fleet.config.display());
        let output = Command::new(program("hearthwatch-cloud")).args(["verify-lineage", &command]).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "verify-lineage: {said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The round of this number as it is, and how many of its answers were taken.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn round(&self, number: u64) -> anyhow::Result<(RoundRow, usize)> {
        let homes = self.store.round_homes(number, None, 0)?;
        let taken = |row: &&RoundHomeRow| matches!(row.state, RoundHomeState::Taken | RoundHomeState::LeftOut);
        Ok((self.store.round(number)?.context("a round that was struck")?, homes.iter().filter(taken).count()))
    }

    /// The largest resident memory of the aggregator and the agents now, in KiB.
    pub fn largest_memory_kib(&self) -> u64 {
        let agents = self.fleet.homes.iter().map(|(_, guest)| guest.memory_mb().unwrap_or(0.0) * 1e6 / 1024.0);
        agents.map(|kib| kib as u64).fold(self.fleet.aggregator.memory_kib(), u64::max)
    }

    /// The ends of all logs, for the report of a fault.
    pub fn logs(&self) -> String {
        self.fleet.logs()
    }

    /// Keeps all files, and says where they are.
    pub fn keep(&mut self) -> String {
        self.fleet.keep()
    }

    fn newest(&self) -> anyhow::Result<(RoundRow, Vec<RoundHomeRow>)> {
        let round = self.store.rounds(None, 1)?.pop().context("a first round has been")?;
        let homes = self.store.round_homes(round.number, None, 0)?;
        Ok((round, homes))
    }

    fn ledgers(&self) -> anyhow::Result<Ledgers> {
        let ledger = |(id, guest): &(HomeId, crate::guest::Guest)| Ok((id.clone(), guest.ledger()?));
        self.fleet.homes.iter().map(ledger).collect::<anyhow::Result<BTreeMap<_, _>>>()
    }
}

impl Talker {
    fn start(fleet: &RoundFleet, store: &SqliteStore) -> anyhow::Result<Self> {
        let id = HomeId::new("home-talks")?;
        store.enrol_home(&id, Timestamp::now().as_second())?;
        homes::issue(&fleet.layout, &id, Timestamp::now(), CERTIFIED_DAYS)?;
        let (folder, log) = (fleet.root().join(id.as_str()), fleet.root().join("talks.log"));
        let mut process = home_process(&fleet.layout, &id, &folder, fleet.port, &log, &[])?;
        process.start()?;
        Ok(Self { id, folder, _process: process })
    }
}

/// The end of a recording.
fn lately(mut home: RecordedHome) -> RecordedHome {
    let until = home.span().map_or(0, |(_, last)| last);
    home.readings.retain(|reading| reading.at > until - DAYS * 86_400);
    home
}
