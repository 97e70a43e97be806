//! What the noise of the rounds so far guarantees to a home that was in all of them. Pure.

pub use hearthwatch_federation::{PrivacyLoss, PrivacyStatement};
use hearthwatch_federation::{RoundNoise, Strength, newest_with_noise, stated_of_rounds};
use hearthwatch_store::rounds::{RoundRow, RoundTally};
use hearthwatch_store::{Store, StoreResult};

use super::settings;
use super::strategies::StrategyName;

/// Chance that the guarantee does not hold; a tenth of one in 10,000 homes.
pub const DELTA: f64 = 1e-5;

/// Rounds that are read at a time: mostly the newest says enough.
const PAGE: usize = 30;

/// What the newest rounds with noise guarantee together, up to the last one without, and the number of the first of them; where the newest
/// has none, that nothing is promised. No round counts whose deltas did not become one. Blocks.
///
/// # Errors
/// The store's, and [`StoreError::Corrupt`](hearthwatch_store::StoreError::Corrupt) where a row's settings cannot be read.
pub fn of_newest(store: &dyn Store) -> StoreResult<Option<(u64, PrivacyStatement)>> {
    let (mut numbers, mut rounds, mut before) = (Vec::new(), Vec::new(), None);
    loop {
        let rows = store.round_tallies(before, PAGE)?;
        for (row, tally) in rows.iter().filter(|(row, _)| row.aggregate.is_some()) {
            numbers.push(row.number);
            rounds.push(noise(row, tally)?);
        }
        before = rows.last().map(|(row, _)| row.number);
        if rows.len() < PAGE || rounds.iter().any(|round| !round.any()) {
            break;
        }
    }
    let together = newest_with_noise(&rounds);
    let since = together.len().checked_sub(1).and_then(|last| numbers.get(last));
    Ok(since.copied().zip(stated_of_rounds(together, DELTA)))
}

fn noise(row: &RoundRow, tally: &RoundTally) -> StoreResult<RoundNoise> {
    let settings = settings::read(row)?;
    Ok(RoundNoise {
        clip: settings.clip,
        by_home: settings.noise,
        by_server: settings.server_noise,
        homes: u32::try_from(tally.used).unwrap_or(u32::MAX),
        seen_together: settings.masks.map_or(1, |masks| u32::from(masks.fewest())),
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
    use hearthwatch_store::fixtures::{round, round_home, store};
    use hearthwatch_store::rounds::{RoundDuty, RoundHomeState, RoundStage, RoundStore as _};

    use super::*;
    use crate::config::MaskSettings;
    use crate::fixtures::settings;
    use crate::settings::RoundSettings;

    /// Rounds in a store, oldest first, each with so many homes that are part of it; the last one is open.
    fn held(rounds: &[(usize, RoundSettings)]) -> (tempfile::TempDir, hearthwatch_store::SqliteStore) {
        let (folder, store) = store();
        for (number, (homes, settings)) in (1..).zip(rounds) {
            let settings = serde_json::to_string(settings).unwrap();
            let opened = RoundRow { settings: settings.clone(), ..round(number, RoundStage::Training) };
            let taken = |home| round_home(number, &format!("h{home}"), RoundDuty::Train, RoundHomeState::Taken);
            let opened = store.advance_round(&opened, &(0..*homes).map(taken).collect::<Vec<_>>()).unwrap();
            let ended = RoundRow { aggregate: Some("ab".to_owned()), stage: RoundStage::Ended, ..opened };
            store.advance_round(&ended, &[]).unwrap();
        }
        store.advance_round(&round(rounds.len() as u64 + 1, RoundStage::Training), &[]).unwrap();
        (folder, store)
    }

    fn stated(rounds: &[(usize, RoundSettings)]) -> Option<(u64, PrivacyStatement)> {
        of_newest(&held(rounds).1).unwrap()
    }

    #[test]
    fn the_same_noise_at_the_server_is_meaningless_for_twelve_homes_and_means_something_for_a_thousand() {
        let noised = RoundSettings { server_noise: 0.003, strategy: StrategyName::ClippedMean, ..settings() };
        let words = |homes| {
            let (_, stated) = stated(&vec![(homes, noised.clone()); 10]).unwrap();
            (strength(&stated.published), stated.published.epsilon.round(), strength(&stated.server))
        };
        assert_eq!(words(12), ("meaningless", 7_726.0, "nothing"));
        assert_eq!(words(1_000), ("reasonable", 5.0, "nothing"));
    }

    #[test]
    fn the_newest_rounds_with_noise_count_and_end_at_one_without() {
        let with = |noise| (100, RoundSettings { noise, ..settings() });
        let (since, stated_of) = stated(&[with(1.0), with(0.0), with(1.0), with(1.0)]).unwrap();
        assert_eq!((since, stated_of.terms.rounds, strength(&stated_of.published)), (3, 2, "strong"));
        let (since, stated_of) = stated(&[with(1.0), with(0.0)]).unwrap();
        assert_eq!((since, strength(&stated_of.published)), (2, "nothing"));
        assert_eq!(stated(&[]), None);
        let (since, stated_of) = stated(&vec![(1, RoundSettings { noise: 1.0, ..settings() }); PAGE + 2]).unwrap();
        assert_eq!((since, stated_of.terms.rounds), (1, PAGE as u32 + 2), "more than are read at a time");
    }

    #[test]
    fn under_masks_the_server_sees_the_noise_of_the_fewest_homes_whose_sum_it_may_see() {
        let masks = Some(MaskSettings { group: 8, threshold: 0.7, exchange_minutes: 60 });
        let noised = RoundSettings { noise: 1.0, ..settings() };
        let (_, alone) = stated(&[(100, noised.clone())]).unwrap();
        let (_, masked) = stated(&[(100, RoundSettings { masks, ..noised })]).unwrap();
        assert_eq!((alone.terms.seen_together, masked.terms.seen_together), (1, 6));
        assert!(masked.server.epsilon < alone.server.epsilon);
    }
}
