//! What is signed, and each thing that is not, with its reason.
