//! What this crate's tests build on.

use hearthwatch_protocol::HomeId;
use jiff::Timestamp;

use crate::init;
use crate::layout::Layout;

/// The time in most tests.
pub fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// The home in most tests.
pub fn home() -> HomeId {
    named("home-7")
}

pub fn named(name: &str) -> HomeId {
    HomeId::new(name).unwrap()
}

/// A finished installation; it goes away with the first of the two.
pub fn installation() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path().join("hw"));
    init::run(&layout, &init::Options::default(), now()).unwrap();
    (dir, layout)
}
