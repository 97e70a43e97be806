//! The homes in numbers, for `/metrics`: counted now and then, so that whoever reads never waits for the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use hearthwatch_metrics::set;
use hearthwatch_protocol::HomeId;
use hearthwatch_provision::late::WaitingRoom;
use hearthwatch_provision::layout::Layout;
use hearthwatch_provision::ledger::{Issue, Ledger};
use hearthwatch_store::clock::Clock;
use hearthwatch_store::{FleetStates, FleetTotals, Store, blocking};
use hearthwatch_telemetry::chain::chain;
use hearthwatch_telemetry::metrics::{MODELS, Metrics};
use jiff::{SignedDuration, Timestamp};

/// A home that has not been heard for a day is not one that restarts.
const LATE_SECONDS: i64 = 24 * 3_600;
/// A home renews at two thirds of its certificate's life of 30 days, so one that is in its last week has failed to for days. Of a
/// certificate that was made for a week the last quarter counts.
const ENDING: SignedDuration = SignedDuration::from_hours(7 * 24);
const ENDING_PART: i32 = 4;

/// What is counted, and from where.
pub(crate) struct Counts {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// Of what the store keeps; certificates end by the machine's.
    clock: Arc<dyn Clock>,
    certificates: Option<Certificates>,
}

impl Counts {
    /// `installation` has the ledger of certificates; without one nothing is known of them.
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        metrics: &Arc<Metrics>,
        clock: &Arc<dyn Clock>,
        installation: Option<&Path>,
    ) -> Self {
        let certificates = installation.map(|directory| Certificates::of(&Layout::new(directory)));
        Self { store: Arc::clone(store), metrics: Arc::clone(metrics), clock: Arc::clone(clock), certificates }
    }

    /// Counts once. What cannot be read keeps its numbers: the store's own metrics say that it fails.
    pub(crate) async fn refresh(&mut self) {
        let late_before = self.clock.now().saturating_sub(LATE_SECONDS);
        let counted =
            blocking(&self.store, move |store| Ok((store.fleet_states(late_before)?, store.fleet_totals()?))).await;
        match counted {
            Ok((states, totals)) => show(&self.metrics, &states, totals),
            Err(error) => tracing::debug!(error = %chain(&error), "the homes are not counted"),
        }
        let Some(mut certificates) = self.certificates.take() else { return };
        let counting = tokio::task::spawn_blocking(move || {
            let counted = certificates.count(Timestamp::now());
            (certificates, counted)
        });
        // A panic is no reason to ask again.
        let Ok((certificates, counted)) = counting.await else { return };
        self.certificates = Some(certificates);
        match counted {
            Ok((ending, waiting)) => {
                self.metrics.certificates_ending.set(number(ending));
                self.metrics.renewals_waiting.set(number(waiting));
            }
            Err(cause) => tracing::debug!(cause, "the certificates are not counted"),
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn show(metrics: &Metrics, states: &FleetStates, totals: FleetTotals) {
    let FleetStates { online, offline, late, never_seen, revoked, excluded, running } = states;
    let by_state =
        [("online", online), ("offline", offline), ("late", late), ("never_seen", never_seen), ("revoked", revoked)];
    for (state, count) in by_state {
        set(&metrics.homes, "state", state, *count);
    }
    for word in MODELS {
        let of_word = running.iter().filter(|(version, _)| metrics.model_word(version.0) == word);
        set(&metrics.homes_running, "model", word, of_word.map(|(_, count)| count).sum());
    }
    metrics.homes_excluded.set(i64::try_from(*excluded).unwrap_or(i64::MAX));
    metrics.records_waiting.set(i64::try_from(totals.waiting).unwrap_or(i64::MAX));
}

/// By what a change of the ledger's two files is seen: they are only ever appended to.
type Stamp = [Option<(u64, SystemTime)>; 2];

/// The ledger, read anew only when it has changed: of 10,000 homes it has megabytes.
struct Certificates {
    ledger: Ledger,
    files: [PathBuf; 2],
    waiting: WaitingRoom,
    read: Option<(Stamp, BTreeMap<HomeId, Issue>)>,
}

impl Certificates {
    fn of(layout: &Layout) -> Self {
        let waiting = WaitingRoom::at(layout.late());
        Self { ledger: Ledger::of(layout), files: [layout.issued(), layout.revoked()], waiting, read: None }
    }

    /// Homes whose last certificate ends within a week, and homes that wait for an operator.
    fn count(&mut self, now: Timestamp) -> Result<(usize, usize), String> {
        let stamp = self.files.each_ref().map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        });
        let newest = match self.read.take() {
            Some((seen, newest)) if seen == stamp => newest,
            _ => self.ledger.newest(now).map_err(|error| chain(&error))?,
        };
        let ending = newest.values().filter(|issue| ends(issue, now)).count();
        self.read = Some((stamp, newest));
        let waiting = self.waiting.list().map_err(|error| chain(&error))?;
        Ok((ending, waiting.iter().filter(|late| late.approved.is_none()).count()))
    }
}

fn ends(issue: &Issue, now: Timestamp) -> bool {
    let (left, life) = (issue.until.duration_since(now), issue.until.duration_since(issue.at));
    left > SignedDuration::ZERO && left < ENDING && left < life / ENDING_PART
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::ModelVersion;

    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    #[test]
    fn each_home_is_in_one_state_and_models_are_named_beside_the_one_in_use() {
        let metrics = Metrics::new();
        metrics.champion_version.set(7);
        metrics.previous_version.set(6);
        let running = [(1, 1), (5, 2), (6, 4), (7, 8)].map(|(version, homes)| (ModelVersion(version), homes)).into();
        let states = FleetStates { online: 3, late: 2, excluded: 1, running, ..FleetStates::default() };
        show(&metrics, &states, FleetTotals { waiting: 9, ..FleetTotals::default() });
        let text = metrics.render();
        for sample in [
            "homes{state=\"online\"} 3",
            "homes{state=\"late\"} 2",
            "homes{state=\"never_seen\"} 0",
            "homes_excluded 1",
            "homes_running{model=\"current\"} 8",
            "homes_running{model=\"previous\"} 4",
            "homes_running{model=\"other\"} 3",
            "records_waiting 9",
        ] {
            assert!(text.contains(&format!("\nhearthwatch_cloud_{sample}\n")), "{sample} is missing:\n{text}");
        }
    }

    #[test]
    fn a_certificate_counts_in_its_last_week_unless_a_later_one_was_issued() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        std::fs::create_dir_all(layout.issued().parent().unwrap()).unwrap();
        let now = Timestamp::now();
        let mut lines = String::new();
        let mut issue = |home: &str, days: i32| {
            let (at, until) = (now - DAY * 24, now + DAY * days);
            let (home, serial) = (HomeId::new(home).unwrap(), format!("{home}-{days}"));
            let line = serde_json::to_string(&Issue { home, serial, key: String::new(), at, until }).unwrap();
            lines.push_str(&format!("{line}\n"));
            std::fs::write(layout.issued(), &lines).unwrap();
        };
        let mut certificates = Certificates::of(&layout);
        assert_eq!(certificates.count(now), Ok((0, 0)));
        for (home, days) in [("a", 6), ("b", 8), ("c", 6)] {
            issue(home, days);
        }
        assert_eq!(certificates.count(now), Ok((2, 0)));
        issue("a", 30);
        assert_eq!(certificates.count(now), Ok((1, 0)));
        assert_eq!(certificates.count(now + DAY * 2), Ok((2, 0)), "c, and b by now");
    }

    #[test]
    fn a_certificate_made_for_a_week_does_not_end_from_the_first_day_on() {
        let now = Timestamp::now();
        let (home, serial, key) = (HomeId::new("a").unwrap(), String::new(), String::new());
        let issue = Issue { home, serial, key, at: now, until: now + DAY * 7 };
        assert_eq!([1, 5, 6, 8].map(|day| ends(&issue, now + DAY * day)), [false, false, true, false]);
    }
}
