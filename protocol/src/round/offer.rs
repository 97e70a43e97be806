//! Whether a home takes part in rounds: its residents' consent, signed with the key of its certificate.

use serde::{Deserialize, Serialize};

use crate::id::HomeId;
use crate::limits::{ROUND_CLASSES_MAX, TEXT_BYTES_MAX};
use crate::statement::{Signed, Statement};

/// How many sensors of a class a home could train on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Name of the device class.
    pub class: String,
    /// Sensors with enough history.
    pub entities: u32,
}

/// A home's word on whether it takes part. The newest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundOffer {
    /// Whose it is.
    pub home: HomeId,
    /// Whether residents agreed that this home trains and sends what changed. False takes an earlier word back.
    pub willing: bool,
    /// What it could train on; empty where it is not willing. At most [`ROUND_CLASSES_MAX`].
    pub classes: Vec<ClassCount>,
    /// When, by the home's clock, Unix seconds.
    pub at: i64,
    /// Whether its program can mask what it sends, so that the server learns sums only. Offers from before say nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masks: bool,
}

/// An offer as it travels.
pub type SignedRoundOffer = Signed<RoundOffer>;

impl Statement for RoundOffer {
    const CONTEXT: &'static [u8] = b"hearthwatch round offer 1";
    const NOUN: &'static str = "round offer";

    fn home(&self) -> &HomeId {
        &self.home
    }

    fn field_outside_limits(&self) -> Option<&'static str> {
        let long = self.classes.iter().any(|count| count.class.len() > TEXT_BYTES_MAX);
        (long || self.classes.len() > ROUND_CLASSES_MAX).then_some("classes")
    }
}
