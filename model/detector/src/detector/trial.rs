//! What a model is tried on, and what would be said of it: a margin for each window, whoever speaks.
//!
//! A network judges the classes that it earned, with the baseline detector's surprise added to its logit; of everything else the
//! baseline detector speaks, under the thresholds that come with the network. So a model is held to what the home would be alarmed of,
//! and of two models that judge different classes each has a margin everywhere.

use super::model::Model;
use crate::alarm::doubt;
use crate::class::DeviceClass;
use crate::features::TrialWindow;
use crate::finding::{AnomalyKind, BaselineScore};
use crate::grid::{FEATURES, WINDOW_STEPS};
use crate::network::NetworkOutput;
use crate::rules::RULE_THRESHOLD;

/// By how much a window is an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// Score minus threshold, above 0 for an alarm; not finite where the network gives no number.
    pub value: f32,
    /// Whether the network judges this window; the baseline detector speaks otherwise.
    pub by_network: bool,
}

/// Who judges a step, and by what score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judgement {
    pub(super) score: f32,
    pub(super) threshold: f32,
    pub(super) by_network: bool,
}

impl Model {
    /// What a step is held to: the network's score where it has one, but a rule that exceeds its threshold by more goes first. `share` is an
    /// entity's part of the budget, in alarms a week; `lift` is what the network must say more than the fleet's
    /// threshold in a home, where the baseline detector takes part beside it; none where a model is tried, and the network must notice by
    /// itself what it is responsible for.
    pub(super) fn judgement(
        &self,
        class: DeviceClass,
        baseline: &BaselineScore,
        output: Option<&NetworkOutput>,
        share: f32,
        lift: Option<f32>,
    ) -> Judgement {
        let threshold = self.baseline_threshold(class, baseline.kind, share);
        let by_baseline = Judgement { score: baseline.score, threshold, by_network: false };
        let (Self::Network { calibration, blend, .. }, Some(output)) = (self, output) else { return by_baseline };
        // What a rule found is that, whatever the network says of the same values: a freezer that thaws is a danger.
        if baseline.kind.has_own_threshold() && by_baseline.margin() >= 0.0 {
            return by_baseline;
        }
        let threshold = calibration.threshold(class, share) + lift.unwrap_or(0.0);
        let score = blend.score(class, output.logit, baseline.score);
        let takes_part = lift.is_some() || baseline.kind.is_rule();
        if takes_part && by_baseline.margin() >= score - threshold {
            let doubt =
                if lift.is_some() { doubt(baseline.kind, score - calibration.threshold(class, share)) } else { 0.0 };
            Judgement { threshold: by_baseline.threshold + doubt, ..by_baseline }
        } else {
            Judgement { score, threshold, by_network: true }
        }
    }

    /// What the baseline detector's score is held against: a rule for a single fault says yes or no.
    pub(super) fn baseline_threshold(&self, class: DeviceClass, kind: AnomalyKind, share: f32) -> f32 {
        if kind.has_own_threshold() { RULE_THRESHOLD } else { self.baseline_calibration().threshold(class, share) }
    }

    /// How far the network's score lies above the fleet's threshold; none without a network.
    pub(super) fn network_margin(
        &self,
        class: DeviceClass,
        baseline: &BaselineScore,
        output: &NetworkOutput,
        share: f32,
    ) -> Option<f32> {
        let Self::Network { calibration, blend, .. } = self else { return None };
        Some(blend.score(class, output.logit, baseline.score) - calibration.threshold(class, share))
    }

    /// By how much each window is an alarm to this model; windows of another length are left out. `share` is an entity's part of
    /// the budget, in alarms a week.
    #[must_use]
    pub fn margins(&self, windows: &[TrialWindow], share: f32) -> Vec<Margin> {
        let whole: Vec<&TrialWindow> =
            windows.iter().filter(|window| window.values.len() == WINDOW_STEPS * FEATURES).collect();
        let judged: Vec<&TrialWindow> = whole.iter().copied().filter(|window| self.judges(window.class)).collect();
        let mut outputs = match self {
            Self::Network { scorer, .. } if !judged.is_empty() => {
                let values: Vec<f32> = judged.iter().flat_map(|window| &window.values).copied().collect();
                let classes: Vec<usize> = judged.iter().map(|window| window.class.index()).collect();
                scorer.score(&values, &classes)
            }
            _ => Vec::new(),
        }
        .into_iter();
        let margin = |window: &TrialWindow| {
            let by_network = self.judges(window.class);
            let output = if by_network { outputs.next() } else { None };
            // The detector would fall back to the routine; a model that needs that is broken, and must show it.
            let value = match &output {
                Some(output) if !output.logit.is_finite() => f32::NAN,
                output => self.judgement(window.class, &window.baseline, output.as_ref(), share, None).margin(),
            };
            Margin { value, by_network }
        };
        whole.into_iter().map(margin).collect()
    }
}

impl Judgement {
    fn margin(self) -> f32 {
        self.score - self.threshold
    }
}
