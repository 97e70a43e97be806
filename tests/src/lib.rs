//! hearthwatch-tests.
