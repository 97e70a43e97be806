//! What the director asks of one home in one round.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{MaskTerms, MaskedTrainWork, RoundFile};
use crate::id::HomeId;
use crate::limits::{
    ARTIFACT_BYTES_MAX, ROUND_BATCH_MAX, ROUND_CLIP_MAX, ROUND_MODELS_MAX, ROUND_NOISE_MAX, ROUND_STEPS_MAX,
};
use crate::seal::PublicKey;
use crate::statement::{Signed, Statement, StatementRefusal};

/// Longest time from a plan's opening to its deadline, in seconds: homes train at night, and a fleet has all time zones.
pub const ROUND_SECONDS_MAX: i64 = 7 * 86_400;

/// How a home trains. What is not said here is the program's own, the same in every home of a version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainRecipe {
    /// Steps of the optimizer, from 1 to [`ROUND_STEPS_MAX`].
    pub steps: u32,
    /// Windows of a step, from 1 to [`ROUND_BATCH_MAX`].
    pub batch: u32,
    /// Highest step size, in (0, 0.1].
    pub learning_rate: f64,
    /// Steps over which the step size rises from zero.
    pub rise_steps: u32,
    /// Seed of the batches and of the faults; the home adds what is its own.
    pub seed: u64,
}

/// Train from the round's weights, and send what changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainWork {
    /// The artifact with the weights to start from.
    pub base: RoundFile,
    /// How.
    pub recipe: TrainRecipe,
    /// The delta's Euclidean norm is brought down to this, in (0, [`ROUND_CLIP_MAX`]].
    pub clip: f64,
    /// Standard deviation of the Gaussian noise that the home adds to each value, in [0, [`ROUND_NOISE_MAX`]]; 0 for none.
    pub noise: f64,
    /// Standard deviation of the Gaussian noise that the server promises to add to each value of the mean, in [0, [`ROUND_NOISE_MAX`]].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub server_noise: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// Judge models on the home's own history, and send counts of scores by class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateWork {
    /// The artifacts, from 1 to [`ROUND_MODELS_MAX`]; the counts come back in this order.
    pub models: Vec<RoundFile>,
    /// Seed of the faults that are put into copies; the home adds what is its own.
    pub seed: u64,
    /// Scale of the Laplace noise that the home adds to each count, in [0, [`ROUND_NOISE_MAX`]]; 0 for none.
    pub noise: f64,
}

/// What a home does in a round: either, never both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundWork {
    /// Trains.
    Train(TrainWork),
    /// Judges: only homes that trained in no round of this model's.
    Evaluate(EvaluateWork),
    /// Trains, and sends what changed under masks. Only homes that offered it are asked; older ones do not know the word.
    MaskedTrain(MaskedTrainWork),
}

/// What one home is asked for in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundPlan {
    /// Whose it is; nobody else may follow it.
    pub home: HomeId,
    /// Counts up in the fleet. A lower one than the last is a replay.
    pub round: u64,
    /// What is asked.
    pub work: RoundWork,
    /// Homes that are asked for the same work.
    pub cohort: u32,
    /// Answers without which nothing is made of the others.
    pub least: u32,
    /// Not to be followed before this time, Unix seconds.
    pub opens_at: i64,
    /// Answers that come from this time on are not used, Unix seconds.
    pub deadline: i64,
    /// Comes back in the home's answer, which so cannot be one to another plan.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub nonce: [u8; 16],
}

/// A plan as it travels.
pub type SignedRoundPlan = Signed<RoundPlan>;

/// What a home remembers of the newest plan that it accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSeen {
    /// Its round; 0 before the first.
    pub round: u64,
    /// SHA-256 of its bytes: a home takes part in a round once.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub digest: [u8; 32],
}

/// A plan that holds for this home now.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedPlan {
    /// What it says.
    pub plan: RoundPlan,
    /// What is to be remembered, before anything is done about it.
    pub seen: PlanSeen,
    /// Whether it is the very one that was accepted last: brokers hand a retained message out again.
    pub again: bool,
}

/// Why a plan is not followed. The order of the variants is the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// Not signed by a director that is trusted here, out of limits, or another home's.
    #[error(transparent)]
    Statement(#[from] StatementRefusal),
    /// A replay.
    #[error("round {found} comes after {seen}, which was seen before")]
    OlderRound {
        /// The round that was offered.
        found: u64,
        /// The round that was seen before.
        seen: u64,
    },
    /// Two plans for one round.
    #[error("round {0} was seen with another plan")]
    RoundReused(u64),
    /// Too late.
    #[error("the round ended at {0}")]
    Expired(i64),
    /// Too early: to be looked at again at that time.
    #[error("the round opens at {0}")]
    NotYet(i64),
}

impl RoundWork {
    /// How the home trains; none where it judges.
    #[must_use]
    pub fn train(&self) -> Option<&TrainWork> {
        match self {
            Self::Train(work) => Some(work),
            Self::MaskedTrain(work) => Some(&work.train),
            Self::Evaluate(_) => None,
        }
    }

    /// On which terms the delta is masked; none where nothing is.
    #[must_use]
    pub fn masks(&self) -> Option<&MaskTerms> {
        match self {
            Self::MaskedTrain(work) => Some(&work.masks),
            Self::Train(_) | Self::Evaluate(_) => None,
        }
    }
}

impl TrainWork {
    pub(super) fn field_outside_limits(&self) -> Option<&'static str> {
        let TrainRecipe { steps, batch, learning_rate, rise_steps, .. } = self.recipe;
        let wrong = [
            ("base", !is_artifact(&self.base)),
            ("steps", !(1..=ROUND_STEPS_MAX).contains(&steps)),
            ("batch", !(1..=ROUND_BATCH_MAX).contains(&batch)),
            ("rise_steps", rise_steps > ROUND_STEPS_MAX),
            ("learning_rate", !(learning_rate > 0.0 && learning_rate <= 0.1)),
            ("clip", !(self.clip > 0.0 && self.clip <= ROUND_CLIP_MAX)),
            ("noise", !(0.0..=ROUND_NOISE_MAX).contains(&self.noise)),
            ("server_noise", !(0.0..=ROUND_NOISE_MAX).contains(&self.server_noise)),
        ];
        wrong.into_iter().find(|(_, wrong)| *wrong).map(|(field, _)| field)
    }
}

impl EvaluateWork {
    fn field_outside_limits(&self) -> Option<&'static str> {
        let count = self.models.len();
        let wrong = [
            ("models", !(1..=ROUND_MODELS_MAX).contains(&count) || !self.models.iter().all(is_artifact)),
            ("noise", !(0.0..=ROUND_NOISE_MAX).contains(&self.noise)),
        ];
        wrong.into_iter().find(|(_, wrong)| *wrong).map(|(field, _)| field)
    }
}

fn is_artifact(file: &RoundFile) -> bool {
    (1..=ARTIFACT_BYTES_MAX).contains(&file.length)
}

impl Statement for RoundPlan {
    const CONTEXT: &'static [u8] = b"hearthwatch round plan 1";
    const NOUN: &'static str = "round plan";

    fn home(&self) -> &HomeId {
        &self.home
    }

    fn field_outside_limits(&self) -> Option<&'static str> {
        let time = self.deadline.checked_sub(self.opens_at);
        let wrong = [
            ("round", self.round == 0 || i64::try_from(self.round).is_err()),
            ("cohort", self.cohort == 0),
            ("least", self.least == 0 || self.least > self.cohort),
            ("deadline", !time.is_some_and(|time| (1..=ROUND_SECONDS_MAX).contains(&time))),
        ];
        wrong.into_iter().find(|(_, wrong)| *wrong).map(|(field, _)| field).or_else(|| match &self.work {
            RoundWork::Train(work) => work.field_outside_limits(),
            RoundWork::Evaluate(work) => work.field_outside_limits(),
            RoundWork::MaskedTrain(work) => work.field_outside_limits(self.deadline),
        })
    }
}

impl SignedRoundPlan {
    /// Whether `home`, which accepted `last` before, is to follow it at `now`.
    ///
    /// # Errors
    /// The first [`PlanRefusal`] that applies. [`PlanRefusal::NotYet`] comes last: what is only early is otherwise sound.
    pub fn accept(
        &self,
        directors: &[PublicKey],
        home: &HomeId,
        last: Option<&PlanSeen>,
        now: i64,
    ) -> Result<AcceptedPlan, PlanRefusal> {
        let plan = self.read_of(home, directors)?;
        let seen = PlanSeen { round: plan.round, digest: Sha256::digest(self.as_bytes()).into() };
        let again = match last {
            Some(last) if seen.round < last.round => {
                return Err(PlanRefusal::OlderRound { found: seen.round, seen: last.round });
            }
            Some(last) if seen.round == last.round && seen.digest != last.digest => {
                return Err(PlanRefusal::RoundReused(seen.round));
            }
            Some(last) => seen == *last,
            None => false,
        };
        if now >= plan.deadline {
            return Err(PlanRefusal::Expired(plan.deadline));
        }
        if now < plan.opens_at {
            return Err(PlanRefusal::NotYet(plan.opens_at));
        }
        Ok(AcceptedPlan { plan, seen, again })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;

    use super::*;
    use crate::seal::{SealError, SigningKey};

    const OPENS: i64 = 1_790_000_000;

    fn key(seed: u8) -> SigningKey {
        SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
    }

    fn home() -> HomeId {
        HomeId::new("home-7").unwrap()
    }

    fn train() -> TrainWork {
        TrainWork {
            base: RoundFile { sha256: [1; 32], length: 120_000 },
            recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 7 },
            clip: 1.0,
            noise: 0.0,
            server_noise: 0.0,
        }
    }

    fn plan(round: u64) -> RoundPlan {
        RoundPlan {
            home: home(),
            round,
            work: RoundWork::Train(train()),
            cohort: 12,
            least: 6,
            opens_at: OPENS,
            deadline: OPENS + 86_400,
            nonce: [2; 16],
        }
    }

    fn accepted(signed: &SignedRoundPlan, last: Option<&PlanSeen>, now: i64) -> Result<AcceptedPlan, PlanRefusal> {
        signed.accept(&[key(1).public()], &home(), last, now)
    }

    #[test]
    fn a_plan_is_followed_within_its_time_and_handed_out_again_it_is_known() {
        let signed = plan(3).sign(&key(1)).unwrap();
        assert_eq!(accepted(&signed, None, OPENS - 1), Err(PlanRefusal::NotYet(OPENS)));
        let first = accepted(&signed, None, OPENS).unwrap();
        assert!(!first.again);
        assert!(accepted(&signed, Some(&first.seen), OPENS + 1).unwrap().again);
        assert_eq!(accepted(&signed, None, OPENS + 86_400), Err(PlanRefusal::Expired(OPENS + 86_400)));
    }

    #[test]
    fn a_replay_a_second_plan_for_a_round_and_another_fleets_plan_are_refused() {
        let seen = accepted(&plan(3).sign(&key(1)).unwrap(), None, OPENS).unwrap().seen;
        let older = plan(2).sign(&key(1)).unwrap();
        assert_eq!(accepted(&older, Some(&seen), OPENS), Err(PlanRefusal::OlderRound { found: 2, seen: 3 }));
        let second = RoundPlan { nonce: [9; 16], ..plan(3) }.sign(&key(1)).unwrap();
        assert_eq!(accepted(&second, Some(&seen), OPENS), Err(PlanRefusal::RoundReused(3)));
        let foreign = accepted(&plan(4).sign(&key(2)).unwrap(), Some(&seen), OPENS);
        let unknown = SealError::UnknownKey(hex::encode(key(2).public().id()));
        assert_eq!(foreign, Err(PlanRefusal::Statement(StatementRefusal::Seal(unknown))));
    }

    #[test]
    fn what_asks_for_more_than_the_limits_is_neither_signed_nor_read() {
        let field = |plan: RoundPlan| match plan.sign(&key(1)) {
            Err(StatementRefusal::Field { noun: "round plan", field }) => field,
            other => panic!("{other:?}"),
        };
        let of = |work: TrainWork| RoundPlan { work: RoundWork::Train(work), ..plan(1) };
        let recipe = |change: fn(&mut TrainRecipe)| {
            let mut recipe = train().recipe;
            change(&mut recipe);
            of(TrainWork { recipe, ..train() })
        };
        assert_eq!(field(plan(0)), "round");
        assert_eq!(field(RoundPlan { least: 13, ..plan(1) }), "least");
        assert_eq!(field(RoundPlan { deadline: OPENS, ..plan(1) }), "deadline");
        assert_eq!(field(RoundPlan { deadline: i64::MIN, ..plan(1) }), "deadline");
        assert_eq!(field(recipe(|recipe| recipe.steps = ROUND_STEPS_MAX + 1)), "steps");
        assert_eq!(field(recipe(|recipe| recipe.batch = 0)), "batch");
        assert_eq!(field(recipe(|recipe| recipe.learning_rate = f64::NAN)), "learning_rate");
        assert_eq!(field(of(TrainWork { clip: 0.0, ..train() })), "clip");
        assert_eq!(field(of(TrainWork { noise: f64::INFINITY, ..train() })), "noise");
        assert_eq!(field(of(TrainWork { server_noise: -1.0, ..train() })), "server_noise");
        let none = EvaluateWork { models: vec![], seed: 1, noise: 0.0 };
        assert_eq!(field(RoundPlan { work: RoundWork::Evaluate(none), ..plan(1) }), "models");
    }
}
