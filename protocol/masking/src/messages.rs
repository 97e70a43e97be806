//! What homes and server send in the four exchanges: bodies for messages that somebody else authenticates.

use serde::{Deserialize, Serialize};

use super::agreement::PublicKeys;
use super::group::{GroupDigest, GroupPlan, Place};
use super::secret::Secret;
use super::sharing::ShareCommitments;
use super::words::Words;

/// The exchanges, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Homes send their public keys.
    Advertise,
    /// Homes deal out shares of their secrets.
    Share,
    /// Homes send their words under masks.
    Mask,
    /// Homes open shares.
    Unmask,
    /// Nothing more is expected.
    Done,
}

/// Home, first exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertiseKeys {
    /// Of the plan.
    pub group: GroupDigest,
    /// Who sends it.
    pub from: Place,
    /// New for this group.
    pub keys: PublicKeys,
}

/// Server, after the first exchange: everybody who takes part, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Of the plan.
    pub group: GroupDigest,
    /// A home's keys each.
    pub keys: Vec<(Place, PublicKeys)>,
}

/// Server, after the first exchange, to homes that drew their keys before there was a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStart {
    /// The group.
    pub plan: GroupPlan,
    /// Everybody's keys.
    pub roster: Roster,
}

/// Bytes of two sealed shares: 32 each and a tag of 16.
pub(crate) const SEALED_BYTES: usize = 32 + 32 + 16;

/// Two shares for one home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealtShares {
    /// Who can open them.
    pub to: Place,
    /// The share of the masking key and that of the seed, sealed.
    #[serde(with = "serde_bytes")]
    pub sealed: Vec<u8>,
    /// To the same shares.
    pub commitments: ShareCommitments,
}

/// Home, second exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareKeys {
    /// Of the plan.
    pub group: GroupDigest,
    /// The dealer.
    pub from: Place,
    /// Binds the dealer to its seed.
    #[serde(with = "serde_bytes")]
    pub seed_commitment: [u8; 32],
    /// For each home of the roster in its order, the dealer too.
    pub shares: Vec<DealtShares>,
}

/// Two shares of one dealer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareFrom {
    /// The dealer.
    pub from: Place,
    /// As it sealed them.
    #[serde(with = "serde_bytes")]
    pub sealed: Vec<u8>,
    /// As it sent them.
    pub commitments: ShareCommitments,
}

/// Server, after the second exchange: what was dealt to one home. Its dealers are those who still take part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareDelivery {
    /// Of the plan.
    pub group: GroupDigest,
    /// Whose shares they are.
    pub to: Place,
    /// In ascending order of the dealers.
    pub shares: Vec<ShareFrom>,
}

/// Home, third exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedInput {
    /// Of the plan.
    pub group: GroupDigest,
    /// Who sends it.
    pub from: Place,
    /// Dealers whose shares could not be opened or are not what the dealers committed to.
    pub accused: Vec<Place>,
    /// Under all masks.
    pub words: Words,
}

/// Server, after the third exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmaskRequest {
    /// Of the plan.
    pub group: GroupDigest,
    /// Whose words are in the sum, in ascending order: shares of their seeds are asked for.
    pub masked: Vec<Place>,
    /// Who dealt shares and sent no words: shares of their masking keys are asked for.
    pub dropped: Vec<Place>,
}

/// A share that its holder gives to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedShare {
    /// The dealer.
    pub of: Place,
    /// Of the seed where the dealer's words are in the sum, else of its masking key.
    pub(crate) share: Secret,
}

/// Home, fourth exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmask {
    /// Of the plan.
    pub group: GroupDigest,
    /// Who sends it.
    pub from: Place,
    /// One of each dealer that this home did not accuse.
    pub shares: Vec<OpenedShare>,
}
