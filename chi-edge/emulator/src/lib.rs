//! The emulated world: real recorded homes replayed, residents who answer, and the parts that let one machine play all sides.
//!
//! It feeds the newcomer's demo, the scenario tests, the benches and the long-running operation on the testbed. No product
//! binary depends on it.

pub mod bench;
pub mod broker;
mod chaos;
pub mod cli;
pub mod data;
pub mod demo;
pub mod home_assistant;
pub mod operate;
pub mod process;
pub mod release;
mod screen;
