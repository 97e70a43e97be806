//! Who is who: the certificate authority, enrolment, the broker's access rules, the TUF keys and their ceremony.
//!
//! **Architecture invariants:** every private key is written and read through [`files`], which refuses a file that
//! others can read; who may say what on the broker is decided by [`acl::allows`] and nowhere else (the mosquitto file
//! is rendered from the same table); the key that signs model releases is used by [`signer`] only.
//!
//! `now` comes in as an argument everywhere; randomness for keys and tokens comes from the operating system.

pub mod acl;
pub mod authority;
pub mod ceremony;
pub mod claims;
pub mod cloud_toml;
pub mod command;
pub mod enrol;
pub mod files;
#[cfg(test)]
mod fixtures;
pub mod group;
pub mod handing_over;
pub mod homes;
pub mod host;
pub mod init;
pub mod inspect;
pub mod late;
pub mod layout;
pub mod ledger;
pub mod mirror;
pub mod mosquitto;
pub mod pipe;
pub mod renewal;
pub mod revocation;
pub mod rotation;
pub mod signed_state;
pub mod signer;

pub use acl::{Action, Identity, allows};
pub use authority::Authority;
pub use claims::Claims;
pub use group::Group;
pub use layout::Layout;
