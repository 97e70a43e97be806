//! hearthwatch-emulator.
