//! Secure aggregation: the server learns the sum of what a group of homes sends, and no summand.
//!
//! The protocol of Bonawitz et al. (*Practical Secure Aggregation for Privacy-Preserving Machine Learning*, CCS 2017) with double masking.
//! Each home adds to its words a mask of its own and one for each pair of homes; those of pairs cancel in the sum. The seed of the own
//! mask and the key of the pairs are shared among the group (Shamir), so that homes may drop out at any time. Four exchanges:
//!
//! | exchange | home sends | server sends |
//! |---|---|---|
//! | advertise | [`AdvertiseKeys`]: two public keys | [`Roster`]: everybody's |
//! | share | [`ShareKeys`]: sealed shares for each home, and commitments to them | [`ShareDelivery`]: the shares for one home |
//! | mask | [`MaskedInput`]: the words under all masks | [`UnmaskRequest`]: who sent words and who dropped out |
//! | unmask | [`Unmask`]: of homes that answered, shares of the own mask; of others, shares of the pairs' key; never both of one home | – |
//!
//! Pure values: [`Home`] and [`Server`] take messages and give messages; randomness is an argument. The caller authenticates who sent a
//! message, and bounds its bytes: this crate checks that a message fits, not who sent it.
//!
//! **What is detected.** A share that was altered on its way or sealed wrongly (AEAD), one that is not what its dealer committed to (on
//! delivery by the home, on unmasking by the server, which names the home), a dealer whose shares do not give the key that it advertised
//! or the seed that it committed to (the group ends and names it), messages of another group, repeated, or
//! out of turn, a home that keeps shares back.
//! **What is not.** False values inside the masked words: nobody sees them, so only a bound on the whole sum is left. Whether a dealer
//! sealed wrongly or a home accuses it wrongly. A server that invents the other homes of a group: homes must check that keys are signed by
//! certificates of the fleet, and even then trust who issues those.
//! **What holds against a server that deviates.** A home asks for a threshold above two thirds of the group and unmasks once. To learn both
//! secrets of one home the server needs as many shares of each as the threshold, and each other home gives it one of the two: it would
//! need more than a third of the group on its side.
//!
//! **In rounds** homes draw their keys before there is a group: only homes that have something to send come into one. Then [`KeyPairs`]
//! stand for the first exchange, and [`GroupStart`] brings plan and roster together ([`Home::enter`]).
//!
//! **Order:** a module uses only those before it: `group`, `secret`, `agreement`, `sharing`, `words`, `messages`, `body`, `home`, `server`.

mod agreement;
mod body;
mod group;
mod home;
mod messages;
mod secret;
mod server;
mod sharing;
mod words;

pub use agreement::PublicKeys;
pub use body::{Body, BodyError, from_bytes, to_bytes};
pub use group::{
    GROUP_HOMES_MAX, GROUP_HOMES_MIN, GROUP_WORDS_MAX, GroupDigest, GroupPlan, Place, PlanFault, into_groups,
};
pub use home::{Home, HomeRefusal, KeyPairs};
pub use messages::{
    AdvertiseKeys, DealtShares, Exchange, GroupStart, MaskedInput, OpenedShare, Roster, ShareDelivery, ShareFrom,
    ShareKeys, Unmask, UnmaskRequest,
};
pub use server::{Ended, GroupSum, Refused, Server, WrongShare};
pub use sharing::ShareCommitments;
pub use words::Words;

#[cfg(test)]
mod tests;
