//! The simulated fleet: synchronous rounds with a deadline, and a buffer that takes answers as they arrive.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use hearthwatch_detector::network::{DeviceKind, Weights};
use hearthwatch_evaluation::evaluate::fan_out;
use hearthwatch_federation::{Delta, Quantised, staleness_weight};
use hearthwatch_training::{RoundRecipe, home_seed, round_seed, train_round};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::clock::{Answer, HOUR, Habits, Outages};
use super::shards::Shard;
use crate::bench::attacks::{Known, StrategyKind, World};

/// How answers become versions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// So many homes are asked; the version is made when so many percent answered, or at the deadline.
    Rounds { cohort: usize, enough_percent: usize, deadline_hours: u64 },
    /// So many homes are at work; a version is made of every so many answers, stale ones weighing 1 / √(1 + versions since)
    /// (FedBuff: Nguyen et al., AISTATS 2022).
    Buffer { at_work: usize, answers: usize },
    /// No home is asked; the server replays as often as in a mode with so many answers for each version.
    Alone { answers: usize },
}

/// The fleet of one seed.
pub(super) struct Fleet<'a> {
    /// Its homes that train are those of which the small ones are parts.
    pub world: &'a World,
    pub shards: &'a [Shard],
    /// Answers after which a simulation ends; the step sizes fall with them.
    pub answers_max: usize,
    pub outages: Outages,
}

/// One version on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub version: usize,
    pub hours: f64,
    pub answers: usize,
    pub asked: usize,
    /// On the evaluators.
    pub loss: f32,
    /// Mean number of versions that its answers were behind.
    pub stale: f64,
}

/// A training that has not become part of a version.
struct Pending {
    shard: usize,
    /// The one that the home fetched.
    version: usize,
}

/// The homes at work for a buffer, and what happens when.
#[derive(Default)]
struct Agenda {
    /// By time, then by number, so that the order is always the same. True where an answer arrives, false where a home begins.
    events: BinaryHeap<Reverse<(u64, usize, bool)>>,
    /// By number.
    at_work: BTreeMap<usize, Pending>,
    next: usize,
}

/// A simulation as it goes on.
struct State<'a> {
    fleet: &'a Fleet<'a>,
    strategy: StrategyKind,
    versions: Vec<Weights>,
    habits: Vec<Habits>,
    rng: ChaCha8Rng,
    points: Vec<Point>,
    asked: usize,
    answers: usize,
    before: Option<Delta>,
}

/// A small home's training: a quarter of a home's windows.
fn recipe(anomaly_weight: f32) -> RoundRecipe {
    RoundRecipe { steps: 10, batch: 64, learning_rate: 5e-4, hard_share: 0.0, ..RoundRecipe::home(anomaly_weight) }
}

/// The server's, after each version.
fn replay(anomaly_weight: f32) -> RoundRecipe {
    RoundRecipe { batch: 128, ..recipe(anomaly_weight) }
}

impl Fleet<'_> {
    /// Runs one mode until enough answers arrived.
    pub(super) fn run(&self, mode: Mode, strategy: StrategyKind) -> anyhow::Result<Vec<Point>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.world.config.seed);
        let habits = self.shards.iter().map(|_| Habits::draw(&mut rng)).collect();
        let state = State {
            fleet: self,
            strategy,
            versions: vec![self.world.start.clone()],
            habits,
            rng,
            points: Vec::new(),
            asked: 0,
            answers: 0,
            before: None,
        };
        match mode {
            Mode::Rounds { cohort, enough_percent, deadline_hours } => {
                state.rounds(cohort, enough_percent, deadline_hours)
            }
            Mode::Buffer { at_work, answers } => state.buffer(at_work, answers),
            Mode::Alone { answers } => state.alone(answers),
        }
    }
}

impl State<'_> {
    fn rounds(mut self, cohort: usize, enough_percent: usize, deadline_hours: u64) -> anyhow::Result<Vec<Point>> {
        let mut now = 0;
        while self.answers < self.fleet.answers_max {
            let mut order: Vec<usize> = (0..self.fleet.shards.len()).collect();
            order.shuffle(&mut self.rng);
            order.truncate(cohort);
            let mut arrivals = Vec::new();
            for shard in &order {
                let begin = self.habits[*shard].free_from(now);
                if let Answer::At(at) = self.habits[*shard].answer(begin, self.fleet.outages, &mut self.rng) {
                    arrivals.push((at, *shard));
                }
            }
            self.asked += order.len();
            arrivals.sort_unstable();
            let deadline = now + deadline_hours * HOUR;
            arrivals.retain(|(at, _)| *at <= deadline);
            arrivals.truncate((cohort * enough_percent).div_ceil(100));
            now = match arrivals.last() {
                Some((at, _)) if arrivals.len() * 100 >= cohort * enough_percent => *at,
                _ => deadline,
            };
            let version = self.versions.len() - 1;
            let arrived: Vec<Pending> = arrivals.iter().map(|(_, shard)| Pending { shard: *shard, version }).collect();
            self.step(&arrived, now, self.answers)?;
        }
        Ok(self.points)
    }

    fn alone(mut self, answers: usize) -> anyhow::Result<Vec<Point>> {
        for done in (0..self.fleet.answers_max).step_by(answers) {
            self.step(&[], 0, done)?;
        }
        Ok(self.points)
    }

    fn buffer(mut self, at_work: usize, enough: usize) -> anyhow::Result<Vec<Point>> {
        let mut agenda = Agenda::default();
        let mut arrived = Vec::new();
        for _ in 0..at_work {
            self.ask(0, &mut agenda, &arrived);
        }
        while let Some(Reverse((now, number, done))) = agenda.events.pop() {
            if self.answers >= self.fleet.answers_max {
                break;
            }
            if done {
                arrived.extend(agenda.at_work.remove(&number));
                self.ask(now, &mut agenda, &arrived);
            } else if let Some(begun) = agenda.at_work.get_mut(&number) {
                // Weights are fetched when the home begins.
                begun.version = self.versions.len() - 1;
                self.asked += 1;
                match self.habits[begun.shard].answer(now, self.fleet.outages, &mut self.rng) {
                    Answer::At(at) => agenda.events.push(Reverse((at, number, true))),
                    Answer::Never => {
                        agenda.at_work.remove(&number);
                        // The server notices it a night later.
                        self.ask(now + 24 * HOUR, &mut agenda, &arrived);
                    }
                }
            }
            if arrived.len() >= enough {
                self.step(&std::mem::take(&mut arrived), now, self.answers)?;
            }
        }
        Ok(self.points)
    }

    /// Asks another home: none that is at work, or whose answer waits in the buffer, so that a version has one delta of each.
    fn ask(&mut self, now: u64, agenda: &mut Agenda, arrived: &[Pending]) {
        let busy: BTreeSet<usize> = agenda.at_work.values().chain(arrived).map(|one| one.shard).collect();
        let Some(shard) = self.free_soon(now, &busy) else { return };
        agenda.events.push(Reverse((self.habits[shard].free_from(now), agenda.next, false)));
        agenda.at_work.insert(agenda.next, Pending { shard, version: 0 });
        agenda.next += 1;
    }

    /// Of a few homes drawn that are not busy the one that is free first; the first that is not busy where all of them are.
    fn free_soon(&mut self, now: u64, busy: &BTreeSet<usize>) -> Option<usize> {
        const DRAWN: usize = 8;
        let homes = self.fleet.shards.len();
        let drawn: Vec<usize> = (0..DRAWN).map(|_| self.rng.random_range(0..homes)).collect();
        let free = drawn.into_iter().filter(|shard| !busy.contains(shard));
        let first = free.min_by_key(|shard| self.habits[*shard].free_from(now));
        first.or_else(|| (0..homes).find(|shard| !busy.contains(shard)))
    }

    /// Trains what arrived, each home from the version that it fetched, and makes the next version. `done`: answers so far, by which the
    /// step sizes fall.
    fn step(&mut self, arrived: &[Pending], now: u64, done: usize) -> anyhow::Result<()> {
        let Fleet { world, shards, answers_max, .. } = self.fleet;
        let newest = self.versions.len() - 1;
        let seed = round_seed(world.config.seed, newest);
        let in_round = |recipe: RoundRecipe| recipe.in_round(done, *answers_max);
        let weight = world.config.anomaly_weight;
        let (recipe, replay) = (in_round(recipe(weight)), in_round(replay(weight)));
        let device = DeviceKind::parse(&world.config.device)?.open()?;
        let versions = &self.versions;
        let train = |one: &Pending| {
            let (start, home) = (&versions[one.version], shards[one.shard].pair(&world.pairs[..world.trained]));
            let end = train_round(start, &[home], &[], &recipe, home_seed(seed, one.shard), &device).ok()?;
            Quantised::of(&Delta::between(start, &end)).restore().ok()
        };
        let deltas = fan_out(arrived, world.config.threads, train, |_| {});
        let weights = &versions[newest];
        let reference =
            Delta::between(weights, &train_round(weights, &world.recordings, &[], &recipe, !seed, &device)?);
        let mut strategy = self.strategy.strategy(Known {
            reference: &reference,
            rise: world.server.rise(weights),
            before: self.before.as_ref(),
            weights: BTreeMap::new(),
            seed: world.config.seed,
        });
        let mut stale = 0;
        for (one, delta) in arrived.iter().zip(deltas) {
            let behind = newest - one.version;
            stale += behind;
            if let Some(delta) = delta {
                strategy.add(&one.shard.to_string(), delta.scaled(staleness_weight(behind as u32)));
            }
        }
        self.answers += arrived.len();
        let next = match strategy.finish() {
            Some(aggregate) => {
                let next = aggregate.delta.applied_to(weights)?;
                self.before = Some(aggregate.delta);
                next
            }
            None => weights.clone(),
        };
        let next = train_round(&next, &world.recordings, &[], &replay, seed, &device)?;
        self.points.push(Point {
            version: newest + 1,
            hours: now as f64 / HOUR as f64,
            answers: self.answers,
            asked: self.asked,
            loss: world.loss(&next)?,
            stale: stale as f64 / arrived.len().max(1) as f64,
        });
        self.versions.push(next);
        Ok(())
    }
}
