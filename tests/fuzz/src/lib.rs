//! Every decoder that faces the outside, as a function of bytes that must return, whatever the bytes.
//!
//! `cargo xtask test --only fuzz` runs libFuzzer over each; the corpora lie in `corpus/`, one folder per target, and are gone through
//! by this crate's own test as well, without libFuzzer.

mod targets;

/// A decoder under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The envelope around every message.
    Envelope,
    /// The body of each kind of message; the first byte chooses which.
    Body,
    /// A signed assignment and a signed manifest, before and after the signature.
    Signed,
    /// What a home answers in a round: a delta, or counts.
    RoundBody,
    /// A model artifact.
    Artifact,
    /// What Home Assistant sends; the first byte chooses which frame.
    HomeAssistant,
    /// What residents' automations send by the home's broker.
    Command,
    /// JSON that the admin API and enrolment take; the first byte chooses which.
    Admin,
    /// A Home Assistant recorder's database file.
    Recorder,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Envelope,
        Self::Body,
        Self::Signed,
        Self::RoundBody,
        Self::Artifact,
        Self::HomeAssistant,
        Self::Command,
        Self::Admin,
        Self::Recorder,
    ];

    /// Its name, and that of its corpus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Body => "body",
            Self::Signed => "signed",
            Self::RoundBody => "round-body",
            Self::Artifact => "artifact",
            Self::HomeAssistant => "home-assistant",
            Self::Command => "command",
            Self::Admin => "admin",
            Self::Recorder => "recorder",
        }
    }

    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Decodes `bytes`.
    ///
    /// # Panics
    /// When the decoder does, or takes what it would not say itself: that is what is looked for.
    pub fn run(self, bytes: &[u8]) {
        match self {
            Self::Envelope => targets::envelope(bytes),
            Self::Body => targets::body(bytes),
            Self::Signed => targets::signed(bytes),
            Self::RoundBody => targets::round_body(bytes),
            Self::Artifact => targets::artifact(bytes),
            Self::HomeAssistant => targets::home_assistant(bytes),
            Self::Command => targets::command(bytes),
            Self::Admin => targets::admin(bytes),
            Self::Recorder => targets::recorder(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn nothing_in_the_corpora_makes_a_decoder_panic() {
        for target in Target::ALL {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name());
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(!files.is_empty(), "{} has no corpus", target.name());
            for file in files {
                target.run(&std::fs::read(&file).unwrap());
            }
        }
    }
}
