//! hearthwatch-link.
