//! Deltas that are looked at one by one before they count.

use std::collections::BTreeMap;

use super::coordinate::median;
use super::{Aggregate, Kept, LeftOut, Reason, Strategy};
use crate::delta::Delta;
use crate::sketch::{Sketch, Sketcher};

/// Share of the usual norm below which nothing was learnt.
const NOTHING: f64 = 0.05;
/// Times the usual norm up to which a delta is believed: by the recipe's step size all honest ones lie between .85 and 1.2.
const LONGEST: f64 = 1.5;
/// Most that a delta may raise the loss on the server's recordings, for each unit of its norm: honest ones raise it by up to .45, those
/// learnt from flipped labels by 1 and more while the step size is large (docs/measurements/2026-11-30-attacks.md).
const HARM_MAX: f64 = 0.6;
/// Cosine from which a delta counts as another's: between honest homes it was at most .42.
const COPY: f64 = 0.6;
/// Cosine from which it counts as the aggregate of the round before, of which an honest home may have been a large part.
const COPY_OF_AGGREGATE: f64 = 0.9;

/// By how much the loss on the server's recordings rises when a delta is added to the round's start.
pub type Rise = Box<dyn Fn(&Delta) -> f64 + Send>;

/// What the server holds deltas against.
pub struct Vetting {
    reference: Delta,
    rise: Rise,
    sketcher: Sketcher,
    before: Option<Sketch>,
    seen: Vec<(String, Sketch)>,
    weights: BTreeMap<String, f64>,
}

impl Vetting {
    /// `reference` is what the homes' recipe changes on the server's recordings, from the weights that the homes start from; `seed` is the
    /// aggregator's secret ([`Sketcher::new`]).
    #[must_use]
    pub fn new(reference: Delta, rise: Rise, seed: u64) -> Self {
        Self {
            reference,
            rise,
            sketcher: Sketcher::new(seed),
            before: None,
            seen: Vec::new(),
            weights: BTreeMap::new(),
        }
    }

    /// Also leaves out who sends the aggregate of the round before again.
    #[must_use]
    pub fn after(mut self, before: &Delta) -> Self {
        self.before = Some(self.sketcher.sketch(before));
        self
    }

    /// How much homes count after earlier rounds, in [0, 1]; those that are not named count in full.
    #[must_use]
    pub fn weighing(mut self, weights: BTreeMap<String, f64>) -> Self {
        self.weights = weights;
        self
    }

    /// How much a delta counts, above 0 and at most 1.
    fn judge(&mut self, home: &str, delta: &Delta) -> Result<f64, Reason> {
        let norm = delta.norm();
        let times = norm / self.reference.norm();
        if times <= NOTHING {
            return Err(Reason::NothingLearnt);
        }
        if times > LONGEST {
            return Err(Reason::TooLong { times });
        }
        let sketch = self.sketcher.sketch(delta);
        if let Some(cosine) = self.before.as_ref().map(|before| sketch.cosine(before))
            && cosine >= COPY_OF_AGGREGATE
        {
            return Err(Reason::CopyOfAggregate { cosine });
        }
        let nearest = self.seen.iter().map(|(other, seen)| (other, sketch.cosine(seen)));
        if let Some((other, cosine)) = nearest.max_by(|one, other| one.1.total_cmp(&other.1))
            && cosine >= COPY
        {
            return Err(Reason::CopyOf { home: other.clone(), cosine });
        }
        self.seen.push((home.to_owned(), sketch));
        let rise = (self.rise)(delta) / norm;
        // A rise that is no number does not pass.
        if rise.is_nan() || rise > HARM_MAX {
            return Err(Reason::HarmsReplay { rise });
        }
        // Who is excluded is judged all the same: that is the way back.
        let weight = self.weights.get(home).copied().unwrap_or(1.0).min(1.0);
        if weight <= 0.0 {
            return Err(Reason::EarlierRounds);
        }
        let cosine = delta.cosine(&self.reference);
        if cosine > 0.0 { Ok(weight * cosine) } else { Err(Reason::AgainstReplay { cosine }) }
    }
}

impl std::fmt::Debug for Vetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vetting")
            .field("norm", &self.reference.norm())
            .field("seen", &self.seen.len())
            .finish_non_exhaustive()
    }
}

/// The mean of deltas that passed, weighted by the cosine to the server's own and by the homes' earlier rounds. Streaming: of each home
/// a sketch is kept (2 KB), no delta.
#[derive(Debug)]
pub struct VettedMean {
    vetting: Vetting,
    sum: Vec<f64>,
    weights: f64,
    homes: usize,
    left_out: Vec<LeftOut>,
}

impl VettedMean {
    /// Nothing was added yet.
    #[must_use]
    pub fn new(vetting: Vetting) -> Self {
        Self { vetting, sum: Vec::new(), weights: 0.0, homes: 0, left_out: Vec::new() }
    }
}

impl Strategy for VettedMean {
    fn name(&self) -> &'static str {
        "vetted mean"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        match self.vetting.judge(home, &delta) {
            Ok(weight) => {
                self.sum.resize(delta.values().len(), 0.0);
                for (sum, value) in self.sum.iter_mut().zip(delta.values()) {
                    *sum += weight * f64::from(*value);
                }
                self.weights += weight;
                self.homes += 1;
            }
            Err(reason) => self.left_out.push(LeftOut { home: home.to_owned(), reason }),
        }
    }

    fn kept(&self) -> usize {
        0
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        let values = self.sum.iter().map(|sum| (sum / self.weights) as f32).collect();
        let passed = Delta::new(values).ok().map(|delta| Aggregate { delta, homes: self.homes, left_out: Vec::new() });
        finished(passed, self.left_out)
    }
}

/// The median of each parameter over the deltas that passed.
#[derive(Debug)]
pub struct VettedMedian {
    vetting: Vetting,
    kept: Kept,
}

impl VettedMedian {
    /// Nothing was added yet.
    #[must_use]
    pub fn new(vetting: Vetting) -> Self {
        Self { vetting, kept: Kept::default() }
    }
}

impl Strategy for VettedMedian {
    fn name(&self) -> &'static str {
        "vetted median"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        match self.vetting.judge(home, &delta) {
            Ok(_) => self.kept.add(home, delta),
            Err(reason) => self.kept.left_out.push(LeftOut { home: home.to_owned(), reason }),
        }
    }

    fn kept(&self) -> usize {
        self.kept.homes.len()
    }

    fn finish(mut self: Box<Self>) -> Option<Aggregate> {
        let left_out = std::mem::take(&mut self.kept.left_out);
        finished(median(self.kept), left_out)
    }
}

/// Where nobody passed nothing changes.
fn finished(passed: Option<Aggregate>, left_out: Vec<LeftOut>) -> Option<Aggregate> {
    match passed {
        None if left_out.is_empty() => None,
        None => Some(Aggregate { delta: Delta::zero(), homes: 0, left_out }),
        Some(aggregate) => Some(Aggregate { left_out, ..aggregate }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{agreement, honest, run, truth};
    use super::*;

    /// The truth, as long as honest deltas are.
    fn reference() -> Delta {
        truth().scaled(honest(1).norm() / truth().norm())
    }

    /// The loss falls along the truth, and rises by a whole unit for each unit of norm against it.
    fn vetting() -> Vetting {
        Vetting::new(reference(), Box::new(|delta| -delta.product(&truth()) / truth().norm()), 7)
    }

    fn reasons(liar: Delta) -> Vec<LeftOut> {
        let mean = run(Box::new(VettedMean::new(vetting())), (0..7).map(honest).chain([liar.clone()])).unwrap();
        let median = run(Box::new(VettedMedian::new(vetting())), (0..7).map(honest).chain([liar])).unwrap();
        assert_eq!(mean.left_out, median.left_out);
        assert_eq!((mean.homes, median.homes), (7, 7));
        assert!(agreement(&mean.delta) > 0.9 && agreement(&median.delta) > 0.8);
        mean.left_out
    }

    #[test]
    fn a_delta_without_content_is_left_out() {
        assert_eq!(reasons(Delta::zero())[0].reason, Reason::NothingLearnt);
    }

    #[test]
    fn a_delta_longer_than_the_recipe_makes_them_is_left_out() {
        let found = reasons(honest(9).scaled(4.0));
        assert!(matches!(found[0].reason, Reason::TooLong { times } if (3.9..4.1).contains(&times)), "{found:?}");
    }

    #[test]
    fn a_delta_that_makes_the_servers_loss_rise_is_left_out() {
        let found = reasons(truth().scaled(-1.4));
        assert!(matches!(found[0].reason, Reason::HarmsReplay { rise } if rise > 0.9), "{found:?}");
    }

    #[test]
    fn who_sends_what_another_sent_is_left_out_and_the_first_counts() {
        let found = reasons(honest(3).scaled(0.9));
        assert!(matches!(&found[0].reason, Reason::CopyOf { home, .. } if home == "home-3"), "{found:?}");
        assert_eq!(found[0].home, "home-7");
    }

    #[test]
    fn who_sends_the_last_aggregate_again_is_left_out() {
        let vetting = vetting().after(&truth().scaled(0.4));
        let aggregate = run(Box::new(VettedMean::new(vetting)), [truth(), honest(1)]).unwrap();
        assert!(matches!(aggregate.left_out[0].reason, Reason::CopyOfAggregate { cosine } if cosine > 0.99));
    }

    #[test]
    fn a_delta_that_harms_nothing_and_goes_nowhere_near_the_servers_own_is_left_out() {
        let values = honest(50).values().iter().zip(truth().values()).map(|(one, truth)| one - 1.1 * truth).collect();
        let found = reasons(Delta::new(values).unwrap());
        assert!(matches!(found[0].reason, Reason::AgainstReplay { cosine } if cosine > -0.2), "{found:?}");
    }

    #[test]
    fn an_excluded_home_is_judged_and_not_used() {
        let weights = BTreeMap::from([("home-0".to_owned(), 0.0), ("home-1".to_owned(), 0.0)]);
        let deltas = [honest(1), truth().scaled(-1.4), honest(2)];
        let aggregate = run(Box::new(VettedMean::new(vetting().weighing(weights))), deltas).unwrap();
        assert_eq!(aggregate.homes, 1);
        assert!(aggregate.delta.cosine(&honest(2)) > 0.999);
        assert_eq!(aggregate.left_out[0].reason, Reason::EarlierRounds);
        assert!(matches!(aggregate.left_out[1].reason, Reason::HarmsReplay { .. }));
    }

    #[test]
    fn where_nobody_passes_nothing_changes() {
        let aggregate = run(Box::new(VettedMean::new(vetting())), [Delta::zero()]).unwrap();
        assert_eq!((aggregate.delta, aggregate.homes), (Delta::zero(), 0));
    }
}
