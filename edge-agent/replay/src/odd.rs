//! Rows that are passed over or read as something else, counted by kind, with the first few in words.

use std::collections::BTreeSet;

use super::error::RowFault;
use super::watch::counted;

/// Rows of a kind that are quoted before the rest is only counted.
const SHOWN: usize = 3;
/// Entities that are named before the rest is left out.
const NAMED: usize = 10;

/// In which way a row is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The row has no fields of the expected form.
    Unreadable,
    /// Its time cannot be read, or is impossible.
    Clock,
    /// It is of another recording, years away from the rest.
    Apart,
    /// Its state is no value of its entity's class: a gap.
    Text,
}

/// Rows of one file that were passed over, counted by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OddRows {
    unreadable: Odd,
    clock: Odd,
    apart: Odd,
    text: Odd,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Odd {
    rows: u64,
    shown: Vec<(u64, String)>,
    /// Ids of the entities in those rows.
    of: BTreeSet<String>,
}

impl OddRows {
    /// Counts a row.
    pub fn push(&mut self, fault: &RowFault) {
        self.push_all(1, fault);
    }

    /// Counts `rows` that are alike, of which `fault` is the first.
    pub fn push_all(&mut self, rows: u64, fault: &RowFault) {
        let odd = match fault.kind {
            FaultKind::Unreadable => &mut self.unreadable,
            FaultKind::Clock => &mut self.clock,
            FaultKind::Apart => &mut self.apart,
            FaultKind::Text => &mut self.text,
        };
        odd.rows += rows;
        if odd.shown.len() < SHOWN {
            odd.shown.push((fault.line, fault.what.clone()));
        }
        for id in &fault.of {
            if odd.of.len() <= NAMED {
                odd.of.insert(id.clone());
            }
        }
    }

    /// The notes, one line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        [
            (&self.unreadable, "that cannot be read, passed over"),
            (&self.clock, "of a time that cannot be, passed over"),
            (&self.apart, "of another recording, passed over"),
            (&self.text, "whose state is no value, taken as gaps"),
        ]
        .into_iter()
        .filter(|(odd, _)| odd.rows > 0)
        .map(|(odd, what)| {
            let more = if odd.rows > odd.shown.len() as u64 { "; …" } else { "" };
            let named: Vec<&str> = odd.of.iter().take(NAMED).map(String::as_str).collect();
            let others = if odd.of.len() > NAMED { ", …" } else { "" };
            let of = if named.is_empty() { String::new() } else { format!("; lost of {}{others}", named.join(", ")) };
            format!("{} {what} ({}{more}){of}", counted(odd.rows, "row", "rows"), odd.notes().join("; "))
        })
        .collect()
    }
}

impl Odd {
    /// What is shown, a phrase each; a remedy that several share stands behind the last of them.
    fn notes(&self) -> Vec<String> {
        let remedy = |what: &str| what.split_once("; ").map(|(_, remedy)| remedy.to_owned());
        let shared = |place: usize| {
            let own = remedy(&self.shown[place].1);
            own.is_some() && self.shown.get(place + 1).is_some_and(|(_, next)| remedy(next) == own)
        };
        (0..self.shown.len())
            .map(|place| {
                let (line, what) = &self.shown[place];
                let what = if shared(place) { what.split("; ").next().unwrap_or_default() } else { what };
                format!("line {line}: {what}")
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_that_several_rows_share_is_told_once() {
        let mut odd = OddRows::default();
        for (line, what) in [(2, "no time; write one"), (3, "no date; write one"), (4, "short; add columns")] {
            odd.push(&RowFault { line, kind: FaultKind::Unreadable, what: what.into(), of: Vec::new() });
        }
        assert_eq!(
            odd.notes(),
            [
                "3 rows that cannot be read, passed over (line 2: no time; line 3: no date; write one; line 4: short; add columns)"
            ]
        );
    }

    #[test]
    fn odd_rows_are_told_by_kind_and_the_first_of_them_in_words() {
        let mut odd = OddRows::default();
        for line in 2..7 {
            odd.push(&RowFault {
                line,
                kind: FaultKind::Unreadable,
                what: "short".into(),
                of: vec!["sensor.a".into()],
            });
        }
        odd.push(&RowFault { line: 9, kind: FaultKind::Clock, what: "1970".into(), of: Vec::new() });
        assert_eq!(
            odd.notes(),
            [
                "5 rows that cannot be read, passed over (line 2: short; line 3: short; line 4: short; …); lost of sensor.a",
                "1 row of a time that cannot be, passed over (line 9: 1970)",
            ]
        );
    }
}
