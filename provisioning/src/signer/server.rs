//! The signer process.
