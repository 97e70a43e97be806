//! hearthwatch-edge.
