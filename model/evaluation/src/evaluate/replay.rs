//! Models tried on traces: the deployed decision on scores that are computed once.

use hearthwatch_detector::alarm::{Blend, Calibration, MERGE_SECONDS, QUIET_SECONDS};
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::network::Scorer;

use super::decide::{HomeRun, Judged, Twin, decide_home};
use super::fan_out::fan_out;
use super::matching::{Outline, compare};
use super::outcome::{Evaluation, HomeResult};
use super::scores::{blended, score_fault_checks};
use super::trace::{HomePair, HomeTrace};
use crate::dataset::{Label, LabelOrigin};

/// What decides on a trace, by its own thresholds.
#[derive(Debug, Clone, Copy)]
pub enum Contender<'a> {
    /// The baseline detector with these thresholds.
    Baseline(&'a Calibration),
    /// The network, with the baseline detector where the network has no score.
    Network {
        /// On whichever device it was opened; results differ by rounding alone.
        scorer: &'a Scorer,
        /// Thresholds of its score.
        calibration: &'a Calibration,
        /// How the baseline score joins the logit.
        blend: &'a Blend,
        /// Thresholds of the baseline score.
        baseline: &'a Calibration,
    },
}

/// Runs a contender over every pair at a budget of alarms a week and home, on a few threads; `done` counts homes.
///
/// The home's slow offset follows the alarms of the clean twin, and the faulty copy is judged under the same offsets: how
/// many faults were injected must not change which faults the home misses.
#[must_use]
pub fn replay(
    pairs: &[HomePair],
    contender: Contender<'_>,
    budget_per_week: f64,
    threads: usize,
    done: impl FnMut(usize),
) -> Evaluation {
    let homes = fan_out(pairs, threads, |pair| replay_home(pair, contender, budget_per_week), done);
    Evaluation { homes }
}

fn replay_home(pair: &HomePair, contender: Contender<'_>, budget_per_week: f64) -> HomeResult {
    let clean = &pair.clean;
    let clean_run = run(clean, contender, budget_per_week, None);
    let on_clean = &clean_run.alarms;
    let outline = Outline { home: &clean.home, entities: &clean.infos, from: clean.from, until: clean.until };
    // The recording's own faults are in every copy and count once: on the clean twin.
    let mut result = compare(&outline, (&clean.labels, on_clean), (&clean.labels, on_clean));
    for copy in &pair.faulty {
        let on_faulty = run(copy, contender, budget_per_week, Some(clean_run.twin())).alarms;
        let injected: Vec<Label> =
            copy.labels.iter().filter(|label| label.origin == LabelOrigin::Injected).cloned().collect();
        result.events.extend(compare(&outline, (&injected, &on_faulty), (&clean.labels, on_clean)).events);
    }
    result
}

/// The steps of a faulty copy that can matter: within an entity's faults, and before them for as long as an alarm that is
/// open may swallow one that follows. What is said elsewhere on the copy is not looked at, so it is not computed.
pub(super) fn near_faults(home: &HomeTrace) -> Vec<Vec<bool>> {
    let mut near: Vec<Vec<bool>> = home.entities.iter().map(|entity| vec![false; entity.len()]).collect();
    for label in &home.labels {
        let Some(near) = near.get_mut(label.entity as usize) else { continue };
        let step = |at: i64| ((at - home.at(0)).max(0) / STEP_SECONDS) as usize;
        let (begin, end) = (step(label.start - SWALLOW_SECONDS), (step(label.end) + 1).min(near.len()));
        near[begin.min(end)..end].fill(true);
    }
    near
}

/// An alarm merges with one that ended six hours before, and ends an hour after its last evidence.
const SWALLOW_SECONDS: i64 = MERGE_SECONDS + QUIET_SECONDS;

/// One trace under a contender. With `twin` given the home does not adapt by itself but follows it, and only steps near faults are
/// judged.
fn run(home: &HomeTrace, contender: Contender<'_>, budget_per_week: f64, twin: Option<Twin<'_>>) -> HomeRun {
    let near = twin.map(|_| near_faults(home));
    let (scores, calibration, baseline) = match contender {
        Contender::Baseline(baseline) => (None, baseline, baseline),
        Contender::Network { scorer, calibration, blend, baseline } => {
            (Some(blended(scorer, blend, home, near.as_deref())), calibration, baseline)
        }
    };
    let fault_checks = match contender {
        Contender::Baseline(_) => None,
        // A faulty copy follows what its clean twin's fault checks showed.
        Contender::Network { .. } if twin.is_some() => Some(Vec::new()),
        Contender::Network { scorer, blend, .. } => Some(score_fault_checks(scorer, blend, home)),
    };
    let (scores, fault_checks) = (scores.as_deref(), fault_checks.as_deref());
    let judged = Judged { scores, calibration, baseline: Some(baseline), fault_checks };
    decide_home(home, &judged, budget_per_week, twin, near.as_deref())
}

#[cfg(test)]
mod tests;
