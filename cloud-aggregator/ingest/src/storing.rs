//! Storing a batch whatever is in it: what fails alone is set aside, what fails because the store does is waited out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearthwatch_store::clock::Clock;
use hearthwatch_store::{StoreError, StoreResult};
use hearthwatch_supervision::panic_text;
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{BatchReport, Take};
use super::health::IntakeHealth;
use super::limiter::Traffic;
use crate::event::{MessageLost, MessageSetAside, StoreFailing};

/// The first wait between two attempts to store; each further one is twice as long.
pub(super) const STORE_AGAIN_FIRST: Duration = Duration::from_secs(1);

/// Longest wait between two attempts to store.
const STORE_AGAIN_MAX: Duration = Duration::from_secs(30);

/// Attempts at a single message before it is set aside: one more than none, for what was no fault of its own.
const ATTEMPTS_ALONE: u32 = 2;

/// A message as it came: topic and payload.
pub(super) type Message = (String, Bytes);

/// Stores batches one after the other, and tries again while the store takes nothing.
#[derive(Clone)]
pub(super) struct Storing {
    pub taker: Arc<dyn Take>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub health: watch::Sender<IntakeHealth>,
    /// How long to wait after the first attempt that failed.
    pub first_wait: Duration,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
enum Failure {
    /// The store said so.
    Store(StoreError),
    /// The work panicked; its words.
    Panic(String),
}

impl Failure {
    /// Whether nothing could be stored at this moment, whatever it is.
    fn of_the_engine(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable { .. }))
    }

    fn words(&self) -> String {
        match self {
            Self::Store(error) => error.to_string(),
            Self::Panic(words) => format!("panic: {words}"),
        }
    }
}

impl Storing {
    /// Commits `batch`. A part that fails while the store works is split until the message at fault is alone; that one goes to
    /// quarantine and the rest is stored. While the store itself fails, it is tried again for as long as it takes. `None` if told
    /// to stop before it worked.
    pub async fn store(self, batch: Vec<Message>, stop: CancellationToken) -> Option<Vec<BatchReport>> {
        let (mut reports, mut parts, mut wait, mut alone) = (Vec::new(), vec![batch], self.first_wait, 0);
        while let Some(mut part) = parts.pop() {
            let failure = match self.attempt(&part).await {
                Ok(report) => {
                    self.committed(&mut wait);
                    reports.push(report);
                    alone = 0;
                    continue;
                }
                Err(failure) => failure,
            };
            let cause = failure.words();
            if failure.of_the_engine() || !self.store_works().await {
                self.rest(&cause, &mut wait, &stop).await?;
                parts.push(part);
                continue;
            }
            alone += u32::from(part.len() == 1);
            if part.len() > 1 {
                let second = part.split_off(part.len() / 2);
                parts.extend([second, part]);
            } else if alone < ATTEMPTS_ALONE {
                parts.push(part);
            } else if let Some(message) = part.pop() {
                alone = 0;
                reports.extend(self.set_aside(message, &cause, &stop).await?);
                self.committed(&mut wait);
            }
        }
        Some(reports)
    }

    async fn attempt(&self, part: &[Message]) -> Result<BatchReport, Failure> {
        let (taker, now, part) = (Arc::clone(&self.taker), self.clock.now(), part.to_vec());
        blocking(move || taker.take(&part, now)).await
    }

    /// Whether the store takes what nobody sent: then it is the message that fails.
    async fn store_works(&self) -> bool {
        let taker = Arc::clone(&self.taker);
        blocking(move || taker.probe()).await.is_ok()
    }

    /// Puts a message that cannot be stored into quarantine: covered by a receipt if its key can be read, without its key if that
    /// fails too. One that even the quarantine does not take is lost, and said to be.
    async fn set_aside(&self, message: Message, cause: &str, stop: &CancellationToken) -> Option<Option<BatchReport>> {
        let (home, traffic) = Traffic::of(&message.0);
        let (mut wait, mut covered) = (self.first_wait, true);
        loop {
            let (taker, now, why) = (Arc::clone(&self.taker), self.clock.now(), cause.to_owned());
            let message = message.clone();
            let failure = match blocking(move || taker.set_aside(&message, &why, covered, now)).await {
                Ok(report) => {
                    MessageSetAside { home: home.as_ref(), traffic, cause }.emit(&self.metrics);
                    return Some(Some(report));
                }
                Err(failure) => failure,
            };
            if failure.of_the_engine() || !self.store_works().await {
                self.rest(&failure.words(), &mut wait, stop).await?;
            } else if covered {
                covered = false;
            } else {
                let second = failure.words();
                MessageLost { home: home.as_ref(), traffic, cause, second: &second }.emit(&self.metrics);
                return Some(None);
            }
        }
    }

    fn committed(&self, wait: &mut Duration) {
        *wait = self.first_wait;
        self.health.send_modify(|health| health.committed(Instant::now()));
    }

    /// Waits for the store; `None` if told to stop meanwhile.
    async fn rest(&self, cause: &str, wait: &mut Duration, stop: &CancellationToken) -> Option<()> {
        let again_in = *wait;
        StoreFailing { cause, again_in }.emit(&self.metrics);
        self.health.send_modify(|health| health.failed(Instant::now(), cause));
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(again_in) => {}
        }
        *wait = wait.saturating_mul(2).min(STORE_AGAIN_MAX);
        Some(())
    }
}

/// Runs `work` where it may block, and keeps its panic from spreading.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> StoreResult<T> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Failure::Store),
        Err(error) => Err(Failure::Panic(match error.try_into_panic() {
            Ok(panic) => panic_text(&*panic),
            Err(error) => error.to_string(),
        })),
    }
}

#[cfg(test)]
mod tests;
