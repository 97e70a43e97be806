//! Rows that are passed over or read as something else, counted by kind, with the first few in words.

use super::error::RowFault;
use super::watch::counted;

/// Rows of a kind that are quoted before the rest is only counted.
const SHOWN: usize = 3;

/// In which way a row is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It cannot be read.
    Unreadable,
    /// Its time cannot be.
    Clock,
    /// Its state is no value of its entity's class: a gap.
    Text,
}

/// Odd rows of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OddRows {
    unreadable: Odd,
    clock: Odd,
    text: Odd,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Odd {
    rows: u64,
    shown: Vec<String>,
}

impl OddRows {
    /// Counts one.
    pub fn push(&mut self, fault: &RowFault) {
        self.push_all(1, fault);
    }

    /// Counts `rows` that are alike, of which `fault` is the first.
    pub fn push_all(&mut self, rows: u64, fault: &RowFault) {
        let odd = match fault.kind {
            FaultKind::Unreadable => &mut self.unreadable,
            FaultKind::Clock => &mut self.clock,
            FaultKind::Text => &mut self.text,
        };
        odd.rows += rows;
        if odd.shown.len() < SHOWN {
            odd.shown.push(format!("line {}: {}", fault.line, fault.what));
        }
    }

    /// What to tell, a line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        [
            (&self.unreadable, "that cannot be read, passed over"),
            (&self.clock, "of a time that cannot be, passed over"),
            (&self.text, "whose state is no value, taken as gaps"),
        ]
        .into_iter()
        .filter(|(odd, _)| odd.rows > 0)
        .map(|(odd, what)| {
            let more = if odd.rows > odd.shown.len() as u64 { "; …" } else { "" };
            format!("{} {what} ({}{more})", counted(odd.rows, "row", "rows"), odd.shown.join("; "))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_rows_are_told_by_kind_and_the_first_of_them_in_words() {
        let mut odd = OddRows::default();
        for line in 2..7 {
            odd.push(&RowFault { line, kind: FaultKind::Unreadable, what: "short".into() });
        }
        odd.push(&RowFault { line: 9, kind: FaultKind::Clock, what: "1970".into() });
        assert_eq!(
            odd.notes(),
            [
                "5 rows that cannot be read, passed over (line 2: short; line 3: short; line 4: short; …)",
                "1 row of a time that cannot be, passed over (line 9: 1970)",
            ]
        );
    }
}
