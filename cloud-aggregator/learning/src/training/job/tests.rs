//! Runs with a learner that does what it is told.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::fixtures::{NOW, home, record, row};
use hearthwatch_store::rollouts::ExclusionRow;
use hearthwatch_store::{FeedbackRow, IngestBatch, ModelState};

use super::*;
use crate::fixtures::Puppet;
use crate::training::mlflow::double::{Double, Question, nobody, whole_run, without_pause};

struct World {
    _directory: tempfile::TempDir,
    job: Job,
    puppet: Arc<Puppet>,
    clock: Arc<ManualClock>,
    shown: watch::Receiver<TrainingStatus>,
}

fn world(puppet: Puppet) -> World {
    let (directory, store) = hearthwatch_store::fixtures::store();
    store.enrol_home(&home("a"), 1).unwrap();
    let (puppet, clock) = (Arc::new(puppet), Arc::new(ManualClock::new(NOW)));
    let (status, shown) = watch::channel(TrainingStatus::default());
    let job = Job {
        store: Arc::new(store),
        artifact_store: ArtifactStore::new(directory.path()),
        learner: Arc::clone(&puppet) as Arc<dyn Learner>,
        tracker: None,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        metrics: Arc::new(Metrics::new()),
        status,
        stop: CancellationToken::new(),
        cancellations: Cancellations::default(),
    };
    World { _directory: directory, job, puppet, clock, shown }
}

fn answer(world: &World, sequence: u64) {
    answer_of(world, "a", sequence);
}

fn answer_of(world: &World, home: &str, sequence: u64) {
    let feedback = vec![row(record(home, sequence))];
    world.job.store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
}

#[test]
fn a_promoted_run_leaves_snapshot_artifact_report_and_a_version() {
    let world = world(Puppet::new(true));
    answer(&world, 1);
    let finished = world.job.run(RunTrigger::Hand).unwrap();
    let (run, model) = (finished.run, finished.model.unwrap());
    assert_eq!((run.state, run.champion, run.ended_at), (RunState::Promoted, None, Some(NOW)));
    assert_eq!(run.report.as_deref(), Some("{\"promote\":true}"));
    assert_eq!((model.version, model.state), (ModelVersion(1), ModelState::Approved));
    let artifact = world.job.artifact_store.model(&model.sha256).unwrap();
    assert_eq!(artifact, b"1 examples after None");
    let bytes = world.job.artifact_store.snapshot(&run.snapshot).unwrap();
    assert_eq!(dataset::read(&bytes, &run.snapshot).unwrap().1.len(), 1);
    assert_eq!(world.job.store.snapshot(&run.snapshot).unwrap().unwrap().watermark, 1);
    assert_eq!(world.shown.borrow().phase, "training");
}

#[test]
fn a_held_run_keeps_its_challenger_and_report_but_gives_no_version() {
    let world = world(Puppet::new(false));
    let finished = world.job.run(RunTrigger::Count).unwrap();
    assert_eq!((finished.run.state, finished.model), (RunState::Held, None));
    assert!(world.job.artifact_store.model(&finished.run.challenger.unwrap()).is_ok());
    assert_eq!(world.job.store.models().unwrap(), []);
}

#[test]
fn the_same_work_is_not_done_twice() {
    let world = world(Puppet::new(true));
    let first = world.job.run(RunTrigger::Hand).unwrap();
    let second = world.job.run(RunTrigger::Schedule).unwrap();
    assert_eq!(first, second);
    assert_eq!(world.puppet.runs.load(Ordering::SeqCst), 1);
    answer(&world, 1);
    let third = world.job.run(RunTrigger::Hand).unwrap();
    assert_ne!(third.run.id, first.run.id);
    assert_eq!(world.puppet.runs.load(Ordering::SeqCst), 2);
}

#[test]
fn a_champion_makes_it_other_work_and_is_given_to_the_learner() {
    let world = world(Puppet::new(true));
    let first = world.job.run(RunTrigger::Hand).unwrap();
    put_in_charge(&world, &first.model.unwrap());
    let second = world.job.run(RunTrigger::Hand).unwrap();
    assert_ne!(second.run.id, first.run.id);
    assert_eq!(second.run.champion, Some(ModelVersion(1)));
    let artifact = world.job.artifact_store.model(&second.run.challenger.unwrap()).unwrap();
    assert!(artifact.starts_with(b"0 examples after Some"));
}

#[test]
fn a_failed_run_says_why_and_may_be_run_again() {
    let mut world = world(Puppet { fails: true, ..Puppet::new(true) });
    let error = world.job.run(RunTrigger::Hand).unwrap_err();
    let run = world.job.store.runs(1).unwrap().remove(0);
    assert_eq!(error.to_string(), format!("run {} failed: the loss is not finite", run.id));
    assert_eq!((run.state, run.failure.as_deref()), (RunState::Failed, Some("the loss is not finite")));
    world.job.learner = Arc::new(Puppet::new(true));
    assert_eq!(world.job.run(RunTrigger::Hand).unwrap().run.id, run.id);
}

#[test]
fn a_run_that_somebody_cancels_ends_and_says_who_did() {
    let world = world(Puppet::new(true));
    answer(&world, 1);
    assert!(world.job.cancellations.wish("any", "token:kim"));
    world.job.cancellations.in_hand(Some("any"));
    let error = world.job.run(RunTrigger::Hand).unwrap_err();
    assert!(error.to_string().starts_with("cancelled by token:kim"), "{error}");
    let run = &world.job.store.runs(0).unwrap()[0];
    assert_eq!((run.state, run.failure.as_deref()), (RunState::Cancelled, Some("cancelled by token:kim")));
    assert_eq!(run.ended_at, Some(world.job.clock.now()));
}

#[test]
fn a_run_that_is_stopped_stays_running_so_that_it_is_taken_up_again() {
    let world = world(Puppet::new(true));
    answer(&world, 1);
    world.job.stop.cancel();
    assert_eq!(world.job.run(RunTrigger::Hand).unwrap_err().to_string(), TrainingError::Stopped.to_string());
    let run = world.job.store.runs(1).unwrap().pop().unwrap();
    assert_eq!((run.state, run.failure, run.ended_at), (RunState::Running, None, None));
    let job = Job { stop: CancellationToken::new(), ..world.job.clone() };
    assert_eq!(job.run(RunTrigger::Hand).unwrap().run.id, run.id);
}

/// What a server is asked about a run that learns from an answer of a home called `kims-house`, in so many questions.
fn after_run(puppet: Puppet, count: usize) -> (Vec<Question>, World) {
    let double = Double::start(whole_run().into_iter().take(count).collect());
    let mut world = world(puppet);
    world.job.store.enrol_home(&home("kims-house"), 1).unwrap();
    answer_of(&world, "kims-house", 1);
    world.job.tracker = Some(without_pause(double.url(), None));
    // The outcome is in the store; this is about the server.
    let _ = world.job.run(RunTrigger::Hand);
    let questions = double.questions();
    assert!(!format!("{questions:?}").contains("kims-house"), "{questions:?}");
    (questions, world)
}

#[test]
fn a_server_is_told_the_verdict_and_the_version_that_a_model_became() {
    let (questions, world) = after_run(Puppet::new(true), 8);
    let (tags, status) = (&questions[6].body["tags"], &questions[7].body);
    let artifact = &world.job.store.models().unwrap()[0].sha256;
    assert_eq!(
        *tags,
        serde_json::json!([
            {"key": "hearthwatch.gate", "value": "promote"},
            {"key": "hearthwatch.weights", "value": "w"},
            {"key": "hearthwatch.artifact", "value": artifact},
            {"key": "hearthwatch.model_version", "value": "1"},
        ])
    );
    assert_eq!((status["status"].as_str(), status["end_time"].as_i64()), (Some("FINISHED"), Some(NOW * 1000)));
}

#[test]
fn a_server_is_told_that_a_run_failed() {
    let (questions, _world) = after_run(Puppet { fails: true, ..Puppet::new(true) }, 6);
    let body = serde_json::json!({"run_id": "r1", "status": "FAILED", "end_time": NOW * 1000});
    assert_eq!(questions[5].body, body);
}

#[test]
fn a_server_that_is_away_changes_nothing_of_a_run() {
    let mut world = world(Puppet::new(true));
    world.job.tracker = Some(without_pause(&nobody(), None));
    let finished = world.job.run(RunTrigger::Hand).unwrap();
    assert_eq!(finished.run.state, RunState::Promoted);
    let folder = world.job.artifact_store.data().join("runs").join(&finished.run.id);
    let kept = |name: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder.join(name)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let files = ["metrics.csv", "model-card.md", "network.safetensors", "params.json", "record.json", "report.json"];
    let expected = files.into_iter().chain(["artifacts", "run.json"]).map(str::to_owned).collect();
    assert_eq!(&kept("") | &kept("artifacts"), expected);
}

fn put_in_charge(world: &World, model: &ModelRow) {
    let release = hearthwatch_store::fixtures::release(model.version, &model.sha256);
    world.job.store.put_release(&release).unwrap();
}

#[test]
fn an_excluded_home_teaches_nothing_and_after_a_roll_back_the_others_teach_again_without_it() {
    let world = world(Puppet::new(true));
    let store = &world.job.store;
    store.enrol_home(&home("liar"), 1).unwrap();
    let first = world.job.run(RunTrigger::Hand).unwrap().model.unwrap();
    put_in_charge(&world, &first);
    let said = |home, sequence| FeedbackRow { received_at: NOW + 5, ..row(record(home, sequence)) };
    let feedback = vec![said("a", 1), said("liar", 1), said("liar", 2)];
    world.clock.set(NOW + 9);
    store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
    let learnt = |model: &ModelRow, examples: &str| {
        let artifact = String::from_utf8(world.job.artifact_store.model(&model.sha256).unwrap()).unwrap();
        assert!(artifact.starts_with(examples), "{artifact}");
    };
    let poisoned = world.job.run(RunTrigger::Hand).unwrap().model.unwrap();
    learnt(&poisoned, "3 examples");
    put_in_charge(&world, &poisoned);

    let (reason, by) = ("contradicts everybody".to_owned(), hearthwatch_store::Actor::Token("kim".to_owned()));
    store.exclude_home(&ExclusionRow { home: home("liar"), reason, by, at: NOW, lifted: None }).unwrap();
    let after = world.job.run(RunTrigger::Hand).unwrap().model.unwrap();
    // What the champion knows is not learnt twice.
    learnt(&after, "0 examples");

    let run = format!("again:{}:{NOW}", first.run);
    let ModelRow { sha256, length, weights_id, .. } = first;
    let back = store.add_model(&NewModel { sha256, length, weights_id, run, at: NOW }).unwrap();
    put_in_charge(&world, &back);
    let finished = world.job.run(RunTrigger::Hand).unwrap();
    // The honest answer, and no other.
    learnt(&finished.model.unwrap(), "1 examples");
    let snapshot = store.snapshot(&finished.run.snapshot).unwrap().unwrap();
    let lineage: hearthwatch_store::story::Lineage = serde_json::from_str(&snapshot.lineage).unwrap();
    assert_eq!((lineage.homes[&home("liar")].excluded, lineage.homes[&home("liar")].examples), (2, 0));
}

/// Panics where others learn.
struct Panics;

impl Learner for Panics {
    fn corpus(&self) -> Result<String, String> {
        Ok("corpus".to_owned())
    }

    fn config(&self) -> String {
        "{}".to_owned()
    }

    fn learn(
        &self,
        _examples: Vec<crate::dataset::Example>,
        _champion: Option<&[u8]>,
        _checkpoints: &mut dyn hearthwatch_training::Checkpoints,
        _progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Challenger, LearnError> {
        panic!("a shape that nobody thought of")
    }
}

#[test]
fn a_learner_that_panics_ends_its_run_as_failed_with_its_own_words() {
    let world = world(Puppet::new(true));
    answer(&world, 1);
    let job = Job { learner: Arc::new(Panics), ..world.job.clone() };
    let error = job.run(RunTrigger::Hand).unwrap_err();
    let TrainingError::Failed { run, cause } = error else { panic!("{error}") };
    assert_eq!(cause, "the learner panicked: a shape that nobody thought of");
    let row = job.store.run(&run).unwrap().unwrap();
    assert_eq!((row.state, row.failure, row.ended_at), (RunState::Failed, Some(cause), Some(NOW)));
}
