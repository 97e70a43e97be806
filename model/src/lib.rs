//! hearthwatch-model.
