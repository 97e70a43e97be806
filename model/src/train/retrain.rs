//! A whole run: prepare, train, calibrate, measure, decide.

use super::config::RetrainConfig;
use super::corpus::Corpus;
use super::feedback::{self, FeedbackExample};
use super::fit::{EpochRecord, Plan, fit};
use super::prepare::{Prepared, network_thresholds, prepare};
use super::sampler::Sampler;
use super::{Progress, TrainError};
use crate::alarm::Calibration;
use crate::evaluate::{Contender, Evaluation, GateReport, judge, replay};
use crate::network::{Artifact, ArtifactParts, Lineage, PatchTree, Scorer, Weights};

/// A trained model with the gate's opinion of it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The artifact's bytes.
    pub artifact: Vec<u8>,
    /// The gate's report, whichever way it went.
    pub report: GateReport,
    /// The configuration of the run.
    pub config: RetrainConfig,
    /// Losses by epoch.
    pub history: Vec<EpochRecord>,
}

/// Trains a candidate from recorded homes and feedback: from scratch without a champion, else fine-tuned from it.
///
/// # Errors
/// Any [`TrainError`].
pub fn retrain(
    corpus: &Corpus,
    feedback: &[FeedbackExample],
    champion: Option<&[u8]>,
    config: &RetrainConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<Candidate, TrainError> {
    let prepared = prepare(corpus, config, progress)?;
    retrain_prepared(&prepared, feedback, champion, config, progress)
}

/// [`retrain`] on a corpus prepared before with the same configuration.
///
/// # Errors
/// Any [`TrainError`].
pub fn retrain_prepared(
    prepared: &Prepared,
    feedback: &[FeedbackExample],
    champion: Option<&[u8]>,
    config: &RetrainConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<Candidate, TrainError> {
    feedback::check(feedback)?;
    let champion = champion.map(Artifact::parse).transpose()?;
    let start = champion
        .as_ref()
        .map_or_else(|| PatchTree::initial_weights(config.seed), |champion| champion.weights().clone());
    let fine_tuning = champion.is_some();
    let plan = |feedback_share: f64| Plan {
        epochs: if fine_tuning { config.fine_tune_epochs } else { config.epochs },
        learning_rate: if fine_tuning { config.fine_tune_learning_rate } else { config.learning_rate },
        feedback_share,
    };
    let train = Sampler::for_training(&prepared.train, feedback);
    let validate = Sampler::for_validation(&prepared.calibrate);
    if !train.has_faults() || !train.has_peace() {
        return Err(TrainError::NoFaults);
    }
    let share = if feedback.is_empty() { 0.0 } else { config.feedback_share };
    let (weights, history) = fit(&start, &train, &validate, &plan(share), config, progress)?;
    // The fair rival of feedback is as much training from the same start without it.
    let control = if fine_tuning && !feedback.is_empty() {
        Some(fit(&start, &train, &validate, &plan(0.0), config, progress)?.0)
    } else {
        None
    };

    let total = 1 + usize::from(champion.is_some()) + usize::from(control.is_some());
    let mut done = 0;
    let mut tick = || {
        done += 1;
        progress(Progress::Evaluating { done, total });
    };
    let scorer = Scorer::new(&weights)?;
    let calibration = network_thresholds(prepared, &scorer, config.threads);
    let evaluation = measured(prepared, &scorer, &calibration, &prepared.routine, config);
    tick();
    let champion_evaluation = champion.as_ref().map(|champion| {
        let (own, routine) = (champion.calibration(), champion.routine_calibration());
        let evaluation = measured(prepared, &champion.scorer(), own, routine, config);
        tick();
        evaluation
    });
    let control_evaluation = control.map(|weights| measured_anew(prepared, &weights, config)).transpose()?;
    if control_evaluation.is_some() {
        tick();
    }
    let report = judge(
        &evaluation,
        &prepared.routine_evaluation,
        champion_evaluation.as_ref(),
        control_evaluation.as_ref(),
        &config.gate,
    );
    let artifact = Artifact::new(ArtifactParts {
        weights,
        calibration,
        routine: prepared.routine.clone(),
        training: serde_json::json!({ "config": config, "history": history }),
        lineage: Lineage {
            homes: prepared.homes.clone(),
            feedback: feedback::content_hash(feedback),
            feedback_examples: feedback.len(),
            champion: champion.as_ref().map(Artifact::weights_id),
        },
    })?;
    Ok(Candidate { artifact: artifact.to_bytes(), report, config: config.clone(), history })
}

fn measured(
    prepared: &Prepared,
    scorer: &Scorer,
    calibration: &Calibration,
    routine: &Calibration,
    config: &RetrainConfig,
) -> Evaluation {
    let contender = Contender::Network { scorer, calibration, routine };
    replay(&prepared.test, contender, config.gate.budget_per_week, config.threads, |_| {})
}

/// Weights without thresholds of their own: calibrated, then measured.
fn measured_anew(prepared: &Prepared, weights: &Weights, config: &RetrainConfig) -> Result<Evaluation, TrainError> {
    let scorer = Scorer::new(weights)?;
    let calibration = network_thresholds(prepared, &scorer, config.threads);
    Ok(measured(prepared, &scorer, &calibration, &prepared.routine, config))
}

#[cfg(test)]
mod tests;
