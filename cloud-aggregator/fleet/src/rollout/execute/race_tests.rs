//! The director and people write to the same rollout: whoever wrote last on what is there now wins, and a stop stays a stop.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use hearthwatch_ingest::PublishError;
use hearthwatch_protocol::Topic;

use super::tests::{Stage, asked};
use super::*;
use crate::fixtures::NOW;
use crate::rollout::manual::{self, ManualError, RolloutAction};

fn action(stage: &Stage, action: RolloutAction, reason: &str) -> Result<(), ManualError> {
    manual::act(&stage.director, stage.store(), &asked(1, action, reason, NOW))
}

/// A stage with a first release that nobody was ordered to run yet.
fn begun(policy: &str, homes: usize) -> Stage {
    let stage = Stage::new(policy, homes);
    stage.release(1);
    stage.director.begin(stage.store(), NOW).unwrap();
    stage
}

fn row(stage: &Stage) -> RolloutRow {
    stage.store().rollout(ModelVersion(1)).unwrap().unwrap()
}

#[test]
fn a_halt_between_the_directors_reading_and_writing_stays_a_halt_and_nobody_is_ordered() {
    let stage = begun("immediate", 10);
    let seen = stage.director.read(stage.store()).unwrap().unwrap();
    let decision = stage.director.decide(&seen, NOW).unwrap();
    assert!(matches!(&decision, Decision::Order { orders, complete: true } if orders.len() == 10));

    action(&stage, RolloutAction::Halt, "smoke in three homes").unwrap();
    let lost = stage.director.write(stage.store(), &seen, decision, NOW).unwrap_err();
    assert_eq!(lost.to_string(), "rollout 1 was changed meanwhile: it is halted");
    stage.work(0);
    stage.work(1);
    assert_eq!(stage.store().assignments().unwrap(), []);
    let row = row(&stage);
    assert_eq!((row.state, row.reason.as_str()), (RolloutState::Halted, "smoke in three homes"));
    let lines: Vec<String> = stage.store().audit(None, 0).unwrap().into_iter().map(|line| line.action).collect();
    assert_eq!(lines, ["rollout.halted"]);
}

#[test]
fn a_row_that_was_read_before_somebody_else_wrote_is_not_written() {
    let stage = begun("immediate", 1);
    let stale = row(&stage);
    action(&stage, RolloutAction::Halt, "why").unwrap();
    let complete = RolloutRow { state: RolloutState::Complete, ..stale.clone() };
    let lost = stage.store().put_rollout(&complete).unwrap_err();
    assert!(matches!(lost, StoreError::Conflict { noun: "rollout", row_version: 2, .. }), "{lost}");
    let new = stage.store().put_rollout(&RolloutRow { row_version: 0, ..stale }).unwrap_err();
    assert!(matches!(new, StoreError::Conflict { .. }), "a second one of the same version: {new}");
    assert_eq!(stage.state(1), RolloutState::Halted);
}

#[test]
fn a_wish_about_a_row_that_changed_since_it_was_looked_at_is_refused_with_where_it_is_now() {
    let stage = Stage::released("staged", 50);
    let looked_at = row(&stage).row_version;
    action(&stage, RolloutAction::Pause, "first").unwrap();
    let late = manual::Asked { row_version: Some(looked_at), ..asked(1, RolloutAction::Halt, "second", NOW) };
    let refused = manual::act(&stage.director, stage.store(), &late).unwrap_err();
    assert_eq!(refused.to_string(), "rollout 1 was changed meanwhile: it is paused");
    assert_eq!(stage.state(1), RolloutState::Paused);
}

#[test]
fn the_line_of_a_change_says_what_was_before_and_what_is_after() {
    let stage = Stage::released("staged", 50);
    action(&stage, RolloutAction::Pause, "look").unwrap();
    let line = stage.store().audit(None, 1).unwrap().remove(0);
    assert_eq!((line.actor.to_string(), line.action.as_str()), ("token:kim".to_owned(), "rollout.paused"));
    let detail: serde_json::Value = serde_json::from_str(&line.detail).unwrap();
    let expected = serde_json::json!({
        "reason": "look",
        "before": {"state": "running", "forced": false, "row_version": 1},
        "after": {"state": "paused", "forced": false, "row_version": 2},
    });
    assert_eq!(detail, expected);
}

/// One of three who write, each a list of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Director,
    First,
    Second,
}

/// Every order in which the steps of the three can come.
fn interleavings(director: usize, first: usize, second: usize) -> Vec<Vec<Who>> {
    if director + first + second == 0 {
        return vec![Vec::new()];
    }
    let nexts = [
        (Who::Director, [director.checked_sub(1), Some(first), Some(second)]),
        (Who::First, [Some(director), first.checked_sub(1), Some(second)]),
        (Who::Second, [Some(director), Some(first), second.checked_sub(1)]),
    ];
    let with = |(who, left): (Who, [Option<usize>; 3])| {
        let [Some(director), Some(first), Some(second)] = left else { return Vec::new() };
        interleavings(director, first, second).into_iter().map(|rest| [vec![who], rest].concat()).collect()
    };
    nexts.into_iter().flat_map(with).collect()
}

/// One person's two steps.
struct Person {
    action: RolloutAction,
    read: Option<RolloutRow>,
    /// What the writing came to.
    done: Option<Result<(), ManualError>>,
}

impl Person {
    fn step(&mut self, stage: &Stage, reason: &'static str) {
        let asked = asked(1, self.action, reason, NOW);
        match self.read.take() {
            None if self.done.is_none() => match manual::read(stage.store(), &asked) {
                Ok(row) => self.read = Some(row),
                Err(error) => self.done = Some(Err(error)),
            },
            None => {}
            Some(row) => self.done = Some(manual::write(&stage.director, stage.store(), &asked, &row)),
        }
    }

    fn was_told_done(&self) -> bool {
        matches!(self.done, Some(Ok(())))
    }
}

/// Plays one order of steps: the director reads, decides and writes; two people read and write.
fn play(order: &[Who], wishes: (RolloutAction, RolloutAction)) {
    let stage = begun("immediate", 3);
    let (mut seen, mut decision) = (None, None);
    let person = |action| Person { action, read: None, done: None };
    let (mut first, mut second) = (person(wishes.0), person(wishes.1));
    // Homes with an order at the moment when a person was told that the rollout is stopped.
    let mut ordered_at_stop = None;
    let ordered = |stage: &Stage| stage.store().assignments().unwrap().len();
    for who in order {
        match who {
            Who::Director => match (seen.take(), decision.take()) {
                (None, _) => seen = stage.director.read(stage.store()).unwrap(),
                (Some(before), None) => {
                    decision = Some(stage.director.decide(&before, NOW).unwrap());
                    seen = Some(before);
                }
                (Some(before), Some(decided)) => match stage.director.write(stage.store(), &before, decided, NOW) {
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{order:?}: {error}"),
                },
            },
            Who::First => first.step(&stage, "first"),
            Who::Second => second.step(&stage, "second"),
        }
        let stopped =
            [&first, &second].iter().any(|person| person.action == RolloutAction::Halt && person.was_told_done());
        if stopped && ordered_at_stop.is_none() {
            ordered_at_stop = Some(ordered(&stage));
        }
    }
    // Afterwards the director looks as often as it likes.
    stage.work(1);
    stage.work(2);
    let row = row(&stage);
    if let Some(count) = ordered_at_stop {
        assert_eq!(row.state, RolloutState::Halted, "{order:?}");
        assert_eq!(ordered(&stage), count, "{order:?}: a home was ordered after the halt was told done");
        let halter = if first.action == RolloutAction::Halt && first.was_told_done() { "first" } else { "second" };
        assert_eq!(row.reason, halter, "{order:?}");
    }
    // Each change has one line, and nothing that was refused has one.
    let done = [&first, &second].iter().filter(|person| person.was_told_done()).count();
    assert_eq!(stage.store().audit(None, 0).unwrap().len(), done, "{order:?}");
    let versions = 1 + done as u64 + u64::from(row.state == RolloutState::Complete);
    assert_eq!(row.row_version, versions, "{order:?}");
}

#[test]
fn in_no_order_of_steps_is_a_home_ordered_after_a_halt_or_a_halt_overwritten() {
    // Three steps of the director's and two of each person's: 7! / (3! 2! 2!) orders, with three pairs of wishes.
    let orders = interleavings(3, 2, 2);
    assert_eq!(orders.len(), 210);
    for order in &orders {
        play(order, (RolloutAction::Halt, RolloutAction::Promote));
    }
    // With a second stop, or a pause that is lifted by nobody, only the order among the people matters more.
    for order in orders.iter().step_by(5) {
        play(order, (RolloutAction::Halt, RolloutAction::Halt));
        play(order, (RolloutAction::Pause, RolloutAction::Halt));
    }
}

/// A broker that takes everything, and counts.
#[derive(Default)]
struct Counting {
    taken: Mutex<Vec<HomeId>>,
    refuses: AtomicBool,
}

fn counting() -> (Arc<Counting>, Arc<dyn MessagePublisher>) {
    let counting = Arc::new(Counting::default());
    (counting.clone(), counting)
}

#[async_trait]
impl MessagePublisher for Counting {
    async fn publish(&self, topic: &Topic, _payload: Vec<u8>) -> Result<(), PublishError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(PublishError("no broker".to_owned()));
        }
        let Topic::Assignment(home) = topic else { return Ok(()) };
        self.taken.lock().unwrap().push(home.clone());
        Ok(())
    }
}

#[tokio::test]
async fn orders_that_were_stored_and_not_sent_stay_here_after_a_halt_and_those_sent_are_sent_again() {
    let stage = Stage::new("immediate", 4);
    stage.release(1);
    let (counting, publisher) = counting();
    stage.work(0);
    let one = stage.store().assignments().unwrap().remove(0);
    stage.store().delivered(&[(one.home.clone(), one.generation)]).unwrap();
    // Every home is assigned by now; a rollout that is complete is halted like any other by its row alone.
    let row = row(&stage);
    stage.store().put_rollout(&RolloutRow { state: RolloutState::Halted, ..row }).unwrap();
    stage.director.send(&publisher, &mut BTreeMap::new()).await;
    stage.director.settled().await;
    assert_eq!(*counting.taken.lock().unwrap(), [one.home], "what the broker had before, and nothing else");
}

#[tokio::test]
async fn a_pause_keeps_orders_here_and_going_on_sends_them() {
    let stage = Stage::released("staged", 50);
    let (counting, publisher) = counting();
    let mut sent = BTreeMap::new();
    action(&stage, RolloutAction::Pause, "look").unwrap();
    stage.director.send(&publisher, &mut sent).await;
    assert!(counting.taken.lock().unwrap().is_empty());
    action(&stage, RolloutAction::Resume, "fine").unwrap();
    counting.refuses.store(true, Ordering::SeqCst);
    stage.director.send(&publisher, &mut sent).await;
    counting.refuses.store(false, Ordering::SeqCst);
    stage.director.send(&publisher, &mut sent).await;
    assert_eq!(counting.taken.lock().unwrap().len(), 1, "the canary, once the broker took it");
    stage.director.send(&publisher, &mut sent).await;
    assert_eq!(counting.taken.lock().unwrap().len(), 1, "and not twice");
}
