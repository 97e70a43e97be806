//! A whole run: prepare, train, calibrate, measure, decide.

use sha2::{Digest as _, Sha256};

use super::checkpoint::{Checkpoints, NoCheckpoints};
use super::config::RetrainConfig;
use super::corpus::Corpus;
use super::defence::{Defended, WithoutHome};
use super::feedback::{self, FeedbackExample};
use super::fit::{EpochRecord, Homes, Kept, Plan, fit};
use super::prepare::{Prepared, network_thresholds, prepare};
use super::sampler::Sampler;
use super::{Progress, TrainError, blending, class_gating};
use hearthwatch_detector::alarm::{Blend, Calibration};
use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_detector::network::{Artifact, ArtifactParts, Lineage, Scorer, Weights};
use hearthwatch_evaluation::evaluate::{
    Contender, Evaluation, GateReport, GateVerdict, Influence, judge, paired_difference, replay,
};

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
    /// What the gate's figures of the candidate were made from, home by home and event by event.
    pub evaluation: Evaluation,
    /// How the training homes' features are distributed.
    pub profile: Option<FeatureProfile>,
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
    retrain_resumable(corpus, feedback, champion, config, &mut NoCheckpoints, progress)
}

/// [`retrain`] that keeps checkpoints, and goes on from those of the same run.
///
/// # Errors
/// Any [`TrainError`].
pub fn retrain_resumable(
    corpus: &Corpus,
    feedback: &[FeedbackExample],
    champion: Option<&[u8]>,
    config: &RetrainConfig,
    checkpoints: &mut dyn Checkpoints,
    progress: &mut dyn FnMut(Progress),
) -> Result<Candidate, TrainError> {
    let champion = champion.map(Artifact::parse).transpose()?;
    let prepared = prepare(corpus, champion.as_ref(), config, progress)?;
    run(&prepared, feedback, &[], champion.as_ref(), config, checkpoints, progress)
}

/// [`retrain_resumable`] on defended answers: what the gate would let through is trained again without each of the homes
/// that weigh most ([`RetrainConfig::influence_homes`]), and held if it would not be let through without one of them.
///
/// # Errors
/// Any [`TrainError`].
pub fn retrain_guarded(
    corpus: &Corpus,
    answers: &Defended,
    champion: Option<&[u8]>,
    config: &RetrainConfig,
    checkpoints: &mut dyn Checkpoints,
    progress: &mut dyn FnMut(Progress),
) -> Result<Candidate, TrainError> {
    let champion = champion.map(Artifact::parse).transpose()?;
    let prepared = prepare(corpus, champion.as_ref(), config, progress)?;
    let without = answers.without_each(config.influence_homes);
    run(&prepared, &answers.examples, &without, champion.as_ref(), config, checkpoints, progress)
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
    let champion = champion.map(Artifact::parse).transpose()?;
    run(prepared, feedback, &[], champion.as_ref(), config, &mut NoCheckpoints, progress)
}

fn run(
    prepared: &Prepared,
    feedback: &[FeedbackExample],
    without: &[WithoutHome],
    champion: Option<&Artifact>,
    config: &RetrainConfig,
    checkpoints: &mut dyn Checkpoints,
    progress: &mut dyn FnMut(Progress),
) -> Result<Candidate, TrainError> {
    feedback::check(feedback)?;
    let start =
        champion.map_or_else(|| config.form.initial_weights(config.seed), |champion| champion.weights().clone());
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
    let mut homes = Homes { train, validate };
    let taught = feedback::content_hash(feedback);
    let fingerprint = fingerprint(config, &start, prepared, taught.as_deref());
    let mut kept = Kept { checkpoints, part: "candidate", fingerprint };
    let (weights, history) = fit(&start, &mut homes, &plan(share), config, &mut kept, progress)?;
    // The fair rival of feedback is as much training from the same start without it.
    let control = if fine_tuning && !feedback.is_empty() {
        kept.part = "control";
        Some(fit(&start, &mut homes, &plan(0.0), config, &mut kept, progress)?.0)
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
    let blend =
        champion.map_or_else(|| blending::choose(prepared, &scorer, config), |champion| champion.blend().clone());
    let (calibration, blend) = set_up(prepared, &scorer, blend, config);
    let evaluation = measured(prepared, &scorer, (&calibration, &blend), &prepared.routine, config);
    tick();
    let champion_evaluation = champion.map(|champion| {
        let (own, routine) = ((champion.calibration(), champion.blend()), champion.routine_calibration());
        let evaluation = measured(prepared, &champion.scorer(), own, routine, config);
        tick();
        evaluation
    });
    let control_evaluation = control.map(|weights| measured_anew(prepared, &weights, &blend, config)).transpose()?;
    if control_evaluation.is_some() {
        tick();
    }
    let gate = |candidate: &Evaluation| {
        let rivals = (champion_evaluation.as_ref(), control_evaluation.as_ref());
        judge(candidate, &prepared.routine_evaluation, rivals.0, rivals.1, &config.gate)
    };
    let mut report = gate(&evaluation);
    // From scratch the answers are one part of what a network is made of, and no control tells what they did.
    if control_evaluation.is_some() {
        report = weigh_homes(report, &evaluation, without, gate, config, |left| {
            let weights = fine_tune(prepared, &left.examples, &start, config, progress)?;
            measured_anew(prepared, &weights, &blend, config)
        })?;
    }
    let artifact = Artifact::new(ArtifactParts {
        weights,
        calibration,
        blend,
        routine: prepared.routine.clone(),
        training: serde_json::json!({ "config": config, "history": history }),
        lineage: Lineage {
            homes: prepared.homes.clone(),
            feedback: taught,
            feedback_examples: feedback.len(),
            champion: champion.map(Artifact::weights_id),
        },
    })?;
    Ok(Candidate {
        artifact: artifact.to_bytes(),
        report,
        config: config.clone(),
        history,
        evaluation,
        profile: prepared.profile(),
    })
}

/// Has what the gate would let through measured again without each of these homes, and holds it where one of them alone carries it.
fn weigh_homes(
    report: GateReport,
    candidate: &Evaluation,
    without: &[WithoutHome],
    gate: impl Fn(&Evaluation) -> GateReport,
    config: &RetrainConfig,
    mut again: impl FnMut(&WithoutHome) -> Result<Evaluation, TrainError>,
) -> Result<GateReport, TrainError> {
    if !matches!(report.verdict, GateVerdict::Promote) {
        return Ok(report);
    }
    let mut influences = Vec::new();
    for left in without {
        let measured = again(left)?;
        influences.push(influence(left, candidate, &measured, &gate(&measured), config));
    }
    Ok(report.weigh_influences(influences))
}

/// What the candidate owes a home, given what was measured without it.
fn influence(
    left: &WithoutHome,
    candidate: &Evaluation,
    measured: &Evaluation,
    without: &GateReport,
    config: &RetrainConfig,
) -> Influence {
    let gate = &config.gate;
    Influence {
        home: left.home.clone(),
        weight_share: left.weight_share,
        recall: paired_difference(candidate, measured, gate.coverage, gate.resamples, gate.seed),
        held_without: match &without.verdict {
            GateVerdict::Promote => Vec::new(),
            GateVerdict::Hold { reasons } => reasons.clone(),
        },
    }
}

/// SHA-256 in hex over everything that decides a fit.
fn fingerprint(config: &RetrainConfig, start: &Weights, prepared: &Prepared, feedback: Option<&str>) -> String {
    let whole = serde_json::json!({
        "config": config, "start": start.id(), "homes": prepared.homes, "feedback": feedback,
    });
    hex::encode(Sha256::digest(whole.to_string().as_bytes()))
}

/// Fine-tunes weights on the replay and, where there are any, on answered windows: as many steps either way. What comes
/// out has no thresholds yet and was judged by nobody; [`retrain_prepared`] does the whole.
///
/// # Errors
/// Any [`TrainError`].
pub fn fine_tune(
    prepared: &Prepared,
    feedback: &[FeedbackExample],
    start: &Weights,
    config: &RetrainConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<Weights, TrainError> {
    feedback::check(feedback)?;
    let train = Sampler::for_training(&prepared.train, feedback);
    let validate = Sampler::for_validation(&prepared.calibrate);
    if !train.has_faults() || !train.has_peace() {
        return Err(TrainError::NoFaults);
    }
    let plan = Plan {
        epochs: config.fine_tune_epochs,
        learning_rate: config.fine_tune_learning_rate,
        feedback_share: if feedback.is_empty() { 0.0 } else { config.feedback_share },
    };
    let fingerprint = fingerprint(config, start, prepared, feedback::content_hash(feedback).as_deref());
    let mut kept = Kept { checkpoints: &mut NoCheckpoints, part: "trial", fingerprint };
    Ok(fit(start, &mut Homes { train, validate }, &plan, config, &mut kept, progress)?.0)
}

fn measured(
    prepared: &Prepared,
    scorer: &Scorer,
    (calibration, blend): (&Calibration, &Blend),
    routine: &Calibration,
    config: &RetrainConfig,
) -> Evaluation {
    let contender = Contender::Network { scorer, calibration, blend, routine };
    replay(&prepared.test, contender, config.gate.budget_per_week, config.threads, |_| {})
}

/// Thresholds of a network, and the classes that it earned. Each network earns them anew: what a champion held may be lost,
/// and what it did not hold be won.
fn set_up(prepared: &Prepared, scorer: &Scorer, blend: Blend, config: &RetrainConfig) -> (Calibration, Blend) {
    let everywhere = Blend { in_charge: None, ..blend };
    let calibration = network_thresholds(prepared, scorer, &everywhere, config.threads);
    let earned = class_gating::earned(prepared, scorer, (&calibration, &everywhere), config);
    (calibration, Blend { in_charge: Some(earned), ..everywhere })
}

/// Weights without thresholds of their own: set up, then measured.
fn measured_anew(
    prepared: &Prepared,
    weights: &Weights,
    blend: &Blend,
    config: &RetrainConfig,
) -> Result<Evaluation, TrainError> {
    let scorer = Scorer::new(weights)?;
    let (calibration, blend) = set_up(prepared, &scorer, blend.clone(), config);
    Ok(measured(prepared, &scorer, (&calibration, &blend), &prepared.routine, config))
}

#[cfg(test)]
mod tests;
