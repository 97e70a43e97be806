//! The table at the end: per home, before and after, injected and real events apart.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use hearthwatch_evaluation::evaluate::GateReport;
use serde::{Deserialize, Serialize};

use super::round_report::FederatedRound;
use super::tally::{Found, Tally};

/// What a home's recording was used for besides being lived in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Its past may train.
    Teaches,
    /// Its past sets thresholds.
    Calibrates,
    /// Kept from training: what the gate judges by.
    HeldOut,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Teaches => "teaches",
            Self::Calibrates => "calibrates",
            Self::HeldOut => "held out",
        })
    }
}

/// One home's line: the same weeks under two models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The home's name in its data set.
    pub home: String,
    /// The data set.
    pub set: String,
    /// What else its recording was used for.
    pub part: Part,
    /// Number of watched entities.
    pub entities: usize,
    /// Under the baseline detector.
    pub before: Tally,
    /// Under the model in charge at the end.
    pub after: Tally,
}

/// All that a run found out, as data; `Display` draws it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// What the two halves of the table are, e.g. `baseline detector` and `model 2`.
    pub before: String,
    /// See `before`.
    pub after: String,
    /// The homes, sorted by part, set and name.
    pub rows: Vec<Row>,
    /// One line for each round at the gate.
    pub rounds: Vec<Round>,
    /// Federated rounds, where the fleet learns in such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub federated: Vec<FederatedRound>,
}

/// One round of retraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// How many labelled records the snapshot held.
    pub answers: usize,
    /// The snapshot's hash.
    pub snapshot: String,
    /// `Promote`, or `Hold` with every reason.
    pub verdict: String,
    /// All that the gate looked at.
    pub gate: GateReport,
    /// The gate's figures, one line for each competitor.
    pub figures: Vec<String>,
    /// The version that was released, if one was.
    pub released: Option<u64>,
    /// Seconds from the barrier to the gate's word, a release included. Not part of the table: it differs from run to run.
    #[serde(skip)]
    pub learning_s: f64,
    /// Seconds until every home had verified, swapped and proven the release.
    #[serde(skip)]
    pub updating_s: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The last weeks of every home, twice: under the {} and under {}.", self.before, self.after)?;
        writeln!(
            f,
            "inj = events injected into a copy of the recording, real = events labelled by its authors; found/all.\n"
        )?;
        writeln!(f, "{}", self.table())?;
        for (number, round) in self.rounds.iter().enumerate() {
            writeln!(f, "\nGate, round {}: {}", number + 1, round.verdict)?;
            for line in &round.figures {
                writeln!(f, "  {line}")?;
            }
            let snapshot: String = round.snapshot.chars().take(12).collect();
            writeln!(f, "  snapshot {snapshot} with {} labelled records", round.answers)?;
        }
        for round in &self.federated {
            write!(f, "\n{round}")?;
        }
        Ok(())
    }
}

impl Report {
    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        let side = ["alarms", "true", "false", "a week", "inj", "real"];
        let header = ["home", "data", "part"].into_iter().map(str::to_owned);
        table.set_header(
            header.chain(side.map(|name| format!("before\n{name}"))).chain(side.map(|name| format!("after\n{name}"))),
        );
        for row in &self.rows {
            table.add_row(cells(&row.home, &row.set, &row.part.to_string(), &row.before, &row.after));
        }
        for part in [Part::Teaches, Part::Calibrates, Part::HeldOut] {
            let (mut before, mut after) = (Tally::default(), Tally::default());
            let mut homes = 0;
            for row in self.rows.iter().filter(|row| row.part == part) {
                before.add(&row.before);
                after.add(&row.after);
                homes += 1;
            }
            if homes > 0 {
                table.add_row(cells(&format!("all {homes}"), "", &part.to_string(), &before, &after));
            }
        }
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn cells(home: &str, set: &str, part: &str, before: &Tally, after: &Tally) -> Vec<Cell> {
    let found = |found: &Found| match found.found + found.missed {
        0 => "-".to_owned(),
        all => format!("{}/{all}", found.found),
    };
    let side = |tally: &Tally| {
        [
            tally.alarms.to_string(),
            tally.true_alarms.to_string(),
            tally.false_alarms.to_string(),
            format!("{:.1}", tally.per_week()),
            found(&tally.injected),
            found(&tally.real),
        ]
    };
    let texts = [home, set, part].into_iter().map(str::to_owned).chain(side(before)).chain(side(after));
    texts.map(Cell::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_keeps_injected_and_real_events_apart() {
        let (injected, real) = (Found { found: 2, missed: 1 }, Found { found: 1, missed: 0 });
        let tally = Tally { alarms: 4, true_alarms: 3, false_alarms: 1, injected, real, weeks: 4.0 };
        let (home, set) = ("home-1".to_owned(), "citylearn".to_owned());
        let row = Row { home, set, part: Part::HeldOut, entities: 4, before: tally, after: tally };
        let (before, after) = ("routine detector".to_owned(), "model 1".to_owned());
        let report = Report { seed: 1, before, after, rows: vec![row], rounds: vec![], federated: vec![] };
        let text = report.to_string();
        let line = text.lines().find(|line| line.contains("home-1")).unwrap();
        let fields: Vec<&str> = line.split_whitespace().filter(|field| *field != "│").collect();
        assert_eq!(fields.join(" "), "home-1 citylearn held out 4 3 1 1.0 2/3 1/1 4 3 1 1.0 2/3 1/1");
    }
}
