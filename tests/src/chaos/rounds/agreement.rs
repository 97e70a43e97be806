//! Whether the aggregator's rows, its log and the homes' ledgers say the same of federated rounds. Pure.

use std::collections::BTreeMap;

use hearthwatch_edge_rounds::{Outcome, RoundEntry};
use hearthwatch_protocol::HomeId;
use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState};
use serde_json::Value;

/// What each home's ledger has.
pub type Ledgers = BTreeMap<HomeId, Vec<RoundEntry>>;

/// Why these numbers of rounds, lowest first, are not those from 1 on; none where they are.
#[must_use]
pub fn numbered(numbers: &[u64]) -> Option<String> {
    let wrong = (1..).zip(numbers).find(|(wanted, number)| wanted != *number);
    wrong.map(|(wanted, number)| format!("round {number} stands where {wanted} should"))
}

/// Where ledgers and the rows of one ended round disagree.
#[must_use]
pub fn disagreements(round: u64, homes: &[RoundHomeRow], ledgers: &Ledgers) -> Vec<String> {
    let mut found = Vec::new();
    for (home, entries) in ledgers {
        let of_round: Vec<&RoundEntry> = entries.iter().filter(|entry| entry.round == round).collect();
        let rows: Vec<&RoundHomeRow> = homes.iter().filter(|row| row.home == *home).collect();
        let (entry, row) = match (&of_round[..], &rows[..]) {
            ([], []) => continue,
            ([entry], [row]) => (*entry, *row),
            // A plan that never came to a home that was away.
            ([], [row]) if matches!(row.state, RoundHomeState::Late) => continue,
            (entries, rows) => {
                found.push(format!("{home}: {} entries, {} rows", entries.len(), rows.len()));
                continue;
            }
        };
        let agrees = match row.state {
            RoundHomeState::Taken | RoundHomeState::LeftOut | RoundHomeState::Carried => {
                entry.outcome == Outcome::Taken && entry.bytes as u64 == row.bytes
            }
            RoundHomeState::Declined => matches!(entry.outcome, Outcome::Declined | Outcome::Withdrawn),
            RoundHomeState::Refused => entry.outcome == Outcome::Refused,
            RoundHomeState::Late => entry.outcome != Outcome::Taken && entry.outcome != Outcome::Open,
            RoundHomeState::Straggling => entry.outcome != Outcome::Taken,
            RoundHomeState::Planned | RoundHomeState::Receiving => false,
        };
        let same_duty = entry.evaluates == (row.duty == RoundDuty::Evaluate);
        if !(agrees && same_duty) {
            let (state, outcome) = (row.state.as_str(), entry.outcome.as_str());
            found.push(format!("{home}: {state} {} in the row, {outcome} {} in its ledger", row.reason, entry.reason));
        }
    }
    found
}

/// Where the aggregator's log has an answer of one ended round counted other than once.
#[must_use]
pub fn counted_wrong(round: u64, homes: &[RoundHomeRow], log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_round = |line: Value| Some(line["fields"].clone()).filter(|fields| fields["round"] == round);
    let (mut taken, mut found) = (BTreeMap::<String, u32>::new(), Vec::new());
    let with =
        |state| homes.iter().filter(move |row| row.duty == RoundDuty::Train && row.state == state).count() as u64;
    for fields in lines.filter_map(of_round) {
        match fields["message"].as_str() {
            Some("delta taken" | "counts taken") => {
                *taken.entry(fields["home"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
            Some("deltas aggregated") => {
                let (used, out) = (fields["homes"].as_u64(), fields["homes.left_out"].as_u64());
                let wanted = (with(RoundHomeState::Taken), with(RoundHomeState::LeftOut));
                if (used, out) != (Some(wanted.0), Some(wanted.1)) {
                    found.push(format!("{used:?} deltas used and {out:?} left out, of {wanted:?} homes"));
                }
            }
            _ => {}
        }
    }
    let twice = taken.into_iter().filter(|(_, times)| *times > 1);
    found.extend(twice.map(|(home, times)| format!("{home}: its answer was taken {times} times")));
    found
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::round::SignedRoundPlan;

    use super::*;

    fn home(name: &str) -> HomeId {
        HomeId::new(name).unwrap()
    }

    fn row(name: &str, state: RoundHomeState) -> RoundHomeRow {
        RoundHomeRow {
            round: 3,
            home: home(name),
            duty: RoundDuty::Train,
            nonce: [0; 16],
            signed: SignedRoundPlan::from_bytes(vec![1]),
            state,
            reason: String::new(),
            answer: None,
            digest: None,
            bytes: 30,
            norm: None,
            similarity: None,
            counted_in: None,
            at: None,
        }
    }

    fn entry(outcome: Outcome) -> RoundEntry {
        RoundEntry {
            masked: None,
            round: 3,
            evaluates: false,
            planned_at: 0,
            trained_at: None,
            sent_at: None,
            ended_at: None,
            bytes: 30,
            figures: None,
            clip: 1.0,
            model: [0; 32],
            cohort: 2,
            least: 2,
            server_noise: 0.0,
            outcome,
            reason: String::new(),
            picture: None,
        }
    }

    fn found(state: RoundHomeState, entries: Vec<RoundEntry>) -> Vec<String> {
        disagreements(3, &[row("a", state)], &Ledgers::from([(home("a"), entries)]))
    }

    #[test]
    fn numbers_that_are_skipped_or_come_again_are_found() {
        assert_eq!(numbered(&[1, 2, 3]), None);
        assert_eq!(numbered(&[1, 3]).unwrap(), "round 3 stands where 2 should");
        assert_eq!(numbered(&[1, 1]).unwrap(), "round 1 stands where 2 should");
    }

    #[test]
    fn an_answer_that_was_taken_is_taken_in_the_ledger_too() {
        assert_eq!(found(RoundHomeState::Taken, vec![entry(Outcome::Taken)]), [""; 0]);
        assert_eq!(found(RoundHomeState::LeftOut, vec![entry(Outcome::Taken)]), [""; 0]);
        let missed = found(RoundHomeState::Taken, vec![entry(Outcome::Missed)]);
        assert_eq!(missed, ["a: taken  in the row, missed  in its ledger"]);
        assert_eq!(found(RoundHomeState::Late, vec![entry(Outcome::Taken)]).len(), 1);
        assert_eq!(found(RoundHomeState::Taken, vec![]), ["a: 0 entries, 1 rows"]);
        assert_eq!(found(RoundHomeState::Late, vec![]), [""; 0]);
        let stranger = disagreements(3, &[], &Ledgers::from([(home("a"), vec![entry(Outcome::Missed)])]));
        assert_eq!(stranger, ["a: 1 entries, 0 rows"]);
    }

    #[test]
    fn an_answer_that_is_counted_twice_is_found_in_the_log() {
        let taken = r#"{"fields":{"message":"delta taken","home":"a","round":3}}"#;
        let made = |used| {
            format!(r#"{{"fields":{{"message":"deltas aggregated","round":3,"homes":{used},"homes.left_out":0}}}}"#)
        };
        let of = |lines: &[&str]| counted_wrong(3, &[row("a", RoundHomeState::Taken)], &lines.join("\n"));
        assert_eq!(of(&[taken, &made(1), &made(1)]), [""; 0], "aggregating again after a kill is no second count");
        assert_eq!(of(&[taken, taken]), ["a: its answer was taken 2 times"]);
        assert_eq!(of(&[&made(2)]), ["Some(2) deltas used and Some(0) left out, of (1, 0) homes"]);
    }
}
