//! hearthwatch-cloud.
