//! For how long each home ran which model, from what homes said of installations.

use std::collections::BTreeMap;

use hearthwatch_protocol::messages::UpdateResult;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::OutcomeRow;

/// When a home was there at all. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The home.
    pub home: HomeId,
    /// When it was let in.
    pub from: i64,
    /// When it was shut out, or last heard if it is away; none while it is there.
    pub until: Option<i64>,
    /// What it says that it runs now; none if it never said.
    pub runs: Option<ModelVersion>,
}

/// Seconds in which a home ran a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The home.
    pub home: HomeId,
    /// The model; 0 is the baseline detector.
    pub model_version: ModelVersion,
    /// Seconds, above 0.
    pub seconds: i64,
}

/// How long each home ran which model between `since` and `until`. Before its first word on an installation a home ran the baseline
/// detector, unless it never spoke of one and says that it runs a model: then it ran that all the time.
#[must_use]
pub fn exposures(lives: &[Life], outcomes: &[OutcomeRow], since: i64, until: i64) -> Vec<Exposure> {
    let mut changes: BTreeMap<&HomeId, Vec<(i64, ModelVersion)>> = BTreeMap::new();
    for outcome in outcomes {
        let version = match &outcome.result {
            UpdateResult::Installed => outcome.model_version,
            UpdateResult::RolledBack { to, .. } => *to,
            UpdateResult::Refused { .. } => continue,
        };
        changes.entry(&outcome.home).or_default().push((outcome.received_at, version));
    }
    let mut found = Vec::new();
    for life in lives {
        let (from, end) = (life.from.max(since), life.until.unwrap_or(until).min(until));
        let mut steps = changes.remove(&life.home).unwrap_or_default();
        steps.sort_unstable();
        let first = if steps.is_empty() { life.runs.unwrap_or_default() } else { ModelVersion::ROUTINE };
        let mut seconds: BTreeMap<ModelVersion, i64> = BTreeMap::new();
        let starts = std::iter::once((i64::MIN, first)).chain(steps.iter().copied());
        let ends = steps.iter().map(|(at, _)| *at).chain([i64::MAX]);
        for ((begin, version), next) in starts.zip(ends) {
            let length = next.min(end).saturating_sub(begin.max(from));
            if length > 0 {
                *seconds.entry(version).or_default() += length;
            }
        }
        let of = |(model_version, seconds)| Exposure { home: life.home.clone(), model_version, seconds };
        found.extend(seconds.into_iter().map(of));
    }
    found
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::home;

    use super::*;

    fn outcome(name: &str, version: u64, result: UpdateResult, at: i64) -> OutcomeRow {
        let (home, model_version) = (home(name), ModelVersion(version));
        OutcomeRow { home, model_version, stage: None, result, at, received_at: at }
    }

    fn life(name: &str, from: i64, until: Option<i64>) -> Life {
        Life { home: home(name), from, until, runs: Some(ModelVersion(2)) }
    }

    #[test]
    fn a_home_runs_what_it_installed_until_it_installs_another_or_goes_back() {
        let rolled_back = UpdateResult::RolledBack { reason: String::new(), to: ModelVersion(1) };
        let outcomes = [
            outcome("a", 1, UpdateResult::Installed, 100),
            outcome("a", 2, UpdateResult::Installed, 200),
            outcome("a", 2, rolled_back, 230),
            outcome("a", 3, UpdateResult::Refused { reason: String::new() }, 240),
        ];
        let found = exposures(&[life("a", 50, None)], &outcomes, 0, 300);
        let seconds: Vec<(u64, i64)> = found.iter().map(|one| (one.model_version.0, one.seconds)).collect();
        assert_eq!(seconds, [(0, 50), (1, 170), (2, 30)]);
    }

    #[test]
    fn only_the_time_within_the_period_and_within_its_life_counts() {
        let outcomes = [outcome("a", 1, UpdateResult::Installed, 100)];
        let found = exposures(&[life("a", 0, Some(180)), life("b", 120, None)], &outcomes, 150, 200);
        let seconds: Vec<(&str, u64, i64)> =
            found.iter().map(|one| (one.home.as_str(), one.model_version.0, one.seconds)).collect();
        assert_eq!(seconds, [("a", 1, 30), ("b", 2, 50)], "b never spoke of an installation");
    }
}
