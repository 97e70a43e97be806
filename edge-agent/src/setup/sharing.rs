//! What each level of sharing sends, in bytes that were really encoded.

use std::path::Path;

use hearthwatch_edge_store::outbox::{SharingLevel, example_record};
use hearthwatch_protocol::{HomeId, Message, encode};

use crate::config::DIRECTOR_FILE;

/// The level that a person need only confirm: *learning* where the home has joined a fleet whose director can plan rounds, else what
/// holds while nobody is asked.
pub(super) fn proposed(folder: &Path) -> SharingLevel {
    if folder.join(DIRECTOR_FILE).exists() { SharingLevel::Learning } else { SharingLevel::default() }
}

/// A line for each level.
pub(super) fn explained() -> Vec<String> {
    let Ok(home) = HomeId::new("your-home") else { return Vec::new() };
    let record = example_record(home);
    let size = |level: SharingLevel| {
        let message = level.shape(record.clone()).map(Message::Feedback);
        message.and_then(|message| encode(&message).ok()).map_or(0, |payload| payload.len())
    };
    let line = |level: SharingLevel| {
        let what = match level {
            SharingLevel::Off => "nothing. You still receive models.",
            SharingLevel::Learning => {
                "neither answers nor history. This home trains a copy of the model at night, and sends only by how much its \
                 numbers changed: about 30 KB a round."
            }
            SharingLevel::Verdicts => {
                "your answer, the kind of sensor, its score and the day. It helps to count false alarms."
            }
            SharingLevel::Windows => {
                "also the 16 hours of numbers without units that the model saw: what a model can learn from. It can still \
                 tell when somebody was in."
            }
        };
        format!("{:<9}{:>6} bytes an answer: {what}", level.as_str(), size(level))
    };
    SharingLevel::ALL.map(line).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_explained_with_the_bytes_that_it_would_send() {
        let lines = explained();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("off           0 bytes an answer"), "{}", lines[0]);
        assert!(lines[1].starts_with("learning      0 bytes an answer: neither answers nor history."), "{}", lines[1]);
        let bytes = |line: &str| line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
        let (verdicts, windows) = (bytes(&lines[2]).unwrap(), bytes(&lines[3]).unwrap());
        assert!((100..600).contains(&verdicts), "{verdicts}");
        assert!((3_000..20_000).contains(&windows), "{windows}");
    }

    #[test]
    fn learning_is_proposed_where_a_fleet_can_plan_rounds() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(proposed(folder.path()), SharingLevel::Verdicts);
        std::fs::write(folder.path().join(DIRECTOR_FILE), "a key").unwrap();
        assert_eq!(proposed(folder.path()), SharingLevel::Learning);
    }
}
