//! What the noise of the rounds so far guarantees to a home that was in all of them. Pure.

pub use hearthwatch_federation::{PrivacyLoss, PrivacyStatement};
use hearthwatch_federation::{RoundNoise, Strength, stated_of_rounds};
use hearthwatch_store::StoreResult;
use hearthwatch_store::rounds::{RoundRow, RoundTally};

use super::settings;
use super::strategies::StrategyName;

/// Chance that the guarantee does not hold; a tenth of one in 10,000 homes.
pub const DELTA: f64 = 1e-5;

/// What the newest rounds with noise guarantee together, up to the last one without, and the number of the first of them; where the newest
/// has none, that nothing is promised. `rows` come newest first; none of them counts whose deltas did not become one.
///
/// # Errors
/// [`StoreError::Corrupt`](hearthwatch_store::StoreError::Corrupt) where a row's settings cannot be read.
pub fn of_newest(rows: &[(RoundRow, RoundTally)]) -> StoreResult<Option<(u64, PrivacyStatement)>> {
    let (mut since, mut rounds) = (0, Vec::new());
    for (row, tally) in rows.iter().filter(|(row, _)| row.aggregate.is_some()) {
        let round = noise(row, tally)?;
        if !round.any() && !rounds.is_empty() {
            break;
        }
        since = row.number;
        rounds.push(round);
        if !round.any() {
            break;
        }
    }
    Ok(stated_of_rounds(&rounds, DELTA).map(|stated| (since, stated)))
}

fn noise(row: &RoundRow, tally: &RoundTally) -> StoreResult<RoundNoise> {
    let settings = settings::read(row)?;
    Ok(RoundNoise {
        clip: settings.clip,
        by_home: settings.noise,
        by_server: settings.server_noise,
        homes: u32::try_from(tally.used).unwrap_or(u32::MAX),
        // Homes of a small group weigh more in the mean of groups than those of a large one.
        adds_up: settings.masks.is_none()
            && matches!(settings.strategy, StrategyName::Mean | StrategyName::ClippedMean),
    })
}

/// The guarantee's tier, in a word.
#[must_use]
pub fn strength(loss: &PrivacyLoss) -> &'static str {
    match loss.strength() {
        Strength::Nothing => "nothing",
        Strength::Meaningless => "meaningless",
        Strength::Reasonable => "reasonable",
        Strength::Strong => "strong",
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::round;
    use hearthwatch_store::rounds::RoundStage;

    use super::*;
    use crate::fixtures::settings;
    use crate::settings::RoundSettings;

    /// A round of so many homes whose deltas became one.
    fn held(number: u64, used: u64, settings: &RoundSettings) -> (RoundRow, RoundTally) {
        let settings = serde_json::to_string(settings).unwrap();
        let row = RoundRow { settings, aggregate: Some("ab".to_owned()), ..round(number, RoundStage::Ended) };
        (row, RoundTally { used, ..RoundTally::default() })
    }

    #[test]
    fn the_same_noise_at_the_server_is_meaningless_for_twelve_homes_and_means_something_for_a_thousand() {
        let noised = RoundSettings { server_noise: 0.003, strategy: StrategyName::ClippedMean, ..settings() };
        let words = |homes| {
            let rows: Vec<_> = (1..=10).rev().map(|number| held(number, homes, &noised)).collect();
            let (_, stated) = of_newest(&rows).unwrap().unwrap();
            (strength(&stated.published), stated.published.epsilon.round(), strength(&stated.server))
        };
        assert_eq!(words(12), ("meaningless", 7_726.0, "nothing"));
        assert_eq!(words(1_000), ("reasonable", 5.0, "nothing"));
    }

    #[test]
    fn the_newest_rounds_with_noise_count_and_end_at_one_without() {
        let row = |number, noise| held(number, 100, &RoundSettings { noise, ..settings() });
        let waiting = (round(5, RoundStage::Training), RoundTally::default());
        let rows = [waiting, row(4, 1.0), row(3, 1.0), row(2, 0.0), row(1, 1.0)];
        let (since, stated) = of_newest(&rows).unwrap().unwrap();
        assert_eq!((since, stated.terms.rounds, strength(&stated.published)), (3, 2, "strong"));
        let (since, stated) = of_newest(&rows[3..]).unwrap().unwrap();
        assert_eq!((since, strength(&stated.published)), (2, "nothing"));
        assert_eq!(of_newest(&rows[..1]).unwrap(), None);
    }
}
