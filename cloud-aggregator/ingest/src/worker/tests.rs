//! The intake with channels in place of a broker.

use std::sync::Mutex;

use hearthwatch_protocol::decode;
use hearthwatch_protocol::messages::{UpdateOutcome, Withdrawal, WithdrawalScope};
use hearthwatch_store::clock::ManualClock;
use hearthwatch_store::fixtures::{NOW, home, message, record};
use hearthwatch_store::{FeedbackFilter, Store};

use super::*;
use crate::labels::LabelPolicy;
use crate::publisher::PublishError;

struct Channel(mpsc::UnboundedReceiver<LinkEvent>);

#[async_trait]
impl MessageSubscriber for Channel {
    async fn next(&mut self) -> Option<LinkEvent> {
        self.0.recv().await
    }
}

/// Keeps what is published, together with how many answers were on disk at that moment.
struct Recorder {
    store: Arc<dyn Store>,
    said: Mutex<Vec<(String, Message, u64)>>,
    heard: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl MessagePublisher for Recorder {
    async fn publish(&self, topic: &Topic, payload: Vec<u8>) -> Result<(), PublishError> {
        let stored = self.store.feedback_totals().unwrap().records;
        self.said.lock().unwrap().push((topic.to_string(), decode(&payload).unwrap(), stored));
        self.heard.send(()).unwrap();
        Ok(())
    }
}

struct World {
    _directory: tempfile::TempDir,
    store: Arc<dyn Store>,
    send: mpsc::UnboundedSender<LinkEvent>,
    recorder: Arc<Recorder>,
    said: mpsc::UnboundedReceiver<()>,
    notices: watch::Sender<Option<ReleaseNotice>>,
    progress: watch::Receiver<Progress>,
    health: watch::Receiver<IntakeHealth>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), IntakeError>>,
}

fn world() -> World {
    counted(&["a"]).0
}

/// A world with these homes, and what it counts.
fn counted(homes: &[&str]) -> (World, Arc<Metrics>) {
    let (directory, store) = hearthwatch_store::fixtures::store();
    let store: Arc<dyn Store> = Arc::new(store);
    for name in homes {
        store.enrol_home(&home(name), 1).unwrap();
    }
    let metrics = Arc::new(Metrics::new());
    let counts = Arc::clone(&metrics);
    let (send, receive) = mpsc::unbounded_channel();
    let (heard, said) = mpsc::unbounded_channel();
    let recorder = Arc::new(Recorder { store: Arc::clone(&store), said: Mutex::default(), heard });
    let notices = watch::Sender::new(None);
    let progress = watch::Sender::new(Progress::new());
    let seen = progress.subscribe();
    let intake = Intake::new(
        // What is tested here is the way in, not what an answer rests on.
        BatchTaker::new(Arc::clone(&store), Arc::clone(&metrics))
            .with_labels(LabelPolicy { require_announced: false, ..LabelPolicy::default() }),
        Arc::new(ManualClock::new(NOW)),
        metrics,
        Arc::clone(&recorder) as Arc<dyn MessagePublisher>,
        notices.subscribe(),
        progress,
    );
    let (stop, health) = (CancellationToken::new(), intake.health());
    let task = tokio::spawn(intake.run(Channel(receive), stop.clone()));
    let world =
        World { _directory: directory, store, send, recorder, said, notices, progress: seen, health, stop, task };
    (world, counts)
}

fn heard(record: &hearthwatch_protocol::messages::FeedbackRecord) -> LinkEvent {
    let (topic, payload) = message(record);
    LinkEvent::Message { topic, payload, retain: false }
}

#[tokio::test]
async fn a_receipt_goes_out_only_when_its_records_are_on_disk() {
    let mut world = world();
    world.send.send(heard(&record("a", 1))).unwrap();
    world.send.send(heard(&record("a", 2))).unwrap();
    let done = |progress: &Progress| progress.get(&home("a")) == Some(&Sequence(2));
    world.progress.wait_for(done).await.unwrap();
    world.said.recv().await.unwrap();
    world.stop.cancel();
    assert_eq!(world.task.await.unwrap(), Ok(()));
    for (topic, message, stored) in world.recorder.said.lock().unwrap().iter() {
        let Message::Receipt(receipt) = message else { panic!("{message:?}") };
        assert_eq!(topic, "hw/v1/home/a/down/receipt");
        assert!(receipt.through.0 <= *stored, "{receipt:?} when {stored} were stored");
    }
}

#[tokio::test]
async fn what_was_taken_off_the_wire_before_the_end_is_stored() {
    let world = world();
    for sequence in 1..=600 {
        world.send.send(heard(&record("a", sequence))).unwrap();
    }
    drop(world.send);
    assert_eq!(world.task.await.unwrap(), Err(IntakeError::Silent), "nobody had stopped it");
    assert_eq!(world.store.feedback_totals().unwrap().records, 600);
    assert_eq!(world.store.home(&home("a")).unwrap().unwrap().through, Sequence(600));
    assert_eq!(world.store.feedback(&FeedbackFilter { limit: 1, ..FeedbackFilter::default() }).unwrap().len(), 1);
}

#[tokio::test]
async fn the_newest_release_is_said_on_each_connection_and_when_it_changes() {
    let mut world = world();
    let notice =
        |version| ReleaseNotice { model_version: ModelVersion(version), target: format!("model-{version}"), at: NOW };
    world.notices.send(Some(notice(1))).unwrap();
    world.send.send(LinkEvent::Connected { session_present: false }).unwrap();
    world.said.recv().await.unwrap();
    world.notices.send(Some(notice(2))).unwrap();
    world.said.recv().await.unwrap();
    world.send.send(LinkEvent::Connected { session_present: true }).unwrap();
    world.said.recv().await.unwrap();
    let said = world.recorder.said.lock().unwrap();
    let said: Vec<_> = said.iter().map(|(topic, message, _)| (topic.clone(), message.clone())).collect();
    let on = |version| ("hw/v1/fleet/release".to_owned(), Message::Release(notice(version)));
    assert_eq!(said, [on(1), on(2), on(2)]);
}

fn said(topic: &Topic, message: &Message) -> LinkEvent {
    LinkEvent::Message { topic: topic.to_string(), payload: encode(message).unwrap().into(), retain: false }
}

#[tokio::test]
async fn a_home_that_floods_with_outcomes_and_withdrawals_delays_another_by_a_few_batches_at_most() {
    let (world, metrics) = counted(&["a", "b"]);
    for number in 0..20_000 {
        let outcome = UpdateOutcome::installed(ModelVersion(number), NOW);
        world.send.send(said(&Topic::Outcome(home("a")), &Message::Outcome(outcome))).unwrap();
    }
    for id in 1..=900 {
        let scope = WithdrawalScope::Records((1..=1_000).map(Sequence).collect());
        let withdrawal = Withdrawal { home: home("a"), id, scope, at: NOW };
        world.send.send(said(&Topic::Withdrawal(home("a")), &Message::Withdrawal(withdrawal))).unwrap();
    }
    world.send.send(heard(&record("b", 1))).unwrap();
    drop(world.send);
    assert_eq!(world.task.await.unwrap(), Err(IntakeError::Silent));
    assert_eq!(world.store.home(&home("b")).unwrap().unwrap().through, Sequence(1));
    // 64 outcomes, 20 withdrawals and the record: what a home may send at once, however the wire cuts it.
    assert!(metrics.batches.get() <= 5, "{} batches", metrics.batches.get());
    assert_eq!(world.store.withdrawals(0).unwrap().len(), 20);
    let text = metrics.render();
    for line in
        ["messages_over_quota_total{kind=\"outcome\"} 19936", "messages_over_quota_total{kind=\"withdrawal\"} 880"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn when_everything_is_stored_the_intake_says_when_that_was_and_that_nothing_waits() {
    let (world, _) = counted(&["a"]);
    let mut health = world.health.clone();
    world.send.send(heard(&record("a", 1))).unwrap();
    let done = health.wait_for(|health| health.last_commit_at.is_some() && health.busy_since.is_none()).await.unwrap();
    assert_eq!((done.backlog, done.failing_since), (0, None));
}

#[tokio::test]
async fn an_intake_whose_own_task_panicked_ends_and_says_which() {
    let world = world();
    // Whoever publishes next panics.
    drop(world.said);
    world.send.send(heard(&record("a", 1))).unwrap();
    let Err(IntakeError::Task { task, cause }) = world.task.await.unwrap() else { panic!("it ended in peace") };
    assert_eq!(task, "receipts");
    assert!(cause.contains("SendError"), "{cause}");
    assert_eq!(world.store.feedback_totals().unwrap().records, 1);
}
