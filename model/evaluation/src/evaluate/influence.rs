//! Whether one home alone carries a promotion: the candidate trained again without each of those that weigh most.

use super::gate::{GateReport, GateVerdict, Influence};

impl GateReport {
    /// Holds what the gate would let through, if it would not without the answers of any one of these homes.
    #[must_use]
    pub fn weigh_influences(mut self, influences: Vec<Influence>) -> Self {
        let carried = influences.iter().filter_map(|influence| {
            let first = influence.held_without.first()?;
            let (home, share) = (&influence.home, 100.0 * influence.weight_share);
            Some(format!("without the answers of {home}, {share:.0} % of their weight, it would be held: {first}"))
        });
        let reasons: Vec<String> = carried.collect();
        if matches!(self.verdict, GateVerdict::Promote) && !reasons.is_empty() {
            self.verdict = GateVerdict::Hold { reasons };
        }
        self.influences = influences;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Evaluation, GatePolicy, Interval, judge};
    use crate::fixtures::evaluation::{events, made_up};

    /// Six homes of ten events each, of which so many are found.
    fn evaluation(found: usize) -> Evaluation {
        made_up(6.0, 1, vec![events("drift", "power", found, 10); 6])
    }

    fn influence(home: &str, held_without: &[&str]) -> Influence {
        let recall = Interval { low: 0.0, point: 0.1, high: 0.2 };
        let held_without = held_without.iter().map(|&reason| reason.to_owned()).collect();
        Influence { home: home.to_owned(), weight_share: 0.1, recall, held_without }
    }

    #[test]
    fn a_promotion_that_one_home_carries_is_held_and_says_which() {
        let report = judge(&evaluation(8), &evaluation(5), None, None, &GatePolicy::default());
        assert_eq!(report.verdict, GateVerdict::Promote);
        let shared = report.clone().weigh_influences(vec![influence("a", &[]), influence("b", &[])]);
        assert_eq!((shared.verdict, shared.influences.len()), (GateVerdict::Promote, 2));
        let carried = report.weigh_influences(vec![influence("a", &[]), influence("b", &["not above zero"])]);
        let reason = "without the answers of b, 10 % of their weight, it would be held: not above zero".to_owned();
        assert_eq!(carried.verdict, GateVerdict::Hold { reasons: vec![reason] });
    }
}
