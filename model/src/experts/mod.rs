//! One file for each way of noticing.
