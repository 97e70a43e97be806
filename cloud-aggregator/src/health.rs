//! What is asked of each part's own progress: the probes behind `/healthz` and `/readyz`, and the part that looks where nobody else
//! does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearthwatch_fleet::release::Publisher;
use hearthwatch_ingest::IntakeHealth;
use hearthwatch_learning::training::TrainingStatus;
use hearthwatch_provision::signer::client::SignerClient;
use hearthwatch_store::clock::{Clock as _, SystemClock};
use hearthwatch_supervision::{Board, Condition, Grade, Progress};
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::counts::Counts;

/// How often all parts are looked at without being asked: "since when" is right to within this.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the homes are counted: of 10,000 it takes milliseconds.
const COUNT_EVERY: Duration = Duration::from_secs(15);
/// How often disk and signer are tried.
const TRY_EVERY: Duration = Duration::from_secs(60);
/// How long a try may take. A disk that takes longer for one small file stores nothing in time either.
const TRY_MAX: Duration = Duration::from_secs(10);
/// One block: a full disk has no room for it.
const TRIAL_BYTES: usize = 4096;
/// Written and removed again, in the data directory.
const TRIAL_FILE: &str = ".writable";
/// A run tells of each batch and each home that it is done with; the longest of them is minutes on a small machine.
const TRAINING_STANDS_MAX: Duration = Duration::from_secs(3_600);
/// A batch is stored in well under a second.
const INTAKE_BUSY_MAX: Duration = Duration::from_secs(600);
/// A look at a fleet of 10,000 homes takes seconds.
const DIRECTOR_BUSY_MAX: Duration = Duration::from_secs(600);
/// The director looks twice a minute: so much later, ten looks have failed.
const DIRECTOR_LATE_MAX: Duration = Duration::from_secs(300);

/// The broker is connected.
pub(crate) fn broker(board: &Board, metrics: &Metrics) {
    let connected = metrics.link_connected.clone();
    board.probe("broker", Grade::Optional, move || able(connected.get() == 1));
}

/// What is taken off the broker is stored.
pub(crate) fn intake(board: &Board, health: watch::Receiver<IntakeHealth>) {
    board.probe("intake", Grade::Vital, move || {
        let health = health.borrow();
        stores(health.failing_since.is_some(), health.busy_since.map(|since| since.elapsed()))
    });
}

/// A store that fails is tried again for as long as it takes: that is no intake that stands still.
fn stores(failing: bool, busy: Option<Duration>) -> Condition {
    match busy {
        _ if failing => Condition::Unable,
        Some(busy) if busy > INTAKE_BUSY_MAX => Condition::Stuck,
        _ => Condition::Able,
    }
}

/// The director's looks end, and end well.
pub(crate) fn director(board: &Board, progress: Arc<Progress>) {
    board.probe("director", Grade::Vital, move || looks(progress.busy_for(), progress.since_last()));
}

/// Rounds go on. A look trains on recordings, which takes minutes, or an hour on a small machine.
pub(crate) fn rounds(board: &Board, progress: Arc<Progress>) {
    board.probe("rounds", Grade::Optional, move || {
        let busy = progress.busy_for();
        if busy.is_some_and(|busy| busy > TRAINING_STANDS_MAX) {
            return Condition::Stuck;
        }
        able(busy.is_some() || progress.since_last().is_none_or(|last| last <= DIRECTOR_LATE_MAX))
    });
}

fn looks(busy: Option<Duration>, last: Option<Duration>) -> Condition {
    if busy.is_some_and(|busy| busy > DIRECTOR_BUSY_MAX) {
        Condition::Stuck
    } else {
        able(last.is_none_or(|last| last <= DIRECTOR_LATE_MAX))
    }
}

/// What is in the repository has not expired.
pub(crate) fn repository(board: &Board, publisher: &Arc<Publisher>) {
    let publisher = Arc::clone(publisher);
    board.probe("repository", Grade::Vital, move || able(publisher.expires() > SystemClock.now()));
}

fn able(is: bool) -> Condition {
    if is { Condition::Able } else { Condition::Unable }
}

/// The part `checks`: asks what no other part can say of itself.
pub(crate) struct Checks {
    board: Arc<Board>,
    training: watch::Receiver<TrainingStatus>,
    /// Comes on whenever a run does; rests between two runs.
    trainer: Arc<Progress>,
    data: PathBuf,
    writable: Arc<AtomicBool>,
    signer: Option<(SignerClient, Arc<AtomicBool>)>,
    counts: Option<Counts>,
}

impl Checks {
    /// Makes the rows `trainer`, `disk`, and `signer` where there is one.
    pub(crate) fn new(
        board: &Arc<Board>,
        training: watch::Receiver<TrainingStatus>,
        data: &Path,
        signer: Option<&Path>,
    ) -> Self {
        let (trainer, writable) = (Arc::<Progress>::default(), Arc::new(AtomicBool::new(true)));
        let progress = Arc::clone(&trainer);
        board.probe("trainer", Grade::Vital, move || {
            let stands = progress.since_last().is_some_and(|last| last > TRAINING_STANDS_MAX);
            if stands { Condition::Stuck } else { Condition::Able }
        });
        let seen = Arc::clone(&writable);
        board.probe("disk", Grade::Optional, move || able(seen.load(Ordering::Relaxed)));
        let signer = signer.map(|socket| {
            let answers = Arc::new(AtomicBool::new(true));
            let seen = Arc::clone(&answers);
            board.probe("signer", Grade::Optional, move || able(seen.load(Ordering::Relaxed)));
            (SignerClient::new(socket), answers)
        });
        Self { board: Arc::clone(board), training, trainer, data: data.to_owned(), writable, signer, counts: None }
    }

    /// The same, also counting the homes now and then.
    pub(crate) fn with_counts(self, counts: Counts) -> Self {
        Self { counts: Some(counts), ..self }
    }

    /// Looks at the trainer's progress, and tries the disk and the signer, again and again until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut before, mut tried, mut counted) = (None, None, None);
        let mut counts = self.counts.take();
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let status = self.training.borrow().clone();
            note(&self.trainer, &status, before.as_ref());
            before = Some(status);
            if tried.is_none_or(|at: Instant| at.elapsed() >= TRY_EVERY) {
                tried = Some(Instant::now());
                let tries = async { tokio::join!(self.try_disk(), self.try_signer()) };
                if stop.run_until_cancelled(tries).await.is_none() {
                    return;
                }
            }
            if let Some(counts) = &mut counts
                && counted.is_none_or(|at: Instant| at.elapsed() >= COUNT_EVERY)
            {
                counted = Some(Instant::now());
                if stop.run_until_cancelled(counts.refresh()).await.is_none() {
                    return;
                }
            }
            // Whoever asks later is then told since when.
            let _ = self.board.look();
        }
    }

    async fn try_disk(&self) {
        let file = self.data.join(TRIAL_FILE);
        let written = timeout(TRY_MAX, tokio::task::spawn_blocking(move || trial(&file))).await;
        let cause = match written {
            Ok(Ok(Ok(()))) => return self.writable.store(true, Ordering::Relaxed),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not done after {} s", TRY_MAX.as_secs()),
        };
        if self.writable.swap(false, Ordering::Relaxed) {
            tracing::error!(path = %self.data.display(), cause, "the data directory cannot be written");
        }
    }

    async fn try_signer(&self) {
        let Some((signer, answers)) = &self.signer else { return };
        let answered = matches!(timeout(TRY_MAX, signer.describe()).await, Ok(Ok(_)));
        if answers.swap(answered, Ordering::Relaxed) && !answered {
            tracing::warn!("the signer does not answer: what is promoted waits");
        }
    }
}

/// Between two runs nothing is expected of the trainer; within one, that something changes.
fn note(progress: &Progress, status: &TrainingStatus, before: Option<&TrainingStatus>) {
    if status.phase == "idle" {
        progress.rest();
    } else if before != Some(status) {
        progress.advance();
    }
}

fn trial(file: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let written = std::fs::File::create(file).and_then(|mut open| {
        open.write_all(&[0; TRIAL_BYTES])?;
        open.sync_all()
    });
    // What could not be written may be there all the same.
    let removed = std::fs::remove_file(file);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_secs(5));
    const HOUR: Option<Duration> = Some(Duration::from_secs(3_600));

    #[test]
    fn a_look_that_never_ends_is_stuck_and_looks_that_fail_are_not() {
        assert_eq!(looks(HOUR, SOON), Condition::Stuck);
        assert_eq!(looks(SOON, HOUR), Condition::Unable);
        assert_eq!(looks(None, SOON), Condition::Able);
        assert_eq!(looks(SOON, None), Condition::Able, "the first one");
    }

    #[test]
    fn a_batch_that_is_never_done_is_stuck_and_a_store_that_fails_is_not() {
        assert_eq!(stores(false, HOUR), Condition::Stuck);
        assert_eq!(stores(true, HOUR), Condition::Unable);
        assert_eq!((stores(false, SOON), stores(false, None)), (Condition::Able, Condition::Able));
    }

    #[test]
    fn a_run_that_tells_nothing_new_does_not_come_on_and_an_idle_trainer_need_not() {
        let progress = Progress::default();
        let status = |phase, done| TrainingStatus { phase, done, ..TrainingStatus::default() };
        note(&progress, &status("training", 1), None);
        assert!(progress.since_last().is_some(), "it has begun");
        note(&progress, &status("idle", 0), Some(&status("training", 1)));
        assert_eq!(progress.since_last(), None);
        note(&progress, &status("training", 1), Some(&status("training", 1)));
        assert_eq!(progress.since_last(), None, "nothing new is no progress");
    }

    #[tokio::test]
    async fn a_directory_that_takes_no_file_is_told_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let (board, data) = (Arc::<Board>::default(), directory.path().join("data"));
        let checks = Checks::new(&board, watch::channel(TrainingStatus::default()).1, &data, None);
        checks.try_disk().await;
        assert!(board.look().is_alive() && !board.look().is_able());
        std::fs::create_dir(&data).unwrap();
        checks.try_disk().await;
        assert!(board.look().is_able());
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing is left behind");
    }
}
