//! Requests for a retraining: written down before they are answered, put through one after the other, and ended in the store.

use std::sync::Arc;

use hearthwatch_store::clock::Clock;
use hearthwatch_store::run_requests::RunRequestRow;
use hearthwatch_store::{RequestState, RunRow, RunTrigger, Store, blocking};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Cancellations, REQUESTS_MAX, TrainingError, TrainingStatus};

/// How often a request is taken up whose process ended meanwhile; then it may well be what ends it.
pub const ATTEMPTS_MAX: u32 = 3;

/// Who asks where no person does.
pub const SYSTEM: &str = "system";

/// Random bytes of an id: two are never alike.
const ID_BYTES: usize = 16;

/// A new request's id.
///
/// # Panics
/// Never: the system's random source does not fail after start-up.
#[must_use]
pub fn new_id() -> String {
    let mut bytes = [0_u8; ID_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    hex::encode(bytes)
}

/// A request on its way to the trainer.
#[derive(Debug)]
pub struct RunRequest {
    /// As it is in the store.
    pub row: RunRequestRow,
    /// Where the finished run is wanted.
    pub reply: oneshot::Sender<Result<RunRow, TrainingError>>,
}

/// Asks for runs and shows their progress. Cloning is cheap.
#[derive(Clone)]
pub struct TrainingHandle {
    requests: mpsc::Sender<RunRequest>,
    status: watch::Receiver<TrainingStatus>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    cancellations: Cancellations,
}

impl TrainingHandle {
    /// A handle, and the trainer's ends of it.
    #[must_use]
    pub fn channel(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> (Self, mpsc::Receiver<RunRequest>, watch::Sender<TrainingStatus>) {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (sender, status) = watch::channel(TrainingStatus { phase: "idle", ..TrainingStatus::default() });
        let cancellations = Cancellations::default();
        (Self { requests, status, store, clock, cancellations }, inbox, sender)
    }

    /// Where the trainer hears of runs that somebody wants to end.
    #[must_use]
    pub fn cancellations(&self) -> Cancellations {
        self.cancellations.clone()
    }

    /// Asks for a run. The request is in the store, *queued*, when this returns, and is put through even if the process ends
    /// before; the receiver gets the run when it has ended. `by` is `token:NAME` or [`SYSTEM`].
    ///
    /// # Errors
    /// [`TrainingError::Busy`], [`TrainingError::Stopped`] or [`TrainingError::Store`]; then nothing was written.
    pub async fn ask(
        &self,
        id: String,
        trigger: RunTrigger,
        by: &str,
    ) -> Result<(RunRequestRow, oneshot::Receiver<Result<RunRow, TrainingError>>), TrainingError> {
        let place = self.requests.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => TrainingError::Busy,
            mpsc::error::TrySendError::Closed(()) => TrainingError::Stopped,
        })?;
        let row = RunRequestRow::queued(id, trigger, by.to_owned(), self.clock.now());
        let written = row.clone();
        blocking(&self.store, move |store| store.put_run_request(&written)).await?;
        let (reply, answer) = oneshot::channel();
        place.send(RunRequest { row: row.clone(), reply });
        Ok((row, answer))
    }

    /// Asks for a run and waits for its end.
    ///
    /// # Errors
    /// [`TrainingError`].
    pub async fn run(&self, trigger: RunTrigger) -> Result<RunRow, TrainingError> {
        let (_, answer) = self.ask(new_id(), trigger, SYSTEM).await?;
        answer.await.map_err(|_| TrainingError::Stopped)?
    }

    /// What the trainer is doing, now and from now on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<TrainingStatus> {
        self.status.clone()
    }
}

/// The request as it is taken up at `now`; ended instead if it was taken up too often.
#[must_use]
pub(super) fn taken_up(row: RunRequestRow, now: i64) -> RunRequestRow {
    if row.attempts >= ATTEMPTS_MAX {
        let reason = Some(format!("the process ended {} times while it ran", row.attempts));
        return RunRequestRow { state: RequestState::Interrupted, ended_at: Some(now), reason, ..row };
    }
    RunRequestRow { state: RequestState::Running, started_at: Some(now), attempts: row.attempts + 1, ..row }
}

/// The request as it stands after its attempt came to `result` at `now`. One that was stopped with the program has not ended:
/// the next start takes it up again.
#[must_use]
pub(super) fn ended(row: RunRequestRow, result: &Result<RunRow, TrainingError>, now: i64) -> RunRequestRow {
    let ended_at = Some(now);
    match result {
        Ok(run) => RunRequestRow { state: RequestState::Done, ended_at, run: Some(run.id.clone()), ..row },
        Err(TrainingError::Stopped) => row,
        Err(TrainingError::Cancelled { run, by }) => {
            let (run, reason) = (Some(run.clone()).filter(|run| !run.is_empty()), Some(format!("cancelled by {by}")));
            RunRequestRow { state: RequestState::Cancelled, ended_at, run, reason, ..row }
        }
        Err(TrainingError::Failed { run, cause }) => {
            let run = Some(run.clone()).filter(|run| !run.is_empty());
            RunRequestRow { state: RequestState::Failed, ended_at, run, reason: Some(cause.clone()), ..row }
        }
        Err(other) => RunRequestRow { state: RequestState::Failed, ended_at, reason: Some(other.to_string()), ..row },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued() -> RunRequestRow {
        RunRequestRow::queued("r".to_owned(), RunTrigger::Hand, "token:kim".to_owned(), 1)
    }

    #[test]
    fn a_request_that_ended_its_process_three_times_is_not_taken_up_again() {
        let mut row = queued();
        for attempt in 1..=ATTEMPTS_MAX {
            row = taken_up(row, 5);
            assert_eq!((row.state, row.attempts, row.ended_at), (RequestState::Running, attempt, None));
        }
        let row = taken_up(row, 9);
        assert_eq!((row.state, row.ended_at), (RequestState::Interrupted, Some(9)));
        assert_eq!(row.reason.as_deref(), Some("the process ended 3 times while it ran"));
    }

    #[test]
    fn every_end_but_the_programs_own_is_the_requests_end_with_its_reason() {
        let running = taken_up(queued(), 5);
        assert_eq!(ended(running.clone(), &Err(TrainingError::Stopped), 9), running);
        let unready = ended(running.clone(), &Err(TrainingError::Unready("no recorded sets".to_owned())), 9);
        assert_eq!((unready.state, unready.ended_at, unready.run), (RequestState::Failed, Some(9), None));
        assert_eq!(unready.reason.as_deref(), Some("no recorded sets"));
        let cause = TrainingError::Failed { run: "ab".to_owned(), cause: "the loss is not finite".to_owned() };
        let failed = ended(running, &Err(cause), 9);
        assert_eq!((failed.run.as_deref(), failed.reason.as_deref()), (Some("ab"), Some("the loss is not finite")));
    }
}
