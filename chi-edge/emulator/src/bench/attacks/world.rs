//! Rounds of one seed: homes train, some of them attack, the server makes one delta of what they send.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use hearthwatch_detector::network::{DeviceKind, Weights};
use hearthwatch_evaluation::evaluate::HomePair;
use hearthwatch_federation::{Aggregate, Conduct, Delta, LeftOut, Quantised, Reputation, Sketch, Strategy};
use hearthwatch_training::{
    Batch, RetrainConfig, RoundRecipe, ServerLoss, TrainError, held_out_loss, home_seed, round_seed, train_round,
    train_round_altered,
};

use super::attack::{Attack, Honest};
use super::strategies::{Known, StrategyKind};

/// One seed's homes.
pub(crate) struct World {
    pub start: Weights,
    /// Those that train come first.
    pub pairs: Vec<HomePair>,
    /// The server's: it checks deltas by them, and replays them.
    pub recordings: Vec<HomePair>,
    pub server: ServerLoss,
    pub config: RetrainConfig,
    pub trained: usize,
    pub rounds: usize,
    /// Whether the server trains on its recordings after each round.
    pub replay: bool,
    /// How far the server goes along what the deltas become, as a multiple of it.
    pub server_step: f64,
    pub learnt: Mutex<Learnt>,
}

/// The deltas that homes trained, by the round and its weights, the home's place and whether labels were flipped: where a strategy leaves
/// attackers out, many attacks lead to the same weights.
#[derive(Default)]
pub(crate) struct Learnt {
    known: BTreeMap<(String, usize, bool), Option<Quantised>>,
}

/// Most deltas that are kept: 30 KB each, 120 MB for each seed.
const LEARNT_MAX: usize = 4_000;
/// The place of the delta that the server trained.
const SERVER: usize = usize::MAX;

impl Learnt {
    fn keep(&mut self, key: (String, usize, bool), delta: Option<Quantised>) {
        if self.known.len() >= LEARNT_MAX {
            self.known.clear();
        }
        self.known.insert(key, delta);
    }
}

/// The result of a run.
pub(super) struct Outcome {
    /// On the evaluators; infinite where weights overflowed.
    pub loss: f32,
    /// The homes that were left out, and why, by round.
    pub left_out: Vec<Vec<LeftOut>>,
    /// Of all homes after the last round.
    pub reputation: Reputation,
}

/// The start of a round.
struct Begin<'a> {
    weights: &'a Weights,
    /// The round, and the id of its weights.
    id: String,
    round: usize,
    seed: u64,
    recipe: RoundRecipe,
}

impl World {
    /// Runs all rounds. `attack`: the kind of attack and how many homes attack, the first ones.
    pub(super) fn run(&self, strategy: StrategyKind, attack: Option<(Attack, usize)>) -> anyhow::Result<Outcome> {
        let seed = self.config.seed;
        let mut weights = self.start.clone();
        let mut outcome = Outcome { loss: f32::INFINITY, left_out: Vec::new(), reputation: Reputation::new(seed) };
        let mut before: Option<Delta> = None;
        for round in 0..self.rounds {
            let seed = round_seed(seed, round);
            let recipe = RoundRecipe::home(self.config.anomaly_weight).in_round(round, self.rounds);
            let begin = Begin { weights: &weights, id: format!("{round} {}", weights.id()), round, seed, recipe };
            let sent = self.sent(&begin, attack, before.as_ref());
            let reference =
                self.learnt(&begin, SERVER, false).context("the server's recordings hold nothing to learn from")?;
            let strategy = strategy.strategy(Known {
                reference: &reference,
                rise: self.server.rise(&weights),
                before: before.as_ref(),
                weights: sent.iter().map(|(home, _)| (home.clone(), outcome.reputation.weight(home))).collect(),
                seed: self.config.seed,
            });
            let Some(aggregate) = aggregate(strategy, &sent, &mut outcome.reputation) else { return Ok(outcome) };
            outcome.left_out.push(aggregate.left_out);
            // An attack may drive weights so far that nothing is finite any more: that is its result.
            let Ok(next) = aggregate.delta.clone().scaled(self.server_step).applied_to(&weights) else {
                return Ok(outcome);
            };
            weights = if self.replay { self.replayed(&next, &begin)? } else { next };
            before = Some(aggregate.delta);
        }
        outcome.loss = self.loss(&weights)?;
        Ok(outcome)
    }

    /// On the evaluators.
    pub(crate) fn loss(&self, weights: &Weights) -> anyhow::Result<f32> {
        Ok(held_out_loss(weights, &self.pairs[self.trained..], &self.config)?)
    }

    /// What every home sends, named by its place; a home that cannot train sends nothing.
    fn sent(&self, begin: &Begin<'_>, attack: Option<(Attack, usize)>, before: Option<&Delta>) -> Vec<(String, Delta)> {
        let attackers = attack.map_or(0, |(_, attackers)| attackers);
        let attack_of = |place: usize| attack.filter(|_| place < attackers).map(|(attack, _)| attack);
        let learnt: BTreeMap<usize, Delta> = (0..self.trained)
            .filter(|place| attack_of(*place).is_none_or(Attack::trains))
            .filter_map(|place| {
                let flips = attack_of(place) == Some(Attack::FlippedLabels);
                Some((place, self.learnt(begin, place, flips)?))
            })
            .collect();
        let honest: Vec<&Delta> = learnt.range(attackers..).map(|(_, delta)| delta).collect();
        let honest = Honest::of(&honest, before.cloned().unwrap_or_else(Delta::zero));
        let nothing = Delta::zero();
        let send = |place: usize| match attack_of(place) {
            Some(attack) => {
                let own = learnt.get(&place).unwrap_or(&nothing);
                Some((place.to_string(), attack.delta(place, own, &honest, (self.config.seed, begin.round))))
            }
            None => Some((place.to_string(), learnt.get(&place)?.clone())),
        };
        (0..self.trained).filter_map(send).collect()
    }

    /// The delta that a home trained, or [`SERVER`], after it was sent in eight bits a value; none where there is nothing to learn from.
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
        let home = if place == SERVER { &self.recordings } else { std::slice::from_ref(&self.pairs[place]) };
        let seed = home_seed(begin.seed, place);
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

/// The aggregate of a round, recorded in the reputation; none where nobody sent anything.
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
