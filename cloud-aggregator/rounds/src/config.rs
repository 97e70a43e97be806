//! `[rounds]`: whether, when and how homes are asked to train.

use hearthwatch_protocol::round::MaskTerms;
use serde::{Deserialize, Serialize};

use super::strategies::StrategyName;

/// How deltas are masked, so that the server learns sums of groups only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MaskSettings {
    /// Fewest homes of a group, from [`MASK_GROUP_MIN`](hearthwatch_protocol::limits::MASK_GROUP_MIN) to [`GROUP_MAX`].
    pub group: u8,
    /// Share of a group's homes that must answer in each exchange, in (2/3, 1].
    pub threshold: f64,
    /// Minutes that homes have for each exchange after training.
    pub exchange_minutes: u32,
}

impl MaskSettings {
    /// Fewest homes whose sum the server may see.
    #[must_use]
    pub fn fewest(&self) -> u8 {
        let terms = MaskTerms { group: self.group, threshold: self.threshold, until: 0 };
        terms.threshold_of(self.group.into())
    }
}

/// Most homes that a group can be promised to have: of twice as many less one no two such groups can be made, and that must still be one.
pub const GROUP_MAX: u8 = (hearthwatch_protocol::limits::MASK_GROUP_MAX / 2) as u8;

impl Default for MaskSettings {
    fn default() -> Self {
        Self { group: 8, threshold: 0.7, exchange_minutes: 60 }
    }
}

/// Versions go on without waiting for every home: FedBuff (Nguyen et al., AISTATS 2022).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferSettings {
    /// Deltas with which a round goes on.
    pub size: u32,
    /// Most versions that were made since a delta's base, for it to count.
    pub staleness_max: u32,
}

impl Default for BufferSettings {
    /// Two versions behind were common in `cargo xtask bench asynchronous`, and cost nothing that could be seen there.
    fn default() -> Self {
        Self { size: 24, staleness_max: 4 }
    }
}

/// When and how rounds are held. Recipe and replay are those of `docs/measurements/2026-11-30-federated.md`, the strategy is the one that
/// held best in `docs/measurements/2026-11-30-attacks.md`; the times and numbers of homes are choices.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundsConfig {
    /// Whether rounds are held at all.
    pub enabled: bool,
    /// Hours from the opening of a round to the next; the next waits for the one before to end.
    pub interval_hours: u32,
    /// Minutes that homes have to train: they do it at night, and a fleet has all time zones.
    pub deadline_minutes: u32,
    /// Minutes that homes have to evaluate.
    pub evaluate_minutes: u32,
    /// Most homes that train in a round; of more, a sample.
    pub cohort: u32,
    /// Deltas without which nothing is made of the others.
    pub least: u32,
    /// Whether a round goes on without waiting for every home; what the others send counts in later rounds then.
    pub buffer: Option<BufferSettings>,
    /// Homes that must have evaluated.
    pub least_evaluators: u32,
    /// Share of homes, by a hash of their id, that evaluate and never train, in [0, 1].
    pub evaluator_share: f64,
    /// Hours for which a home counts as there after it was heard.
    pub heard_hours: u32,
    /// Norm to which a delta is brought down in the home, at the highest step size; it falls with the step size.
    pub clip: f64,
    /// Standard deviation of the Gaussian noise that homes add to each value of a delta; 0 for none.
    pub noise: f64,
    /// Standard deviation of the Gaussian noise that the server adds to each value of the clipped mean; 0 for none.
    pub server_noise: f64,
    /// Scale of the Laplace noise that homes add to each count; 0 for none.
    pub count_noise: f64,
    /// How deltas are masked; none where the server sees each.
    pub masks: Option<MaskSettings>,
    /// How deltas become one; where they are masked, how the means of groups do.
    pub strategy: StrategyName,
    /// Share of homes that attack, for strategies that are set up for one (multi-Krum, trimmed mean), in [0, 0.5).
    pub attacker_share: f64,
    /// Steps that a home trains.
    pub steps: u32,
    /// Windows of such a step.
    pub batch: u32,
    /// Highest step size of homes.
    pub learning_rate: f64,
    /// How far the server goes along what the deltas become, as a multiple of it.
    pub server_step: f64,
    /// Highest step size of the replay.
    pub replay_learning_rate: f64,
    /// Steps that the server trains on recordings after each round.
    pub replay_steps: u32,
    /// Windows of such a step.
    pub replay_batch: u32,
    /// Rounds that go on from one another before the next begins at the model in use; the step size falls over them.
    pub rounds_per_series: u32,
    /// Lets a promoted candidate out at once; otherwise it waits for a person.
    pub auto_release: bool,
}

impl Default for RoundsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            interval_hours: 48,
            deadline_minutes: 24 * 60,
            evaluate_minutes: 24 * 60,
            cohort: 200,
            least: 12,
            buffer: None,
            least_evaluators: 8,
            evaluator_share: 0.2,
            heard_hours: 72,
            clip: 2.0,
            noise: 0.0,
            server_noise: 0.0,
            count_noise: 0.0,
            masks: None,
            strategy: StrategyName::VettedMean,
            attacker_share: 0.3,
            steps: 20,
            batch: 128,
            learning_rate: 1e-3,
            server_step: 1.0,
            replay_learning_rate: 1e-3,
            replay_steps: 30,
            replay_batch: 256,
            rounds_per_series: 15,
            auto_release: true,
        }
    }
}
