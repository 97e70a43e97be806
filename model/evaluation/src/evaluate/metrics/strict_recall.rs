//! Strict event recall: the share of events in which an alarm is raised while they last, and none in the clean twin.
//!
//! No hour of grace after the end: an alarm about the step back to normal found the repair, not the fault. No credit for an
//! alarm that the clean twin raises there too: it would have come anyway.

use crate::dataset::{Label, LabelOrigin};
use crate::evaluate::Share;

/// Seconds from the event's start to the first alarm that finds it; none when it is not found. `on_faulty` and `on_clean`
/// are the times at which alarms of the event's entity were raised in the copy that has the event and in its clean twin. A
/// real event is in both.
#[must_use]
pub fn delay_of(label: &Label, on_faulty: &[i64], on_clean: &[i64]) -> Option<i64> {
    let within = |at: &&i64| label.start <= **at && **at <= label.end;
    if label.origin == LabelOrigin::Injected && on_clean.iter().any(|at| within(&at)) {
        return None;
    }
    on_faulty.iter().filter(within).min().map(|at| at - label.start)
}

/// Found events among all; each item says whether one was.
#[must_use]
pub fn strict_recall(found: impl IntoIterator<Item = bool>) -> Share {
    let mut share = Share::default();
    found.into_iter().for_each(|found| share.count(found));
    share
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn label(origin: LabelOrigin) -> Label {
        Label { entity: 0, start: 1000, end: 2000, family: "spike".into(), origin }
    }

    #[test]
    fn an_example_by_hand() {
        let injected = label(LabelOrigin::Injected);
        assert_eq!(delay_of(&injected, &[400, 1600, 1800], &[]), Some(600));
        assert_eq!(delay_of(&injected, &[2001], &[]), None, "an alarm after the end finds nothing");
        assert_eq!(delay_of(&injected, &[1600], &[1900]), None, "it would have come anyway");
        assert_eq!(delay_of(&label(LabelOrigin::Real), &[1600], &[1600]), Some(600));
        assert_eq!(strict_recall([true, false, true]), Share { found: 2, all: 3 });
    }

    proptest! {
        #[test]
        fn a_delay_is_never_negative_nor_longer_than_the_event_and_more_alarms_never_lose_one(
            mut alarms in prop::collection::vec(0i64..3000, 0..20),
            more in 0i64..3000,
        ) {
            let label = label(LabelOrigin::Injected);
            let before = delay_of(&label, &alarms, &[]);
            prop_assert!(before.is_none_or(|delay| (0..=1000).contains(&delay)));
            alarms.push(more);
            prop_assert!(before.is_none() || delay_of(&label, &alarms, &[]) <= before);
        }
    }
}
