//! A whole run: prepare, train, calibrate, measure, decide.

use std::borrow::Cow;
use std::ops::ControlFlow;

use hearthwatch_detector::alarm::{Blend, Calibration};
use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_detector::network::{Artifact, ArtifactParts, Lineage, Scorer, Weights, initial_weights};
use hearthwatch_evaluation::evaluate::{
    Contender, Evaluation, GateReport, GateVerdict, Influence, judge, paired_difference, replay,
};
use sha2::{Digest as _, Sha256};

use super::checkpoint::{Checkpoints, NoCheckpoints};
use super::config::RetrainConfig;
use super::corpus::Corpus;
use super::defence::{Defended, WithoutHome};
use super::error::TrainError;
use super::feedback::{self, FeedbackExample};
use super::fit::{Kept, Plan, Samplers, fit};
use super::loss::EpochRecord;
use super::prepare::{Prepared, network_thresholds, prepare};
use super::progress::{Progress, report_progress};
use super::sampler::Sampler;
use super::{blending, class_gating};

/// A trained model with the gate's opinion of it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// As [`Artifact::to_bytes`] writes them: the same run gives the same bytes.
    pub artifact: Vec<u8>,
    /// The gate's report, whichever way it went.
    pub report: GateReport,
    /// With it, the corpus, the answers and the champion the run can be repeated.
    pub config: RetrainConfig,
    /// One record an epoch. From a fresh start the weights are those of the lowest validation loss, fine-tuned ones those of the last epoch.
    pub history: Vec<EpochRecord>,
    /// What the gate's figures of the candidate were made from, home by home and event by event.
    pub evaluation: Evaluation,
    /// How the training homes' features are distributed.
    pub profile: Option<FeatureProfile>,
}

/// Where a run's homes come from.
enum Source<'a> {
    Corpus(&'a Corpus),
    Prepared(&'a Prepared),
}

/// All that a run is made of: homes and configuration, and whatever else there is.
pub struct RetrainRequest<'a> {
    homes: Source<'a>,
    config: &'a RetrainConfig,
    feedback: &'a [FeedbackExample],
    without: Vec<WithoutHome>,
    champion: Option<&'a [u8]>,
    checkpoints: Option<&'a mut dyn Checkpoints>,
}

impl std::fmt::Debug for RetrainRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetrainRequest")
            .field("config", &self.config)
            .field("feedback", &self.feedback.len())
            .finish_non_exhaustive()
    }
}

impl<'a> RetrainRequest<'a> {
    /// A run on recorded homes: from fresh weights, without answers, keeping no checkpoints.
    #[must_use]
    pub fn new(corpus: &'a Corpus, config: &'a RetrainConfig) -> Self {
        Self::of(Source::Corpus(corpus), config)
    }

    /// The same on homes that were prepared before with the same configuration.
    #[must_use]
    pub fn on_prepared(prepared: &'a Prepared, config: &'a RetrainConfig) -> Self {
        Self::of(Source::Prepared(prepared), config)
    }

    fn of(homes: Source<'a>, config: &'a RetrainConfig) -> Self {
        Self { homes, config, feedback: &[], without: Vec::new(), champion: None, checkpoints: None }
    }

    /// Learns from these answers, too, as they are.
    #[must_use]
    pub fn feedback(self, feedback: &'a [FeedbackExample]) -> Self {
        Self { feedback, without: Vec::new(), ..self }
    }

    /// Learns from defended answers: what the gate would let through is trained again without each of the homes that weigh
    /// most ([`RetrainConfig::influence_homes`]), and held if it would not be let through without one of them.
    #[must_use]
    pub fn defended(self, answers: &'a Defended) -> Self {
        let without = answers.without_each(self.config.influence_homes);
        Self { feedback: &answers.examples, without, ..self }
    }

    /// The bytes of the artifact in use, if there is one: it is fine-tuned, keeps its blend, and is what the candidate is
    /// judged against.
    #[must_use]
    pub fn champion(self, champion: Option<&'a [u8]>) -> Self {
        Self { champion, ..self }
    }

    /// Keeps checkpoints, and goes on from those of the same run.
    #[must_use]
    pub fn checkpoints(self, checkpoints: &'a mut dyn Checkpoints) -> Self {
        Self { checkpoints: Some(checkpoints), ..self }
    }

    /// Trains, sets up and judges a candidate.
    ///
    /// # Errors
    /// [`TrainError::NoHomes`] and [`TrainError::NoFaults`] for a corpus that is too small, [`TrainError::FeedbackShape`] for an
    /// answer with another window, [`TrainError::Artifact`] for a champion that does not read, [`TrainError::Device`],
    /// [`TrainError::Checkpoint`] and [`TrainError::Diverged`] of the training itself, [`TrainError::Stopped`] where `progress` answers
    /// `Break`.
    pub fn run(self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Candidate, TrainError> {
        let champion = self.champion.map(Artifact::parse).transpose()?;
        let prepared = self.homes.prepared(champion.as_ref(), self.config, progress)?;
        feedback::check(self.feedback)?;
        let mut nowhere = NoCheckpoints;
        let checkpoints = self.checkpoints.unwrap_or(&mut nowhere);
        let run = Run { prepared: &prepared, champion: champion.as_ref(), config: self.config };
        run.candidate(self.feedback, &self.without, checkpoints, progress)
    }

    /// Only fine-tunes `start` on the replay and, where there are any, on answered windows: as many steps either way. The
    /// weights have no thresholds yet and were judged by nobody; [`Self::run`] does the whole. Champion and checkpoints do
    /// not count.
    ///
    /// # Errors
    /// As [`Self::run`], but for champion and checkpoints.
    pub fn fine_tune(
        self,
        start: &Weights,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Weights, TrainError> {
        let prepared = self.homes.prepared(None, self.config, progress)?;
        feedback::check(self.feedback)?;
        fine_tune(&prepared, self.feedback, start, self.config, progress)
    }
}

impl<'a> Source<'a> {
    fn prepared(
        self,
        champion: Option<&Artifact>,
        config: &RetrainConfig,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Cow<'a, Prepared>, TrainError> {
        Ok(match self {
            Self::Corpus(corpus) => Cow::Owned(prepare(corpus, champion, config, progress)?),
            Self::Prepared(prepared) => Cow::Borrowed(prepared),
        })
    }
}

/// What stays the same through all parts of a run.
#[derive(Clone, Copy)]
struct Run<'a> {
    prepared: &'a Prepared,
    champion: Option<&'a Artifact>,
    config: &'a RetrainConfig,
}

/// What a run's training gave.
struct Fitted {
    start: Weights,
    weights: Weights,
    /// As much training from the same start without the answers, where a champion was fine-tuned on some.
    control: Option<Weights>,
    history: Vec<EpochRecord>,
}

/// What was measured on the test homes.
struct Evaluations {
    candidate: Evaluation,
    champion: Option<Evaluation>,
    control: Option<Evaluation>,
}

impl Run<'_> {
    fn candidate(
        self,
        feedback: &[FeedbackExample],
        without: &[WithoutHome],
        checkpoints: &mut dyn Checkpoints,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Candidate, TrainError> {
        let Self { prepared, champion, config } = self;
        let fitted = self.fit(feedback, checkpoints, progress)?;
        let scorer = Scorer::new(&fitted.weights)?;
        let blend =
            champion.map_or_else(|| blending::choose(prepared, &scorer, config), |champion| champion.blend().clone());
        let (calibration, blend) = set_up(prepared, &scorer, blend, config);
        let evaluations = self.evaluations(&fitted, &scorer, (&calibration, &blend), progress)?;
        let report = self.report(&fitted, &evaluations, &blend, without, progress)?;
        let artifact = Artifact::new(ArtifactParts {
            weights: fitted.weights,
            calibration,
            blend,
            baseline: prepared.baseline.clone(),
            training: serde_json::json!({ "config": config, "history": fitted.history }),
            lineage: Lineage {
                homes: prepared.homes.clone(),
                feedback: feedback::content_hash(feedback),
                feedback_examples: feedback.len(),
                champion: champion.map(Artifact::weights_id),
            },
        })?;
        Ok(Candidate {
            artifact: artifact.to_bytes(),
            report,
            config: config.clone(),
            history: fitted.history,
            evaluation: evaluations.candidate,
            profile: prepared.profile(),
        })
    }

    fn fit(
        self,
        feedback: &[FeedbackExample],
        checkpoints: &mut dyn Checkpoints,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Fitted, TrainError> {
        let Self { prepared, champion, config } = self;
        let start = champion.map_or_else(|| initial_weights(config.seed), |champion| champion.weights().clone());
        let fine_tuning = champion.is_some();
        let plan = |feedback_share: f64| Plan {
            epochs: if fine_tuning { config.fit.fine_tune_epochs } else { config.fit.epochs },
            learning_rate: if fine_tuning { config.fit.fine_tune_learning_rate } else { config.fit.learning_rate },
            feedback_share,
            stops_early: !fine_tuning,
        };
        let mut samplers = samplers(prepared, feedback)?;
        let share = if feedback.is_empty() { 0.0 } else { config.mix.feedback_share };
        let fingerprint = fingerprint(config, &start, prepared, feedback::content_hash(feedback).as_deref());
        let mut kept = Kept { checkpoints, part: "candidate", fingerprint };
        let (weights, history) = fit(&start, &mut samplers, &plan(share), config, &mut kept, progress)?;
        // The fair comparison for feedback is as much training from the same start without it.
        let control = if fine_tuning && !feedback.is_empty() {
            kept.part = "control";
            Some(fit(&start, &mut samplers, &plan(0.0), config, &mut kept, progress)?.0)
        } else {
            None
        };
        Ok(Fitted { start, weights, control, history })
    }

    fn evaluations(
        self,
        fitted: &Fitted,
        scorer: &Scorer,
        (calibration, blend): (&Calibration, &Blend),
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Evaluations, TrainError> {
        let Self { prepared, champion, config } = self;
        let total = 1 + usize::from(champion.is_some()) + usize::from(fitted.control.is_some());
        let mut done = 0;
        let mut tick = || {
            done += 1;
            report_progress(progress, Progress::Evaluating { done, total })
        };
        let candidate = measured(prepared, scorer, (calibration, blend), &prepared.baseline, config);
        tick()?;
        let champion = champion.map(|champion| {
            let (own, baseline) = ((champion.calibration(), champion.blend()), champion.baseline_calibration());
            let evaluation = measured(prepared, &champion.scorer(), own, baseline, config);
            tick().map(|()| evaluation)
        });
        let champion = champion.transpose()?;
        let control =
            fitted.control.as_ref().map(|weights| measured_anew(prepared, weights, blend, config)).transpose()?;
        if control.is_some() {
            tick()?;
        }
        Ok(Evaluations { candidate, champion, control })
    }

    fn report(
        self,
        fitted: &Fitted,
        evaluations: &Evaluations,
        blend: &Blend,
        without: &[WithoutHome],
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<GateReport, TrainError> {
        let Self { prepared, config, .. } = self;
        let references = (evaluations.champion.as_ref(), evaluations.control.as_ref());
        let gate = |candidate: &Evaluation| {
            judge(candidate, &prepared.baseline_evaluation, references.0, references.1, &config.gate)
        };
        let report = gate(&evaluations.candidate);
        // From scratch the answers are one part of what a network is made of, and no control tells what they did.
        if evaluations.control.is_none() {
            return Ok(report);
        }
        weigh_homes(report, &evaluations.candidate, without, gate, config, |left| {
            let weights = fine_tune(prepared, &left.examples, &fitted.start, config, progress)?;
            measured_anew(prepared, &weights, blend, config)
        })
    }
}

/// What is drawn from in training, and what stops it.
fn samplers<'a>(prepared: &'a Prepared, feedback: &'a [FeedbackExample]) -> Result<Samplers<'a>, TrainError> {
    let train = Sampler::for_training(&prepared.train, feedback);
    let validate = Sampler::for_validation(&prepared.calibrate);
    if !train.has_faults() || !train.has_normal_time() {
        return Err(TrainError::NoFaults);
    }
    Ok(Samplers { train, validate })
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

fn fine_tune(
    prepared: &Prepared,
    feedback: &[FeedbackExample],
    start: &Weights,
    config: &RetrainConfig,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Weights, TrainError> {
    let plan = Plan {
        epochs: config.fit.fine_tune_epochs,
        learning_rate: config.fit.fine_tune_learning_rate,
        feedback_share: if feedback.is_empty() { 0.0 } else { config.mix.feedback_share },
        stops_early: false,
    };
    let fingerprint = fingerprint(config, start, prepared, feedback::content_hash(feedback).as_deref());
    let mut kept = Kept { checkpoints: &mut NoCheckpoints, part: "trial", fingerprint };
    Ok(fit(start, &mut samplers(prepared, feedback)?, &plan, config, &mut kept, progress)?.0)
}

pub(super) fn measured(
    prepared: &Prepared,
    scorer: &Scorer,
    (calibration, blend): (&Calibration, &Blend),
    baseline: &Calibration,
    config: &RetrainConfig,
) -> Evaluation {
    let contender = Contender::Network { scorer, calibration, blend, baseline };
    replay(&prepared.test, contender, config.gate.budget_per_week, config.threads, |_| {})
}

/// Thresholds of a network, and the classes that it earned. Each network earns them anew: what a champion held may be lost,
/// and what it did not hold be won.
pub(super) fn set_up(
    prepared: &Prepared,
    scorer: &Scorer,
    blend: Blend,
    config: &RetrainConfig,
) -> (Calibration, Blend) {
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
    Ok(measured(prepared, &scorer, (&calibration, &blend), &prepared.baseline, config))
}

#[cfg(test)]
mod tests;
