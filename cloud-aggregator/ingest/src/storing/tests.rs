//! Batches with something in them that fails, and stores that fail.

use std::sync::Mutex;

use hearthwatch_store::clock::ManualClock;

use super::*;

/// Takes everything but messages that say how they fail.
#[derive(Default)]
struct Fake {
    stored: Mutex<Vec<String>>,
    aside: Mutex<Vec<(String, String, bool)>>,
    /// So many more attempts of any kind find the store unavailable.
    away: Mutex<u32>,
    /// So many more probes fail, and every attempt until then.
    broken: Mutex<u32>,
    attempts: Mutex<u32>,
}

fn error(cause: &str) -> StoreError {
    StoreError::Engine { action: "apply batch", cause: cause.to_owned() }
}

fn spend(count: &Mutex<u32>) -> bool {
    let mut count = count.lock().unwrap();
    let left = *count > 0;
    *count = count.saturating_sub(1);
    left
}

impl Take for Fake {
    fn take(&self, messages: &[Message], _: i64) -> StoreResult<BatchReport> {
        *self.attempts.lock().unwrap() += 1;
        if spend(&self.away) {
            return Err(StoreError::Unavailable { action: "apply batch", cause: "disk is full".to_owned() });
        }
        if *self.broken.lock().unwrap() > 0 {
            return Err(error("no such table"));
        }
        for (_, payload) in messages {
            match &payload[..] {
                b"panics" | b"panics always" | b"panics for good" => panic!("attempt to add with overflow"),
                b"fails" => return Err(error("CHECK constraint failed")),
                _ => {}
            }
        }
        self.stored.lock().unwrap().extend(messages.iter().map(|(topic, _)| topic.clone()));
        Ok(BatchReport { stored: messages.len() as u64, ..BatchReport::default() })
    }

    fn set_aside(&self, message: &Message, cause: &str, covered: bool, _: i64) -> StoreResult<BatchReport> {
        match &message.1[..] {
            b"panics always" if covered => panic!("and again"),
            b"panics for good" => panic!("and again"),
            _ => {}
        }
        self.aside.lock().unwrap().push((message.0.clone(), cause.to_owned(), covered));
        Ok(BatchReport::default())
    }

    fn probe(&self) -> StoreResult<()> {
        if spend(&self.broken) { Err(error("no such table")) } else { Ok(()) }
    }
}

struct World {
    fake: Arc<Fake>,
    metrics: Arc<Metrics>,
    health: watch::Receiver<IntakeHealth>,
    storing: Storing,
}

fn world(fake: Fake) -> World {
    let (fake, metrics, health) = (Arc::new(fake), Arc::new(Metrics::new()), watch::Sender::default());
    let storing = Storing {
        taker: Arc::<Fake>::clone(&fake),
        clock: Arc::new(ManualClock::new(7)),
        metrics: Arc::clone(&metrics),
        health: health.clone(),
        first_wait: Duration::from_millis(1),
    };
    World { fake, metrics, health: health.subscribe(), storing }
}

/// A batch of `count` messages, numbered by their topics; some say how they fail.
fn batch(count: usize, bad: &[(usize, &'static str)]) -> Vec<Message> {
    let mut batch: Vec<Message> = (0..count).map(|number| (number.to_string(), Bytes::from_static(b"good"))).collect();
    for (number, payload) in bad {
        batch[*number].1 = Bytes::from_static(payload.as_bytes());
    }
    batch
}

impl World {
    async fn store(&self, batch: Vec<Message>) -> Option<Vec<BatchReport>> {
        self.storing.clone().store(batch, CancellationToken::new()).await
    }

    /// What was stored, in order.
    fn stored(&self) -> Vec<usize> {
        self.fake.stored.lock().unwrap().iter().map(|topic| topic.parse().unwrap()).collect()
    }

    fn aside(&self) -> Vec<(String, String, bool)> {
        self.fake.aside.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn one_message_that_panics_goes_to_quarantine_and_every_other_is_stored_in_order() {
    for bad in [0, 97, 255] {
        let world = world(Fake::default());
        world.store(batch(256, &[(bad, "panics")])).await.unwrap();
        let others: Vec<usize> = (0..256).filter(|number| *number != bad).collect();
        assert_eq!(world.stored(), others);
        let cause = "panic: attempt to add with overflow".to_owned();
        assert_eq!(world.aside(), [(bad.to_string(), cause, true)]);
        // Eight halvings, two of each, and one attempt more at what is alone.
        assert!(*world.fake.attempts.lock().unwrap() <= 2 * 8 + 2);
        let health = world.health.borrow();
        assert!(health.last_commit_at.is_some() && health.failing_since.is_none());
    }
}

#[tokio::test]
async fn several_bad_messages_are_found_each_by_itself() {
    let world = world(Fake::default());
    world.store(batch(64, &[(3, "fails"), (4, "panics"), (60, "fails")])).await.unwrap();
    let aside: Vec<String> = world.aside().into_iter().map(|(topic, _, _)| topic).collect();
    assert_eq!((aside, world.stored().len()), (["3", "4", "60"].map(str::to_owned).to_vec(), 61));
}

#[tokio::test]
async fn a_full_disk_puts_nothing_into_quarantine_and_is_waited_out() {
    let world = world(Fake { away: Mutex::new(5), ..Fake::default() });
    world.store(batch(8, &[])).await.unwrap();
    assert_eq!((world.stored().len(), world.aside()), (8, vec![]));
    assert_eq!(world.metrics.store_failures.get(), 5);
}

#[tokio::test]
async fn an_error_that_hits_what_nobody_sent_too_is_the_stores_and_no_messages() {
    let world = world(Fake { broken: Mutex::new(4), ..Fake::default() });
    world.store(batch(8, &[])).await.unwrap();
    assert_eq!((world.stored().len(), world.aside()), (8, vec![]));
}

#[tokio::test]
async fn a_failing_store_is_seen_from_outside_and_is_left_when_told_to_stop() {
    let world = world(Fake { away: Mutex::new(u32::MAX), ..Fake::default() });
    let (stop, mut health) = (CancellationToken::new(), world.health.clone());
    let task = tokio::spawn(world.storing.clone().store(batch(2, &[]), stop.clone()));
    let seen = health.wait_for(|health| health.failing_since.is_some()).await.unwrap().clone();
    assert_eq!(seen.cause, "store apply batch: disk is full");
    stop.cancel();
    assert_eq!(task.await.unwrap(), None);
}

#[tokio::test]
async fn what_fails_in_quarantine_too_is_quarantined_without_its_key_or_at_last_dropped_and_told() {
    let world = world(Fake::default());
    world.store(batch(4, &[(1, "panics always"), (2, "panics for good")])).await.unwrap();
    assert_eq!(world.stored(), [0, 3]);
    let cause = "panic: attempt to add with overflow".to_owned();
    assert_eq!(world.aside(), [("1".to_owned(), cause, false)]);
    assert!(world.metrics.render().contains("hearthwatch_cloud_messages_lost_total{kind=\"other\"} 1"));
}
