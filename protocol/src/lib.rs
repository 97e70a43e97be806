//! What home and cloud say to one another: identities, topics, messages, limits and their bytes.
//!
//! Pure values. **Architecture invariant:** this crate opens no socket, reads no file and knows no clock;
//! it depends on none of the other Hearthwatch crates. Every byte that crosses the boundary between a home and
//! the aggregator is produced and read by [`codec`], on a topic named by [`topic`].
//!
//! `docs/reference/protocol.md` holds the same contract as CDDL; `protocol/golden/` holds its bytes.

pub mod assignment;
mod bytes;
pub mod codec;
pub mod id;
pub mod limits;
pub mod manifest;
pub mod messages;
mod reason;
pub mod renewal;
pub mod round;
pub mod seal;
pub mod statement;
pub mod topic;

pub use codec::{DecodeError, EncodeError, SCHEMA_VERSION, decode, encode, peek_key};
pub use id::{AlarmId, HomeId, IdError, ModelVersion, RecordKey, Sequence};
pub use messages::Message;
pub use topic::{Topic, TopicError};
