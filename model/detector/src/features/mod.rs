//! Readings in, one row of twenty numbers per entity and step out; nothing after a step can influence it.
//!
//! | place | [name](crate::grid::Feature) | is |
//! |---|---|---|
//! | 0 | `residual` | *r*: value − median of the same time of day over 14 days (own day excluded), in robust scales, within ±12 |
//! | 1 | `difference` | first difference in scales of *r* |
//! | 2 | `own_difference` | first difference in a quarter of its own robust scale |
//! | 3 | `unchanged_age` | ln(1 + steps since the value changed) / 3 |
//! | 4 | `mean_6h` | mean of *r* over 6 h |
//! | 5 | `mean_24h` | mean of *r* over 24 h |
//! | 6 | `roughness_3h` | root mean squared difference over 3 h |
//! | 7 | `roughness_24h` | root mean squared difference over 24 h |
//! | 8 | `beyond_band` | how far beyond the 10–90 % band of this time of day |
//! | 9 | `day_ago` | *r* a day ago |
//! | 10 | `class_median` | median *r* of the home's other entities of the class |
//! | 11 | `band_width` | width of the band |
//! | 12 | `level_distance` | distance from the fortnight's median, halved |
//! | 13 | `time_sine` | sine of the local time of day |
//! | 14 | `time_cosine` | cosine of the local time of day |
//! | 15 | `weekend` | 1 on Saturday and Sunday |
//! | 16 | `innovation` | innovation of the autoregression |
//! | 17 | `peer_residual` | residual of the peer regression |
//! | 18 | `report_age` | ln(1 + steps since the last report) / 3 |
//! | 19 | `reported` | 1 when a report came in this step |
//!
//! The same time of day is counted in UTC, so that a change to summer time moves the routine by an hour for a while
//! rather than breaking it; heavy-tailed classes pass through a signed `ln(1 + x)` first.
//!
//! **Ready.** What is usual is shown when an entity has been known for three days, two of them with values, and a refit at midnight
//! (UTC) has seen them; by that it is judged after a week, and must be surer until three have passed. Impossible values are judged once
//! there was a possible one, silence after a day and 24 reports, standing still after a day and 20 changes, a binary state
//! after a week.

mod baseline;
mod calendar;
mod entity;
mod excluded;
mod extractor;
mod intake;
mod knowledge;
mod learnt;
mod left_out;
mod meter;
mod profile;
mod ring;
mod roughness;
mod step;
mod synthetic_faults;

pub(crate) use baseline::{ALERT_SCORE, PHYSICS_SCORE};
pub(crate) use calendar::LocalTime;
pub(crate) use entity::Switching;
pub use extractor::FeatureExtractor;
pub use knowledge::Knowledge;
pub(crate) use learnt::Learnt;
pub use left_out::LeftOut;
pub use step::{EntityStep, Normaliser};
pub use synthetic_faults::{FAULT_STEPS, TrialWindow};
