//! Backups: everything that the aggregator remembers, copied while it runs, checked before it is used, and put back.
//!
//! A backup is a folder: the database as it was at one moment, the files that its rows stand for, the run folders, the signed repository, and
//! `manifest.json` with the hash of each file. Keys and certificates are not in it: they do not change, and belong on media of their own.

mod make;
mod manifest;
mod restore;

pub use make::{MakeError, make};
pub use manifest::{Manifest, ManifestError, check};
pub use restore::{RestoreError, restore};

/// Folder within a backup with the content of the data directory.
const DATA: &str = "data";

/// Folder within a backup with the signed repository.
const REPOSITORY: &str = "repository";

/// Name of the file that says what is in a backup.
const MANIFEST: &str = "manifest.json";

/// What is never in a backup, as the manifest says.
const LEFT_OUT: [&str; 1] = [
    "keys and certificates: copy the directory of `hearthwatch-provision init` by itself, to media that only you can read",
];
