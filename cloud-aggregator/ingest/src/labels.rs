//! Whether an answer is about an alarm that its home had announced before. Pure.
//!
//! An announcement binds the alarm's id, the model and the hash of the window before anybody answered, so that whoever can
//! answer cannot bring a window of their own. `docs/reference/admission.md` says what that is worth.

use hearthwatch_protocol::messages::{FeedbackRecord, Origin, RefusalReason};
use hearthwatch_store::AnnouncedRow;

/// Unannounced answers that a home may send within a day: as many as a resident with an agent from before there were
/// announcements gives on a bad day.
pub const UNANNOUNCED_PER_DAY: u64 = 10;

/// So long after a home's first announcement, alarms of before it may still be answered: an agent's list holds what was
/// raised lately.
pub const UPGRADE_SECONDS: i64 = 30 * 86_400;

/// What is asked of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelPolicy {
    /// Whether an answer must have been announced.
    pub require_announced: bool,
    /// How many a day need not be, of homes that never announced and of alarms from before the first announcement.
    pub unannounced_per_day: u64,
}

impl Default for LabelPolicy {
    fn default() -> Self {
        Self { require_announced: true, unannounced_per_day: UNANNOUNCED_PER_DAY }
    }
}

/// What is known that an answer can rest on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backing<'a> {
    /// The first announcement of the alarm.
    pub announced: Option<&'a AnnouncedRow>,
    /// When the home announced anything for the first time.
    pub announces_since: Option<i64>,
    /// Whether numbers below the answer's are missing that may still come.
    pub missing_below: bool,
    /// Answers of the last day that were admitted unannounced.
    pub unannounced: u64,
}

/// Whether what an answer rests on is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// It may come in.
    Sound,
    /// It may come in as one of the day's unannounced.
    Grace,
    /// Its announcement may be on its way.
    Awaited,
    /// It may not come in: the word for it, and a line for the operator.
    Missing(RefusalReason, String),
}

/// What `record` rests on at `now`.
#[must_use]
pub fn basis(record: &FeedbackRecord, backing: &Backing<'_>, policy: &LabelPolicy, now: i64) -> Basis {
    // A verdict alone teaches nothing, and a miss is by nature what nobody announced.
    if !policy.require_announced || record.window.is_none() || record.origin == Origin::Miss {
        return Basis::Sound;
    }
    if let Some(announced) = backing.announced {
        let other = |what: &str| Basis::Missing(RefusalReason::NotAnnounced, format!("announced with another {what}"));
        return match () {
            () if announced.model_version != record.model_version => other("model"),
            () if announced.window != record.window.digest() => other("window"),
            () => Basis::Sound,
        };
    }
    if backing.missing_below {
        return Basis::Awaited;
    }
    let old = match backing.announces_since {
        None => true,
        Some(since) => record.raised_at < since && now.saturating_sub(since) < UPGRADE_SECONDS,
    };
    if !old {
        return Basis::Missing(RefusalReason::NotAnnounced, format!("alarm {} was never announced", record.alarm));
    }
    if backing.unannounced < policy.unannounced_per_day {
        return Basis::Grace;
    }
    // A word that agents from before there were announcements know.
    let detail = format!("not announced, and {} such answers came within a day", backing.unannounced);
    Basis::Missing(RefusalReason::QuotaExceeded, detail)
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::messages::FeatureWindow;
    use hearthwatch_protocol::{ModelVersion, Sequence};
    use hearthwatch_store::fixtures::{NOW, announced, record};

    use super::*;

    const POLICY: LabelPolicy = LabelPolicy { require_announced: true, unannounced_per_day: 2 };

    fn of(backing: &Backing<'_>) -> Basis {
        basis(&record("a", 3), backing, &POLICY, NOW)
    }

    fn not_announced(detail: &str) -> Basis {
        Basis::Missing(RefusalReason::NotAnnounced, detail.to_owned())
    }

    #[test]
    fn an_answer_rests_on_an_announcement_of_the_same_model_and_window() {
        let row = announced(&record("a", 3), 2);
        let backing = Backing { announced: Some(&row), announces_since: Some(NOW), ..Backing::default() };
        assert_eq!(of(&backing), Basis::Sound);
        let other = AnnouncedRow { model_version: ModelVersion(8), ..row.clone() };
        assert_eq!(of(&Backing { announced: Some(&other), ..backing }), not_announced("announced with another model"));
        let other = AnnouncedRow { window: [0; 32], sequence: Sequence(1), ..row.clone() };
        assert_eq!(of(&Backing { announced: Some(&other), ..backing }), not_announced("announced with another window"));
    }

    #[test]
    fn an_answer_that_overtook_its_announcement_is_awaited_and_one_that_did_not_is_refused() {
        let backing = Backing { announces_since: Some(NOW - 1_000), missing_below: true, ..Backing::default() };
        assert_eq!(of(&backing), Basis::Awaited);
        let complete = Backing { missing_below: false, ..backing };
        assert_eq!(of(&complete), not_announced("alarm alarm-3 was never announced"));
    }

    #[test]
    fn misses_and_verdicts_alone_need_no_announcement() {
        let backing = Backing { announces_since: Some(1), ..Backing::default() };
        let miss = FeedbackRecord { origin: Origin::Miss, ..record("a", 3) };
        let alone = FeedbackRecord { window: FeatureWindow::none(), ..record("a", 3) };
        for record in [miss, alone] {
            assert_eq!(basis(&record, &backing, &POLICY, NOW), Basis::Sound);
        }
        let off = LabelPolicy { require_announced: false, ..POLICY };
        assert_eq!(basis(&record("a", 3), &backing, &off, NOW), Basis::Sound);
    }

    #[test]
    fn agents_from_before_have_a_few_a_day_and_upgraded_ones_a_month_for_older_alarms() {
        let never = Backing { unannounced: 1, ..Backing::default() };
        assert_eq!(of(&never), Basis::Grace);
        let used = "not announced, and 2 such answers came within a day".to_owned();
        assert_eq!(of(&Backing { unannounced: 2, ..never }), Basis::Missing(RefusalReason::QuotaExceeded, used));

        let upgraded = Backing { announces_since: Some(NOW - 60), ..Backing::default() };
        assert_eq!(of(&upgraded), Basis::Grace, "raised ten minutes ago, announces since one");
        let later = basis(&record("a", 3), &upgraded, &POLICY, NOW - 60 + UPGRADE_SECONDS);
        assert_eq!(later, not_announced("alarm alarm-3 was never announced"));
    }
}
