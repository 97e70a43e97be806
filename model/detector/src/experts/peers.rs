//! An entity from the entities that move with it: a ridge regression on at most eight peers of the home, refitted daily.
//!
//! It speaks when one of several rooms leaves the others; a warm day that lifts them all leaves it calm.

use crate::statistics::ridge::{dot, solve};
use crate::statistics::robust;
use crate::statistics::tail::Tail;

/// Peers that an entity is predicted from. Eight suffice for a home and keep the fit at 9 × 9.
const PEERS_MAX: usize = 8;
/// Entities that are looked at as peers, nearest in the list first: 300 entities × 64 candidates × 336 hours are
/// 6.5 million products a day.
const CANDIDATES_MAX: usize = 64;
/// Correlation below which an entity is no peer.
const CORRELATION_MIN: f32 = 0.3;
/// Steps with a residual below which nothing is fitted: two days.
const FIT_STEPS_MIN: usize = 288;
/// Ridge, as a share of the number of steps (residuals have unit scale).
const RIDGE_SHARE: f64 = 0.02;
/// Every sixth step is looked at when peers are chosen: once an hour.
const STRIDE: usize = 6;

/// The fitted prediction.
#[derive(Debug, Clone)]
pub(crate) struct PeerRegression {
    peers: Vec<(u32, f32)>,
    offset: f32,
    /// Robust scale of what is left.
    scale: f32,
    /// How unusual it is.
    pub(crate) tail: Tail,
}

impl PeerRegression {
    /// Indices of the peers.
    pub(crate) fn peers(&self) -> impl Iterator<Item = usize> + '_ {
        self.peers.iter().map(|(peer, _)| *peer as usize)
    }

    /// What is left of `own` (a normalised residual) after its peers' say, in its own robust scale.
    pub(crate) fn residual(&self, own: f32, residuals: &[f32]) -> f32 {
        let expected: f32 = self
            .peers
            .iter()
            .map(|(peer, weight)| {
                let theirs = residuals.get(*peer as usize).copied().unwrap_or(f32::NAN);
                if theirs.is_nan() { 0.0 } else { weight * theirs }
            })
            .sum();
        (own - self.offset - expected) / self.scale
    }
}

/// Fits every entity of a home. `residuals(i)` is entity `i`'s fortnight of normalised residuals, oldest first, aligned,
/// with 0 where nothing is known and `known[i]` steps that are; empty for entities that take no part. It is asked for again
/// where it is needed: all of them at once are 2.4 MB in a home of 300.
pub(crate) fn fit_home(residuals: impl Fn(usize) -> Vec<f32>, known: &[usize]) -> Vec<Option<PeerRegression>> {
    let hourly: Vec<Vec<f32>> = (0..known.len()).map(|one| standardised(&residuals(one))).collect();
    (0..known.len())
        .map(|own| {
            if hourly[own].is_empty() || known[own] < FIT_STEPS_MIN {
                return None;
            }
            let peers = choose(own, &hourly, known);
            let theirs: Vec<Vec<f32>> = peers.iter().map(|peer| residuals(*peer)).collect();
            if peers.is_empty() { None } else { fit(&residuals(own), &peers, &theirs) }
        })
        .collect()
}

fn standardised(series: &[f32]) -> Vec<f32> {
    let mut picked: Vec<f32> = series.iter().skip(STRIDE - 1).step_by(STRIDE).copied().collect();
    let count = picked.len().max(1) as f32;
    let mean = picked.iter().sum::<f32>() / count;
    picked.iter_mut().for_each(|value| *value -= mean);
    let norm = dot(&picked, &picked).sqrt() as f32;
    if norm > 1e-6 {
        picked.iter_mut().for_each(|value| *value /= norm);
    }
    picked
}

fn choose(own: usize, hourly: &[Vec<f32>], known: &[usize]) -> Vec<usize> {
    let mut candidates: Vec<usize> = (0..hourly.len())
        .filter(|&other| other != own && hourly[other].len() == hourly[own].len() && known[other] >= FIT_STEPS_MIN)
        .collect();
    candidates.sort_by_key(|other| other.abs_diff(own));
    candidates.truncate(CANDIDATES_MAX);
    let mut ranked: Vec<(f32, usize)> = candidates
        .into_iter()
        .map(|other| ((dot(&hourly[own], &hourly[other]) as f32).abs(), other))
        .filter(|(correlation, _)| *correlation >= CORRELATION_MIN)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.into_iter().take(PEERS_MAX).map(|(_, other)| other).collect()
}

/// Fits `target` to `theirs`, the residuals of `peers`.
fn fit(target: &[f32], peers: &[usize], theirs: &[Vec<f32>]) -> Option<PeerRegression> {
    let n = peers.len();
    let steps = target.len() as f64;
    let mean = |series: &[f32]| series.iter().map(|value| f64::from(*value)).sum::<f64>() / steps;
    let target_mean = mean(target);
    let means: Vec<f64> = theirs.iter().map(|series| mean(series)).collect();
    let mut gram = vec![0.0; n * n];
    let mut right = vec![0.0; n];
    for i in 0..n {
        for j in i..n {
            let product = dot(&theirs[i], &theirs[j]) - steps * means[i] * means[j];
            gram[i * n + j] = product;
            gram[j * n + i] = product;
        }
        right[i] = dot(&theirs[i], target) - steps * means[i] * target_mean;
    }
    let weights = solve(&mut gram, &right, RIDGE_SHARE * steps)?;
    let offset = target_mean - weights.iter().zip(&means).map(|(weight, mean)| weight * mean).sum::<f64>();
    let peers = peers.iter().zip(&weights).map(|(peer, weight)| (*peer as u32, *weight as f32)).collect();
    let mut fitted = PeerRegression { peers, offset: offset as f32, scale: 1.0, tail: Tail::unknown() };

    let mut left: Vec<f32> = target.iter().map(|value| value - fitted.offset).collect();
    for ((_, weight), series) in fitted.peers.iter().zip(theirs) {
        for (place, theirs) in left.iter_mut().zip(series) {
            *place -= weight * theirs;
        }
    }
    // Steps at which the entity itself is unknown hold exactly 0 and say nothing.
    let mut left: Vec<f32> =
        left.into_iter().zip(target).filter(|(_, own)| **own != 0.0).map(|(left, _)| left).collect();
    let mut scratch = Vec::new();
    fitted.scale = robust::scale(&mut left, &mut scratch)?.max(0.05);
    left.iter_mut().for_each(|value| *value = (*value / fitted.scale).abs());
    fitted.tail = Tail::fit(&mut left);
    Some(fitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: usize, t: usize) -> f32 {
        ((t * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0
    }

    fn rooms() -> Vec<Vec<f32>> {
        let weather: Vec<f32> = (0..2016).map(|t| 3.0 * (t as f32 * 0.01).sin()).collect();
        let mut rooms: Vec<Vec<f32>> =
            (0..4).map(|room| (0..2016).map(|t| weather[t] + 0.3 * noise(room, t)).collect()).collect();
        rooms.push((0..2016).map(|t| noise(9, t)).collect());
        rooms
    }

    #[test]
    fn a_room_that_leaves_the_others_is_noticed_and_one_that_moves_with_them_is_not() {
        let rooms = rooms();
        let fits = fit_home(|room| rooms[room].clone(), &[2016; 5]);
        let fit = fits[0].as_ref().unwrap();
        let together = fit.residual(6.0, &[6.0, 6.0, 6.0, 6.0, 0.0]);
        let alone = fit.residual(3.0, &[3.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(together.abs() < 4.0, "{together}");
        assert!(alone.abs() > 6.0, "{alone}");
    }

    #[test]
    fn an_entity_that_follows_nobody_has_no_peers() {
        assert!(fit_home(|room| rooms()[room].clone(), &[2016; 5])[4].is_none());
    }

    #[test]
    fn never_more_than_eight_peers() {
        let many: Vec<Vec<f32>> =
            (0..20).map(|room| (0..2016).map(|t| (t as f32 * 0.01).sin() + 0.05 * noise(room, t)).collect()).collect();
        let fits = fit_home(|room| many[room].clone(), &[2016; 20]);
        assert!(fits.iter().flatten().all(|fit| fit.peers.len() <= PEERS_MAX));
        assert!(fits.iter().flatten().count() == 20);
    }
}
