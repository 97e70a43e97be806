//! What the aggregator knows, read from its store as lines of the journal: runs, releases, rollouts, and how the fleet stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::sqlite::SqliteStore;
use hearthwatch_store::{FeedbackFilter, RolloutStore as _, RunState, Store as _};

use super::fleet::Fleet;
use super::journal::{Event, Line};

/// What was written down already.
#[derive(Debug, Default)]
pub struct Seen {
    runs: BTreeSet<String>,
    releases: BTreeSet<u64>,
    rollouts: BTreeMap<u64, String>,
}

impl Seen {
    /// What a journal has.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let mut seen = Self::default();
        for line in lines {
            match &line.event {
                Event::Run { run, .. } => {
                    seen.runs.insert(run.clone());
                }
                Event::Released { version, .. } => {
                    seen.releases.insert(*version);
                }
                Event::Rollout { version, state, .. } => {
                    seen.rollouts.insert(*version, state.clone());
                }
                _ => {}
            }
        }
        seen
    }

    /// Runs, releases and rollouts that are new since the last call; blocks.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn news(&mut self, database: &Path) -> anyhow::Result<Vec<(i64, Event)>> {
        let store = SqliteStore::open(database)?;
        let mut news = Vec::new();
        for row in store.runs(0)? {
            let Some(ended) = row.ended_at.filter(|_| row.state != RunState::Running) else { continue };
            if self.runs.insert(row.id.clone()) {
                let reasons = reasons(row.report.as_deref(), row.failure.as_deref());
                let (state, trigger) = (row.state.as_str().to_owned(), row.trigger.as_str().to_owned());
                news.push((ended, Event::Run { run: row.id, state, trigger, reasons }));
            }
        }
        for row in store.releases()? {
            if self.releases.insert(row.model_version.0) {
                news.push((row.released_at, Event::Released { version: row.model_version.0, by: row.by }));
            }
        }
        for row in store.rollouts(None, 0)? {
            let (version, state) = (row.model_version.0, row.state.as_str().to_owned());
            if self.rollouts.insert(version, state.clone()).as_ref() != Some(&state) {
                let at = row.ended_at.or(row.paused_at).unwrap_or(row.started_at);
                news.push((at, Event::Rollout { version, state, reason: row.reason }));
            }
        }
        news.sort_by_key(|(at, _)| *at);
        Ok(news)
    }
}

/// Why the gate held a candidate, or what failed.
fn reasons(report: Option<&str>, failure: Option<&str>) -> Vec<String> {
    let report: serde_json::Value = report.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let held = report["verdict"]["hold"]["reasons"].as_array().into_iter().flatten();
    let held = held.filter_map(|reason| reason.as_str().map(str::to_owned));
    held.chain(failure.map(str::to_owned)).collect()
}

/// How the fleet stands; blocks.
///
/// # Errors
/// A store that cannot be read.
pub fn stand(fleet: &Fleet) -> anyhow::Result<Event> {
    let database = fleet.database();
    let store = SqliteStore::open(&database)?;
    let (totals, feedback) = (store.fleet_totals()?, store.feedback_totals()?);
    let mut versions: BTreeMap<u64, u64> = BTreeMap::new();
    for home in store.homes()? {
        let version = home.status.map_or(ModelVersion::ROUTINE, |status| status.model_version);
        *versions.entry(version.0).or_insert(0) += 1;
    }
    let mut agents: Vec<u64> = fleet.homes.iter().map(|home| home.agent.memory_kib()).filter(|kib| *kib > 0).collect();
    agents.sort_unstable();
    Ok(Event::Fleet {
        online: totals.online,
        records: feedback.records,
        waiting: totals.waiting,
        versions: versions.into_iter().collect(),
        database_bytes: std::fs::metadata(&database).map_or(0, |file| file.len()),
        aggregator_kib: fleet.aggregator.memory_kib(),
        agent_kib: agents.get(agents.len() / 2).copied().unwrap_or(0),
    })
}

/// How often each alarm's answer is stored, by (home, alarm); blocks.
///
/// # Errors
/// A store that cannot be read.
pub fn stored(database: &Path) -> anyhow::Result<BTreeMap<(String, String), usize>> {
    let store = SqliteStore::open(database)?;
    let mut stored = BTreeMap::new();
    for row in store.feedback(&FeedbackFilter::default())? {
        let key = (row.record.home.as_str().to_owned(), row.record.alarm.as_str().to_owned());
        *stored.entry(key).or_insert(0) += 1;
    }
    Ok(stored)
}
