//! The residents' preferences: alarms a week, quiet hours, mutes, and who is at home.
//!
//! Pure values; the detector service owns the one that counts, keeps it over restarts and shows it (`hearthwatch_edge_detection::service::HomeView`).
//! Everybody changes it by a [`Change`] through the detector service's handle, so that Home Assistant, the phone and the local page
//! always agree.

mod announce;
mod budget;
mod mode;
mod mute;
mod place;
mod quiet;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use announce::{Announcement, DEBOUNCE_SECONDS, Subject, Suppression};
pub use budget::{BUDGET_MAX, BUDGET_MIN, WEEK_SECONDS, allowed_in_a_week, may_ask_about_unsure};
pub use mode::HomeMode;
pub use mute::{MUTES_MAX, Mute, MuteError, SNOOZE_SECONDS_MAX, Scope};
pub use place::Place;
pub use quiet::{DailyTime, DailyTimeError, QuietHours, next_daily};

/// Questions a week unless residents choose otherwise: two, so that also a home that asks for no more alarms gives some labels.
pub const DEFAULT_QUESTIONS_PER_WEEK: u8 = 2;
/// Most questions a week that residents can choose: three a day.
pub const QUESTIONS_MAX: u8 = 21;
/// Stretches of time that were not learnt from and are remembered: a fortnight is learnt, and a home that changes its
/// mode ten times a day for a fortnight is not one that we know.
const EXCLUDED_MAX: usize = 140;

/// One change of the preferences, from Home Assistant, the page or a telephone.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Sets who is at home.
    Mode(HomeMode),
    /// True suppresses all notices but danger until it is set to false; everything is still watched and kept.
    Paused(bool),
    /// Alarms a week, from [`BUDGET_MIN`] to [`BUDGET_MAX`].
    Budget(f64),
    /// Questions a week, at most [`QUESTIONS_MAX`].
    Questions(u8),
    /// None removes the quiet hours.
    QuietHours(Option<QuietHours>),
    /// Time of the daily brief; none for no brief.
    Brief(Option<DailyTime>),
    /// Suppresses notices about something.
    Mute {
        /// The whole home and areas only with an end.
        scope: Scope,
        /// Unix seconds; none for good.
        until: Option<i64>,
    },
    /// Takes back the mute with this [`Mute::id`].
    Unmute(u64),
}

/// Why a change is refused; the text is shown to residents.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// Not a number of alarms a week.
    #[error("a budget is a number from {BUDGET_MIN} to {BUDGET_MAX} alarms a week, not {0}")]
    Budget(f64),
    /// More than [`QUESTIONS_MAX`].
    #[error("at most {QUESTIONS_MAX} questions a week can be asked, not {0}")]
    Questions(u8),
    /// Begin and end are the same.
    #[error("quiet hours begin and end at different times")]
    QuietHours,
    /// A mute or snooze that is not allowed.
    #[error(transparent)]
    Mute(#[from] MuteError),
}

/// All preferences, as stored: names in the file are those of earlier versions. A field that an earlier version did not write has its
/// default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Who is at home.
    pub mode: HomeMode,
    /// All notices but danger are suppressed.
    pub paused: bool,
    /// Alarms a week; none: the value of the configuration.
    pub budget_per_week: Option<f64>,
    /// At most [`QUESTIONS_MAX`].
    pub questions_per_week: u8,
    /// None: no hour is quiet.
    pub quiet_hours: Option<QuietHours>,
    /// Time of the daily brief; none: no brief.
    pub brief: Option<DailyTime>,
    /// Oldest first, at most [`MUTES_MAX`].
    #[serde(rename = "hushes")]
    pub mutes: Vec<Mute>,
    /// [`Mute::id`] of the next one.
    #[serde(rename = "next_hush")]
    next_mute: u64,
    /// Spans excluded from learning, as (from, until] in Unix seconds, oldest first; the last may be open.
    #[serde(rename = "unlearnt")]
    excluded: Vec<(i64, Option<i64>)>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            mode: HomeMode::default(),
            paused: false,
            budget_per_week: None,
            questions_per_week: DEFAULT_QUESTIONS_PER_WEEK,
            quiet_hours: None,
            brief: None,
            mutes: Vec::new(),
            next_mute: 1,
            excluded: Vec::new(),
        }
    }
}

impl Preferences {
    /// Makes a change at `now`.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub fn apply(&mut self, change: Change, now: i64) -> Result<(), ChangeError> {
        match change {
            Change::Mode(mode) => self.become_mode(mode, now),
            Change::Paused(paused) => self.paused = paused,
            Change::Budget(budget) if (BUDGET_MIN..=BUDGET_MAX).contains(&budget) => {
                self.budget_per_week = Some(budget);
            }
            Change::Budget(budget) => return Err(ChangeError::Budget(budget)),
            Change::Questions(questions) if questions <= QUESTIONS_MAX => self.questions_per_week = questions,
            Change::Questions(questions) => return Err(ChangeError::Questions(questions)),
            Change::QuietHours(Some(hours)) if hours.from == hours.until => return Err(ChangeError::QuietHours),
            Change::QuietHours(hours) => self.quiet_hours = hours,
            Change::Brief(at) => self.brief = at,
            Change::Mute { scope, until } => self.mute(scope, until, now)?,
            Change::Unmute(id) => self.mutes.retain(|mute| mute.id != id),
        }
        Ok(())
    }

    fn become_mode(&mut self, mode: HomeMode, now: i64) {
        match (self.mode.learns(), mode.learns()) {
            (true, false) => self.excluded.push((now, None)),
            (false, true) => {
                if let Some((_, until @ None)) = self.excluded.last_mut() {
                    *until = Some(now);
                }
            }
            _ => {}
        }
        let excess = self.excluded.len().saturating_sub(EXCLUDED_MAX);
        self.excluded.drain(..excess);
        self.mode = mode;
    }

    fn mute(&mut self, scope: Scope, until: Option<i64>, now: i64) -> Result<(), MuteError> {
        mute::check(&scope, until, now)?;
        self.forget_past(now);
        // A new mute of the same scope replaces the earlier one.
        self.mutes.retain(|mute| mute.scope != scope);
        if self.mutes.len() >= MUTES_MAX {
            return Err(MuteError::TooMany);
        }
        self.mutes.push(Mute { id: self.next_mute, scope, since: now, until });
        self.next_mute += 1;
        Ok(())
    }

    /// An entity is called otherwise: what is muted of it stays so.
    pub fn rename_entity(&mut self, from: &str, to: &str) {
        for mute in &mut self.mutes {
            if let Scope::Entity { entity_id, .. } = &mut mute.scope
                && entity_id == from
            {
                to.clone_into(entity_id);
            }
        }
    }

    /// An entity is no more: another one of its name is not muted for it.
    pub fn forget_entity(&mut self, gone: &str) {
        self.mutes.retain(|mute| !matches!(&mute.scope, Scope::Entity { entity_id, .. } if entity_id == gone));
    }

    /// Lets go of snoozes that are over; whether there was one.
    pub fn forget_past(&mut self, now: i64) -> bool {
        let before = self.mutes.len();
        self.mutes.retain(|mute| mute.holds(now));
        before != self.mutes.len()
    }

    /// Whether the time at `at` may be learnt from: no guests, no holiday, no maintenance.
    #[must_use]
    pub fn learns_at(&self, at: i64) -> bool {
        !self.excluded.iter().any(|(from, until)| *from < at && until.is_none_or(|until| at <= until))
    }
}
