//! The labelled record: what a resident's answer looks like to the cloud.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::codec::DecodeError;
use crate::id::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};
use crate::limits::{TEXT_BYTES_MAX, WINDOW_FEATURES_MAX, WINDOW_STEPS_MAX};

/// A resident's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumString, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// Something was really off.
    Confirmed,
    /// A false alarm.
    Dismissed,
    /// Unusual, but known to the resident (guests, a holiday): teaches nothing.
    Expected,
}

/// How the record came to be asked for; needed to weigh it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The agent raised an alarm.
    Alarm,
    /// A random audit sample: drawn from below the threshold, with this probability (0, 1].
    #[serde(rename = "probe")]
    AuditSample {
        /// The probability with which this window was drawn.
        propensity: f32,
    },
    /// The resident reported something that the agent had not noticed.
    Miss,
}

/// What the network saw: `steps` × `features` numbers, oldest step first, one step's features together.
///
/// Dimensionless by construction (see the model's feature schema); no raw reading can be computed from it without the
/// home's own statistics, which never leave the home. A home that shares its verdicts alone sends
/// [`FeatureWindow::none`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureWindow {
    /// Number of 10-minute steps.
    pub steps: u16,
    /// Number of features of a step.
    pub features: u16,
    /// `steps * features` finite numbers; little-endian binary32 in one byte string on the wire.
    #[serde(with = "crate::codec::f32_bytes")]
    pub values: Vec<f32>,
}

impl FeatureWindow {
    /// No window: 0 steps × 0 features.
    #[must_use]
    pub fn none() -> Self {
        Self { steps: 0, features: 0, values: Vec::new() }
    }

    /// Whether this is [`FeatureWindow::none`].
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.steps == 0 && self.features == 0 && self.values.is_empty()
    }

    /// SHA-256 over the shape and the values as they travel: what an announcement promises of its window.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"hearthwatch window 1");
        hasher.update(self.steps.to_be_bytes());
        hasher.update(self.features.to_be_bytes());
        for value in &self.values {
            hasher.update(value.to_le_bytes());
        }
        hasher.finalize().into()
    }
}

/// One labelled record. A later record of the same home for the same alarm replaces the earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedbackRecord {
    /// Whose answer it is; must equal the topic's home and the certificate's name.
    pub home: HomeId,
    /// Position in the home's outbox.
    pub sequence: Sequence,
    /// The alarm that was answered.
    pub alarm: AlarmId,
    /// Home Assistant device class of the entity, e.g. `temperature`.
    pub device_class: String,
    /// The model that raised the alarm.
    pub model_version: ModelVersion,
    /// Which features the window holds, in which order.
    pub feature_schema: u32,
    /// What the model saw.
    pub window: FeatureWindow,
    /// The raw score of the last step.
    pub score: f32,
    /// The threshold it was held against.
    pub threshold: f32,
    /// The resident's answer.
    pub verdict: Verdict,
    /// Why it was asked.
    pub origin: Origin,
    /// When the alarm was raised, Unix seconds; without a window, the beginning of that day in UTC.
    pub raised_at: i64,
    /// When it was answered, Unix seconds; without a window, the beginning of that day in UTC.
    pub answered_at: i64,
}

impl FeedbackRecord {
    /// What makes this record unique.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey { home: self.home.clone(), sequence: self.sequence }
    }

    /// Checks everything that the types alone do not: shape, finiteness, lengths.
    pub(crate) fn validate(&self) -> Result<(), DecodeError> {
        let window = &self.window;
        let (steps, features) = (usize::from(window.steps), usize::from(window.features));
        let fits = (1..=WINDOW_STEPS_MAX).contains(&steps) && (1..=WINDOW_FEATURES_MAX).contains(&features);
        if !fits && !window.is_none() {
            return Err(DecodeError::WindowShape { steps, features });
        }
        if window.values.len() != steps * features {
            return Err(DecodeError::WindowLength { expected: steps * features, found: window.values.len() });
        }
        let propensity = match self.origin {
            Origin::AuditSample { propensity } if !(propensity > 0.0 && propensity <= 1.0) => {
                return Err(DecodeError::Propensity);
            }
            Origin::AuditSample { propensity } => propensity,
            Origin::Alarm | Origin::Miss => 1.0,
        };
        let scalars = [self.score, self.threshold, propensity];
        if !scalars.iter().chain(&window.values).all(|value| value.is_finite()) {
            return Err(DecodeError::NotFinite);
        }
        if self.device_class.len() > TEXT_BYTES_MAX {
            return Err(DecodeError::TextTooLong { field: "device_class" });
        }
        Ok(())
    }
}
