//! A whole aggregator without a broker: answers are put into its store, runs are asked for.

use std::sync::Mutex;

use async_trait::async_trait;
use hearthwatch_fleet::hook::Promoted;
use hearthwatch_learning::fixtures::Puppet;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::fixtures::{NOW, home, record, release, row};
use hearthwatch_store::run_requests::RunRequestRow;
use hearthwatch_store::{IngestBatch, ModelState, ReleaseRow, RequestState, RunState};

use super::*;

/// Releases, or says that the signer is away; keeps what it was given.
#[derive(Default)]
struct Hook {
    away: Mutex<bool>,
    given: Mutex<Vec<Promoted>>,
}

#[async_trait]
impl ReleaseHook for Hook {
    async fn release(&self, promoted: Promoted) -> Result<ReleaseRow, ReleaseError> {
        if *self.away.lock().unwrap() {
            return Err(ReleaseError::SignerUnreachable("no such socket".to_owned()));
        }
        self.given.lock().unwrap().push(promoted.clone());
        Ok(ReleaseRow { by: promoted.by, ..release(promoted.version, &promoted.sha256) })
    }
}

async fn start(directory: &tempfile::TempDir, puppet: Puppet, hook: &Arc<Hook>, config: Config) -> Aggregator {
    let options = Options {
        clock: Arc::new(ManualClock::new(NOW)),
        learner: Arc::new(puppet),
        hook: Some(Arc::clone(hook) as Arc<dyn ReleaseHook>),
        rounds: None,
    };
    let config = Config { data: directory.path().join("data"), ..config };
    Aggregator::start(config, options).await.unwrap()
}

/// One in a directory of its own, that begins no run by itself.
async fn started(puppet: Puppet, hook: Hook) -> (tempfile::TempDir, Arc<Hook>, Aggregator) {
    let (directory, hook) = (tempfile::tempdir().unwrap(), Arc::new(hook));
    let aggregator = start(&directory, puppet, &hook, silent()).await;
    (directory, hook, aggregator)
}

fn silent() -> Config {
    let mut config = Config::in_directory("");
    config.training.trigger_count = 0;
    config.training.schedule_hours = 0;
    config
}

fn answer(aggregator: &Aggregator, sequence: u64) {
    let store = &aggregator.state().store;
    store.enrol_home(&home("a"), NOW).unwrap();
    let feedback = vec![row(record("a", sequence))];
    store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
}

#[tokio::test]
async fn a_promoted_model_is_released_becomes_champion_and_is_announced() {
    let (directory, hook, aggregator) = started(Puppet::new(true), Hook::default()).await;
    answer(&aggregator, 1);
    let run = aggregator.retrain_now().await.unwrap();
    assert_eq!(run.state, RunState::Promoted);
    let state = aggregator.state();
    assert_eq!(state.store.champion().unwrap().unwrap().version, ModelVersion(1));
    let notice = state.releases.notices().borrow().clone().unwrap();
    assert_eq!((notice.model_version, notice.target.as_str()), (ModelVersion(1), "model-1.safetensors"));
    assert_eq!(state.store.runs(0).unwrap().len(), 1, "a request that comes while the trainer starts is one run");
    let given = hook.given.lock().unwrap().remove(0);
    assert_eq!((given.report, given.run, given.by.as_str()), (run.report.unwrap(), run.id, "auto"));
    aggregator.shutdown().await;

    let again = start(&directory, Puppet::new(true), &hook, silent()).await;
    let notice = again.state().releases.notices().borrow().clone().unwrap();
    assert_eq!(notice.model_version, ModelVersion(1), "announced again after a restart");
    again.shutdown().await;
}

#[tokio::test]
async fn a_process_that_starts_says_which_model_is_in_use() {
    let (directory, _, aggregator) = started(Puppet::new(true), Hook::default()).await;
    answer(&aggregator, 1);
    aggregator.retrain_now().await.unwrap();
    aggregator.shutdown().await;
    let metrics = Arc::new(Metrics::new());
    let config = Config { data: directory.path().join("data"), ..silent() };
    let options = Options {
        clock: Arc::new(ManualClock::new(NOW)),
        learner: Arc::new(Puppet::new(true)),
        hook: Some(Arc::new(Hook::default())),
        rounds: None,
    };
    let aggregator = Aggregator::start_with(config, options, Arc::clone(&metrics)).await.unwrap();
    assert_eq!(metrics.champion_version.get(), 1);
    aggregator.shutdown().await;
}

#[tokio::test]
async fn a_held_model_is_not_released() {
    let (_directory, hook, aggregator) = started(Puppet::new(false), Hook::default()).await;
    assert_eq!(aggregator.retrain_now().await.unwrap().state, RunState::Held);
    assert!(hook.given.lock().unwrap().is_empty());
    aggregator.shutdown().await;
}

#[tokio::test]
async fn a_release_that_the_signer_missed_goes_out_at_the_next_start() {
    let hook = Hook { away: Mutex::new(true), ..Hook::default() };
    let (directory, hook, aggregator) = started(Puppet::new(true), hook).await;
    assert_eq!(aggregator.retrain_now().await.unwrap().state, RunState::Promoted);
    let model = aggregator.state().store.model(ModelVersion(1)).unwrap().unwrap();
    assert_eq!(model.state, ModelState::Approved);
    aggregator.shutdown().await;

    *hook.away.lock().unwrap() = false;
    let aggregator = start(&directory, Puppet::new(true), &hook, silent()).await;
    let mut notices = aggregator.state().releases.notices();
    notices.wait_for(Option::is_some).await.unwrap();
    assert_eq!(aggregator.state().store.champion().unwrap().unwrap().version, ModelVersion(1));
    aggregator.shutdown().await;
}

#[tokio::test]
async fn going_back_puts_the_old_bytes_under_a_new_version() {
    let (_directory, hook, aggregator) = started(Puppet::new(true), Hook::default()).await;
    let first = aggregator.retrain_now().await.unwrap();
    answer(&aggregator, 1);
    aggregator.retrain_now().await.unwrap();
    let row = aggregator.state().releases.roll_back(ModelVersion(1), "ops").await.unwrap();
    assert_eq!((row.model_version, row.by.as_str()), (ModelVersion(3), "ops"));
    assert_eq!(Some(row.sha256), first.challenger);
    let models = aggregator.state().store.models().unwrap();
    let states: Vec<_> = models.iter().map(|model| (model.version.0, model.state)).collect();
    assert_eq!(states, [(3, ModelState::Champion), (2, ModelState::Withdrawn), (1, ModelState::Retired)]);
    let reports: Vec<_> = hook.given.lock().unwrap().iter().map(|given| given.report.clone()).collect();
    assert_eq!(reports[2], reports[0], "the verdict on these very weights goes with them");
    aggregator.shutdown().await;
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_taken_up_at_the_next_start() {
    let (directory, hook, aggregator) = started(Puppet::new(true), Hook::default()).await;
    let run = aggregator.retrain_now().await.unwrap();
    let cut_off = RunRow { state: RunState::Running, ended_at: None, report: None, challenger: None, ..run.clone() };
    aggregator.state().store.put_run(&RunRow { champion: None, ..cut_off }).unwrap();
    aggregator.shutdown().await;

    // A champion since then makes it other work: the old row is closed, the new run stands beside it.
    let aggregator = start(&directory, Puppet::new(false), &hook, silent()).await;
    let newer = aggregator.retrain_now().await.unwrap();
    assert_ne!(newer.id, run.id);
    let old = aggregator.state().store.run(&run.id).unwrap().unwrap();
    assert_eq!(old.state, RunState::Failed);
    assert_eq!(old.failure.as_deref(), Some("interrupted; a newer run took its place"));
    aggregator.shutdown().await;
}

#[tokio::test]
async fn a_request_ends_as_its_run_did_and_names_it() {
    let puppet = Puppet { fails: true, ..Puppet::new(true) };
    let (_directory, _, aggregator) = started(puppet, Hook::default()).await;
    let failed = aggregator.retrain_now().await.unwrap_err();
    let row = aggregator.state().store.run_requests(1).unwrap().remove(0);
    let run = aggregator.state().store.runs(1).unwrap().remove(0);
    assert_eq!(failed.to_string(), format!("run {} failed: the loss is not finite", run.id));
    assert_eq!((row.state, row.run, row.ended_at), (RequestState::Failed, Some(run.id), Some(NOW)));
    assert_eq!(row.reason.as_deref(), Some("the loss is not finite"));
    aggregator.shutdown().await;
}

#[tokio::test]
async fn a_request_whose_run_never_began_ends_with_the_reason_and_is_listed() {
    let puppet = Puppet { unready: true, ..Puppet::new(true) };
    let (_directory, _, aggregator) = started(puppet, Hook::default()).await;
    assert!(matches!(aggregator.retrain_now().await, Err(TrainingError::Unready(_))));
    let store = &aggregator.state().store;
    let row = store.run_requests(1).unwrap().remove(0);
    assert_eq!((row.state, row.run, row.by.as_str()), (RequestState::Failed, None, "system"));
    assert_eq!((row.ended_at, row.reason.as_deref()), (Some(NOW), Some("no recorded sets")));
    assert_eq!(store.runs(0).unwrap(), []);
    aggregator.shutdown().await;
}

#[tokio::test]
async fn what_the_triggers_wanted_and_could_not_begin_is_listed_once_however_often_it_is_tried() {
    let mut config = silent();
    config.training.trigger_count = 1;
    let (directory, _, aggregator) = started(Puppet::new(true), Hook::default()).await;
    answer(&aggregator, 1);
    let store = Arc::clone(&aggregator.state().store);
    let listed = async |attempts| loop {
        let rows = store.run_requests(0).unwrap();
        if rows.first().is_some_and(|row| row.attempts == attempts) {
            return rows;
        }
        tokio::task::yield_now().await;
    };
    // The trainer's clock ticks at once after a start: an answer that is there by then is seen.
    aggregator.shutdown().await;
    for attempts in 1..=2 {
        let puppet = Puppet { unready: true, ..Puppet::new(true) };
        let aggregator = start(&directory, puppet, &Arc::default(), config.clone()).await;
        let rows = listed(attempts).await;
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].trigger, rows[0].state), (RunTrigger::Count, RequestState::Failed));
        aggregator.shutdown().await;
    }
}

#[tokio::test]
async fn a_request_that_a_killed_process_left_is_put_through_at_the_next_start() {
    let (directory, _, aggregator) = started(Puppet::new(false), Hook::default()).await;
    let store = Arc::clone(&aggregator.state().store);
    aggregator.shutdown().await;
    let queued = |id: &str| RunRequestRow::queued(id.to_owned(), RunTrigger::Hand, "token:kim".to_owned(), NOW);
    store.put_run_request(&queued("waited")).unwrap();
    let (state, attempts) = (RequestState::Running, 1);
    store.put_run_request(&RunRequestRow { state, attempts, ..queued("was-at-it") }).unwrap();
    let attempts = hearthwatch_learning::training::requests::ATTEMPTS_MAX;
    store.put_run_request(&RunRequestRow { state, attempts, ..queued("ends-processes") }).unwrap();

    let aggregator = start(&directory, Puppet::new(false), &Arc::default(), silent()).await;
    let newest = aggregator.retrain_now().await.unwrap();
    let ended = |id: &str| {
        let row = store.run_request(id).unwrap().unwrap();
        (row.state, row.run, row.attempts)
    };
    assert_eq!(ended("waited"), (RequestState::Done, Some(newest.id.clone()), 1));
    assert_eq!(ended("was-at-it"), (RequestState::Done, Some(newest.id), 2));
    assert_eq!(ended("ends-processes"), (RequestState::Interrupted, None, 3));
    assert_eq!(store.open_run_requests().unwrap(), []);
    aggregator.shutdown().await;
}

#[tokio::test]
async fn waiting_for_homes_that_have_nothing_to_say_ends_at_once() {
    let (_directory, _, aggregator) = started(Puppet::new(true), Hook::default()).await;
    assert!(aggregator.heard(&BTreeMap::new()).await);
    assert!(aggregator.heard(&BTreeMap::from([(home("a"), Sequence(0))])).await);
    aggregator.shutdown().await;
}
