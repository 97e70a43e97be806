//! The director's assignments to this home: verified, stored, compared with the image repository.
//!
//! After Uptane: what the image repository lists may be installed by somebody; what the director assigns is to be installed here; only
//! what both name, with the same hash and length, gets in. Without a director (`crate::config::UpdatesConfig`) the newest
//! release is taken, as fleets did before there was one.

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::assignment::{Assignment, AssignmentRefusal, Order, Seen, SignedAssignment};
use hearthwatch_protocol::seal::PublicKey;
use hearthwatch_protocol::statement::StatementRefusal;
use sha2::{Digest, Sha256};

use crate::slots::Followed;
use crate::trust::{Offer, PLAUSIBLE_FROM, TrustError};

/// An assignment that came while the clock was not set is looked at again so often.
const CLOCK_PAUSE_SECONDS: i64 = 60;

/// Whose assignments are accepted, and for which home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorConfig {
    /// Assignments to other homes are refused.
    pub home: HomeId,
    /// One signature by any of these keys is enough.
    pub keys: Vec<PublicKey>,
}

/// What became of an assignment that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// To be stored first, then followed.
    New(Box<Assignment>, Followed),
    /// The one that is followed already: brokers repeat themselves.
    Again,
    /// Valid, but not yet: it is looked at again by the timer.
    Waiting,
}

/// The director, as this home knows it.
#[derive(Debug)]
pub struct Director {
    config: DirectorConfig,
    current: Option<Assignment>,
    followed: Option<Followed>,
    /// One that is early, and when to look at it again.
    waiting: Option<(SignedAssignment, i64)>,
}

impl Director {
    /// Takes up what was followed before the last stop; what no longer verifies (the keys were changed) is forgotten, but for its
    /// generation.
    #[must_use]
    pub fn recall(config: DirectorConfig, followed: Option<&Followed>) -> Self {
        let signed = followed.and_then(|followed| hex::decode(&followed.signed).ok()).map(SignedAssignment::from_bytes);
        let current = signed.and_then(|signed| signed.read(&config.keys).ok());
        Self { config, current, followed: followed.cloned(), waiting: None }
    }

    /// The assignment that is followed; none before the first one.
    #[must_use]
    pub fn current(&self) -> Option<&Assignment> {
        self.current.as_ref()
    }

    /// When an early assignment is to be looked at again.
    #[must_use]
    pub fn wakes_at(&self) -> Option<i64> {
        self.waiting.as_ref().map(|(_, at)| *at)
    }

    /// An early assignment whose time has come.
    pub fn due(&mut self, now: i64) -> Option<SignedAssignment> {
        self.waiting.take_if(|(_, at)| now >= *at).map(|(signed, _)| signed)
    }

    /// Verifies what came. Nothing is followed before [`Director::follow`].
    ///
    /// # Errors
    /// [`AssignmentRefusal`], the first that applies.
    pub fn take(&mut self, signed: SignedAssignment, now: i64) -> Result<Taken, AssignmentRefusal> {
        let last = self.followed.as_ref().map(seen);
        if now < PLAUSIBLE_FROM {
            // Nothing can be said of its times. Whose it is can, so that garbage does not wait.
            signed.read(&self.config.keys)?;
            self.waiting = Some((signed, now.saturating_add(CLOCK_PAUSE_SECONDS)));
            return Ok(Taken::Waiting);
        }
        match signed.accept(&self.config.keys, &self.config.home, last.as_ref(), now) {
            Ok(accepted) if accepted.again && self.current.is_some() => Ok(Taken::Again),
            Ok(accepted) => {
                self.waiting = None;
                let followed =
                    Followed { generation: accepted.seen.generation, signed: hex::encode(signed.as_bytes()) };
                Ok(Taken::New(Box::new(accepted.assignment), followed))
            }
            Err(AssignmentRefusal::NotYet(at)) => {
                self.waiting = Some((signed, at));
                Ok(Taken::Waiting)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Follows an assignment, after it was remembered.
    pub fn follow(&mut self, assignment: Assignment, followed: Followed) {
        self.current = Some(assignment);
        self.followed = Some(followed);
    }
}

/// Generation and hash, by which a replay is found.
fn seen(followed: &Followed) -> Seen {
    let bytes = hex::decode(&followed.signed).unwrap_or_default();
    Seen { generation: followed.generation, digest: Sha256::digest(bytes).into() }
}

/// The offer that director and image repository both name.
///
/// # Errors
/// [`TrustError::NotListed`] when only the director names it, [`TrustError::Disagree`] when both do and mean different bytes,
/// [`TrustError::Assignment`] when the assignment's time is over.
pub fn both_name(assignment: &Assignment, listed: Option<Offer>, now: i64) -> Result<Offer, TrustError> {
    if now >= assignment.expires_at {
        return Err(TrustError::Assignment(AssignmentRefusal::Expired(assignment.expires_at)));
    }
    let offer = listed.ok_or_else(|| TrustError::NotListed(assignment.target.clone()))?;
    let differs = [
        ("name", offer.target != assignment.target),
        ("length", offer.length != assignment.length),
        ("hash", offer.sha256 != assignment.sha256),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((field, _)) => Err(TrustError::Disagree { target: assignment.target.clone(), field }),
        None => Ok(Offer { ordered: assignment.order == Order::RollBack, ..offer }),
    }
}

/// One word for a refusal, for counters and log fields.
#[must_use]
pub fn reason(refusal: &AssignmentRefusal) -> &'static str {
    match refusal {
        AssignmentRefusal::Statement(StatementRefusal::Seal(_)) => "assignment_signature",
        AssignmentRefusal::Statement(StatementRefusal::Field { .. }) => "assignment_field",
        AssignmentRefusal::Statement(StatementRefusal::OtherHome { .. }) => "assignment_other_home",
        AssignmentRefusal::OlderGeneration { .. } => "assignment_replayed",
        AssignmentRefusal::GenerationReused(_) => "assignment_reused",
        AssignmentRefusal::Expired(_) => "assignment_expired",
        AssignmentRefusal::NotYet(_) => "assignment_early",
    }
}
