//! Deltas weighted by the cosine to the server's own delta (FLTrust: Cao et al., NDSS 2021).

use super::mean::WeightedSum;
use super::{Aggregate, LeftOut, Reason, Strategy, with_left_out};
use crate::delta::Delta;

/// The mean of deltas, each brought to the norm of the server's own and weighted by the cosine of the angle to it where that is above
/// zero. Streaming.
#[derive(Debug)]
pub struct TrustedDirection {
    reference: Delta,
    sum: WeightedSum,
    left_out: Vec<LeftOut>,
}

impl TrustedDirection {
    /// `reference` is what the server's training on its own recordings changed, from the weights that the homes started from.
    #[must_use]
    pub fn new(reference: Delta) -> Self {
        Self { reference, sum: WeightedSum::default(), left_out: Vec::new() }
    }
}

impl Strategy for TrustedDirection {
    fn name(&self) -> &'static str {
        "trusted direction"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        let norm = delta.norm();
        let cosine = delta.cosine(&self.reference);
        if cosine > 0.0 {
            self.sum.add(&delta, cosine, self.reference.norm() / norm);
        } else {
            let reason = if norm > 0.0 { Reason::AgainstReplay { cosine } } else { Reason::NothingLearnt };
            self.left_out.push(LeftOut { home: home.to_owned(), reason });
        }
    }

    fn kept(&self) -> usize {
        0
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        with_left_out(self.sum.mean(), self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{agreement, run, truth, with_attackers};
    use super::*;

    #[test]
    fn attackers_who_turn_around_do_not_count_and_honest_homes_have_the_references_norm() {
        let aggregate = run(Box::new(TrustedDirection::new(truth())), with_attackers()).unwrap();
        assert!(agreement(&aggregate.delta) > 0.9);
        assert_eq!(aggregate.homes, 7);
        let left: Vec<&str> = aggregate.left_out.iter().map(|left| left.home.as_str()).collect();
        assert_eq!(left, ["home-7", "home-8", "home-9"]);
        assert!(matches!(aggregate.left_out[0].reason, Reason::AgainstReplay { cosine } if cosine < -0.5));
        assert!(aggregate.delta.norm() <= truth().norm());
    }

    #[test]
    fn without_a_home_to_trust_nothing_changes() {
        let aggregate = run(Box::new(TrustedDirection::new(truth())), [truth().scaled(-1.0), Delta::zero()]).unwrap();
        assert_eq!((aggregate.delta, aggregate.homes), (Delta::zero(), 0));
        assert_eq!(aggregate.left_out[1].reason, Reason::NothingLearnt);
    }
}
