//! The agent's files: the history of the home, and the outbox of what is to leave it. Damage is set aside, never deleted.

pub mod database;
#[cfg(test)]
mod fixtures;
pub mod history;
pub mod outbox;
