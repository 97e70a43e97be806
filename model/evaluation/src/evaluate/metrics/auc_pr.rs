//! Area under the precision-recall curve over steps: average precision, no interpolation.

/// Average precision of one series: the precision at each distinct score, weighted by the recall that it adds. None
/// without a labelled step or where the lengths differ. Scores must not be NaN.
#[must_use]
pub fn auc_pr(labels: &[bool], scores: &[f32]) -> Option<f64> {
    let positives = labels.iter().filter(|label| **label).count();
    if positives == 0 || labels.len() != scores.len() {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    let (mut found, mut area) = (0, 0.0);
    let mut begin = 0;
    while begin < order.len() {
        // Steps with one score are above a threshold together or not at all.
        let score = scores[order[begin]];
        let end = begin + order[begin..].iter().take_while(|step| scores[**step] == score).count();
        let more = order[begin..end].iter().filter(|step| labels[**step]).count();
        found += more;
        area += more as f64 / positives as f64 * found as f64 / end as f64;
        begin = end;
    }
    Some(area)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_example_by_hand() {
        // Ranked: hit, miss, hit, miss. Precision at the hits: 1 and 2/3, each adding half of the recall.
        let value = auc_pr(&[true, false, true, false], &[0.9, 0.8, 0.7, 0.1]).unwrap();
        assert!((value - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
        // All alike: the precision of calling everything unusual.
        assert_eq!(auc_pr(&[true, false, false, false], &[1.0; 4]), Some(0.25));
        assert_eq!(auc_pr(&[false; 3], &[1.0; 3]), None);
    }

    proptest! {
        #[test]
        fn it_is_at_most_one_and_raising_a_labelled_step_never_lowers_it(
            series in prop::collection::vec((any::<bool>(), 0u16..1000), 2..100),
            raised in any::<prop::sample::Index>(),
        ) {
            let labels: Vec<bool> = series.iter().map(|(label, _)| *label).collect();
            let mut scores: Vec<f32> = series.iter().map(|(_, score)| f32::from(*score)).collect();
            let before = auc_pr(&labels, &scores);
            prop_assert!(before.is_none_or(|value| value > 0.0 && value <= 1.0 + 1e-9));
            let place = raised.index(labels.len());
            if let (Some(before), true) = (before, labels[place]) {
                scores[place] = 2000.0;
                prop_assert!(auc_pr(&labels, &scores).unwrap() >= before - 1e-9);
            }
        }
    }
}
