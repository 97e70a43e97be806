//! Starts the parts, notices how they end, and stops the program where that is the answer.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::board::{Board, Grade, Life};
use crate::cause::{Cause, Ending, PartFailed, panic_text};
use crate::fault::{FaultPlan, Strikes};

/// A part that ran so long was a good one: its next failure counts as the first.
const STEADY: Duration = Duration::from_secs(600);

/// How long an optional part rests before it is started again: twice as long after each failure, up to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// After the first failure; doubled after each further one.
    pub first: Duration,
    /// Upper bound of the pause.
    pub longest: Duration,
}

impl Default for Pauses {
    /// A second at first; never longer than five minutes, so that what a person mends is found soon, and what nobody mends costs a few
    /// lines of log an hour.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(300) }
    }
}

impl Pauses {
    fn after(self, failures: u32) -> Duration {
        let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).and_then(|times| self.first.checked_mul(times));
        doubled.map_or(self.longest, |pause| pause.min(self.longest))
    }
}

/// Owns the parts of one program. Clones are the same supervisor.
#[derive(Debug, Clone)]
pub struct Supervisor {
    stop: CancellationToken,
    tasks: TaskTracker,
    board: Arc<Board>,
    failure: watch::Sender<Option<PartFailed>>,
    faults: FaultPlan,
    pauses: Pauses,
}

impl Supervisor {
    /// One without parts. `stop` is cancelled by whoever stops the program, and by the supervisor when a vital part has ended.
    #[must_use]
    pub fn new(stop: CancellationToken, faults: FaultPlan) -> Self {
        let (tasks, board, failure) = (TaskTracker::new(), Arc::default(), watch::Sender::new(None));
        Self { stop, tasks, board, failure, faults, pauses: Pauses::default() }
    }

    /// The same with other pauses, for parts that are started from now on.
    #[must_use]
    pub fn with_pauses(self, pauses: Pauses) -> Self {
        Self { pauses, ..self }
    }

    /// The states of all parts, for the health endpoints.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Cancelled when the program is to end; parts watch it.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a part without which the program is no use. `body` runs until the program is stopped.
    pub fn vital<F>(&self, part: &'static str, body: F)
    where
        F: Future + Send + 'static,
        F::Output: Ending,
    {
        let watch = self.watch(part, Grade::Vital);
        self.tasks.spawn(async move {
            let ended = watch.supervisor.run(part, || body).await;
            watch.conclude(ended);
        });
    }

    /// Starts a part without which the rest goes on. `make` gives a body that runs until the program is stopped; it is asked again each
    /// time that the body has ended before.
    pub fn optional<M, F>(&self, part: &'static str, mut make: M)
    where
        M: FnMut() -> F + Send + 'static,
        F: Future + Send + 'static,
        F::Output: Ending,
    {
        let watch = self.watch(part, Grade::Optional);
        self.tasks.spawn(async move {
            let supervisor = watch.supervisor.clone();
            let mut failures = 0;
            loop {
                supervisor.board.set(part, Grade::Optional, Life::Running);
                let began = Instant::now();
                let ended = supervisor.run(part, &mut make).await;
                if supervisor.stop.is_cancelled() {
                    return watch.conclude(ended);
                }
                failures = if began.elapsed() >= STEADY { 1 } else { failures + 1 };
                let pause = supervisor.pauses.after(failures);
                let failed = PartFailed { part, cause: ended.err().unwrap_or(Cause::Ended) };
                tracing::error!(part, failures, "{failed}: started again in {} s, the rest goes on", pause.as_secs());
                supervisor.board.set(part, Grade::Optional, Life::Restarting);
                if supervisor.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return watch.conclude(Ok(()));
                }
            }
        });
    }

    /// Starts a vital part on a thread of its own. `body` looks at its [`Strikes`] now and then.
    ///
    /// # Errors
    /// When the system has no thread to give; then the part has never been.
    pub fn thread<B, R>(&self, part: &'static str, body: B) -> std::io::Result<()>
    where
        B: FnOnce(&Strikes) -> R + Send + 'static,
        R: Ending,
    {
        let strikes = Strikes { part, plan: self.faults.clone() };
        let (tell, told) = oneshot::channel();
        let work = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| body(&strikes)));
            // Refused only when the runtime has ended already.
            let _ = tell.send(cause_of(ended));
        };
        std::thread::Builder::new().name(part.to_owned()).spawn(work)?;
        let watch = self.watch(part, Grade::Vital);
        self.tasks.spawn(async move {
            watch.conclude(told.await.unwrap_or(Err(Cause::Ended)));
        });
        Ok(())
    }

    /// Waits until a vital part has stopped the program; for ever where none does.
    pub async fn failed(&self) -> PartFailed {
        let mut seen = self.failure.subscribe();
        let found = seen.wait_for(Option::is_some).await.map(|failed| failed.clone());
        match found {
            Ok(Some(failed)) => failed,
            // We hold a sender, so the wait ends with a failure.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// The vital part that has stopped the program, if one has.
    #[must_use]
    pub fn failure(&self) -> Option<PartFailed> {
        self.failure.borrow().clone()
    }

    /// Stops every part and waits for their ends, at most `limit`. Gives the parts that have not ended by then.
    pub async fn drain(&self, limit: Duration) -> Vec<&'static str> {
        self.stop.cancel();
        self.tasks.close();
        match tokio::time::timeout(limit, self.tasks.wait()).await {
            Ok(()) => Vec::new(),
            Err(_) => self.board.running(),
        }
    }

    fn watch(&self, part: &'static str, grade: Grade) -> Watch {
        self.board.enter(part, grade);
        Watch { supervisor: self.clone(), part, grade, concluded: false }
    }

    async fn run<M, F>(&self, part: &str, make: M) -> Result<(), Cause>
    where
        M: FnOnce() -> F,
        F: Future,
        F::Output: Ending,
    {
        let body = async {
            tokio::select! {
                biased;
                struck = self.faults.strikes(part) => struck.map_err(Cause::Failed),
                ended = async { make().await.fault() } => ended.map_or(Ok(()), |fault| Err(Cause::Failed(fault))),
            }
        };
        AssertUnwindSafe(body).catch_unwind().await.unwrap_or_else(|panic| Err(Cause::Panicked(panic_text(&*panic))))
    }

    /// What the end of a part means.
    fn concluded(&self, part: &'static str, grade: Grade, ended: Result<(), Cause>) {
        if self.stop.is_cancelled() {
            self.board.set(part, grade, Life::Stopped);
            if let Err(cause) = ended {
                let failed = PartFailed { part, cause };
                tracing::error!(part, "{failed}, while the program was stopping");
            }
            return;
        }
        self.board.set(part, grade, Life::Dead);
        let failed = PartFailed { part, cause: ended.err().unwrap_or(Cause::Ended) };
        tracing::error!(part, "{failed}: the program stops");
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                *first = Some(failed);
            }
            is_first
        });
        self.stop.cancel();
    }
}

/// Makes sure that the end of a part is noted, also where its task was dropped, or panicked again while it was dropped.
struct Watch {
    supervisor: Supervisor,
    part: &'static str,
    grade: Grade,
    concluded: bool,
}

impl Watch {
    fn conclude(mut self, ended: Result<(), Cause>) {
        self.concluded = true;
        self.supervisor.concluded(self.part, self.grade, ended);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.concluded {
            self.supervisor.concluded(self.part, self.grade, Err(Cause::Ended));
        }
    }
}

fn cause_of<R: Ending>(ended: std::thread::Result<R>) -> Result<(), Cause> {
    match ended {
        Ok(ended) => ended.fault().map_or(Ok(()), |fault| Err(Cause::Failed(fault))),
        Err(panic) => Err(Cause::Panicked(panic_text(&*panic))),
    }
}

#[cfg(test)]
mod tests;
