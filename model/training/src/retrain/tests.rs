//! A whole run in small: repeatable to the byte, refusing what it cannot use.

use std::ops::ControlFlow;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::network::WINDOW_VALUES;
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_evaluation::evaluate::GateVerdict;
use hearthwatch_evaluation::fixtures::evaluation::{events, made_up};
use hearthwatch_evaluation::fixtures::home::made_home;

use super::*;
use crate::never_stops;
use crate::{BaselineThresholds, Fit, Mix};
use crate::{DefencePolicy, HomeAnswer, defend};

fn corpus() -> Corpus {
    let homes =
        |range: std::ops::Range<u64>| -> Vec<RecordedHome> { range.map(|variant| made_home(variant, 26)).collect() };
    Corpus { train: homes(0..2), calibrate: homes(2..4), test: homes(4..6) }
}

fn config() -> RetrainConfig {
    RetrainConfig {
        fit: Fit { epochs: 2, fine_tune_epochs: 1, windows_per_epoch: 512, batch: 64, ..Fit::default() },
        validation_windows: 128,
        ..RetrainConfig::default()
    }
}

fn run(feedback: &[FeedbackExample], champion: Option<&[u8]>, config: &RetrainConfig) -> Candidate {
    RetrainRequest::new(&corpus(), config).feedback(feedback).champion(champion).run(&mut never_stops(|_| {})).unwrap()
}

fn example(anomalous: bool) -> FeedbackExample {
    FeedbackExample { window: vec![0.5; WINDOW_VALUES], class: DeviceClass::Power, anomalous, weight: 1.0 }
}

#[test]
fn the_same_inputs_give_the_same_bytes_whatever_the_number_of_threads() {
    let one = run(&[], None, &RetrainConfig { threads: 1, ..config() });
    let two = run(&[], None, &RetrainConfig { threads: 2, ..config() });
    let (left, right) = (Artifact::parse(&one.artifact).unwrap(), Artifact::parse(&two.artifact).unwrap());
    assert_eq!(left.weights_id(), right.weights_id());
    assert_eq!(left.calibration(), right.calibration());
    assert_eq!(one.report, two.report);
    assert_eq!(run(&[], None, &config()).artifact, two.artifact);
    assert_ne!(run(&[], None, &RetrainConfig { seed: 2, ..config() }).artifact, two.artifact);
}

#[test]
fn the_artifact_names_what_it_was_made_from() {
    let candidate = run(&[], None, &config());
    let artifact = Artifact::parse(&candidate.artifact).unwrap();
    let lineage = &artifact.manifest().lineage;
    let roles: Vec<&str> = lineage.homes.iter().map(|home| home.role.as_str()).collect();
    assert_eq!(roles, ["train", "train", "calibrate", "calibrate", "test", "test"]);
    assert_eq!((lineage.champion.as_ref(), lineage.feedback.as_ref()), (None, None));
    assert_eq!(artifact.manifest().training["config"]["seed"], 1);
}

#[test]
fn the_baseline_detector_speaks_by_the_thresholds_that_homes_run_unless_they_are_to_be_set_anew() {
    let baseline = |candidate: &Candidate| Artifact::parse(&candidate.artifact).unwrap().baseline_calibration().clone();
    let first = run(&[], None, &config());
    assert_eq!(baseline(&first), *hearthwatch_detector::detector::Model::baseline().baseline_calibration());
    let fitted = RetrainConfig { baseline_thresholds: BaselineThresholds::Fitted, ..config() };
    let fitted = run(&[], None, &fitted);
    assert_ne!(baseline(&fitted), baseline(&first));
    let next = run(&[], Some(&fitted.artifact), &config());
    assert_eq!(baseline(&next), baseline(&fitted), "those of the champion");
}

#[test]
fn fine_tuning_keeps_what_it_learnt_though_the_loss_on_calibration_homes_rises() {
    let (corpus, config) = (corpus(), config());
    let start = Artifact::parse(&run(&[], None, &config).artifact).unwrap().weights().clone();
    let coarse = RetrainConfig { fit: Fit { fine_tune_learning_rate: 0.1, ..config.fit.clone() }, ..config };
    let tuned = RetrainRequest::new(&corpus, &coarse).fine_tune(&start, &mut never_stops(|_| {})).unwrap();
    assert_ne!(tuned.id(), start.id());
}

#[test]
fn fine_tuning_on_feedback_is_held_against_champion_and_replay() {
    let champion = run(&[], None, &config());
    let feedback = [example(true), example(false)];
    let tuned = run(&feedback, Some(&champion.artifact), &config());
    assert!(tuned.report.champion.is_some() && tuned.report.control.is_some());
    let against: Vec<&str> = tuned.report.comparisons.iter().map(|one| one.against.as_str()).collect();
    assert_eq!(against, ["routine detector", "champion", "replay without feedback"]);
    let lineage = Artifact::parse(&tuned.artifact).unwrap().manifest().lineage.clone();
    assert_eq!(lineage.champion, Some(Artifact::parse(&champion.artifact).unwrap().weights_id()));
    assert_eq!(lineage.feedback_examples, 2);
    // Two test homes are too few for any promise.
    assert!(matches!(tuned.report.verdict, GateVerdict::Hold { .. }));
}

#[test]
fn without_the_answers_of_its_only_home_a_candidate_is_what_replay_alone_gives() {
    let champion = run(&[], None, &config());
    let start = Artifact::parse(&champion.artifact).unwrap().weights().clone();
    let prepared = prepare(&corpus(), None, &config(), &mut never_stops(|_| {})).unwrap();
    let answer = |anomalous| HomeAnswer { home: "only".to_owned(), example: example(anomalous) };
    let defended = defend(&[answer(true), answer(false)], &DefencePolicy::none());
    let left = defended.without_each(3).remove(0);
    assert_eq!((left.home.as_str(), left.weight_share, left.examples.len()), ("only", 1.0, 0));
    let config = config();
    let alone = RetrainRequest::on_prepared(&prepared, &config).feedback(&left.examples);
    let without = alone.fine_tune(&start, &mut never_stops(|_| {})).unwrap();
    let corpus = corpus();
    let guarded = RetrainRequest::new(&corpus, &config).defended(&defended).champion(Some(&champion.artifact));
    let guarded = guarded.run(&mut never_stops(|_| {})).unwrap();
    let blend = Artifact::parse(&champion.artifact).unwrap().blend().clone();
    let measured = measured_anew(&prepared, &without, &blend, &config).unwrap();
    assert_eq!(guarded.report.control, Some(measured.summary()));
    assert_eq!(guarded.report.influences, [], "what is held anyway is not trained again");
    let found = influence(&left, &guarded.evaluation, &measured, &guarded.report, &config);
    assert_eq!((found.weight_share, found.held_without.is_empty()), (1.0, false));
}

#[test]
fn what_the_gate_lets_through_is_measured_without_each_home_and_held_where_one_alone_carries_it() {
    let evaluation = |found| made_up(6.0, 1, vec![events("drift", "power", found, 10); 6]);
    let (candidate, baseline) = (evaluation(8), evaluation(5));
    let gate = |found: &Evaluation| judge(found, &baseline, None, None, &config().gate);
    let answer = |home: &str| HomeAnswer { home: home.to_owned(), example: example(true) };
    let without = defend(&[answer("a"), answer("b")], &DefencePolicy::none()).without_each(2);
    let weighed = |without_b: usize| {
        let again = |left: &WithoutHome| Ok(evaluation(if left.home == "b" { without_b } else { 8 }));
        weigh_homes(gate(&candidate), &candidate, &without, gate, &config(), again).unwrap()
    };
    let shared = weighed(7);
    assert_eq!((shared.verdict, shared.influences.len()), (GateVerdict::Promote, 2));
    let GateVerdict::Hold { reasons } = weighed(5).verdict else { panic!("one home alone carries it") };
    assert_eq!(reasons.len(), 1);
    assert!(
        reasons[0].starts_with("without the answers of b, 50 % of their weight, it would be held: "),
        "{reasons:?}"
    );
}

/// Keeps the checkpoints of the first `saves` epochs, as a run that is cut off after them would.
struct CutOff {
    saves: usize,
    kept: Option<Vec<u8>>,
}

impl Checkpoints for CutOff {
    fn load(&mut self, _part: &str) -> Option<Vec<u8>> {
        self.kept.clone()
    }

    fn save(&mut self, _part: &str, bytes: &[u8]) {
        if self.saves > 0 {
            self.saves -= 1;
            self.kept = Some(bytes.to_vec());
        }
    }
}

#[test]
fn a_run_that_was_cut_off_goes_on_to_the_very_same_artifact() {
    let config = RetrainConfig {
        fit: Fit { epochs: 3, ..config().fit },
        mix: Mix { hard_share: 0.25, ..config().mix },
        ..config()
    };
    let mut checkpoints = CutOff { saves: 1, kept: None };
    let mut resumable = |progress: &mut dyn FnMut(Progress) -> ControlFlow<()>| {
        RetrainRequest::new(&corpus(), &config).checkpoints(&mut checkpoints).run(progress).unwrap()
    };
    let whole = resumable(&mut never_stops(|_| {}));
    let mut first_epoch = None;
    let resumed = resumable(&mut never_stops(|progress| {
        if let Progress::Training { epoch, .. } = progress {
            first_epoch.get_or_insert(epoch);
        }
    }));
    assert_eq!(first_epoch, Some(2));
    assert_eq!(resumed.artifact, whole.artifact);
}

#[test]
fn a_checkpoint_of_another_configuration_is_not_gone_on_from() {
    let mut checkpoints = CutOff { saves: 9, kept: None };
    let mut with = |config: &RetrainConfig| {
        RetrainRequest::new(&corpus(), config)
            .checkpoints(&mut checkpoints)
            .run(&mut never_stops(|_| {}))
            .unwrap()
            .artifact
    };
    with(&config());
    let other = RetrainConfig { seed: 5, ..config() };
    assert_eq!(with(&other), run(&[], None, &other).artifact);
}

#[test]
fn progress_is_reported_in_order() {
    let mut reported = Vec::new();
    RetrainRequest::new(&corpus(), &config()).run(&mut never_stops(|progress| reported.push(progress))).unwrap();
    assert_eq!(reported.first(), Some(&Progress::Preparing { done: 1, total: 6 }));
    assert!(
        reported.iter().any(|step| matches!(step, Progress::Training { epoch: 1, epochs: 2, step: 8, steps: 8, .. }))
    );
    assert_eq!(reported.last(), Some(&Progress::Evaluating { done: 1, total: 1 }));
}

#[test]
fn a_feedback_window_of_another_size_is_refused() {
    let bad = FeedbackExample { window: vec![0.0; 7], ..example(true) };
    let error = RetrainRequest::new(&corpus(), &config()).feedback(&[bad]).run(&mut never_stops(|_| {})).unwrap_err();
    assert_eq!(error, TrainError::FeedbackShape { index: 0, length: 7, expected: WINDOW_VALUES });
}

#[test]
fn a_corpus_of_recordings_shorter_than_the_warm_up_is_refused() {
    let short = Corpus { train: vec![made_home(1, 10)], ..corpus() };
    let error = RetrainRequest::new(&short, &config()).run(&mut never_stops(|_| {})).unwrap_err();
    assert_eq!(error, TrainError::NoHomes { part: "train", warm_up_days: 14 });
}

#[test]
fn a_champion_that_is_no_artifact_is_refused() {
    let error = RetrainRequest::new(&corpus(), &config())
        .champion(Some(b"nonsense"))
        .run(&mut never_stops(|_| {}))
        .unwrap_err();
    assert!(
        matches!(error, TrainError::Artifact(hearthwatch_detector::network::ArtifactError::Structure(_))),
        "{error}"
    );
}

#[test]
fn a_run_ends_where_it_is_stopped_in_each_of_its_parts() {
    let parts: [fn(&Progress) -> bool; 3] = [
        |progress| matches!(progress, Progress::Preparing { .. }),
        |progress| matches!(progress, Progress::Training { .. }),
        |progress| matches!(progress, Progress::Evaluating { .. }),
    ];
    for stops in parts {
        let mut reports_after = 0;
        let mut stopped = false;
        let mut receiver = |progress: Progress| {
            reports_after += usize::from(stopped && !matches!(progress, Progress::Preparing { .. }));
            stopped |= stops(&progress);
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let error = RetrainRequest::new(&corpus(), &config()).run(&mut receiver).unwrap_err();
        assert_eq!((error, reports_after), (TrainError::Stopped, 0));
    }
}
