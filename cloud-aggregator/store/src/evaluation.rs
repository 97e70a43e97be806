//! What online evaluation needs of the store: who ran which model when, what was asked, and what residents answered.

use hearthwatch_protocol::messages::Verdict;
use hearthwatch_protocol::{HomeId, ModelVersion};

use crate::store::StoreResult;

/// What is counted of answers that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerGroup {
    /// The home that answered.
    pub home: HomeId,
    /// The model that asked.
    pub model_version: ModelVersion,
    /// Home Assistant device class of the entity.
    pub device_class: String,
    /// `alarm`, `probe` or `miss`.
    pub origin: String,
    /// What the residents said.
    pub verdict: Verdict,
    /// Answers.
    pub count: u64,
}

/// One answer to an alarm, in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerNumbers {
    /// The model that asked.
    pub model_version: ModelVersion,
    /// Seconds from the alarm to the answer, by the home's clock; below zero where that was set back.
    pub delay: i64,
    /// Score less threshold, in the model's own unit.
    pub margin: f64,
}

/// The part of the aggregator's memory that online evaluation needs. Times are Unix seconds; periods hold their beginning and not their end.
pub trait EvaluationStore {
    /// Answers stored in a period, counted by home, model, class, origin and verdict.
    fn answer_groups(&self, since: i64, until: i64) -> StoreResult<Vec<AnswerGroup>>;
    /// Answers to alarms that were stored in a period, in order of their times, at most `limit`, the newest.
    fn answer_numbers(&self, since: i64, until: i64, limit: usize) -> StoreResult<Vec<AnswerNumbers>>;
    /// When the first answer about a class came that was stored after `after`; none if none did.
    fn first_answer_of(&self, device_class: &str, after: i64) -> StoreResult<Option<i64>>;
    /// Seconds that runs took that began at `since` or later.
    fn run_seconds(&self, since: i64) -> StoreResult<i64>;
    /// Alarms and questions that were announced in a period, by home and model.
    fn announced_groups(&self, since: i64, until: i64) -> StoreResult<Vec<(HomeId, ModelVersion, u64)>>;
}
