//! What a program's log may say, whatever its filter asks for.

use tracing::{Level, Metadata};

/// How the names of all of the project's crates begin.
const OWN: &str = "hearthwatch";

/// Whether an event or a span may be logged at all. Of other crates nothing below `info` is: what libraries say of the bytes that they send
/// and receive may hold tokens, claims and readings.
#[must_use]
pub fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    may_say(metadata.target(), *metadata.level())
}

fn may_say(target: &str, level: Level) -> bool {
    level <= Level::INFO || target.starts_with(OWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_details_of_other_crates_are_not_for_the_log() {
        assert!(may_say("hearthwatch_edge_cloud::uplink", Level::TRACE));
        assert!(may_say("hyper::proto", Level::INFO) && may_say("rustls", Level::ERROR));
        assert!(!may_say("hyper::proto", Level::DEBUG) && !may_say("tungstenite::protocol", Level::TRACE));
    }
}
