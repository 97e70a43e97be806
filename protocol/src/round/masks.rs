//! Rounds in which the server learns sums of groups only (secure aggregation): on which terms, in which exchanges, and what the director
//! asks of one home of a group.
//!
//! After Bonawitz et al., CCS 2017. What homes and server say of keys, shares and words is made and read by the crate `hearthwatch-masking`;
//! here it is a body of bytes with a hash.

use serde::{Deserialize, Serialize};

use super::{RoundFile, RoundPlan, TrainWork};
use crate::id::HomeId;
use crate::limits::{MASK_GROUP_MAX, MASK_GROUP_MIN, ROUND_REQUEST_BYTES_MAX};
use crate::round::plan::ROUND_SECONDS_MAX;
use crate::seal::PublicKey;
use crate::statement::{Signed, Statement, StatementRefusal};

/// On which terms a home's delta is masked. A home refuses terms under which a server could learn single deltas.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MaskTerms {
    /// Fewest homes of a group, from [`MASK_GROUP_MIN`] to [`MASK_GROUP_MAX`].
    pub group: u8,
    /// Share of a group's homes that must answer in each exchange, in (2/3, 1].
    pub threshold: f64,
    /// The home forgets its keys and its delta at this time, Unix seconds; after the plan's deadline.
    pub until: i64,
}

impl MaskTerms {
    /// Whether a `share` of homes may be a threshold: below, a server could ask one part of a group for the secrets of another.
    #[must_use]
    pub fn is_threshold(share: f64) -> bool {
        share > 2.0 / 3.0 && share <= 1.0
    }

    /// Homes that must answer in each exchange of a group of so many.
    #[must_use]
    pub fn threshold_of(&self, homes: usize) -> u8 {
        let least = homes.saturating_mul(2) / 3 + 1;
        // Homes of a group are at most a few; rounding up a product of small numbers.
        let share = (self.threshold * homes as f64 - 1e-9).ceil().max(0.0) as usize;
        u8::try_from(share.clamp(least.min(homes), homes)).unwrap_or(u8::MAX)
    }

    fn field_outside_limits(&self, deadline: i64) -> Option<&'static str> {
        let rest = self.until.checked_sub(deadline);
        let wrong = [
            ("group", !(MASK_GROUP_MIN..=MASK_GROUP_MAX).contains(&usize::from(self.group))),
            ("threshold", !Self::is_threshold(self.threshold)),
            ("until", !rest.is_some_and(|rest| (1..=ROUND_SECONDS_MAX).contains(&rest))),
        ];
        wrong.into_iter().find(|(_, wrong)| *wrong).map(|(field, _)| field)
    }
}

/// Train, and send what changed under masks: the server learns the sum of a group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MaskedTrainWork {
    /// From which weights, and how.
    pub train: TrainWork,
    /// How it is masked.
    pub masks: MaskTerms,
}

impl MaskedTrainWork {
    pub(super) fn field_outside_limits(&self, deadline: i64) -> Option<&'static str> {
        self.train.field_outside_limits().or_else(|| self.masks.field_outside_limits(deadline))
    }
}

/// What homes send in a masked round, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskExchange {
    /// Public keys, in answer to the plan: training is done.
    Keys,
    /// Shares of the home's secrets, one for each home of the group, sealed.
    Shares,
    /// The delta under masks.
    Masked,
    /// Shares of others' secrets, opened: of each home one secret.
    Opened,
}

/// What a home sends in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskAnswer {
    /// In which.
    pub exchange: MaskExchange,
    /// The bytes.
    pub file: RoundFile,
}

/// What the director asks of one home of a group: a body of bytes goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRequest {
    /// Whose it is; nobody else may follow it.
    pub home: HomeId,
    /// The plan's round.
    pub round: u64,
    /// The nonce of the home's plan.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub nonce: [u8; 16],
    /// What the home is to send; never [`MaskExchange::Keys`], which the plan asks for.
    pub exchange: MaskExchange,
    /// The body: the group with everybody's keys, then the shares for this home, then who sent words and who did not.
    pub file: RoundFile,
    /// Answers that come from this time on are not used, Unix seconds.
    pub deadline: i64,
}

/// A request as it travels.
pub type SignedGroupRequest = Signed<GroupRequest>;

/// Why a request is not followed. The order of the variants is the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// Not signed by a director that is trusted here, out of limits, or another home's.
    #[error(transparent)]
    Statement(#[from] StatementRefusal),
    /// Not of the round in hand.
    #[error("the request is of round {0}, which is not in hand")]
    OtherRound(u64),
    /// Not of this home's plan.
    #[error("the request belongs to another plan for the round")]
    OtherPlan,
    /// Too late.
    #[error("the exchange ended at {0}")]
    Expired(i64),
    /// The body is other bytes than were signed.
    #[error("the body is not the one that was signed")]
    Body,
}

impl Statement for GroupRequest {
    const CONTEXT: &'static [u8] = b"hearthwatch round request 1";
    const NOUN: &'static str = "round request";

    fn home(&self) -> &HomeId {
        &self.home
    }

    fn field_outside_limits(&self) -> Option<&'static str> {
        let wrong = [
            ("exchange", self.exchange == MaskExchange::Keys),
            ("length", !(1..=ROUND_REQUEST_BYTES_MAX as u64).contains(&self.file.length)),
        ];
        wrong.into_iter().find(|(_, wrong)| *wrong).map(|(field, _)| field)
    }
}

impl SignedGroupRequest {
    /// Whether a home that has `plan` in hand is to follow it at `now`. Whether its exchange is the next one is for the home's own state to
    /// say, which answers each once.
    ///
    /// # Errors
    /// The first [`RequestRefusal`] that applies.
    pub fn accept(
        &self,
        directors: &[PublicKey],
        plan: &RoundPlan,
        body: &[u8],
        now: i64,
    ) -> Result<GroupRequest, RequestRefusal> {
        let request = self.read_of(&plan.home, directors)?;
        if request.round != plan.round {
            return Err(RequestRefusal::OtherRound(request.round));
        }
        if request.nonce != plan.nonce {
            return Err(RequestRefusal::OtherPlan);
        }
        if now >= request.deadline {
            return Err(RequestRefusal::Expired(request.deadline));
        }
        if RoundFile::of(body) != request.file {
            return Err(RequestRefusal::Body);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;

    use super::*;
    use crate::round::{RoundWork, TrainRecipe};
    use crate::seal::SigningKey;

    const OPENS: i64 = 1_790_000_000;
    const DEADLINE: i64 = OPENS + 86_400;

    fn key() -> SigningKey {
        SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()))
    }

    fn terms() -> MaskTerms {
        MaskTerms { group: 4, threshold: 0.7, until: DEADLINE + 3_600 }
    }

    fn plan(masks: MaskTerms) -> RoundPlan {
        let train = TrainWork {
            base: RoundFile { sha256: [1; 32], length: 120_000 },
            recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 7 },
            clip: 1.0,
            noise: 0.0,
            server_noise: 0.0,
        };
        RoundPlan {
            home: HomeId::new("home-7").unwrap(),
            round: 3,
            work: RoundWork::MaskedTrain(MaskedTrainWork { train, masks }),
            cohort: 12,
            least: 6,
            opens_at: OPENS,
            deadline: DEADLINE,
            nonce: [2; 16],
        }
    }

    #[test]
    fn terms_that_could_expose_a_home_are_neither_signed_nor_read() {
        let field = |masks: MaskTerms| match plan(masks).sign(&key()) {
            Err(StatementRefusal::Field { noun: "round plan", field }) => field,
            other => panic!("{other:?}"),
        };
        assert!(plan(terms()).sign(&key()).is_ok());
        for threshold in [0.5, 2.0 / 3.0, 1.01, f64::NAN] {
            assert_eq!(field(MaskTerms { threshold, ..terms() }), "threshold", "{threshold}");
        }
        assert_eq!(field(MaskTerms { group: 3, ..terms() }), "group");
        assert_eq!(field(MaskTerms { group: 17, ..terms() }), "group");
        assert_eq!(field(MaskTerms { until: DEADLINE, ..terms() }), "until");
        assert_eq!(field(MaskTerms { until: i64::MAX, ..terms() }), "until");
    }

    #[test]
    fn a_threshold_of_homes_is_the_share_rounded_up_and_always_more_than_two_thirds() {
        let of = |threshold: f64, homes: usize| MaskTerms { threshold, ..terms() }.threshold_of(homes);
        assert_eq!([4, 5, 8, 12, 16].map(|homes| of(0.67, homes)), [3, 4, 6, 9, 11]);
        assert_eq!([4, 8, 10].map(|homes| of(0.9, homes)), [4, 8, 9]);
        assert_eq!([4, 16].map(|homes| of(1.0, homes)), [4, 16]);
    }

    #[test]
    fn a_request_of_another_round_plan_time_or_body_is_refused() {
        let body = b"keys of the group";
        let request = GroupRequest {
            home: HomeId::new("home-7").unwrap(),
            round: 3,
            nonce: [2; 16],
            exchange: MaskExchange::Shares,
            file: RoundFile::of(body),
            deadline: DEADLINE,
        };
        let directors = [key().public()];
        let accept = |request: &GroupRequest, body: &[u8], now| {
            request.sign(&key()).unwrap().accept(&directors, &plan(terms()), body, now)
        };
        assert_eq!(accept(&request, body, OPENS), Ok(request.clone()));
        let other = GroupRequest { round: 4, ..request.clone() };
        assert_eq!(accept(&other, body, OPENS), Err(RequestRefusal::OtherRound(4)));
        let other = GroupRequest { nonce: [3; 16], ..request.clone() };
        assert_eq!(accept(&other, body, OPENS), Err(RequestRefusal::OtherPlan));
        assert_eq!(accept(&request, body, DEADLINE), Err(RequestRefusal::Expired(DEADLINE)));
        assert_eq!(accept(&request, b"other", OPENS), Err(RequestRefusal::Body));
        let keys = GroupRequest { exchange: MaskExchange::Keys, ..request };
        let refused = StatementRefusal::Field { noun: "round request", field: "exchange" };
        assert_eq!(keys.sign(&key()).unwrap_err(), refused);
    }
}
