//! Rounds of one seed: homes train, some of them lie, the server makes one delta of what they send.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use hearthwatch_detector::network::{DeviceKind, Weights};
use hearthwatch_evaluation::evaluate::HomePair;
use hearthwatch_federation::{Aggregate, Conduct, Delta, LeftOut, Quantised, Reputation, Sketch, Strategy};
use hearthwatch_training::{
    Batch, RetrainConfig, RoundRecipe, ServerLoss, TrainError, held_out_loss, train_round, train_round_altered,
};

use super::attack::{Attack, Honest};
use super::strategies::{Known, Way};

/// Seeds of the homes of a round lie this many bits apart.
const HOME_SHIFT: u32 = 40;

/// One seed's homes.
pub(crate) struct World {
    pub start: Weights,
    /// Those that train come first.
    pub pairs: Vec<HomePair>,
    /// What the server holds deltas against, and replays.
    pub recordings: Vec<HomePair>,
    pub server: ServerLoss,
    pub config: RetrainConfig,
    pub trained: usize,
    pub rounds: usize,
    /// Whether the server trains on its recordings after each round.
    pub replay: bool,
    pub learnt: Mutex<Learnt>,
}

/// What homes learnt, by the round and its weights, the home's place and whether labels were flipped: where a strategy leaves liars
/// out, many attacks lead to the same weights.
#[derive(Default)]
pub(crate) struct Learnt {
    known: BTreeMap<(String, usize, bool), Option<Quantised>>,
}

/// Most that is remembered: 30 KB each, 120 MB.
const LEARNT_MAX: usize = 4_000;
/// The place of what the server learnt.
const SERVER: usize = usize::MAX;

impl Learnt {
    fn keep(&mut self, key: (String, usize, bool), delta: Option<Quantised>) {
        if self.known.len() >= LEARNT_MAX {
            self.known.clear();
        }
        self.known.insert(key, delta);
    }
}

/// What came of a run.
pub(super) struct Outcome {
    /// On the homes that judge; infinite where weights overflowed.
    pub loss: f32,
    /// Who was left out, and why, by round.
    pub left_out: Vec<Vec<LeftOut>>,
    /// Of all homes after the last round.
    pub reputation: Reputation,
}

/// What a round of a run begins with.
struct Begin<'a> {
    weights: &'a Weights,
    /// The round, and the id of its weights.
    id: String,
    round: usize,
    seed: u64,
    recipe: RoundRecipe,
}

impl World {
    /// `attack` names the lie and how many homes lie: the first ones.
    pub(super) fn run(&self, way: Way, attack: Option<(Attack, usize)>) -> anyhow::Result<Outcome> {
        let seed = self.config.seed;
        let mut weights = self.start.clone();
        let mut outcome = Outcome { loss: f32::INFINITY, left_out: Vec::new(), reputation: Reputation::new(seed) };
        let mut before: Option<Delta> = None;
        for round in 0..self.rounds {
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(round as u64);
            let recipe = RoundRecipe::home(self.config.anomaly_weight).in_round(round, self.rounds);
            let begin = Begin { weights: &weights, id: format!("{round} {}", weights.id()), round, seed, recipe };
            let sent = self.sent(&begin, attack, before.as_ref());
            let reference =
                self.learnt(&begin, SERVER, false).context("the server's recordings hold nothing to learn from")?;
            let strategy = way.strategy(Known {
                reference: &reference,
                rise: self.server.rise(&weights),
                before: before.as_ref(),
                weights: sent.iter().map(|(home, _)| (home.clone(), outcome.reputation.weight(home))).collect(),
                seed: self.config.seed,
            });
            let Some(aggregate) = aggregate(strategy, &sent, &mut outcome.reputation) else { return Ok(outcome) };
            outcome.left_out.push(aggregate.left_out);
            // An attack may drive weights so far that nothing is finite any more: that is its result.
            let Ok(next) = aggregate.delta.applied_to(&weights) else { return Ok(outcome) };
            weights = if self.replay { self.replayed(&next, &begin)? } else { next };
            before = Some(aggregate.delta);
        }
        outcome.loss = self.loss(&weights)?;
        Ok(outcome)
    }

    /// On the homes that judge.
    pub(crate) fn loss(&self, weights: &Weights) -> anyhow::Result<f32> {
        Ok(held_out_loss(weights, &self.pairs[self.trained..], &self.config)?)
    }

    /// What every home sends, named by its place; who cannot train sends nothing.
    fn sent(&self, begin: &Begin<'_>, attack: Option<(Attack, usize)>, before: Option<&Delta>) -> Vec<(String, Delta)> {
        let liars = attack.map_or(0, |(_, liars)| liars);
        let trains = |place: &usize| *place >= liars || attack.is_some_and(|(attack, _)| attack.trains());
        let places: Vec<usize> = (0..self.trained).filter(trains).collect();
        let flips = |place: usize| place < liars && attack.is_some_and(|(attack, _)| attack == Attack::FlippedLabels);
        let learnt = |place: &usize| self.learnt(begin, *place, flips(*place));
        let learnt: BTreeMap<usize, Delta> = places
            .iter()
            .copied()
            .zip(places.iter().map(learnt))
            .filter_map(|(place, delta)| Some((place, delta?)))
            .collect();
        let honest: Vec<&Delta> = learnt.range(liars..).map(|(_, delta)| delta).collect();
        let honest = Honest::of(&honest, before.cloned().unwrap_or_else(Delta::zero));
        let nothing = Delta::zero();
        let send = |place: usize| match attack {
            Some((attack, liars)) if place < liars => {
                let own = learnt.get(&place).unwrap_or(&nothing);
                Some((place.to_string(), attack.lie(place, own, &honest, (self.config.seed, begin.round))))
            }
            _ => Some((place.to_string(), learnt.get(&place)?.clone())),
        };
        (0..self.trained).filter_map(send).collect()
    }

    /// What eight bits leave of what a home learnt; of the server where there is no such home.
    fn learnt(&self, begin: &Begin<'_>, place: usize, flips: bool) -> Option<Delta> {
        let key = (begin.id.clone(), place, flips);
        let lock = || self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().known.get(&key).cloned();
        let delta = known.unwrap_or_else(|| {
            let delta = self.train(begin, place, flips).ok().map(|delta| Quantised::of(&delta));
            lock().keep(key, delta.clone());
            delta
        });
        delta?.restore().ok()
    }

    fn train(&self, begin: &Begin<'_>, place: usize, flips: bool) -> Result<Delta, TrainError> {
        let device = DeviceKind::parse(&self.config.device)?.open()?;
        // The server has no place among the homes.
        let home =
            self.pairs.get(place..place.saturating_add(1)).filter(|_| place < self.trained).unwrap_or(&self.recordings);
        let seed = begin.seed.wrapping_add((place as u64) << HOME_SHIFT);
        let flip = |batch: &mut Batch| batch.labels.iter_mut().for_each(|label| *label = 1.0 - *label);
        let end = if flips {
            train_round_altered(begin.weights, home, &begin.recipe, seed, &device, &flip)
        } else {
            train_round(begin.weights, home, &[], &begin.recipe, seed, &device)
        };
        Ok(Delta::between(begin.weights, &end?))
    }

    fn replayed(&self, weights: &Weights, begin: &Begin<'_>) -> anyhow::Result<Weights> {
        let device = DeviceKind::parse(&self.config.device)?.open()?;
        let recipe = RoundRecipe::replay(self.config.anomaly_weight).in_round(begin.round, self.rounds);
        Ok(train_round(weights, &self.recordings, &[], &recipe, begin.seed, &device)?)
    }
}

/// What the strategy makes of a round, which the reputation takes in; none where nobody sent anything.
fn aggregate(
    mut strategy: Box<dyn Strategy>,
    sent: &[(String, Delta)],
    reputation: &mut Reputation,
) -> Option<Aggregate> {
    let sketches: Vec<Sketch> = sent.iter().map(|(_, delta)| reputation.sketch(delta)).collect();
    for (home, delta) in sent {
        strategy.add(home, delta.clone());
    }
    let aggregate = strategy.finish()?;
    let suspect: BTreeSet<&String> =
        aggregate.left_out.iter().filter(|left| left.reason.is_suspect()).map(|left| &left.home).collect();
    let conduct = |((home, _), sketch): (&(String, Delta), Sketch)| Conduct {
        left_out: suspect.contains(home),
        home: home.clone(),
        sketch,
    };
    let conducts: Vec<Conduct> = sent.iter().zip(sketches).map(conduct).collect();
    reputation.record(&conducts, &aggregate.delta);
    Some(aggregate)
}
