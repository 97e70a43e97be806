//! The ways to decide: what stands between a network's scores and alarms.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::evaluate::{Detector, EntityScores, HomeTrace};

/// One way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// For the tables.
    pub(super) name: &'static str,
    /// Thresholds come from weeks that trained no weights, in place of the calibration homes' first weeks.
    pub(super) late: bool,
    /// The network counts for an entity only after it proved itself there, as in homes.
    proof: bool,
    /// The network judges those classes alone that the shipped one earned.
    gated: bool,
}

const DECISIONS: &[Decision] = &[
    Decision { name: "as homes run it", late: false, proof: true, gated: true },
    Decision { name: "every class", late: false, proof: true, gated: false },
    Decision { name: "every class, thresholds from later weeks", late: true, proof: true, gated: false },
    Decision { name: "every class, without proof", late: false, proof: false, gated: false },
    Decision {
        name: "every class, without proof, thresholds from later weeks",
        late: true,
        proof: false,
        gated: false,
    },
];

impl Decision {
    /// The ways whose name holds one of the texts, every way without a text. To the baseline detector they differ by thresholds alone.
    pub(super) fn chosen(texts: &[String]) -> impl Iterator<Item = &'static Self> {
        DECISIONS.iter().filter(|one| texts.is_empty() || texts.iter().any(|text| one.name.contains(text.as_str())))
    }

    /// A detector that is judged in this way.
    pub(super) fn over<'a>(&self, scores: &'a Scores, shipped: &Artifact) -> Decided<'a> {
        let gate = self.gated.then(|| shipped.blend().clone());
        Decided { scores, proof: self.proof, gate }
    }
}

/// A detector's scores and fault checks of traces, computed once. A trace is known by its home, its time and its faults.
pub(super) struct Scores {
    own: Box<dyn Detector + Send + Sync>,
    known: Mutex<BTreeMap<String, Arc<Known>>>,
}

/// What is known of one trace.
struct Known {
    scores: Vec<EntityScores>,
    checks: Option<Vec<Vec<f32>>>,
}

impl Scores {
    pub(super) fn new(own: Box<dyn Detector + Send + Sync>) -> Self {
        Self { own, known: Mutex::new(BTreeMap::new()) }
    }

    fn of(&self, home: &HomeTrace) -> Arc<Known> {
        let place = format!("{} {} {} {:?}", home.home, home.from, home.until, home.labels);
        let lock = || self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = lock().get(&place).cloned();
        before.unwrap_or_else(|| {
            let known = Arc::new(Known { scores: self.own.score(home), checks: self.own.fault_checks(home) });
            lock().insert(place, Arc::clone(&known));
            known
        })
    }
}

/// Kept scores, decided on in one way.
pub(super) struct Decided<'a> {
    scores: &'a Scores,
    proof: bool,
    /// Which classes the network judges; all of them without it.
    gate: Option<Blend>,
}

impl Decided<'_> {
    fn judges(&self, home: &HomeTrace, entity: usize) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.judges(home.entities[entity].class))
    }
}

impl Detector for Decided<'_> {
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores> {
        let mut scores = self.scores.of(home).scores.clone();
        scores
            .iter_mut()
            .enumerate()
            .filter(|(entity, _)| !self.judges(home, *entity))
            .for_each(|(_, one)| one.scores.fill(f32::NAN));
        scores
    }

    fn beside_baseline(&self) -> bool {
        self.scores.own.beside_baseline()
    }

    fn fault_checks(&self, home: &HomeTrace) -> Option<Vec<Vec<f32>>> {
        let mut checks = self.scores.of(home).checks.clone().filter(|_| self.proof)?;
        checks
            .iter_mut()
            .enumerate()
            .filter(|(entity, _)| !self.judges(home, *entity))
            .for_each(|(_, one)| one.fill(f32::NAN));
        Some(checks)
    }
}
