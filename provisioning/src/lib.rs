//! hearthwatch-provision.
