//! The mean of the deltas that are nearest to others: multi-Krum (Blanchard et al., NeurIPS 2017).

use super::mean::WeightedSum;
use super::{Aggregate, Kept, LeftOut, Reason, Strategy};
use crate::delta::Delta;

/// The mean of those deltas whose nearest neighbours are nearest. What one attacker sends is far from all others; what attackers agree on is
/// near only to their own deltas, of which there are too few.
#[derive(Debug)]
pub struct MultiKrum {
    share: f64,
    kept: Kept,
}

impl MultiKrum {
    /// `share` of the homes may be attackers: so many are left out. Of n homes at most (n − 3) / 2 can be.
    #[must_use]
    pub fn new(share: f64) -> Self {
        Self { share, kept: Kept::default() }
    }
}

impl Strategy for MultiKrum {
    fn name(&self) -> &'static str {
        "multi-krum"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        self.kept.add(home, delta);
    }

    fn kept(&self) -> usize {
        self.kept.homes.len()
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        let Kept { homes, left_out: late } = self.kept;
        let n = homes.len();
        let attackers = ((n as f64 * self.share) as usize).min(n.saturating_sub(3) / 2);
        let scores = scores(&homes, n.saturating_sub(attackers + 2).max(1));
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b)));
        let median = *order.get(n / 2)?;
        let mut left: Vec<usize> = order.split_off(n - attackers);
        left.sort_unstable();
        let mut sum = WeightedSum::default();
        for index in &order {
            sum.add(&homes[*index].1, 1.0, 1.0);
        }
        let far = |index: usize| Reason::FarFromOthers { times: scores[index] / scores[median].max(f64::MIN_POSITIVE) };
        let left_out = left.iter().map(|index| LeftOut { home: homes[*index].0.clone(), reason: far(*index) });
        let left_out = left_out.chain(late).collect();
        sum.mean().map(|aggregate| Aggregate { left_out, ..aggregate })
    }
}

/// For each home the root of the mean squared distance to its `nearest` nearest others.
fn scores(homes: &[(String, Delta)], nearest: usize) -> Vec<f64> {
    let n = homes.len();
    let mut distances = vec![vec![0.0; n]; n];
    for one in 0..n {
        for other in one + 1..n {
            let distance = homes[one].1.distance_squared(&homes[other].1);
            distances[one][other] = distance;
            distances[other][one] = distance;
        }
    }
    let score = |(own, mut row): (usize, Vec<f64>)| {
        row.swap_remove(own);
        row.sort_unstable_by(f64::total_cmp);
        let near = &row[..nearest.min(row.len())];
        (near.iter().sum::<f64>() / near.len().max(1) as f64).sqrt()
    };
    distances.into_iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{agreement, honest, run, with_attackers};
    use super::*;

    #[test]
    fn attackers_are_left_out_by_name_with_how_far_off_they_are() {
        let aggregate = run(Box::new(MultiKrum::new(0.3)), with_attackers()).unwrap();
        assert!(agreement(&aggregate.delta) > 0.9);
        assert_eq!(aggregate.homes, 7);
        assert_eq!(
            aggregate.left_out.iter().map(|left| left.home.as_str()).collect::<Vec<_>>(),
            ["home-7", "home-8", "home-9"]
        );
        for left in &aggregate.left_out {
            assert!(matches!(left.reason, Reason::FarFromOthers { times } if times > 3.0), "{}", left.reason);
        }
    }

    #[test]
    fn of_few_homes_none_is_left_out() {
        for count in 1..5 {
            let aggregate = run(Box::new(MultiKrum::new(0.3)), (0..count).map(honest)).unwrap();
            assert_eq!((aggregate.homes as u64, aggregate.left_out.len()), (count, 0));
        }
    }

    #[test]
    fn attackers_who_agree_are_still_too_few() {
        let together = honest(200).scaled(-3.0);
        let deltas = (0..7).map(honest).chain(std::iter::repeat_n(together, 3));
        let aggregate = run(Box::new(MultiKrum::new(0.3)), deltas).unwrap();
        assert_eq!(aggregate.left_out.len(), 3);
        assert!(agreement(&aggregate.delta) > 0.5, "{}", agreement(&aggregate.delta));
    }
}
