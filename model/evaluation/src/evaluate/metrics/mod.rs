//! One file for each figure. Point-adjusted F1 is not among them: random scores reach the state of the art with it (Kim
//! and others 2022).

pub mod auc_pr;
pub mod delay;
pub mod false_alarms;
pub mod messages;
pub mod strict_recall;
pub mod vus_pr;
