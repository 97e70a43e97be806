//! Counts over spans of an operation, with intervals. Pure.

use std::collections::BTreeMap;

use super::super::journal::{Event, Line};

const WEEK: f64 = 7.0 * 86_400.0;

/// The normal distribution's 97.5 % point.
const Z: f64 = 1.959_964;

/// Alarms and answers of a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Alarms raised.
    pub alarms: u64,
    /// Of these, about something that was really so.
    pub really: u64,
    /// Answers that agents took.
    pub answers: u64,
    /// Of these, *confirmed*.
    pub confirmed: u64,
    /// Homes times weeks.
    pub home_weeks: f64,
}

impl Counts {
    /// Alarms about nothing.
    pub fn wrong(&self) -> u64 {
        self.alarms - self.really
    }
}

/// What happened in `[from, until)` with `homes` homes.
pub fn count(lines: &[Line], homes: u64, (from, until): (i64, i64)) -> Counts {
    let mut counts = Counts { home_weeks: homes as f64 * (until - from).max(0) as f64 / WEEK, ..Counts::default() };
    for line in lines.iter().filter(|line| (from..until).contains(&line.at)) {
        match &line.event {
            Event::Raised { really, .. } => {
                counts.alarms += 1;
                counts.really += u64::from(*really);
            }
            Event::Answered { verdict, .. } => {
                counts.answers += 1;
                counts.confirmed += u64::from(verdict == "confirmed");
            }
            _ => {}
        }
    }
    counts
}

/// Alarms by the version of the model that was in charge, with the home-weeks in which it was, as the fleet's lines say.
pub fn by_version(lines: &[Line], (from, until): (i64, i64)) -> BTreeMap<u64, Counts> {
    let mut by: BTreeMap<u64, Counts> = BTreeMap::new();
    let mut last: Option<(i64, &[(u64, u64)])> = None;
    let add = |by: &mut BTreeMap<u64, Counts>, since: i64, to: i64, versions: &[(u64, u64)]| {
        let seconds = (to.min(until) - since.max(from)).max(0) as f64;
        for (version, homes) in versions {
            by.entry(*version).or_default().home_weeks += *homes as f64 * seconds / WEEK;
        }
    };
    for line in lines {
        match &line.event {
            Event::Fleet { versions, .. } => {
                if let Some((since, before)) = last {
                    add(&mut by, since, line.at, before);
                }
                last = Some((line.at, versions));
            }
            Event::Raised { version, really, .. } if (from..until).contains(&line.at) => {
                let counts = by.entry(*version).or_default();
                counts.alarms += 1;
                counts.really += u64::from(*really);
            }
            _ => {}
        }
    }
    if let Some((since, versions)) = last {
        add(&mut by, since, until, versions);
    }
    by.retain(|_, counts| counts.home_weeks > 0.0 || counts.alarms > 0);
    by
}

/// A rate of events with its 95 % interval: Byar's approximation to the exact Poisson interval (Breslow and Day, 1987).
pub fn rate(events: u64, weeks: f64) -> Option<(f64, f64, f64)> {
    if weeks <= 0.0 {
        return None;
    }
    let count = events as f64;
    let side = |count: f64, sign: f64| count * (1.0 - 1.0 / (9.0 * count) + sign * Z / (3.0 * count.sqrt())).powi(3);
    let low = if events == 0 { 0.0 } else { side(count, -1.0) };
    Some((count / weeks, low / weeks, side(count + 1.0, 1.0) / weeks))
}

/// A share with its 95 % interval (Wilson, 1927).
pub fn share(part: u64, whole: u64) -> Option<(f64, f64, f64)> {
    if whole == 0 {
        return None;
    }
    let (n, p) = (whole as f64, part as f64 / whole as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some((p, (middle - half).max(0.0), (middle + half).min(1.0)))
}

/// `0.42 (0.30 to 0.57)`, or a dash.
pub fn words(value: Option<(f64, f64, f64)>) -> String {
    value.map_or_else(|| "–".to_owned(), |(value, low, high)| format!("{value:.2} ({low:.2} to {high:.2})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Exact Poisson limits of 10 events: 4.795 and 18.39; Byar's are within a hundredth of that.
        let (value, low, high) = rate(10, 1.0).unwrap();
        assert!(
            (value - 10.0).abs() < 1e-9 && (low - 4.795).abs() < 0.02 && (high - 18.39).abs() < 0.02,
            "{low} {high}"
        );
        let (_, low, high) = rate(0, 1.0).unwrap();
        assert!(low == 0.0 && (high - 3.689).abs() < 0.03, "{high}");
        let (_, low, high) = share(5, 10).unwrap();
        assert!((low - 0.2366).abs() < 1e-3 && (high - 0.7634).abs() < 1e-3, "{low} {high}");
        assert_eq!((rate(1, 0.0), share(0, 0)), (None, None));
    }

    #[test]
    fn alarms_count_for_the_version_in_charge_and_home_weeks_for_the_homes_that_ran_it() {
        let fleet = |versions: &[(u64, u64)]| Event::Fleet {
            online: 2,
            records: 0,
            waiting: 0,
            versions: versions.to_vec(),
            database_bytes: 0,
            aggregator_kib: 0,
            agent_kib: 0,
        };
        let raised = |version, really| Event::Raised {
            home: "h".into(),
            alarm: "a".into(),
            entity: String::new(),
            class: String::new(),
            kind: String::new(),
            really,
            version,
        };
        let week = 7 * 86_400;
        let lines = [
            (0, fleet(&[(0, 2)])),
            (5, raised(0, true)),
            (week, fleet(&[(0, 1), (1, 1)])),
            (week + 9, raised(1, false)),
        ];
        let lines = lines.map(|(at, event)| Line { at, event });
        let by = by_version(&lines, (0, 2 * week));
        assert_eq!((by[&0].alarms, by[&0].really, by[&0].home_weeks), (1, 1, 3.0));
        assert_eq!((by[&1].alarms, by[&1].really, by[&1].home_weeks), (1, 0, 1.0));
    }
}
