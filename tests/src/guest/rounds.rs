//! What is seen of a home's part in federated rounds from outside: its ledger, and the program that trains.

use std::fs;

use hearthwatch_edge_rounds::RoundEntry;
use hearthwatch_edge_rounds::state::RoundState;

use super::Guest;

/// The ledger's file in the state directory.
const LEDGER: &str = "state/rounds.sqlite";
/// What the system shows of the program's name: fifteen bytes.
const PROGRAM: &str = "(hearthwatch-tra)";

impl Guest {
    /// The home's ledger, newest round first; read beside the agent.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ledger(&self) -> anyhow::Result<Vec<RoundEntry>> {
        Ok(RoundState::read_ledger(&self.folder().join(LEDGER), u32::MAX)?)
    }

    /// The process that trains for this home now.
    #[must_use]
    pub fn trainer(&self) -> Option<u32> {
        trainer_of(self.process_id()?)
    }
}

/// The process of the program that trains which this process, its `parent`, runs now.
#[must_use]
pub fn trainer_of(parent: u32) -> Option<u32> {
    let parent = parent.to_string();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|id| {
        // Processes end while one looks.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after = stat.split_once(PROGRAM).map(|(_, after)| after);
        // State, then parent; one that has ended is not waited for yet.
        let mut fields = after.unwrap_or_default().split_whitespace();
        fields.next().is_some_and(|state| state != "Z") && fields.next() == Some(parent.as_str())
    })
}
