//! What people and programs ask of the aggregator: the admin API and the page, over HTTPS; the signed repository as files; enrolment.
//!
//! What every handler stands on is in [`http`], which knows none of them; [`routes`] answers programs, the page people; [`router`] puts
//! them together.

mod alerts;
mod approval;
#[cfg(test)]
mod bench;
pub mod contract;
pub mod http;
pub mod login;
pub mod openapi;
mod page;
pub mod router;
pub mod routes;
pub mod server;
#[cfg(test)]
mod tests;
