//! Many homes' lives in one table.

use std::collections::BTreeMap;
use std::fmt;

use super::{FaultOutcome, LivedHome, naming};
use crate::evaluate::bootstrap::bootstrap;
use crate::evaluate::outcome::Share;

const COVERAGE: f64 = 0.9;
const RESAMPLES: usize = 1000;
const SEED: u64 = 1;

/// Figures over the homes of a set; its `Display` is the table that is printed.
#[derive(Debug)]
pub struct LivedSummary<'a> {
    homes: &'a [LivedHome],
}

impl<'a> LivedSummary<'a> {
    /// Of these homes.
    #[must_use]
    pub fn of(homes: &'a [LivedHome]) -> Self {
        Self { homes }
    }

    /// Each home's false alarms between two days since its installation, and the weeks of it that were lived through.
    fn between(&self, from: f64, until: f64) -> Vec<(f64, f64)> {
        let of = |home: &LivedHome| {
            let alarms = home.false_alarms.iter().filter(|alarm| (from..until).contains(&alarm.day)).count();
            let weeks = ((home.weeks * 7.0).min(until) - from).max(0.0) / 7.0;
            (alarms as f64, weeks)
        };
        self.homes.iter().map(of).collect()
    }

    fn rate_line(&self, f: &mut fmt::Formatter<'_>, what: &str, from: f64, until: f64) -> fmt::Result {
        let homes: Vec<(f64, f64)> = self.between(from, until).into_iter().filter(|(_, weeks)| *weeks > 0.3).collect();
        let rate = |homes: &[&(f64, f64)]| {
            let (alarms, weeks) = homes.iter().fold((0.0, 0.0), |sum, home| (sum.0 + home.0, sum.1 + home.1));
            if weeks > 0.0 { alarms / weeks } else { 0.0 }
        };
        let interval = bootstrap(&homes, COVERAGE, RESAMPLES, SEED, &rate);
        let mut counts: Vec<f64> = homes.iter().map(|(alarms, _)| *alarms).collect();
        counts.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            counts.get(((counts.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(0.0)
        };
        writeln!(
            f,
            "  {what:<24} {:.2} a week ({:.2} to {:.2}); a home in the median {}, 90th percentile {}, worst {}",
            interval.point,
            interval.low,
            interval.high,
            at(0.5),
            at(0.9),
            at(1.0)
        )
    }

    /// What one budget gave, in a line: alarms in weeks 3 to 8 against those asked for, and faults found.
    #[must_use]
    pub fn at_budget(&self, asked: f64) -> String {
        let (alarms, weeks) =
            self.between(14.0, 56.0).into_iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let faults = || self.homes.iter().flat_map(|home| &home.faults);
        let found = faults().filter(|fault| fault.delay_s.is_some()).count();
        let given: f64 = if weeks > 0.0 { alarms / weeks } else { 0.0 };
        format!("{asked} asked, {given:.2} given in weeks 3 to 8, {found} of {} faults found", faults().count())
    }

    fn dense_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shares = [Share::default(); 2];
        for home in self.homes {
            for (share, of_home) in shares.iter_mut().zip([home.dense, home.dense_changing]) {
                share.found += of_home.found;
                share.all += of_home.all;
            }
        }
        let [every, changing] = shares;
        if every.all == 0 {
            return Ok(());
        }
        writeln!(
            f,
            "  faults found, all in one copy: {:.3}, {} of {}; values that change: {:.3} of {}",
            every.ratio(),
            every.found,
            every.all,
            changing.ratio(),
            changing.all
        )
    }

    fn recall_lines(&self, f: &mut fmt::Formatter<'_>, key: impl Fn(&FaultOutcome) -> String) -> fmt::Result {
        let mut rows: BTreeMap<String, (u32, u32, Vec<i64>)> = BTreeMap::new();
        for fault in self.homes.iter().flat_map(|home| &home.faults) {
            let row = rows.entry(key(fault)).or_default();
            row.1 += 1;
            if let Some(delay) = fault.delay_s {
                row.0 += 1;
                row.2.push(delay);
            }
        }
        for (name, (found, all, mut delays)) in rows {
            delays.sort_unstable();
            let delay = delays
                .get(delays.len() / 2)
                .map_or(String::new(), |delay| format!(", half of those within {:.1} h", *delay as f64 / 3600.0));
            writeln!(
                f,
                "    {name:<30} {found:>4} of {all:<4} {:.2}{delay}",
                f64::from(found) / f64::from(all.max(1))
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for LivedSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weeks: f64 = self.homes.iter().map(|home| home.weeks).sum();
        writeln!(f, "  {} homes, {weeks:.1} home-weeks", self.homes.len())?;
        self.rate_line(f, "false alarms", 0.0, f64::INFINITY)?;
        let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
        let alarms = self.homes.iter().flat_map(|home| &home.false_alarms);
        alarms.for_each(|alarm| *kinds.entry(alarm.kind.as_str()).or_default() += 1);
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "    of which {}", if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") })?;
        self.rate_line(f, "days 1 to 14", 0.0, 14.0)?;
        self.rate_line(f, "days 3 to 10", 3.0, 10.0)?;
        self.rate_line(f, "weeks 3 to 8", 14.0, 56.0)?;
        let faults: Vec<(f64, f64)> = self
            .homes
            .iter()
            .map(|home| {
                (home.faults.iter().filter(|fault| fault.delay_s.is_some()).count() as f64, home.faults.len() as f64)
            })
            .filter(|(_, all)| *all > 0.0)
            .collect();
        if !faults.is_empty() {
            let share = |homes: &[&(f64, f64)]| {
                let (found, all) = homes.iter().fold((0.0, 0.0), |sum, home| (sum.0 + home.0, sum.1 + home.1));
                if all > 0.0 { found / all } else { 0.0 }
            };
            let recall = bootstrap(&faults, COVERAGE, RESAMPLES, SEED, &share);
            let all: f64 = faults.iter().map(|home| home.1).sum();
            let withheld = self.homes.iter().flat_map(|home| &home.faults).filter(|fault| fault.withheld).count();
            writeln!(
                f,
                "  faults found, one at a time: {:.3} ({:.3} to {:.3}) of {all}; above their threshold and withheld: {withheld}",
                recall.point, recall.low, recall.high
            )?;
            self.dense_line(f)?;
            self.recall_lines(f, |fault| format!("{}, any fault", fault.class))?;
            self.recall_lines(f, |fault| fault.family.clone())?;
            let faults = || self.homes.iter().flat_map(|home| &home.faults);
            let (right, all) = naming::named_right(faults());
            let others: Vec<String> =
                naming::misnamed(faults()).into_iter().take(5).map(|(what, count)| format!("{what} {count}")).collect();
            let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
            writeln!(f, "  found and called by its right name: {right} of {all}{others}")?;
        }
        let (inside, sentences) =
            self.homes.iter().fold((0, 0), |sum, home| (sum.0 + home.inside_own_band, sum.1 + home.sentences));
        writeln!(f, "  sentences whose value lies in the band that they call usual: {inside} of {sentences}")
    }
}
