//! The signer: the only process that holds the targets key, and what it agrees to sign.
//!
//! It signs targets metadata when every release in them that it has not signed before carries a verdict of the gate,
//! signed with the gate's key, naming exactly that file; when versions only rise; and when nothing else in the
//! metadata could mean anything to an agent. [`policy`] decides and touches nothing, [`server`] reads, keeps state and
//! signs, [`client`] stands in for the key on the aggregator's side.

pub mod client;
pub mod message;
pub mod policy;
pub mod server;

pub use client::{RemoteTargetsKey, SignerClient};
pub use message::{GateKey, GatePublic, Judgement, PromotionVerdict, Refusal, SignedVerdict};
