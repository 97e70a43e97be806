//! What an evaluation found, home by home, and the figures that follow from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::LabelOrigin;

/// One labelled event under one detector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventResult {
    /// The fault's family, e.g. `level_shift`.
    pub family: String,
    /// Device class of the entity.
    pub class: String,
    /// Injected, or labelled by the recording's authors.
    pub origin: LabelOrigin,
    /// Whether an alarm was raised while it lasted (and none there in the clean twin).
    pub found: bool,
    /// Seconds from the event's start to the first such alarm.
    pub delay_s: Option<i64>,
}

/// One home under one detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HomeResult {
    /// Set and name of the home.
    pub home: String,
    /// Judged weeks of the clean twin.
    pub weeks: f64,
    /// Every labelled event in the judged stretch.
    pub events: Vec<EventResult>,
    /// Alarms on the clean twin outside labelled stretches.
    pub false_alarms: u32,
}

/// One detector on a set of homes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evaluation {
    /// The homes, sorted by name.
    pub homes: Vec<HomeResult>,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// At most `all`.
    pub found: u32,
    /// Of how many; 0 where there were none, and the ratio is then 0.
    pub all: u32,
}

impl Share {
    /// `found / all`; 0 when there were none.
    #[must_use]
    pub fn ratio(self) -> f64 {
        if self.all == 0 { 0.0 } else { f64::from(self.found) / f64::from(self.all) }
    }

    pub(super) fn count(&mut self, found: bool) {
        self.all += 1;
        self.found += u32::from(found);
    }
}

/// The figures of an evaluation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Test homes, each counted once however many faulty copies it had.
    pub homes: usize,
    /// Home-weeks of the clean twins.
    pub home_weeks: f64,
    /// Strict event recall over all events.
    pub recall: Share,
    /// False alarms a home-week on the clean twins.
    pub false_alarms_per_week: f64,
    /// The highest rate among the homes.
    pub false_alarms_per_week_max: f64,
    /// Median delay of found events, seconds.
    pub median_delay_s: Option<i64>,
    /// Recall by device class.
    pub by_class: BTreeMap<String, Share>,
    /// Recall by fault family.
    pub by_family: BTreeMap<String, Share>,
}

impl HomeResult {
    /// Recall on this home.
    #[must_use]
    pub fn recall(&self) -> Share {
        let mut share = Share::default();
        self.events.iter().for_each(|event| share.count(event.found));
        share
    }
}

impl Evaluation {
    /// The figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { homes: self.homes.len(), ..Summary::default() };
        let mut delays = Vec::new();
        let mut false_alarms = 0;
        for home in &self.homes {
            summary.home_weeks += home.weeks;
            false_alarms += home.false_alarms;
            if home.weeks > 0.0 {
                let rate = f64::from(home.false_alarms) / home.weeks;
                summary.false_alarms_per_week_max = summary.false_alarms_per_week_max.max(rate);
            }
            for event in &home.events {
                summary.recall.count(event.found);
                summary.by_class.entry(event.class.clone()).or_default().count(event.found);
                summary.by_family.entry(event.family.clone()).or_default().count(event.found);
                delays.extend(event.delay_s);
            }
        }
        if summary.home_weeks > 0.0 {
            summary.false_alarms_per_week = f64::from(false_alarms) / summary.home_weeks;
        }
        delays.sort_unstable();
        summary.median_delay_s = delays.get(delays.len() / 2).copied();
        summary
    }

    /// Only what happened to entities of one device class, on the homes where something did.
    #[must_use]
    pub fn of_class(&self, class: &str) -> Self {
        let of_home = |home: &HomeResult| {
            let events: Vec<_> = home.events.iter().filter(|event| event.class == class).cloned().collect();
            (!events.is_empty()).then(|| HomeResult { events, ..home.clone() })
        };
        Self { homes: self.homes.iter().filter_map(of_home).collect() }
    }

    /// Puts another evaluation's homes beside these (e.g. the same homes under another injection seed).
    pub fn extend(&mut self, other: Self) {
        self.homes.extend(other.homes);
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (share, rate) = (self.recall, self.false_alarms_per_week);
        write!(f, "recall {:.3} ({}/{}), {rate:.2} false alarms a home-week", share.ratio(), share.found, share.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn event(found: bool, delay_s: Option<i64>) -> EventResult {
        EventResult {
            family: "spike".to_owned(),
            class: "temperature".to_owned(),
            origin: LabelOrigin::Injected,
            found,
            delay_s,
        }
    }

    #[test]
    fn a_summary_pools_events_and_weeks_over_homes() {
        let home =
            |name: &str, weeks, false_alarms, events| HomeResult { home: name.to_owned(), weeks, events, false_alarms };
        let evaluation = Evaluation {
            homes: vec![
                home("a", 2.0, 4, vec![event(true, Some(600)), event(false, None)]),
                home("b", 6.0, 0, vec![event(true, Some(1800)), event(true, Some(1200))]),
            ],
        };
        let summary = evaluation.summary();
        assert_eq!(summary.recall, Share { found: 3, all: 4 });
        assert!((summary.false_alarms_per_week - 0.5).abs() < 1e-12);
        assert!((summary.false_alarms_per_week_max - 2.0).abs() < 1e-12);
        assert_eq!(summary.median_delay_s, Some(1200));
        assert_eq!(summary.to_string(), "recall 0.750 (3/4), 0.50 false alarms a home-week");
    }

    #[test]
    fn a_share_of_nothing_is_zero_and_not_nan() {
        assert_eq!(Share::default().ratio(), 0.0);
    }
}
