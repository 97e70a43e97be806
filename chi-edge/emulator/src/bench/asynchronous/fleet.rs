//! The simulated fleet: synchronous rounds with a deadline, and a buffer that takes answers as they come.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hearthwatch_detector::network::{DeviceKind, Weights};
use hearthwatch_evaluation::evaluate::{HomePair, fan_out};
use hearthwatch_federation::{Delta, Quantised};
use hearthwatch_training::{RetrainConfig, RoundRecipe, ServerLoss, held_out_loss, train_round};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::clock::{Answer, HOUR, Habits};
use super::shards::Shard;
use crate::bench::attacks::{Known, Way};

/// Bytes of a delta as it travels, and of the weights that a home is sent.
pub(super) const UP_BYTES: u64 = 29_882;
pub(super) const DOWN_BYTES: u64 = 119_448;

/// How answers become versions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// So many homes are asked; the version is made when so many percent answered, or at the deadline.
    Rounds { cohort: usize, enough_percent: usize, deadline_hours: u64 },
    /// So many homes are at work; a version is made of every so many answers, stale ones weighing 1 / √(1 + versions since)
    /// (FedBuff: Nguyen et al., AISTATS 2022).
    Buffer { at_work: usize, answers: usize },
    /// No home is asked; so many answers are counted for each version, so that replay is as much as in another mode.
    Alone { answers: usize },
}

/// The fleet of one seed.
pub(super) struct Fleet<'a> {
    pub start: &'a Weights,
    /// Recorded homes of which the small ones are parts.
    pub recorded: &'a [HomePair],
    pub shards: &'a [Shard],
    /// Recorded homes that judge.
    pub judges: &'a [HomePair],
    /// The server's.
    pub recordings: &'a [HomePair],
    pub server: &'a ServerLoss,
    /// A home's when the simulation begins; the step size falls with the answers.
    pub recipe: RoundRecipe,
    /// The server's on its recordings, after each version; falls likewise.
    pub replay: RoundRecipe,
    pub config: &'a RetrainConfig,
    /// Answers after which a simulation ends.
    pub answers_max: usize,
}

/// One version on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub version: usize,
    pub hours: f64,
    pub answers: usize,
    pub asked: usize,
    pub loss: f32,
    /// Mean number of versions that its answers were behind.
    pub stale: f64,
}

/// An answer on its way.
struct Flying {
    shard: usize,
    version: usize,
}

/// A simulation as it goes on.
struct State<'a> {
    fleet: &'a Fleet<'a>,
    way: Way,
    versions: Vec<Weights>,
    habits: Vec<Habits>,
    rng: ChaCha8Rng,
    points: Vec<Point>,
    asked: usize,
    answers: usize,
    before: Option<Delta>,
}

impl Fleet<'_> {
    /// Runs one mode until enough answers came.
    pub(super) fn run(&self, mode: Mode, way: Way) -> anyhow::Result<Vec<Point>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        let habits = self.shards.iter().map(|_| Habits::draw(&mut rng)).collect();
        let state = State {
            fleet: self,
            way,
            versions: vec![self.start.clone()],
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
                if let Answer::At(at) = self.habits[*shard].answer(begin, &mut self.rng) {
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
            let flying: Vec<Flying> = arrivals.iter().map(|(_, shard)| Flying { shard: *shard, version }).collect();
            self.step(&flying, now)?;
        }
        Ok(self.points)
    }

    fn alone(mut self, answers: usize) -> anyhow::Result<Vec<Point>> {
        while self.answers < self.fleet.answers_max {
            self.step(&[], 0)?;
            self.answers += answers;
        }
        Ok(self.points)
    }

    fn buffer(mut self, at_work: usize, enough: usize) -> anyhow::Result<Vec<Point>> {
        // By time, then by order of asking: what happens does not depend on the heap.
        let mut events: BinaryHeap<Reverse<(u64, usize, bool)>> = BinaryHeap::new();
        let mut flying: BTreeMap<usize, Flying> = BTreeMap::new();
        let mut next = 0;
        let mut ask = |now: u64, events: &mut BinaryHeap<_>, state: &mut Self, flying: &mut BTreeMap<usize, Flying>| {
            let shard = state.free_soon(now);
            events.push(Reverse((state.habits[shard].free_from(now), next, false)));
            flying.insert(next, Flying { shard, version: 0 });
            next += 1;
        };
        for _ in 0..at_work {
            ask(0, &mut events, &mut self, &mut flying);
        }
        let mut buffer = Vec::new();
        while let Some(Reverse((now, number, done))) = events.pop() {
            if self.answers >= self.fleet.answers_max {
                break;
            }
            if done {
                buffer.extend(flying.remove(&number));
                ask(now, &mut events, &mut self, &mut flying);
            } else if let Some(begun) = flying.get_mut(&number) {
                // Weights are fetched when the home begins.
                begun.version = self.versions.len() - 1;
                self.asked += 1;
                match self.habits[begun.shard].answer(now, &mut self.rng) {
                    Answer::At(at) => events.push(Reverse((at, number, true))),
                    Answer::Never => {
                        flying.remove(&number);
                        // Noticed when a certificate of the plan ends, a night later.
                        ask(now + 24 * HOUR, &mut events, &mut self, &mut flying);
                    }
                }
            }
            if buffer.len() >= enough {
                self.step(&std::mem::take(&mut buffer), now)?;
            }
        }
        Ok(self.points)
    }

    /// A home that is free now where there is one among a few drawn, else the one that is free first.
    fn free_soon(&mut self, now: u64) -> usize {
        const TRIES: usize = 8;
        let draws = (0..TRIES).map(|_| self.rng.random_range(0..self.fleet.shards.len()));
        draws.min_by_key(|shard| self.habits[*shard].free_from(now)).unwrap_or(0)
    }

    /// Trains what arrived, each from the version that it fetched, and makes the next version.
    fn step(&mut self, arrived: &[Flying], now: u64) -> anyhow::Result<()> {
        let fleet = self.fleet;
        let newest = self.versions.len() - 1;
        let seed = fleet.config.seed.wrapping_mul(1_000_003).wrapping_add(newest as u64);
        let versions = &self.versions;
        let in_round = |recipe: RoundRecipe| recipe.in_round(self.answers, fleet.answers_max);
        let (recipe, replay) = (in_round(fleet.recipe), in_round(fleet.replay));
        let device = DeviceKind::parse(&fleet.config.device)?.open()?;
        let train = |one: &Flying| {
            let (start, home) = (&versions[one.version], fleet.shards[one.shard].pair(fleet.recorded));
            let seed = seed.wrapping_add((one.shard as u64) << 40);
            let end = train_round(start, &[home], &[], &recipe, seed, &device).ok()?;
            Quantised::of(&Delta::between(start, &end)).restore().ok()
        };
        let deltas = fan_out(arrived, fleet.config.threads, train, |_| {});
        let weights = &versions[newest];
        let reference = Delta::between(weights, &train_round(weights, fleet.recordings, &[], &recipe, !seed, &device)?);
        let known = Known {
            reference: &reference,
            rise: fleet.server.rise(weights),
            before: self.before.as_ref(),
            weights: BTreeMap::new(),
            seed: fleet.config.seed,
        };
        let mut strategy = self.way.strategy(known);
        let mut stale = 0;
        for (one, delta) in arrived.iter().zip(deltas) {
            let behind = newest - one.version;
            stale += behind;
            if let Some(delta) = delta {
                strategy.add(&one.shard.to_string(), delta.scaled(1.0 / (1.0 + behind as f64).sqrt()));
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
        let next = train_round(&next, fleet.recordings, &[], &replay, seed, &device)?;
        self.points.push(Point {
            version: newest + 1,
            hours: now as f64 / HOUR as f64,
            answers: self.answers,
            asked: self.asked,
            loss: held_out_loss(&next, fleet.judges, fleet.config)?,
            stale: stale as f64 / arrived.len().max(1) as f64,
        });
        self.versions.push(next);
        Ok(())
    }
}
