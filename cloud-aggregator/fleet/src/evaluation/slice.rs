//! Parts of the fleet that may fare worse than the whole.

use hearthwatch_store::HomeRow;
use serde::{Deserialize, Serialize};

use super::interval::Interval;

/// A home with fewer entities has few sensors.
const FEW: u32 = 10;

/// A home with more entities is large.
const MANY: u32 = 60;

/// How long a home is new, in seconds: four weeks, twice what the baseline detector needs to know a day.
const NEW_SECONDS: i64 = 28 * 86_400;

/// Begin of a tag that names a country: `country:us`. Homes do not say where they are; operators may.
const COUNTRY: &str = "country:";

/// A part of the fleet: what it is about, and which part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Slice {
    /// `size`, `age`, `country` or `class`.
    pub by: String,
    /// E.g. `few sensors`, `new`, `us`, `temperature`.
    pub of: String,
}

impl Slice {
    pub(super) fn new(by: &str, of: impl Into<String>) -> Self {
        Self { by: by.to_owned(), of: of.into() }
    }
}

/// How a model does in a part of the fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SliceFigures {
    /// Which part.
    #[serde(flatten)]
    pub slice: Slice,
    /// Homes in it.
    pub homes: u64,
    /// Weeks in which they ran the model, added up.
    pub home_weeks: f64,
    /// Alarms that were answered.
    pub answered: u64,
    /// Alarms that were confirmed.
    pub confirmed: u64,
    /// Alarms that were dismissed.
    pub dismissed: u64,
    /// Dismissed alarms a home and week; none without home-weeks.
    pub false_a_home_week: Option<Interval>,
    /// Share of answered alarms that were confirmed; none without one.
    pub confirmed_share: Option<Interval>,
    /// Whether it is worse than the fleet beyond chance.
    pub worse: bool,
}

/// The slices that a home is in, by what is known of it at `now`, Unix seconds. `tags` are operators' words for it.
#[must_use]
pub fn slices_of<'a>(row: &HomeRow, tags: impl IntoIterator<Item = &'a String>, now: i64) -> Vec<Slice> {
    let entities = row.status.as_ref().map(|status| status.entities);
    let size = match entities {
        None => "unknown",
        Some(..FEW) => "few sensors",
        Some(FEW..=MANY) => "usual",
        Some(_) => "many sensors",
    };
    let age = if now.saturating_sub(row.enrolled_at) < NEW_SECONDS { "new" } else { "known" };
    let countries = tags.into_iter().filter_map(|tag| tag.strip_prefix(COUNTRY)).map(|of| Slice::new("country", of));
    [Slice::new("size", size), Slice::new("age", age)].into_iter().chain(countries).collect()
}
