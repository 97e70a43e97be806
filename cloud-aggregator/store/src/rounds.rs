//! What the store keeps of federated rounds: offers, rounds, the homes that were asked, and the parts of their answers.

use hearthwatch_protocol::round::{
    ClassCount, MaskExchange, SignedGroupRequest, SignedRoundAnswer, SignedRoundOffer, SignedRoundPlan,
};
use hearthwatch_protocol::{HomeId, ModelVersion};

use super::StoreResult;
use crate::rows::{Digest, words};

words! {
    /// Where a round is.
    RoundStage {
        /// Homes train, and their answers come in.
        Training,
        /// Homes of a group deal out shares of their secrets: only in rounds whose deltas are masked, as the next two.
        Sharing,
        /// Homes send their deltas under masks.
        Masking,
        /// Homes open shares, which take the masks off the sum.
        Unmasking,
        /// The deltas become one, and the server trains after them.
        Aggregating,
        /// Other homes judge the candidate.
        Evaluating,
        /// Their counts and the public recordings are weighed.
        Judging,
        /// Nothing more comes of it.
        Ended,
    }
}

words! {
    /// What came of a round.
    RoundOutcome {
        /// Its candidate became a model.
        Promoted,
        /// The judges held its candidate back.
        Held,
        /// Too few homes answered: there is no candidate.
        TooFew,
        /// It broke; the row says how.
        Failed,
    }
}

words! {
    /// What a home is asked for.
    RoundDuty {
        /// To train.
        Train,
        /// To judge.
        Evaluate,
    }
}

words! {
    /// How a home's part in a round stands.
    RoundHomeState {
        /// Asked, and nothing came yet.
        Planned,
        /// Some parts of its answer are here.
        Receiving,
        /// Its answer is here, whole and sound.
        Taken,
        /// It sends nothing, for a reason of its own.
        Declined,
        /// What it sent is not used, for a reason of ours.
        Refused,
        /// Its delta was sound, and the strategy or an operator left it out.
        LeftOut,
        /// Nothing whole had come when the round took no more.
        Late,
        /// Nothing whole had come when the round went on without it: what comes before the deadline counts in a later round.
        Straggling,
        /// Its delta came after its round went on, and waits for the next one.
        Carried,
    }
}

impl RoundStage {
    /// What homes that train send in this stage of a masked round; none in stages in which they send nothing.
    #[must_use]
    pub fn exchange(self) -> Option<MaskExchange> {
        match self {
            Self::Training => Some(MaskExchange::Keys),
            Self::Sharing => Some(MaskExchange::Shares),
            Self::Masking => Some(MaskExchange::Masked),
            Self::Unmasking => Some(MaskExchange::Opened),
            Self::Aggregating | Self::Evaluating | Self::Judging | Self::Ended => None,
        }
    }

    /// Whether answers of homes with this duty are taken in this stage.
    #[must_use]
    pub fn takes(self, duty: RoundDuty) -> bool {
        match duty {
            RoundDuty::Train => self.exchange().is_some(),
            RoundDuty::Evaluate => self == Self::Evaluating,
        }
    }
}

impl RoundHomeState {
    /// Whether its answer is still waited for.
    #[must_use]
    pub fn open(self) -> bool {
        matches!(self, Self::Planned | Self::Receiving)
    }
}

/// A home's newest offer: whether it takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferRow {
    /// Whose it is.
    pub home: HomeId,
    /// Whether residents agreed.
    pub willing: bool,
    /// Sensors that it could train on, by class.
    pub classes: Vec<ClassCount>,
    /// Whether it can mask what it sends.
    pub masks: bool,
    /// The bytes that came.
    pub signed: SignedRoundOffer,
    /// When it was made, by the home's clock: the newest counts.
    pub at: i64,
    /// When it came, by the aggregator's clock.
    pub heard_at: i64,
}

/// One round. Times are Unix seconds; files are named by the hex SHA-256 of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRow {
    /// Counts up in the fleet, from 1.
    pub number: u64,
    /// Where it is.
    pub stage: RoundStage,
    /// Number of the first round of its series: rounds of a series go on from one another.
    pub series: u64,
    /// Its place in the series, from 0.
    pub place: u32,
    /// The fleet's model when it opened; none where homes run the shipped one.
    pub champion: Option<ModelVersion>,
    /// The artifact that homes start from.
    pub base: String,
    /// The artifact that replay alone starts from: where replay alone was after the round before.
    pub control_base: String,
    /// All that decides it besides, as JSON.
    pub settings: String,
    /// When it opened.
    pub opened_at: i64,
    /// Deltas that come later are not used; in a masked round, answers of the exchange that is open.
    pub deadline: i64,
    /// Counts that come later are not used; none before homes were asked to judge.
    pub evaluate_deadline: Option<i64>,
    /// Hex SHA-256 over the deltas that were used and what they became.
    pub aggregate: Option<String>,
    /// The artifact that came of it.
    pub candidate: Option<String>,
    /// The artifact of replay alone, for as many steps.
    pub control: Option<String>,
    /// What the judges found, as JSON.
    pub report: Option<String>,
    /// How it ended.
    pub outcome: Option<RoundOutcome>,
    /// Whether the next round of the series goes on from its candidate.
    pub kept: bool,
    /// Why it ended so, as one or more sentences.
    pub reason: String,
    /// The run that its promoted candidate is recorded under.
    pub run: Option<String>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Counts up with every change; a change names the one that it read. 0 in a row that is yet to be stored.
    pub row_version: u64,
}

/// One home's part in a round.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundHomeRow {
    /// Number of the round.
    pub round: u64,
    /// Who was asked.
    pub home: HomeId,
    /// For what.
    pub duty: RoundDuty,
    /// What the home's answer must repeat.
    pub nonce: [u8; 16],
    /// The plan's bytes.
    pub signed: SignedRoundPlan,
    /// How it stands.
    pub state: RoundHomeState,
    /// Why, where it declined, was refused or left out.
    pub reason: String,
    /// The signed answer, once any of it came.
    pub answer: Option<SignedRoundAnswer>,
    /// SHA-256 of the answer's body, as the answer names it.
    pub digest: Option<Digest>,
    /// Bytes of the body, as the answer names it.
    pub bytes: u64,
    /// Euclidean norm of the delta.
    pub norm: Option<f64>,
    /// Cosine between the home's delta and the aggregate, in [-1, 1].
    pub similarity: Option<f64>,
    /// When `state` was last changed.
    pub at: Option<i64>,
    /// The later round in which its delta counts, where its own went on without it.
    pub counted_in: Option<u64>,
}

/// A group of homes whose deltas are added under masks. It goes when the round ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// Number of the round.
    pub round: u64,
    /// Number of the group in the round, from 0.
    pub number: u32,
    /// The server's side of the protocol, as it writes itself; empty once the group has ended without a sum.
    pub state: Vec<u8>,
    /// The sum of the homes' words, little-endian, once the masks are off it.
    pub sum: Option<Vec<u8>>,
    /// Why the group ended without a sum; empty where it did not.
    pub reason: String,
}

/// What a home of a group is asked for, as it is sent. It goes when the round ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Number of the round.
    pub round: u64,
    /// Who is asked.
    pub home: HomeId,
    /// Number of its group.
    pub group: u32,
    /// The request's bytes.
    pub signed: SignedGroupRequest,
    /// What it is about.
    pub body: Vec<u8>,
}

/// How many homes of a round stand how.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RoundTally {
    /// Trained, and their deltas count.
    pub used: u64,
    /// Trained, and were left out by the strategy or an operator.
    pub left_out: u64,
    /// Trained, and what they sent was refused.
    pub refused: u64,
    /// Were asked to train and have no delta here: declined, late, or still waited for.
    pub silent: u64,
    /// Evaluated.
    pub evaluated: u64,
    /// Mean Euclidean norm of the deltas that came; none before the first.
    pub mean_norm: Option<f64>,
}

/// What became of a part that was put down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartPut {
    /// Stored, now or before; the first part that is missing, or the number of parts where none is.
    Next(u16),
    /// The round, or the home's part in it, takes no more.
    Closed,
}

/// The part of the aggregator's memory that rounds need. Like [`super::Store`], every method is one transaction.
pub trait RoundStore {
    /// Stores a home's offer, unless a newer one by the home's clock is there. Returns whether it was stored.
    fn put_offer(&self, row: &OfferRow) -> StoreResult<bool>;
    /// A home's newest offer.
    fn offer(&self, home: &HomeId) -> StoreResult<Option<OfferRow>>;
    /// The newest offer of each home, by home, at most `limit` (0 for all); only homes after `after` if given.
    fn offers_after(&self, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<OfferRow>>;
    /// How many homes agreed to take part.
    fn willing_homes(&self) -> StoreResult<u64>;
    /// Writes a round (a new one where `row_version` is 0, else over the version that was read) and with it the parts of these homes:
    /// new ones, or over what is there. A round that has ended loses the bodies of its answers. Returns the row as it is then.
    ///
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) when somebody else wrote the round since, when a new round is not the
    /// one after the newest or another is still open, and when one of the homes answered or withdrew since.
    fn advance_round(&self, row: &RoundRow, homes: &[RoundHomeRow]) -> StoreResult<RoundRow>;
    /// The same for the next exchange of a masked round, with its groups (new ones, or over what is there) and with all that homes are asked
    /// for now. The bodies of the exchange before go.
    fn advance_groups(
        &self,
        row: &RoundRow,
        homes: &[RoundHomeRow],
        groups: &[GroupRow],
        requests: &[RequestRow],
    ) -> StoreResult<RoundRow>;
    /// The group of a home that is asked for something now.
    fn round_group(&self, round: u64, home: &HomeId) -> StoreResult<Option<GroupRow>>;
    /// The groups of a round, by number.
    fn round_groups(&self, round: u64) -> StoreResult<Vec<GroupRow>>;
    /// What homes of a round are asked for now, by home.
    fn round_requests(&self, round: u64) -> StoreResult<Vec<RequestRow>>;
    /// The round of this number.
    fn round(&self, number: u64) -> StoreResult<Option<RoundRow>>;
    /// Rounds, newest first, at most `limit` (0 for all); only numbers below `before` if given.
    fn rounds(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<RoundRow>>;
    /// Homes of a round, and those of earlier rounds whose deltas count in it, by home, at most `limit` (0 for all); only those after `after`
    /// if given.
    fn round_homes(&self, round: u64, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<RoundHomeRow>>;
    /// Homes that are [straggling](RoundHomeState::Straggling) or [carried](RoundHomeState::Carried), by round and home.
    fn round_homes_behind(&self) -> StoreResult<Vec<RoundHomeRow>>;
    /// Homes whose delta was taken in one of the rounds from this number on, also those that were left out.
    fn trained_since(&self, round: u64) -> StoreResult<Vec<HomeId>>;
    /// Homes whose answer in a round was refused or left out, by home, at most `limit` (0 for all).
    fn round_homes_not_used(&self, round: u64, limit: usize) -> StoreResult<Vec<RoundHomeRow>>;
    /// Rounds, newest first, at most `limit` (0 for all), with how their homes stand; only numbers below `before` if given.
    fn round_tallies(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<(RoundRow, RoundTally)>>;
    /// A home's part in a round.
    fn round_home(&self, round: u64, home: &HomeId) -> StoreResult<Option<RoundHomeRow>>;
    /// A home's part in the newest round in which it was asked.
    fn newest_round_home(&self, home: &HomeId) -> StoreResult<Option<RoundHomeRow>>;
    /// Puts down a part of the answer that `row` names. An answer other than the one of the parts before takes their place. Nothing
    /// is stored unless the round is where the home's duty belongs and the home's answer is still waited for.
    fn put_round_part(&self, row: &RoundHomeRow, part: u16, parts: u16, bytes: &[u8]) -> StoreResult<PartPut>;
    /// The parts of a home's answer, put together; empty where there are none.
    fn round_body(&self, round: u64, home: &HomeId) -> StoreResult<Vec<u8>>;
    /// Writes how a home's answer stands, if it is still waited for and the round is where the home's duty belongs; what is not taken
    /// loses its parts. Returns whether it was written.
    fn settle_round_home(&self, row: &RoundHomeRow) -> StoreResult<bool>;
    /// Takes a home out of the open round, in which it may have answered, and out of those that went on without it: its parts go. What is under masks in the sum of its group cannot be
    /// taken out: that sum is not used then. Nothing happens once its delta is in the candidate. Returns the number of the newest round of which its answer was taken out.
    fn leave_round(&self, home: &HomeId, reason: &str, at: i64) -> StoreResult<Option<u64>>;
}
