//! Waves as data: what an operator writes, reads and reviews.

use serde::{Deserialize, Serialize};

/// Most waves of a policy: more than an operator can watch.
const WAVES_MAX: usize = 16;

/// Longest a wave may wait, in hours: a release that takes longer than a quarter is overtaken by the next.
const START_AFTER_HOURS_MAX: u32 = 24 * 90;

/// How a release goes out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// For those who read it; nothing depends on it.
    pub name: String,
    /// Homes that must have told how the installation ended before the next wave opens; at most all that were assigned.
    pub minimum_reports: u64,
    /// Chance that a sound release is ever stopped, over the whole rollout and all tests together.
    pub error: f64,
    /// What happens when a test alarms.
    pub on_alarm: OnAlarm,
    /// In order; the first is the canary cohort, the last holds every home.
    #[serde(rename = "wave")]
    pub waves: Vec<Wave>,
}

/// What happens when a test alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAlarm {
    /// No further home gets the release.
    Halt,
    /// Besides, the homes that have it are ordered back to the release before, where there is one.
    RollBack,
}

/// One step of a rollout: from when on how much of the fleet gets the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Hours after the begin of the rollout, pauses left out.
    pub start_after_hours: u32,
    /// How much of the fleet has the release when the wave is out, those of the waves before included.
    pub percent: u8,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML of this form.
    #[error("{0}")]
    Form(String),
    /// Nothing to do, or too much.
    #[error("a policy has 1 to {WAVES_MAX} waves, this one has {0}")]
    Waves(usize),
    /// Later waves must come later and reach further.
    #[error("wave {0} must start after the one before and reach more homes")]
    Order(usize),
    /// The last wave must reach everybody.
    #[error("the last wave must reach 100 percent")]
    Rest,
    /// An error outside (0, 0.5].
    #[error("error must be above 0 and at most 0.5")]
    Error,
}

impl Policy {
    /// The policy with a name of ours: `immediate`, `staged` or `urgent`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let text = match name {
            "immediate" => include_str!("policies/immediate.toml"),
            "staged" => include_str!("policies/staged.toml"),
            "urgent" => include_str!("policies/urgent.toml"),
            _ => return None,
        };
        Some(Self::parse(text).expect("our own policies are read by a test"))
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| PolicyError::Form(error.to_string()))?;
        let waves = &policy.waves;
        if waves.is_empty() || waves.len() > WAVES_MAX {
            return Err(PolicyError::Waves(waves.len()));
        }
        for (index, pair) in waves.windows(2).enumerate() {
            if pair[1].start_after_hours <= pair[0].start_after_hours || pair[1].percent <= pair[0].percent {
                return Err(PolicyError::Order(index + 2));
            }
        }
        let last = waves[waves.len() - 1];
        if waves[0].percent == 0 || last.percent != 100 || last.start_after_hours > START_AFTER_HOURS_MAX {
            return Err(PolicyError::Rest);
        }
        if !(policy.error > 0.0 && policy.error <= 0.5) {
            return Err(PolicyError::Error);
        }
        Ok(policy)
    }

    /// As it is kept with a rollout.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a policy has text keys and finite numbers only")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_policies_read_back_as_themselves() {
        for name in ["immediate", "staged", "urgent"] {
            let policy = Policy::named(name).unwrap();
            assert_eq!(policy.name, name);
            assert_eq!(Policy::parse(&policy.to_toml()), Ok(policy));
        }
        assert_eq!(Policy::named("hasty"), None);
    }

    #[test]
    fn a_policy_that_forgets_homes_or_goes_back_is_refused() {
        let policy = |waves: &[(u32, u8)]| {
            let waves = waves
                .iter()
                .map(|(start_after_hours, percent)| Wave { start_after_hours: *start_after_hours, percent: *percent });
            let policy = Policy { waves: waves.collect(), ..Policy::named("staged").unwrap() };
            Policy::parse(&policy.to_toml())
        };
        assert_eq!(policy(&[(0, 10), (5, 90)]), Err(PolicyError::Rest));
        assert_eq!(policy(&[(0, 10), (5, 5), (6, 100)]), Err(PolicyError::Order(2)));
        assert_eq!(policy(&[(0, 10), (0, 100)]), Err(PolicyError::Order(2)));
        assert_eq!(policy(&[(0, 0), (1, 100)]), Err(PolicyError::Rest));
    }
}
