//! The tables: one for each group of judged homes and each way to decide.

use std::collections::BTreeMap;
use std::fmt;

use hearthwatch_evaluation::evaluate::{HomeRecord, Interval, Protocol};
use serde::Serialize;

use super::arms::{Arm, REFERENCE};
use super::curve::{Figure, Unit};

/// Group, decision and arm.
type Key = (&'static str, &'static str, &'static str);

/// Every figure of a run.
#[derive(Debug, Serialize)]
pub(super) struct Sheet {
    budgets: Vec<f64>,
    #[serde(skip)]
    arms: Vec<Arm>,
    /// In the order in which they were measured.
    lines: Vec<(Key, Vec<Unit>)>,
}

impl Sheet {
    pub(super) fn new(protocol: &Protocol, arms: Vec<Arm>) -> Self {
        Self { budgets: protocol.budgets.clone(), arms, lines: Vec::new() }
    }

    /// The place of one alarm a home-week.
    fn one(&self) -> usize {
        self.budgets.iter().position(|budget| *budget >= 1.0).unwrap_or(0)
    }

    /// Adds what a fold and seed gave, and the place of the budget that the homes kept which thresholds come from.
    pub(super) fn add(&mut self, key: Key, homes: &[HomeRecord], kept: usize) {
        let places = (self.one(), kept);
        let place = self.lines.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.lines.push((key, Vec::new()));
            self.lines.len() - 1
        });
        let mut by_home: BTreeMap<String, Unit> =
            std::mem::take(&mut self.lines[place].1).into_iter().map(|unit| (unit.home.clone(), unit)).collect();
        for record in homes {
            by_home.entry(record.home.clone()).or_default().add(record, places);
        }
        self.lines[place].1 = by_home.into_values().collect();
    }

    fn units(&self, key: Key) -> Option<&[Unit]> {
        self.lines.iter().find(|(known, _)| *known == key).map(|(_, units)| units.as_slice())
    }

    fn table(&self, f: &mut fmt::Formatter<'_>, group: &'static str, decision: &'static str) -> fmt::Result {
        let Some(reference) = self.units((group, decision, REFERENCE)) else { return Ok(()) };
        let one = self.one();
        // The false alarms at which arms are compared are those of the network that ships, as this way to decide gives them.
        let rate = Figure::Rate(one).of(&reference.iter().collect::<Vec<_>>());
        let figures = [
            ("budget 1".to_owned(), Figure::Deployed(one)),
            (format!("at {rate:.2}"), Figure::AtRate(rate)),
            ("at 1.00".to_owned(), Figure::AtRate(1.0)),
            ("kept".to_owned(), Figure::Kept),
            ("oracle".to_owned(), Figure::Oracle),
            ("AUC-PR".to_owned(), Figure::AucPr),
        ];
        writeln!(f, "{group}: {decision}")?;
        writeln!(
            f,
            "{:<36} {:>19} {:>7} {:>9} {:>9} {:>19} {:>7} {:>7} {:>19}",
            "arm",
            "recall at budget 1",
            "false/w",
            format!("at {rate:.2}"),
            "at 1.00",
            "budget kept",
            "false/w",
            "oracle",
            "AUC-PR"
        )?;
        for arm in &self.arms {
            let Some(units) = self.units((group, decision, arm.name)) else { continue };
            let all: Vec<&Unit> = units.iter().collect();
            writeln!(
                f,
                "{:<36} {:>19} {:>7.2} {:>9.3} {:>9.3} {:>19} {:>7.2} {:>7.3} {:>19}",
                arm.name,
                plain(Figure::Deployed(one).interval(units)),
                Figure::Rate(one).of(&all),
                Figure::AtRate(rate).of(&all),
                Figure::AtRate(1.0).of(&all),
                plain(Figure::Kept.interval(units)),
                Figure::KeptRate.of(&all),
                Figure::Oracle.of(&all),
                plain(Figure::AucPr.interval(units)),
            )?;
        }
        for arm in &self.arms {
            let Some(units) = self.units((group, decision, arm.name)) else { continue };
            let mut others = vec![REFERENCE, arm.control];
            others.dedup();
            for other in others.into_iter().filter(|other| *other != arm.name) {
                let Some(theirs) = self.units((group, decision, other)) else { continue };
                write!(f, "  {} less {other}:", arm.name.trim())?;
                for (name, figure) in &figures {
                    write!(f, "  {name} {}", signed(figure.difference(units, theirs)))?;
                }
                writeln!(f)?;
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written: Vec<(&str, &str)> = Vec::new();
        for ((group, decision, _), _) in &self.lines {
            if !written.contains(&(group, decision)) {
                written.push((group, decision));
                self.table(f, group, decision)?;
            }
        }
        Ok(())
    }
}

fn plain(interval: Interval) -> String {
    format!("{:.3} ({:.2} to {:.2})", interval.point, interval.low, interval.high)
}

fn signed(interval: Interval) -> String {
    format!("{:+.3} ({:+.3} to {:+.3})", interval.point, interval.low, interval.high)
}
