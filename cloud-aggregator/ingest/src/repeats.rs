//! Whether a verdict alone says once more what is stored already, or was taken back. Pure.
//!
//! A home without a disk that lost its memory finds its residents' answers in Home Assistant's recorder, without windows, and cannot
//! know which of them arrived. It sends them all under new numbers; here each counts once.

use hearthwatch_protocol::messages::{FeedbackRecord, Origin};
use hearthwatch_store::AnsweredRow;

/// Days are what a verdict alone tells of its time.
const DAY_SECONDS: i64 = 86_400;

/// Whether `record` is no news beside the last stored answer to its alarm.
#[must_use]
pub fn is_repeat(record: &FeedbackRecord, known: &AnsweredRow) -> bool {
    if !record.window.is_none() || record.origin != Origin::Alarm {
        return false;
    }
    let day = |at: i64| at.div_euclid(DAY_SECONDS);
    match known.withdrawn_at {
        // Of the day on which it was taken back nobody can tell what came later.
        Some(withdrawn_at) => day(record.answered_at) <= day(withdrawn_at),
        None => record.verdict == known.verdict && day(record.answered_at) == day(known.answered_at),
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::Sequence;
    use hearthwatch_protocol::messages::{FeatureWindow, Verdict};
    use hearthwatch_store::fixtures::{NOW, record};

    use super::*;

    fn known() -> AnsweredRow {
        AnsweredRow { sequence: Sequence(3), verdict: Verdict::Confirmed, answered_at: NOW - 60, withdrawn_at: None }
    }

    fn alone() -> FeedbackRecord {
        FeedbackRecord { window: FeatureWindow::none(), ..record("a", 9) }
    }

    #[test]
    fn the_same_verdict_of_the_same_day_is_no_news_and_another_is() {
        assert!(is_repeat(&alone(), &known()));
        assert!(!is_repeat(&FeedbackRecord { verdict: Verdict::Dismissed, ..alone() }, &known()), "changed their mind");
        let later = FeedbackRecord { answered_at: NOW + DAY_SECONDS, ..alone() };
        assert!(!is_repeat(&later, &known()), "said again on another day");
    }

    #[test]
    fn what_brings_a_window_or_was_no_alarm_is_always_news() {
        assert!(!is_repeat(&record("a", 9), &known()));
        assert!(!is_repeat(&FeedbackRecord { origin: Origin::Miss, ..alone() }, &known()));
    }

    #[test]
    fn what_was_taken_back_stays_away_whatever_it_said_until_the_day_is_over() {
        let known = AnsweredRow { withdrawn_at: Some(NOW), ..known() };
        assert!(is_repeat(&FeedbackRecord { verdict: Verdict::Dismissed, ..alone() }, &known));
        assert!(!is_repeat(&FeedbackRecord { answered_at: NOW + DAY_SECONDS, ..alone() }, &known));
    }
}
