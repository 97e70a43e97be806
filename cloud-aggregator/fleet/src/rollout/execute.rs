//! The director: turns plans into signed orders, keeps them, and sees that each home's newest is at the broker.
//!
//! Background work without input: it looks at the store, does what is missing, and may be run again at any time. What was
//! stored and not sent is sent after the next start or connection.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hearthwatch_ingest::MessagePublisher;
use hearthwatch_protocol::assignment::{Assignment, Order};
use hearthwatch_protocol::messages::ReleaseNotice;
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::Statement as _;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_provision::Layout;
use hearthwatch_provision::ledger::Ledger;
use hearthwatch_store::clock::Clock;
use hearthwatch_store::rollouts::{AnswerDay, AssignmentRow, RolloutRow, RolloutState};
use hearthwatch_store::{
    Actor, Change, ModelState, Note, OutcomeRow, ReleaseRow, Store, StoreError, StoreResult, blocking,
};
use hearthwatch_supervision::Progress;
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::attest::Attestation;
use super::evidence::{self, Known};
use super::fleet::Fleet;
use super::gate::{self, Evidence, Finding};
use super::plan::{Member, Next, Situation, plan};
use super::policy::{OnAlarm, Policy};
use super::schedule::{Place, WaveAhead, schedule};
use crate::event::RolloutStopped;

/// How often the director looks by itself; signals wake it earlier. Waves are hours apart.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How often one look decides anew when somebody else wrote meanwhile. People are slower.
const ATTEMPTS: usize = 3;

/// Orders that are stored in one transaction: a stop is seen before each, and other writers wait some 20 ms.
const ORDERS_AT_ONCE: usize = 500;

/// How old the last look may be for those who only want to see it, in seconds: two of the director's own.
const LATELY_SECONDS: i64 = 60;

/// Life of an order. A home that was away for longer gets a new one when it asks; half of it is left when it is renewed.
pub(super) const ORDER_SECONDS: i64 = 14 * 86_400;

/// Orders hold from a little before they are signed, for homes whose clocks are slow, in seconds.
const BACKDATED: i64 = 300;

/// Everything that is known about a rollout, for those who watch it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The rollout as the store has it.
    pub row: RolloutRow,
    /// Homes that were ordered to run it.
    pub assigned: u64,
    /// Homes that told how the installation ended.
    pub reported: u64,
    /// Homes proven to run it.
    pub attested: u64,
    /// What the tests weigh.
    pub evidence: Evidence,
    /// Where each test stands.
    pub findings: [Finding; 5],
    /// Waves that are open, of how many, and what comes next.
    pub open: usize,
    /// What it waits for.
    pub next: Next,
}

/// Who gets a release when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Name of the policy.
    pub policy: String,
    /// When the rollout began, or would begin, Unix seconds.
    pub started_at: i64,
    /// In order.
    pub waves: Vec<WaveAhead>,
    /// In the order in which homes get the release.
    pub places: Vec<Place>,
}

/// Signs and sends orders.
#[derive(Clone)]
pub struct Director {
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    /// The machine's clock: homes hold orders against theirs.
    clock: Arc<dyn Clock>,
    key: Arc<SigningKey>,
    policy: Policy,
    /// Which keys were certified for which home.
    ledger: Option<Arc<Ledger>>,
    wake: Arc<Notify>,
    /// Read-locked by each order on its way to the broker.
    pub(super) handing: Arc<tokio::sync::RwLock<()>>,
    /// The last look at a rollout, for those who only want to see it, and when that was.
    lately: Arc<Mutex<Option<(i64, Watched)>>>,
}

/// Everything that one decision of the director's rests on.
struct Seen {
    row: RolloutRow,
    release: ReleaseRow,
    /// What the fleet ran before, where it can be gone back to.
    previous: Option<ReleaseRow>,
    fleet: Fleet,
    outcomes: Vec<OutcomeRow>,
    answers: Vec<AnswerDay>,
}

/// What the director makes of it.
enum Decision {
    /// Nothing is to be done.
    Nothing,
    /// Homes get an order, wave by wave; `complete` says that these are the last.
    Order { orders: Vec<AssignmentRow>, complete: bool },
    /// A test alarmed: nothing further goes out.
    Halt { reason: String, saw: u64 },
    /// A test alarmed: homes are led back.
    RollBack { orders: Vec<AssignmentRow>, reason: String, saw: u64 },
}

impl Director {
    /// A director that signs with `key` and lets new releases out by `policy`. `installation` is where homes' keys are
    /// recorded; without it no manifest counts as proven.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        key: SigningKey,
        policy: Policy,
        installation: Option<&Path>,
    ) -> Self {
        let ledger = installation.map(|directory| Arc::new(Ledger::of(&Layout::new(directory))));
        let (wake, handing, lately) = (Arc::default(), Arc::default(), Arc::default());
        Self { store, metrics, clock, key: Arc::new(key), policy, ledger, wake, handing, lately }
    }

    /// Looks again soon: something changed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Works until `stop`: at every signal, every release, every new connection, and now and then by itself.
    pub async fn run(
        self,
        publisher: Option<Arc<dyn MessagePublisher>>,
        mut connections: watch::Receiver<u64>,
        mut releases: watch::Receiver<Option<ReleaseNotice>>,
        progress: Arc<Progress>,
        stop: CancellationToken,
    ) {
        let mut sent: BTreeMap<HomeId, u64> = BTreeMap::new();
        let mut connection = 0;
        loop {
            let now = self.clock.now();
            let director = self.clone();
            progress.begin();
            match blocking(&self.store, move |store| director.work(store, now)).await {
                Ok(()) => progress.done(),
                Err(error) => {
                    progress.give_up();
                    tracing::error!(%error, "rollouts cannot be looked at");
                }
            }
            let current = *connections.borrow_and_update();
            if current != connection {
                // A broker that kept nothing needs everything again.
                (connection, sent) = (current, BTreeMap::new());
            }
            if let Some(publisher) = publisher.as_ref().filter(|_| connection > 0) {
                self.send(publisher, &mut sent).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                Ok(()) = connections.changed() => {}
                Ok(()) = releases.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Does what is missing: begins rollouts, plans, signs, stores. Blocks.
    ///
    /// Whoever writes to the rollout between the reading and the writing wins: what was decided is thrown away and decided
    /// anew, and after a few attempts the director leaves it for the next look.
    ///
    /// # Errors
    /// [`StoreError`]; what was stored before stays.
    pub fn work(&self, store: &dyn Store, now: i64) -> StoreResult<()> {
        for _ in 0..ATTEMPTS {
            match self.attempt(store, now) {
                Err(error @ StoreError::Conflict { .. }) => tracing::info!(%error, "decided anew"),
                other => return other,
            }
        }
        Ok(())
    }

    fn attempt(&self, store: &dyn Store, now: i64) -> StoreResult<()> {
        self.begin(store, now)?;
        let Some(seen) = self.read(store)? else { return Ok(()) };
        let decision = self.decide(&seen, now)?;
        self.write(store, &seen, decision, now)
    }

    /// Reads all that a decision about the newest rollout rests on. `None` where there is nothing to decide.
    fn read(&self, store: &dyn Store) -> StoreResult<Option<Seen>> {
        let Some(row) = store.rollouts(None, 1)?.pop() else { return Ok(None) };
        self.read_about(store, row)
    }

    fn read_about(&self, store: &dyn Store, row: RolloutRow) -> StoreResult<Option<Seen>> {
        let Some(release) = release_of(store, row.model_version)? else { return Ok(None) };
        let previous = match row.previous {
            Some(version) => release_of(store, version)?,
            None => None,
        };
        let fleet = Fleet::read(store, self.ledger.as_deref())?;
        // All of them, two a home at most: what is left out could be what matters.
        let outcomes = store.outcomes(Some(row.model_version), 0)?;
        let answers = store.answer_days(row.started_at)?;
        Ok(Some(Seen { row, release, previous, fleet, outcomes, answers }))
    }

    /// Decides, and signs what is to be ordered. Touches no store.
    fn decide(&self, seen: &Seen, now: i64) -> StoreResult<Decision> {
        let Seen { row, release, previous, fleet, .. } = seen;
        let (watched, assign) = self.watch(seen, now);
        if let Ok(mut lately) = self.lately.lock() {
            *lately = Some((now, watched.clone()));
        }
        match row.state {
            RolloutState::Running | RolloutState::Complete => {}
            RolloutState::RolledBack => return self.keep_back(seen, now),
            RolloutState::Paused | RolloutState::Halted | RolloutState::Superseded => return Ok(Decision::Nothing),
        }
        if watched.next == Next::Stopped {
            let alarms = watched.findings.iter().filter(|finding| finding.alarms()).map(ToString::to_string);
            let (reason, saw) = (alarms.collect::<Vec<_>>().join("; "), watched.assigned);
            return Ok(match (self.policy_of(row).on_alarm, previous) {
                (OnAlarm::RollBack, Some(previous)) => {
                    Decision::RollBack { orders: self.way_back(row, previous, fleet, now)?, reason, saw }
                }
                (OnAlarm::RollBack | OnAlarm::Halt, _) => Decision::Halt { reason, saw },
            });
        }
        let mut orders = self.orders(fleet, &assign, release, Order::Install, now)?;
        let renew = fleet.half_over(row.model_version, now);
        orders.extend(self.orders(fleet, &renew, release, Order::Install, now)?);
        let complete = watched.next == Next::Complete && row.state == RolloutState::Running;
        Ok(if orders.is_empty() && !complete { Decision::Nothing } else { Decision::Order { orders, complete } })
    }

    /// Stores what was decided on `seen`. Each write is held against the row that was seen, in its own transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody wrote since: then nothing more of the decision is carried out.
    fn write(&self, store: &dyn Store, seen: &Seen, decision: Decision, now: i64) -> StoreResult<()> {
        let row = &seen.row;
        let note = |action: &str, reason: &str| Note::because(now, Actor::System, action, reason);
        match decision {
            Decision::Nothing => {}
            Decision::Order { orders, complete } => {
                for part in orders.chunks(ORDERS_AT_ONCE) {
                    store.add_assignments(row, part)?;
                }
                if complete {
                    let (state, ended_at) = (RolloutState::Complete, Some(now));
                    store.put_rollout(&RolloutRow { state, ended_at, ..row.clone() })?;
                }
            }
            Decision::Halt { reason, saw } => {
                let note = note("rollout.halted", &reason);
                let (state, ended_at) = (RolloutState::Halted, Some(now));
                let halted = RolloutRow { state, ended_at, reason: reason.clone(), ..row.clone() };
                store.change(&Change::Rollout(halted), &note)?;
                RolloutStopped { version: row.model_version, saw, reason: &reason }.emit(&self.metrics);
            }
            Decision::RollBack { orders, reason, saw } => {
                let note = note("rollout.rolled_back", &reason);
                let row = rolled_back(row, &reason, now);
                let version = row.model_version;
                store.change(&Change::RollBack { row, orders }, &note)?;
                RolloutStopped { version, saw, reason: &reason }.emit(&self.metrics);
            }
        }
        Ok(())
    }

    /// After a fleet-wide roll-back: homes that come back, or come new, are ordered to the release before as well.
    fn keep_back(&self, seen: &Seen, now: i64) -> StoreResult<Decision> {
        let (fleet, Some(previous)) = (&seen.fleet, &seen.previous) else { return Ok(Decision::Nothing) };
        let version = previous.model_version;
        let other = |home: &&HomeId| fleet.orders.get(home).is_none_or(|order| order.model_version != version);
        let mut homes: Vec<HomeId> = fleet.homes.iter().filter(other).cloned().collect();
        homes.extend(fleet.half_over(version, now));
        let orders = self.orders(fleet, &homes, previous, Order::RollBack, now)?;
        Ok(Decision::Order { orders, complete: false })
    }

    /// A rollout for the newest release, if it has none; the one before is superseded.
    fn begin(&self, store: &dyn Store, now: i64) -> StoreResult<()> {
        let Some(release) = store.releases_before(None, 1)?.pop() else { return Ok(()) };
        let rollouts = store.rollouts(None, 0)?;
        if rollouts.iter().any(|row| row.model_version >= release.model_version) {
            return Ok(());
        }
        for row in rollouts.into_iter().filter(|row| !row.state.over()) {
            let ended_at = row.ended_at.or(Some(now));
            store.put_rollout(&RolloutRow { state: RolloutState::Superseded, ended_at, ..row })?;
        }
        let mut before = store.releases()?.into_iter().skip(1).map(|row| row.model_version);
        let withdrawn = |version: &ModelVersion| matches!(store.model(*version), Ok(Some(model)) if model.state == ModelState::Withdrawn);
        let previous = before.find(|version| !withdrawn(version));
        let begun = store.put_rollout(&RolloutRow {
            model_version: release.model_version,
            previous,
            policy: self.policy.to_toml(),
            state: RolloutState::Running,
            forced: false,
            started_at: now,
            paused_at: None,
            paused_seconds: 0,
            ended_at: None,
            reason: String::new(),
            row_version: 0,
        });
        begun.map(drop)
    }

    /// What the row's own policy says; today's if that cannot be read any more.
    fn policy_of(&self, row: &RolloutRow) -> Policy {
        Policy::parse(&row.policy).unwrap_or_else(|_| self.policy.clone())
    }

    /// How a rollout stands. Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look(&self, store: &dyn Store, version: ModelVersion) -> StoreResult<Option<Watched>> {
        let Some(row) = store.rollout(version)? else { return Ok(None) };
        let seen = self.read_about(store, row)?;
        Ok(seen.map(|seen| self.watch(&seen, self.clock.now()).0))
    }

    /// The same as of the director's last look, at most a minute old: a look reads and proves what the whole fleet said. A row
    /// that was changed since is looked at anew, by one caller at a time. Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look_lately(&self, store: &dyn Store, version: ModelVersion) -> StoreResult<Option<Watched>> {
        let Some(row) = store.rollout(version)? else { return Ok(None) };
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some((at, watched)) = lately.as_ref()
            && watched.row == row
            && (now - at).abs() < LATELY_SECONDS
        {
            return Ok(Some(watched.clone()));
        }
        let seen = self.read_about(store, row)?;
        let watched = seen.map(|seen| self.watch(&seen, now).0);
        *lately = watched.clone().map(|watched| (now, watched));
        Ok(watched)
    }

    /// Who gets a release when: of the rollout of `version`, or, with none, of the next one if it began now. None if there is no such rollout.
    /// Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn schedule(&self, store: &dyn Store, version: Option<ModelVersion>) -> StoreResult<Option<Schedule>> {
        let fleet = Fleet::read(store, self.ledger.as_deref())?;
        let now = self.clock.now();
        let Some(version) = version else {
            // No home was ordered to run what does not exist.
            let members: Vec<Member> = fleet.members(ModelVersion(u64::MAX), &BTreeSet::new());
            let (waves, places) = schedule(&self.policy, &members, now, 0);
            return Ok(Some(Schedule { policy: self.policy.name.clone(), started_at: now, waves, places }));
        };
        let Some(row) = store.rollout(version)? else { return Ok(None) };
        let policy = self.policy_of(&row);
        let reported = evidence::reported(version, &store.outcomes(Some(version), 0)?);
        let members = fleet.members(version, &reported);
        let pause = row.paused_at.map_or(0, |since| (now - since).max(0));
        let (waves, places) = schedule(&policy, &members, row.started_at, row.paused_seconds.saturating_add(pause));
        Ok(Some(Schedule { policy: policy.name.clone(), started_at: row.started_at, waves, places }))
    }

    /// What homes are proven to run, by home: at most `limit` that come after `after`. Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn attestations(
        &self,
        store: &dyn Store,
        after: Option<&HomeId>,
        limit: usize,
    ) -> StoreResult<Vec<(HomeId, Option<ModelVersion>, Attestation)>> {
        let fleet = Fleet::part(store, self.ledger.as_deref(), after, limit)?;
        let assigned = |home: &HomeId| fleet.orders.get(home).map(|order| order.model_version);
        let proven = fleet.proven.into_iter();
        Ok(proven.map(|(home, (attestation, _))| (home.clone(), assigned(&home), attestation)).collect())
    }

    /// How a rollout stands, and the homes that its plan would order now.
    fn watch(&self, seen: &Seen, now: i64) -> (Watched, Vec<HomeId>) {
        let Seen { row, fleet, outcomes, answers, .. } = seen;
        let (version, policy) = (row.model_version, self.policy_of(row));
        let assigned = fleet.assigned(version);
        let evidence = evidence::gather(&Known {
            version,
            started_at: row.started_at,
            homes: &fleet.homes,
            assigned: &assigned,
            outcomes,
            answers,
            vitals: &fleet.vitals(version),
            now: row.ended_at.unwrap_or(now),
        });
        let findings = gate::weigh(&policy, &evidence);
        // A rollout that is complete has nobody left to stop for; homes that come later get what all have.
        let weighed = findings.into_iter().filter(|_| row.state == RolloutState::Running);
        let alarms: Vec<Finding> = weighed.filter(Finding::alarms).collect();
        let reported = evidence::reported(version, outcomes);
        let members = fleet.members(version, &reported);
        let planned = plan(&situation(&policy, row, &members, &alarms, now));
        let attested = fleet.proven.values().filter(|(attestation, _)| attestation.runs() == Some(version)).count();
        let watched = Watched {
            row: row.clone(),
            assigned: assigned.len() as u64,
            reported: reported.len() as u64,
            attested: attested as u64,
            evidence,
            findings,
            open: planned.open,
            next: planned.next,
        };
        (watched, planned.assign)
    }

    /// Signed orders for every home that may have the release, back to the one before: the only way down.
    fn way_back(
        &self,
        row: &RolloutRow,
        previous: &ReleaseRow,
        fleet: &Fleet,
        now: i64,
    ) -> StoreResult<Vec<AssignmentRow>> {
        let homes: Vec<HomeId> = fleet.assigned(row.model_version).into_keys().collect();
        self.orders(fleet, &homes, previous, Order::RollBack, now)
    }

    /// Orders every home that may have the release back to the one before, on a person's word. The models change places. `row` is
    /// the rollout as it was read. Blocks.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none before, [`StoreError::Conflict`] when the row was changed since.
    pub fn roll_back(&self, store: &dyn Store, row: &RolloutRow, note: &Note, reason: &str) -> StoreResult<()> {
        let none = || StoreError::NotFound { noun: "release before", id: row.model_version.to_string() };
        let previous = release_of(store, row.previous.ok_or_else(none)?)?.ok_or_else(none)?;
        let fleet = Fleet::read(store, self.ledger.as_deref())?;
        let orders = self.way_back(row, &previous, &fleet, note.at)?;
        store.change(&Change::RollBack { row: rolled_back(row, reason, note.at), orders }, note).map(drop)
    }

    /// Signs an order for each of `homes`.
    fn orders(
        &self,
        fleet: &Fleet,
        homes: &[HomeId],
        release: &ReleaseRow,
        order: Order,
        now: i64,
    ) -> StoreResult<Vec<AssignmentRow>> {
        let broken = |cause: String| StoreError::Engine { action: "sign an assignment", cause };
        let sha256 = hex::decode(&release.sha256).ok().and_then(|bytes| bytes.try_into().ok());
        let sha256: [u8; 32] =
            sha256.ok_or_else(|| broken(format!("release {} has no hash", release.model_version)))?;
        let mut rows = Vec::with_capacity(homes.len());
        for home in homes {
            let generation = fleet.orders.get(home).map_or(0, |order| order.generation).saturating_add(1);
            let mut nonce = [0; 16];
            aws_lc_rs::rand::fill(&mut nonce).map_err(|_| broken("the system gives no randomness".to_owned()))?;
            let assignment = Assignment {
                home: home.clone(),
                generation,
                order,
                model_version: release.model_version,
                target: release.target.clone(),
                sha256,
                length: release.length,
                not_before: now - BACKDATED,
                expires_at: now + ORDER_SECONDS,
                nonce,
            };
            let signed = assignment.sign(&self.key).map_err(|error| broken(error.to_string()))?;
            let (model_version, expires_at) = (release.model_version, assignment.expires_at);
            let home = home.clone();
            rows.push(AssignmentRow { home, generation, model_version, nonce, issued_at: now, expires_at, signed });
        }
        Ok(rows)
    }
}

fn situation<'a>(
    policy: &'a Policy,
    row: &RolloutRow,
    members: &'a [Member],
    findings: &'a [Finding],
    now: i64,
) -> Situation<'a> {
    // While it is paused, time stands still.
    let now = row.paused_at.unwrap_or(now);
    let (started_at, paused_seconds, forced) = (row.started_at, row.paused_seconds, row.forced);
    Situation { policy, members, started_at, paused_seconds, forced, findings, now }
}

fn release_of(store: &dyn Store, version: ModelVersion) -> StoreResult<Option<ReleaseRow>> {
    Ok(store.releases()?.into_iter().find(|row| row.model_version == version))
}

fn rolled_back(row: &RolloutRow, reason: &str, now: i64) -> RolloutRow {
    let (state, reason) = (RolloutState::RolledBack, reason.to_owned());
    RolloutRow { state, reason, ended_at: Some(now), ..row.clone() }
}

#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod tests;
