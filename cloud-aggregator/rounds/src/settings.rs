//! What decides a round, kept in its row: a round goes on as it began, also when the configuration changes meanwhile.

use hearthwatch_protocol::round::TrainRecipe;
use hearthwatch_store::rounds::RoundRow;
use hearthwatch_store::{StoreError, StoreResult};
use hearthwatch_training::RoundRecipe;
use serde::{Deserialize, Serialize};

use super::config::{BufferSettings, MaskSettings, RoundsConfig};
use super::strategies::StrategyName;
use super::trainer::ReplayStep;

/// Steps over which a home's step size rises from zero.
const RISE_STEPS: u32 = 5;

/// Everything that decides a round besides its base and its times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundSettings {
    /// How homes train.
    pub recipe: TrainRecipe,
    /// Norm to which a delta is brought down.
    pub clip: f64,
    /// Standard deviation of the noise on each value of a delta.
    pub noise: f64,
    /// Standard deviation of the noise that the server adds to each value of the mean.
    #[serde(default)]
    pub server_noise: f64,
    /// Scale of the noise on each count.
    pub count_noise: f64,
    /// How deltas are masked; none where the server sees each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<MaskSettings>,
    /// When it goes on without waiting for every home; none where it waits until the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<BufferSettings>,
    /// How deltas become one.
    pub strategy: StrategyName,
    /// How far the server goes along what the deltas become, as a multiple of it.
    #[serde(default = "one")]
    pub server_step: f64,
    /// Share of homes that attack, for strategies that are set up for one.
    #[serde(alias = "liars")]
    pub attacker_share: f64,
    /// How the server trains after them.
    pub replay: ReplayStep,
    /// Homes that were asked to train.
    pub cohort: u32,
    /// Deltas that are needed.
    pub least: u32,
    /// Homes that must evaluate.
    pub least_evaluators: u32,
    /// Minutes that they have.
    pub evaluate_minutes: u32,
    /// Hex SHA-256 of the artifact that the fleet ran when the round opened.
    pub champion: String,
}

impl RoundSettings {
    /// Those of a round at `place` (from 0) of its series, in which `cohort` homes are asked.
    #[must_use]
    pub fn of(config: &RoundsConfig, number: u64, place: u32, cohort: u32, champion: &str) -> Self {
        let whole = RoundRecipe { learning_rate: config.learning_rate, ..RoundRecipe::home(0.0) };
        let (place, rounds) = (place as usize, config.rounds_per_series as usize);
        let learning_rate = whole.in_round(place, rounds).learning_rate;
        Self {
            recipe: TrainRecipe {
                steps: config.steps,
                batch: config.batch,
                learning_rate,
                rise_steps: RISE_STEPS,
                seed: number,
            },
            // What training changes falls with the step size.
            clip: config.clip * learning_rate / config.learning_rate,
            noise: config.noise,
            server_noise: config.server_noise,
            count_noise: config.count_noise,
            masks: config.masks,
            buffer: config.buffer,
            strategy: config.strategy,
            server_step: config.server_step,
            attacker_share: config.attacker_share,
            replay: ReplayStep {
                steps: config.replay_steps,
                batch: config.replay_batch,
                learning_rate: config.replay_learning_rate * learning_rate / config.learning_rate,
                seed: number,
            },
            cohort,
            least: config.least,
            least_evaluators: config.least_evaluators,
            evaluate_minutes: config.evaluate_minutes,
            champion: champion.to_owned(),
        }
    }
}

/// Rounds of programs before this one went as far as what the deltas became.
fn one() -> f64 {
    1.0
}

/// What decides a stored round.
///
/// # Errors
/// [`StoreError::Corrupt`] where the row holds something else.
pub(super) fn read(round: &RoundRow) -> StoreResult<RoundSettings> {
    serde_json::from_str(&round.settings)
        .map_err(|error| StoreError::Corrupt { table: "rounds", cause: format!("round {}: {error}", round.number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_size_and_clip_fall_together_over_a_series() {
        let config = RoundsConfig::default();
        let of = |place| RoundSettings::of(&config, 7, place, 12, "ab");
        assert_eq!((of(0).recipe.learning_rate, of(0).clip), (1e-3, 2.0));
        assert!((of(14).recipe.learning_rate - 1e-4).abs() < 1e-12 && (of(14).clip - 0.2).abs() < 1e-9);
        let lighter = RoundsConfig { replay_learning_rate: 5e-4, ..config.clone() };
        let replay = |place| RoundSettings::of(&lighter, 7, place, 12, "ab").replay.learning_rate;
        assert!((replay(0) - 5e-4).abs() < 1e-12 && (replay(14) - 5e-5).abs() < 1e-12);
        let again: RoundSettings = serde_json::from_str(&serde_json::to_string(&of(3)).unwrap()).unwrap();
        assert_eq!(again, of(3));
    }

    #[test]
    fn a_round_that_a_program_before_this_one_stored_is_read() {
        let stored = serde_json::to_value(RoundSettings::of(&RoundsConfig::default(), 7, 0, 12, "ab")).unwrap();
        let mut before = stored.as_object().unwrap().clone();
        let share = before.remove("attacker_share").unwrap();
        before.insert("liars".to_owned(), share);
        assert!(before.remove("server_noise").is_some() && !before.contains_key("masks"));
        assert_eq!(before.remove("server_step"), Some(1.0.into()));
        let read: RoundSettings = serde_json::from_value(before.into()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), stored);
    }
}
