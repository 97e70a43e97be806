//! The offer: whether this home takes part, and what it could train on. Published when it changes, and once a day.

use std::collections::BTreeMap;
use std::path::Path;

use hearthwatch_edge_detection::service::{DetectorCommand, LEARNING_DAYS};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::limits::ROUND_CLASSES_MAX;
use hearthwatch_protocol::round::{ClassCount, RoundOffer, SignedRoundOffer};

use super::{RoundsError, Service};
use crate::state::RoundState;
use hearthwatch_edge_cloud::identity::sign::sign;

/// An offer is published anew so often even when nothing changed, in seconds: an aggregator asks homes that it heard of lately.
const OFFER_SECONDS: i64 = 86_400;

/// Counts of sensors change at most so often, in seconds: in a home that learns they do it each day.
const RECOUNT_SECONDS: i64 = 3_600;

/// What was last offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offered {
    willing: bool,
    /// Entities with enough history then.
    learnt: usize,
    at: i64,
}

impl Offered {
    /// Whether something else is to be offered at `now`.
    fn is_old(&self, willing: bool, learnt: usize, now: i64) -> bool {
        let age = now.saturating_sub(self.at);
        let counts = willing && learnt != self.learnt && (self.learnt == 0 || age >= RECOUNT_SECONDS);
        // A clock that was set back does not silence the home.
        willing != self.willing || counts || !(0..OFFER_SECONDS).contains(&age)
    }
}

/// The offer of a home that leaves its fleet: it takes part no more. None where it never offered to, as the file `state` has it.
///
/// # Errors
/// [`RoundsError::State`], [`RoundsError::Sign`].
pub fn parting(
    home: &HomeId,
    key_file: &Path,
    state: &Path,
    now: i64,
) -> Result<Option<SignedRoundOffer>, RoundsError> {
    if !state.exists() || !RoundState::open(state)?.has_offered()? {
        return Ok(None);
    }
    let offer = RoundOffer { home: home.clone(), willing: false, classes: Vec::new(), at: now, masks: false };
    Ok(Some(sign(&offer, key_file)?))
}

impl Service {
    pub(super) async fn keep_offer(&mut self) -> Result<(), RoundsError> {
        self.parts.channels.sharing.mark_unchanged();
        let (willing, now) = (self.is_willing(), self.now());
        let learnt = self.parts.view.borrow().readiness.learnt();
        if self.offered.is_some_and(|offered| !offered.is_old(willing, learnt, now)) {
            return Ok(());
        }
        let offered = Offered { willing, learnt, at: now };
        // A home that never took part has nothing to take back, and says nothing.
        if !willing && !self.with_state(|state| state.has_offered()).await? {
            self.offered = Some(offered);
            return Ok(());
        }
        let classes = if willing { self.classes().await? } else { Vec::new() };
        let offer = RoundOffer { home: self.parts.home.clone(), willing, classes, at: now, masks: willing };
        let signed = sign(&offer, &self.parts.key_file)?;
        self.with_state(|state| state.offering()).await?;
        self.parts.channels.offer.send_replace(Some(signed));
        tracing::info!(
            offer.willing = willing,
            offer.entities = learnt,
            "whether this home takes part in rounds is published"
        );
        self.offered = Some(offered);
        Ok(())
    }

    /// Entities with a fortnight of history, by class.
    async fn classes(&self) -> Result<Vec<ClassCount>, RoundsError> {
        let home = self.parts.detection.request(DetectorCommand::Look).await?;
        let readiness = std::sync::Arc::clone(&self.parts.view.borrow().readiness);
        let learnt = |id: &str| readiness.entities.iter().any(|one| one.entity_id == id && one.days >= LEARNING_DAYS);
        let mut counts = BTreeMap::<&str, u32>::new();
        for (info, _) in home.present().filter(|(info, _)| learnt(&info.entity_id)) {
            *counts.entry(info.class.as_str()).or_default() += 1;
        }
        let count = |(class, entities): (&str, u32)| ClassCount { class: class.to_owned(), entities };
        Ok(counts.into_iter().map(count).take(ROUND_CLASSES_MAX).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_made_when_it_changes_and_once_a_day() {
        let offered = Offered { willing: true, learnt: 3, at: 1_000_000 };
        let old = |willing, learnt, after: i64| offered.is_old(willing, learnt, 1_000_000 + after);
        assert!(!old(true, 3, 60));
        assert!(old(false, 3, 60), "taken back at once");
        assert!(!old(true, 4, 60) && old(true, 4, 3_600));
        assert!(old(true, 3, 86_400));
        assert!(old(true, 3, -1), "the clock was set back");
        let empty = Offered { learnt: 0, ..offered };
        assert!(empty.is_old(true, 1, 1_000_060), "the first sensors are told at once");
    }
}
