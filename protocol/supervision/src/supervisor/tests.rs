//! Parts that end in each way, and what their supervisor makes of it.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::fault::Fault;

fn supervisor(faults: &FaultPlan) -> Supervisor {
    let pauses = Pauses { first: Duration::from_millis(1), longest: Duration::from_millis(1) };
    Supervisor::new(CancellationToken::new(), faults.clone()).with_pauses(pauses)
}

async fn until(stop: CancellationToken) {
    stop.cancelled().await;
}

async fn overflows(sequence: u64) {
    panic!("sequence {sequence} overflows");
}

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_vital_part_that_ends_fails_or_panics_stops_the_program_and_says_why() {
    let text = "a test ordered it".to_owned();
    let causes = [
        (Fault::End, Cause::Ended),
        (Fault::Error, Cause::Failed(text.clone())),
        (Fault::Panic, Cause::Panicked(text)),
    ];
    for (fault, cause) in causes {
        let faults = FaultPlan::armed();
        let parts = supervisor(&faults);
        parts.vital("intake", until(parts.stop().clone()));
        parts.vital("trainer", until(parts.stop().clone()));
        assert_eq!(parts.failure(), None);
        faults.strike("intake", fault);
        assert_eq!(parts.failed().await, PartFailed { part: "intake", cause });
        assert_eq!(parts.drain(LIMIT).await, Vec::<&str>::new());
        assert!(!parts.board().look().is_alive());
    }
}

#[tokio::test]
async fn the_line_names_the_part_and_its_own_words() {
    let parts = supervisor(&FaultPlan::default());
    parts.vital("intake", overflows(7));
    assert_eq!(parts.failed().await.to_string(), "the part intake panicked: sequence 7 overflows");
    let parts = supervisor(&FaultPlan::default());
    parts.vital("http", async { Err::<(), _>(std::io::Error::other("too many open files")) });
    assert_eq!(parts.failed().await.to_string(), "the part http failed: too many open files");
}

#[tokio::test]
async fn a_thread_that_panics_stops_the_program_too() {
    let faults = FaultPlan::armed();
    let parts = supervisor(&faults);
    faults.strike("detector", Fault::Panic);
    parts.thread("detector", |strikes| strikes.look().map(drop)).unwrap();
    let cause = Cause::Panicked("a test ordered it".to_owned());
    assert_eq!(parts.failed().await, PartFailed { part: "detector", cause });
}

#[tokio::test]
async fn an_optional_part_is_started_again_each_time_and_the_rest_goes_on() {
    let faults = FaultPlan::armed();
    let parts = supervisor(&faults);
    let (starts, counted) = (watch::Sender::new(0), parts.stop().clone());
    let mut seen = starts.subscribe();
    parts.vital("detector", until(parts.stop().clone()));
    parts.optional("page", move || {
        starts.send_modify(|count| *count += 1);
        until(counted.clone())
    });
    seen.wait_for(|starts| *starts == 1).await.unwrap();
    for (fault, count) in [(Fault::End, 2), (Fault::Error, 3), (Fault::Panic, 4)] {
        faults.strike("page", fault);
        seen.wait_for(|starts| *starts == count).await.unwrap();
        assert!(parts.failure().is_none() && parts.board().look().is_alive(), "{fault:?}");
    }
    assert!(parts.board().look().is_able(), "the page is back");
    assert_eq!(parts.drain(LIMIT).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_part_that_panics_at_every_start_is_seen_and_ends_nothing_else() {
    let parts = Supervisor::new(CancellationToken::new(), FaultPlan::default())
        .with_pauses(Pauses { first: Duration::from_millis(1), longest: Duration::from_secs(3_600) });
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    parts.vital("detector", until(parts.stop().clone()));
    let make = move || -> std::future::Ready<()> { panic!("the {} time", counted.fetch_add(1, Ordering::Relaxed) + 1) };
    parts.optional("fleet", make);
    while tries.load(Ordering::Relaxed) < 5 {
        tokio::task::yield_now().await;
    }
    let report = parts.board().look();
    assert!(report.is_alive() && parts.failure().is_none());
    // It rests for ever longer, and a stop does not wait for that.
    assert_eq!(parts.drain(LIMIT).await, Vec::<&str>::new());
}

#[tokio::test]
async fn what_ends_after_the_stop_is_no_failure_and_what_does_not_end_is_named() {
    let parts = supervisor(&FaultPlan::default());
    parts.vital("intake", until(parts.stop().clone()));
    parts.vital("trainer", std::future::pending::<()>());
    assert_eq!(parts.drain(Duration::from_millis(20)).await, ["trainer"]);
    assert_eq!(parts.failure(), None);
}

#[test]
fn pauses_double_up_to_the_longest() {
    let pauses = Pauses::default();
    let seconds: Vec<u64> = [1, 2, 3, 9, 10, 40, u32::MAX].map(|failures| pauses.after(failures).as_secs()).to_vec();
    assert_eq!(seconds, [1, 2, 4, 256, 300, 300, 300]);
}
