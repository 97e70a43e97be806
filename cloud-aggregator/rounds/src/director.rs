//! Holds rounds: opens, closes, aggregates, has the candidate judged, and records what came of it.
//!
//! Background work without input: it looks at the store, does what is missing, and may be run again at any time. Plans are stored before
//! they are sent, artifacts before they are named in a row.

mod exchanges;
mod opening;
mod steps;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_ingest::MessagePublisher;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_store::clock::Clock;
use hearthwatch_store::release::{ReleaseError, Releases};
use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow, RoundStage};
use hearthwatch_store::{Store, StoreError, StoreResult};
use hearthwatch_supervision::Progress;
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::config::RoundsConfig;
use super::event::{RoundEnded, RoundWaits};
use super::files::{FileFault, RoundFiles};
use super::late::Behind;
use super::machine::{self, Needed, Step};
use super::plans;
use super::receipts;
use super::settings::{self, RoundSettings};
use super::trainer::{RoundTrainer, TrainerError};

/// How often the director looks by itself; signals wake it earlier. Deadlines are hours away.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Steps of one look: a whole round has six, a masked one nine, and somebody else may write meanwhile.
const STEPS_MAX: usize = 12;

/// Everything that rounds are held with.
#[derive(Clone)]
pub struct Parts {
    /// Where offers, rounds and answers are.
    pub store: Arc<dyn Store>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// The machine's clock: homes hold plans against theirs.
    pub clock: Arc<dyn Clock>,
    /// Signs plans.
    pub key: Arc<SigningKey>,
    /// Trains and judges on recordings.
    pub trainer: Arc<dyn RoundTrainer>,
    /// Where artifacts lie.
    pub files: RoundFiles,
    /// Lets promoted models out.
    pub releases: Arc<dyn Releases>,
    /// Woken when an offer or an answer came.
    pub wake: Arc<Notify>,
}

/// Holds rounds.
#[derive(Clone)]
pub struct RoundDirector {
    parts: Parts,
    config: RoundsConfig,
}

/// Why a round does not go on now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// The store did not take it, or holds something that this program never writes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Files(#[from] FileFault),
    /// The recordings cannot be used now.
    #[error("recordings: {0}; see [training] corpus")]
    Trainer(String),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Randomness,
    /// A plan cannot be signed.
    #[error("a plan cannot be signed: {0}; see [rounds] and [rollout] director_key")]
    Plan(String),
}

/// How a step ended that can fail for good.
enum Fault {
    /// It is tried again.
    Again(RoundError),
    /// The round ends.
    Final(String),
}

impl<E: Into<RoundError>> From<E> for Fault {
    fn from(error: E) -> Self {
        match error.into() {
            // The same bytes are no artifact the next time either.
            RoundError::Files(FileFault::Artifact { sha256, cause }) => {
                Self::Final(format!("artifact {sha256}: {cause}"))
            }
            error => Self::Again(error),
        }
    }
}

fn trainer_fault(error: TrainerError) -> Fault {
    match error {
        TrainerError::Unready(cause) => Fault::Again(RoundError::Trainer(cause)),
        TrainerError::Failed(cause) => Fault::Final(cause),
    }
}

impl RoundDirector {
    /// A director that holds rounds as `config` says.
    #[must_use]
    pub fn new(parts: Parts, config: RoundsConfig) -> Self {
        Self { parts, config }
    }

    /// Works until `stop`: whenever something comes, at every new connection, and now and then by itself.
    pub async fn run(
        self,
        publisher: Option<Arc<dyn MessagePublisher>>,
        mut connections: watch::Receiver<u64>,
        progress: Arc<Progress>,
        stop: CancellationToken,
    ) {
        let (mut sent, mut connection) = (BTreeSet::new(), 0);
        loop {
            progress.begin();
            let director = self.clone();
            let worked = tokio::task::spawn_blocking(move || {
                let store = Arc::clone(&director.parts.store);
                let promoted = director.work(store.as_ref(), director.parts.clock.now())?;
                Ok::<_, RoundError>((promoted, plans::open(store.as_ref())?))
            });
            // What a step has not stored by then is done again at the next start.
            let worked = tokio::select! {
                () = stop.cancelled() => return,
                worked = worked => worked.map_err(|error| error.to_string()),
            };
            let (promoted, plans) = match worked.and_then(|worked| worked.map_err(|error| error.to_string())) {
                Ok(worked) => {
                    progress.done();
                    worked
                }
                Err(cause) => {
                    progress.give_up();
                    RoundWaits { cause: &cause }.emit(&self.parts.metrics);
                    (None, Vec::new())
                }
            };
            if let Some(version) = promoted.filter(|_| self.config.auto_release) {
                self.release(version).await;
            }
            let current = *connections.borrow_and_update();
            if current != connection {
                // A broker that kept nothing needs everything again, and the process before this one may not have sent every receipt.
                (connection, sent) = (current, BTreeSet::new());
                self.send_receipts_again(publisher.as_ref()).await;
            }
            if let Some(publisher) = publisher.as_ref().filter(|_| connection > 0) {
                plans::send(publisher, plans, &mut sent, &self.parts.metrics).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.parts.wake.notified() => {}
                Ok(()) = connections.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Sends the receipts of taken answers again.
    async fn send_receipts_again(&self, publisher: Option<&Arc<dyn MessagePublisher>>) {
        let Some(publisher) = publisher else { return };
        let store = Arc::clone(&self.parts.store);
        let read = tokio::task::spawn_blocking(move || receipts::taken(store.as_ref())).await;
        match read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.to_string())) {
            Ok(receipts) => receipts::send(publisher, receipts, &self.parts.metrics).await,
            Err(cause) => RoundWaits { cause: &cause }.emit(&self.parts.metrics),
        }
    }

    /// Does what is missing, as far as it can be done at `now`. Blocks, for minutes where recordings are trained on. Returns the model
    /// that a round became, to be let out.
    ///
    /// # Errors
    /// [`RoundError`]; what was stored before stays, and the next look goes on there.
    pub fn work(&self, store: &dyn Store, now: i64) -> Result<Option<ModelVersion>, RoundError> {
        let mut promoted = None;
        for _ in 0..STEPS_MAX {
            match self.step(store, now) {
                Ok(Some(Done { model })) => promoted = model.or(promoted),
                Ok(None) => break,
                // Decided anew on what is there now: a home withdrew meanwhile.
                Err(RoundError::Store(error @ StoreError::Conflict { .. })) => tracing::info!(%error, "decided anew"),
                Err(error) => return Err(error),
            }
        }
        Ok(promoted)
    }

    /// One step; none where nothing is to be done.
    fn step(&self, store: &dyn Store, now: i64) -> Result<Option<Done>, RoundError> {
        let newest = store.rounds(None, 1)?.pop();
        let Some(round) = newest.as_ref().filter(|round| round.stage != RoundStage::Ended) else {
            return self.open(store, newest.as_ref(), now);
        };
        let settings = settings::read(round)?;
        let homes = store.round_homes(round.number, None, 0)?;
        let behind = behind(store)?;
        let most = settings.buffer.map_or(0, |buffer| buffer.staleness_max);
        let usable = behind.usable(round, most, now);
        let case = Case { store, round, settings: &settings, homes: &homes, behind: &behind, now };
        let needed = Needed { least: settings.least, enough: settings.buffer.map(|buffer| buffer.size) };
        let done = match machine::next(round, &homes, usable, needed, now) {
            Step::Wait => return Ok(None),
            Step::TooFew { came, least } => self.too_few(&case, came, least).map_err(Fault::from),
            Step::CloseTraining => match &settings.masks {
                None => close_training(&case).map_err(Fault::from),
                Some(masks) => self.draw_groups(&case, masks),
            },
            Step::CloseExchange => self.close_exchange(&case, &settings.masks.unwrap_or_default()),
            Step::Aggregate => self.aggregate(&case),
            Step::CloseEvaluation => close(&case, RoundStage::Judging).map_err(Fault::from),
            Step::Judge => self.judge(&case),
        };
        match done {
            Ok(done) => Ok(Some(done)),
            Err(Fault::Again(error)) => Err(error),
            Err(Fault::Final(reason)) => {
                Ok(Some(self.end(&case, &RoundRow { reason, ..ended(round, RoundOutcome::Failed, now) })?))
            }
        }
    }

    fn too_few(&self, case: &Case<'_>, came: usize, least: u32) -> StoreResult<Done> {
        let asked = case.settings.cohort;
        let reason = format!("{came} of {asked} homes sent a delta; {least} are needed");
        let row = RoundRow { reason, ..ended(case.round, RoundOutcome::TooFew, case.now) };
        self.end_with(case, &row, carried(case))
    }

    /// Ends a round; whoever is still waited for is late.
    fn end(&self, case: &Case<'_>, row: &RoundRow) -> StoreResult<Done> {
        self.end_with(case, row, Vec::new())
    }

    /// The same, with what became of these `homes`.
    fn end_with(&self, case: &Case<'_>, row: &RoundRow, homes: Vec<RoundHomeRow>) -> StoreResult<Done> {
        self.end_as(case, row, &[late(case), homes].concat())
    }

    /// Ends a round with all that changes in its homes: also of those who are late.
    fn end_as(&self, case: &Case<'_>, row: &RoundRow, homes: &[RoundHomeRow]) -> StoreResult<Done> {
        let row = case.store.advance_round(row, homes)?;
        self.parts.trainer.rest();
        RoundEnded(&row).emit(&self.parts.metrics);
        Ok(Done { model: None })
    }

    async fn release(&self, version: ModelVersion) {
        match self.parts.releases.release(version, "auto").await {
            Ok(_) | Err(ReleaseError::NotConfigured) => {}
            // The trainer of labels lets out what waits, now and then.
            Err(error @ ReleaseError::AwaitingSignature(_)) => tracing::info!(%error, "a round's model waits"),
            Err(error) => RoundWaits { cause: &error.to_string() }.emit(&self.parts.metrics),
        }
    }
}

/// What a step did.
struct Done {
    /// The model that the round became.
    model: Option<ModelVersion>,
}

/// A round while a step of it is done.
struct Case<'a> {
    store: &'a dyn Store,
    round: &'a RoundRow,
    settings: &'a RoundSettings,
    homes: &'a [RoundHomeRow],
    /// Homes of earlier rounds that went on without them.
    behind: &'a Behind,
    now: i64,
}

/// Seeded by the system: groups, noise and the seeds of sketches must not be known outside.
fn unpredictable() -> Result<StdRng, RoundError> {
    StdRng::try_from_rng(&mut SysRng).map_err(|_| RoundError::Randomness)
}

/// The round at its next stage.
fn close(case: &Case<'_>, stage: RoundStage) -> StoreResult<Done> {
    case.store.advance_round(&RoundRow { stage, ..case.round.clone() }, &late(case))?;
    Ok(Done { model: None })
}

/// The round goes on with the deltas that are here. With a buffer also with those that earlier rounds did not wait for, and what is still
/// missing counts in later rounds.
fn close_training(case: &Case<'_>) -> StoreResult<Done> {
    let most = case.settings.buffer.map_or(0, |buffer| buffer.staleness_max);
    let mut homes = case.behind.when_closed(case.round, most, case.now);
    let may_come = case.settings.buffer.is_some() && case.now < case.round.deadline;
    let state = if may_come { RoundHomeState::Straggling } else { RoundHomeState::Late };
    homes.extend(late(case).into_iter().map(|row| RoundHomeRow { state, ..row }));
    let row = RoundRow { stage: RoundStage::Aggregating, ..case.round.clone() };
    case.store.advance_round(&row, &homes)?;
    Ok(Done { model: None })
}

/// With a buffer no delta is lost where a round of too few ends: the next has the same base.
fn carried(case: &Case<'_>) -> Vec<RoundHomeRow> {
    if case.settings.buffer.is_none() {
        return Vec::new();
    }
    let own = |row: &&RoundHomeRow| row.round == case.round.number && row.duty == RoundDuty::Train;
    let taken = case.homes.iter().filter(own).filter(|row| row.state == RoundHomeState::Taken);
    taken.map(|row| RoundHomeRow { state: RoundHomeState::Carried, ..row.clone() }).collect()
}

/// Homes that earlier rounds went on without.
fn behind(store: &dyn Store) -> StoreResult<Behind> {
    let homes = store.round_homes_behind()?;
    let numbers: BTreeSet<u64> = homes.iter().map(|row| row.round).collect();
    let rounds = numbers.into_iter().map(|number| Ok(store.round(number)?.map(|round| (number, round))));
    let rounds: Vec<_> = rounds.collect::<StoreResult<_>>()?;
    Ok(Behind { homes, rounds: rounds.into_iter().flatten().collect() })
}

/// Homes whose answer is not waited for any more.
fn late(case: &Case<'_>) -> Vec<RoundHomeRow> {
    let open = case.homes.iter().filter(|row| row.state.open());
    open.map(|row| RoundHomeRow { state: RoundHomeState::Late, at: Some(case.now), ..row.clone() }).collect()
}

fn ended(round: &RoundRow, outcome: RoundOutcome, now: i64) -> RoundRow {
    RoundRow { stage: RoundStage::Ended, outcome: Some(outcome), ended_at: Some(now), ..round.clone() }
}

#[cfg(test)]
mod buffered_tests;
#[cfg(test)]
mod masked_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;
