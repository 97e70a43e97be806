//! The intake on a wire made of channels.

use std::sync::Mutex;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::decode;

use super::*;
use crate::clock::ManualClock;
use crate::ingest::labels::LabelPolicy;
use crate::store::{FeedbackFilter, Store};
use crate::testing::{NOW, home, message, record};

struct Channel(mpsc::UnboundedReceiver<LinkEvent>);

#[async_trait]
impl Ear for Channel {
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
impl Wire for Recorder {
    async fn publish(&self, topic: &Topic, payload: Vec<u8>) -> Result<(), WireError> {
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
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn world() -> World {
    let (directory, store) = crate::testing::store();
    let store: Arc<dyn Store> = Arc::new(store);
    store.enrol_home(&home("a"), 1).unwrap();
    let metrics = Arc::new(Metrics::new());
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
        Arc::clone(&recorder) as Arc<dyn Wire>,
        notices.subscribe(),
        progress,
    );
    let stop = CancellationToken::new();
    let task = tokio::spawn(intake.run(Channel(receive), stop.clone()));
    World { _directory: directory, store, send, recorder, said, notices, progress: seen, stop, task }
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
    world.task.await.unwrap();
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
    world.task.await.unwrap();
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
    let said: Vec<_> = world
        .recorder
        .said
        .lock()
        .unwrap()
        .iter()
        .map(|(topic, message, _)| (topic.clone(), message.clone()))
        .collect();
    let on = |version| ("hw/v1/fleet/release".to_owned(), Message::Release(notice(version)));
    assert_eq!(said, [on(1), on(2), on(2)]);
}
