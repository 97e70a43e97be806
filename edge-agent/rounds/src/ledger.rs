//! What residents can read of each round: when, what was sent, for which model, and what came of it.

use hearthwatch_edge_core::round_job::JobFigures;
use hearthwatch_protocol::round::{MaskedTrainWork, RoundPlan, RoundWork};
use strum::{EnumString, IntoStaticStr};

use crate::picture::Picture;

/// How a round stands for this home. One word each, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// It is in hand.
    Open,
    /// The aggregator has the whole answer.
    Taken,
    /// The aggregator does not use it.
    Refused,
    /// There was nothing to send.
    Declined,
    /// The deadline came before a receipt.
    Missed,
    /// Residents took their consent back.
    Withdrawn,
    /// A newer round came before.
    Superseded,
}

impl Outcome {
    /// The word in the table and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One round.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundEntry {
    /// Its number in the fleet.
    pub round: u64,
    /// Whether this home was to judge models, and not to train.
    pub evaluates: bool,
    /// When its plan came, Unix seconds.
    pub planned_at: i64,
    /// When training or judging ended.
    pub trained_at: Option<i64>,
    /// When a first part of the answer had left.
    pub sent_at: Option<i64>,
    /// When the round ended for this home.
    pub ended_at: Option<i64>,
    /// Bytes of what is sent, without signature and envelope; 0 where there is nothing.
    pub bytes: usize,
    /// What the program that trains reported; none before it has.
    pub figures: Option<JobFigures>,
    /// Most that a delta's norm may be; 0 for counts.
    pub clip: f64,
    /// SHA-256 of the first model that the plan names.
    pub model: [u8; 32],
    /// Homes that were asked for the same.
    pub cohort: u32,
    /// Answers without which nothing is made of the others.
    pub least: u32,
    /// Noise that the server promises to add to each value of the mean; 0 for none.
    pub server_noise: f64,
    /// Whether what is sent is masked, and how many homes are in the sum that the server sees: 0 before there is a group. None where the server
    /// sees what this home sends.
    pub masked: Option<u32>,
    /// How it stands.
    pub outcome: Outcome,
    /// Why, in a word or a line; empty where there is nothing to say.
    pub reason: String,
    /// How often each level occurs in what is sent; none where there is nothing.
    pub picture: Option<Picture>,
}

impl RoundEntry {
    /// Homes whose sum is the least that the server may see of what this home sent: more than two thirds of its group, which is what each
    /// masked round asks for at least; 1 where it sees the delta.
    #[must_use]
    pub fn fewest_in_sum(&self) -> u32 {
        self.masked.map_or(1, |homes| homes.saturating_mul(2) / 3 + 1)
    }

    /// The entry of a plan that came at `now`.
    #[must_use]
    pub fn of(plan: &RoundPlan, now: i64) -> Self {
        let (evaluates, clip, server_noise, model) = match &plan.work {
            RoundWork::Train(work) | RoundWork::MaskedTrain(MaskedTrainWork { train: work, .. }) => {
                (false, work.clip, work.server_noise, Some(&work.base))
            }
            RoundWork::Evaluate(work) => (true, 0.0, 0.0, work.models.first()),
        };
        Self {
            round: plan.round,
            evaluates,
            planned_at: now,
            trained_at: None,
            sent_at: None,
            ended_at: None,
            bytes: 0,
            figures: None,
            clip,
            model: model.map_or([0; 32], |file| file.sha256),
            cohort: plan.cohort,
            least: plan.least,
            server_noise,
            masked: plan.work.masks().map(|_| 0),
            outcome: Outcome::Open,
            reason: String::new(),
            picture: None,
        }
    }
}
