//! The guest in the house: learns a home's routine beside Home Assistant, speaks up rarely, says why, takes the answer.

pub mod config;
pub mod explain;
pub mod replay;
pub mod state;
