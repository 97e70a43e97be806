//! The director: turns plans into signed orders, keeps them, and sees that each home's newest is at the broker.
//!
//! Background work without input: it looks at the store, does what is missing, and may be run again at any time. What was
//! stored and not sent is sent after the next start or connection.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use hearthwatch_protocol::assignment::{Assignment, Order};
use hearthwatch_protocol::manifest::Vitals;
use hearthwatch_protocol::messages::ReleaseNotice;
use hearthwatch_protocol::seal::{PublicKey, SigningKey};
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Topic, encode};
use hearthwatch_provision::Layout;
use hearthwatch_provision::ledger::Ledger;
use hearthwatch_supervision::Progress;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::attest::{Attestation, attest};
use super::evidence::{self, Known};
use super::gate::{self, Evidence, Finding};
use super::plan::{Member, Next, Situation, plan};
use super::policy::{OnAlarm, Policy};
use crate::clock::Clock;
use crate::event::{Event, RolloutStopped, WordUnsent};
use crate::ingest::Wire;
use crate::metrics::Metrics;
use crate::store::rollouts::{AssignmentRow, RolloutRow, RolloutState};
use crate::store::{AuditEntry, ModelState, ReleaseRow, Store, StoreError, blocking};

/// How often the director looks by itself; signals wake it earlier. Waves are hours apart.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Life of an order. A home that was away for longer gets a new one when it asks; half of it is left when it is renewed.
const ORDER_SECONDS: i64 = 14 * 86_400;

/// Orders hold from a little before they are signed, for homes whose clocks are slow, in seconds.
const BACKDATED: i64 = 300;

/// Orders on their way to the broker at the same time; brokers commonly take 20 to 100 unacknowledged ones.
const IN_FLIGHT_MAX: usize = 16;

/// Everything that is known about a rollout, for those who watch it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its row.
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
    /// See [`Next`].
    pub next: Next,
}

/// Signs and sends orders.
#[derive(Clone)]
pub struct Director {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// The machine's clock: homes hold orders against theirs.
    clock: Arc<dyn Clock>,
    key: Arc<SigningKey>,
    policy: Policy,
    /// Which keys were certified for which home.
    ledger: Option<Arc<Ledger>>,
    wake: Arc<Notify>,
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
        Self { store, metrics, clock, key: Arc::new(key), policy, ledger, wake: Arc::default() }
    }

    /// Looks again soon: something changed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Works until `stop`: at every signal, every release, every new connection, and now and then by itself.
    pub async fn run(
        self,
        wire: Option<Arc<dyn Wire>>,
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
            if let Some(wire) = wire.as_ref().filter(|_| connection > 0) {
                self.send(wire, &mut sent).await;
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
    /// # Errors
    /// [`StoreError`]; what was stored before stays.
    pub fn work(&self, store: &dyn Store, now: i64) -> Result<(), StoreError> {
        self.begin(store, now)?;
        let Some(row) = store.rollouts()?.into_iter().next() else { return Ok(()) };
        let Some(release) = release_of(store, row.model_version)? else { return Ok(()) };
        let fleet = Fleet::read(store, self.ledger.as_deref())?;
        match row.state {
            RolloutState::Running | RolloutState::Complete => {}
            RolloutState::RolledBack => return self.keep_back(store, &row, &fleet, now),
            RolloutState::Paused | RolloutState::Halted | RolloutState::Superseded => return Ok(()),
        }
        let (watched, assign) = self.watch(store, &row, &fleet, now)?;
        if watched.next == Next::Stopped {
            return self.stop(store, &watched, now);
        }
        let mut orders = self.orders(&fleet, &assign, &release, Order::Install, now)?;
        let renew = fleet.half_over(row.model_version, now);
        orders.extend(self.orders(&fleet, &renew, &release, Order::Install, now)?);
        store.add_assignments(&orders)?;
        if watched.next == Next::Complete && row.state == RolloutState::Running {
            store.put_rollout(&RolloutRow { state: RolloutState::Complete, ended_at: Some(now), ..row })?;
        }
        Ok(())
    }

    /// After a fleet-wide roll-back: homes that come back, or come new, are ordered to the release before as well.
    fn keep_back(&self, store: &dyn Store, row: &RolloutRow, fleet: &Fleet, now: i64) -> Result<(), StoreError> {
        let Some(previous) = row.previous else { return Ok(()) };
        let Some(release) = release_of(store, previous)? else { return Ok(()) };
        let other = |home: &&HomeId| fleet.orders.get(home).is_none_or(|order| order.model_version != previous);
        let mut homes: Vec<HomeId> = fleet.homes.iter().filter(other).cloned().collect();
        homes.extend(fleet.half_over(previous, now));
        store.add_assignments(&self.orders(fleet, &homes, &release, Order::RollBack, now)?)
    }

    /// A rollout for the newest release, if it has none; the one before is superseded.
    fn begin(&self, store: &dyn Store, now: i64) -> Result<(), StoreError> {
        let Some(release) = store.releases()?.into_iter().next() else { return Ok(()) };
        let rollouts = store.rollouts()?;
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
        store.put_rollout(&RolloutRow {
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
        })
    }

    /// What the row's own policy says; today's if that cannot be read any more.
    fn policy_of(&self, row: &RolloutRow) -> Policy {
        Policy::parse(&row.policy).unwrap_or_else(|_| self.policy.clone())
    }

    /// How a rollout stands. Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look(&self, store: &dyn Store, version: ModelVersion) -> Result<Option<Watched>, StoreError> {
        let Some(row) = store.rollouts()?.into_iter().find(|row| row.model_version == version) else { return Ok(None) };
        let fleet = Fleet::read(store, self.ledger.as_deref())?;
        self.watch(store, &row, &fleet, self.clock.now()).map(|(watched, _)| Some(watched))
    }

    /// What each home is proven to run, by home. Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn attestations(
        &self,
        store: &dyn Store,
    ) -> Result<Vec<(HomeId, Option<ModelVersion>, Attestation)>, StoreError> {
        let fleet = Fleet::read(store, self.ledger.as_deref())?;
        let assigned = |home: &HomeId| fleet.orders.get(home).map(|order| order.model_version);
        let proven = fleet.proven.into_iter();
        Ok(proven.map(|(home, (attestation, _))| (home.clone(), assigned(&home), attestation)).collect())
    }

    /// How a rollout stands, and the homes that its plan would order now.
    fn watch(
        &self,
        store: &dyn Store,
        row: &RolloutRow,
        fleet: &Fleet,
        now: i64,
    ) -> Result<(Watched, Vec<HomeId>), StoreError> {
        let (version, policy) = (row.model_version, self.policy_of(row));
        // All of them, two a home at most: what is left out could be what matters.
        let outcomes = store.outcomes(Some(version), 0)?;
        let assigned = fleet.assigned(version);
        let evidence = evidence::gather(&Known {
            version,
            started_at: row.started_at,
            homes: &fleet.homes,
            assigned: &assigned,
            outcomes: &outcomes,
            answers: &store.answer_days(row.started_at)?,
            vitals: &fleet.vitals(version),
            now: row.ended_at.unwrap_or(now),
        });
        let findings = gate::weigh(&policy, &evidence);
        // A rollout that is complete has nobody left to stop for; homes that come later get what all have.
        let weighed = findings.into_iter().filter(|_| row.state == RolloutState::Running);
        let alarms: Vec<Finding> = weighed.filter(Finding::alarms).collect();
        let reported = evidence::reported(version, &outcomes);
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
        Ok((watched, planned.assign))
    }

    /// What a test that alarms does.
    fn stop(&self, store: &dyn Store, watched: &Watched, now: i64) -> Result<(), StoreError> {
        let alarms = watched.findings.iter().filter(|finding| finding.alarms()).map(ToString::to_string);
        let reason = alarms.collect::<Vec<_>>().join("; ");
        let row = &watched.row;
        RolloutStopped { version: row.model_version, saw: watched.assigned, reason: &reason }.emit(&self.metrics);
        match self.policy_of(row).on_alarm {
            OnAlarm::RollBack if row.previous.is_some() => {
                audit(store, now, "rollout.roll_back", row.model_version, &reason)?;
                self.roll_back(store, row, &reason, now)
            }
            OnAlarm::RollBack | OnAlarm::Halt => {
                audit(store, now, "rollout.halt", row.model_version, &reason)?;
                let ended_at = Some(now);
                store.put_rollout(&RolloutRow { state: RolloutState::Halted, ended_at, reason, ..row.clone() })
            }
        }
    }

    /// Orders every home that may have the release back to the one before: signed orders, the only way down. The models
    /// change places. Blocks.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none before.
    pub fn roll_back(&self, store: &dyn Store, row: &RolloutRow, reason: &str, now: i64) -> Result<(), StoreError> {
        let none = || StoreError::NotFound { noun: "release before", id: row.model_version.to_string() };
        let previous = row.previous.ok_or_else(none)?;
        let release = release_of(store, previous)?.ok_or_else(none)?;
        let fleet = Fleet::read(store, self.ledger.as_deref())?;
        let homes: Vec<HomeId> = fleet.assigned(row.model_version).into_keys().collect();
        let orders = self.orders(&fleet, &homes, &release, Order::RollBack, now)?;
        store.add_assignments(&orders)?;
        store.set_model_state(row.model_version, ModelState::Withdrawn)?;
        store.set_model_state(previous, ModelState::Champion)?;
        let (state, reason) = (RolloutState::RolledBack, reason.to_owned());
        store.put_rollout(&RolloutRow { state, reason, ended_at: Some(now), ..row.clone() })
    }

    /// Signs an order for each of `homes`.
    fn orders(
        &self,
        fleet: &Fleet,
        homes: &[HomeId],
        release: &ReleaseRow,
        order: Order,
        now: i64,
    ) -> Result<Vec<AssignmentRow>, StoreError> {
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

    /// Sends every home's newest order that is not at the broker yet.
    async fn send(&self, wire: &Arc<dyn Wire>, sent: &mut BTreeMap<HomeId, u64>) {
        let orders = match blocking(&self.store, |store| store.assignments()).await {
            Ok(orders) => orders,
            Err(error) => return tracing::error!(%error, "assignments cannot be read"),
        };
        let new: Vec<AssignmentRow> =
            orders.into_iter().filter(|row| sent.get(&row.home) != Some(&row.generation)).collect();
        let done: Vec<(HomeId, u64)> = futures_util::stream::iter(new)
            .map(|row| async move {
                let payload = encode(&Message::Assignment(row.signed)).map_err(|error| error.to_string());
                let result = match payload {
                    Ok(payload) => {
                        let topic = Topic::Assignment(row.home.clone());
                        wire.publish(&topic, payload).await.map_err(|error| error.to_string())
                    }
                    Err(cause) => Err(cause),
                };
                if let Err(cause) = &result {
                    WordUnsent { kind: "assignment", cause }.emit(&self.metrics);
                }
                result.is_ok().then_some((row.home, row.generation))
            })
            .buffer_unordered(IN_FLIGHT_MAX)
            .filter_map(std::future::ready)
            .collect()
            .await;
        sent.extend(done);
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

fn release_of(store: &dyn Store, version: ModelVersion) -> Result<Option<ReleaseRow>, StoreError> {
    Ok(store.releases()?.into_iter().find(|row| row.model_version == version))
}

/// A line in the audit log about what a rollout did by itself.
fn audit(store: &dyn Store, at: i64, action: &str, version: ModelVersion, reason: &str) -> Result<(), StoreError> {
    let detail = serde_json::json!({ "reason": reason }).to_string();
    let (actor, action, subject) = ("system".to_owned(), action.to_owned(), version.to_string());
    store.append_audit(&AuditEntry { at, actor, action, subject, detail }).map(drop)
}

/// What the store knows about homes and their orders, read once for a plan.
struct Fleet {
    /// Homes that are in, by name.
    homes: Vec<HomeId>,
    orders: BTreeMap<HomeId, AssignmentRow>,
    proven: BTreeMap<HomeId, (Attestation, Option<(ModelVersion, Vitals)>)>,
}

impl Fleet {
    fn read(store: &dyn Store, ledger: Option<&Ledger>) -> Result<Self, StoreError> {
        let homes: Vec<HomeId> =
            store.homes()?.into_iter().filter(|row| row.revoked_at.is_none()).map(|row| row.home).collect();
        let orders: BTreeMap<HomeId, AssignmentRow> =
            store.assignments()?.into_iter().map(|row| (row.home.clone(), row)).collect();
        let manifests: BTreeMap<HomeId, _> =
            store.manifests()?.into_iter().map(|row| (row.home.clone(), row)).collect();
        let keys: BTreeMap<HomeId, Vec<PublicKey>> = match ledger.map(Ledger::keys) {
            None => BTreeMap::new(),
            Some(Ok(keys)) => keys,
            Some(Err(error)) => {
                tracing::error!(%error, "the ledger of certificates cannot be read; no manifest counts as proven");
                BTreeMap::new()
            }
        };
        let none = Vec::new();
        let prove = |home: &HomeId| {
            let certified = keys.get(home).unwrap_or(&none);
            let (attestation, manifest) = attest(home, orders.get(home), manifests.get(home), certified);
            (attestation, manifest.and_then(|manifest| Some((manifest.model_version, manifest.vitals?))))
        };
        let proven = homes.iter().map(|home| (home.clone(), prove(home))).collect();
        Ok(Self { homes, orders, proven })
    }

    /// When each home was ordered to run `version`.
    fn assigned(&self, version: ModelVersion) -> BTreeMap<HomeId, i64> {
        let orders = self.orders.values().filter(|order| order.model_version == version);
        orders.map(|order| (order.home.clone(), order.issued_at)).collect()
    }

    fn members(&self, version: ModelVersion, reported: &BTreeSet<HomeId>) -> Vec<Member> {
        let member = |home: &HomeId| Member {
            home: home.clone(),
            assigned: self.orders.get(home).is_some_and(|order| order.model_version == version),
            reported: reported.contains(home),
        };
        self.homes.iter().map(member).collect()
    }

    /// Homes whose order for `version` has less than half of its life left.
    fn half_over(&self, version: ModelVersion, now: i64) -> Vec<HomeId> {
        let due = |order: &&AssignmentRow| {
            order.model_version == version && order.expires_at.saturating_sub(now) < ORDER_SECONDS / 2
        };
        let orders = self.orders.values().filter(due);
        orders.map(|order| order.home.clone()).filter(|home| self.proven.contains_key(home)).collect()
    }

    fn vitals(&self, version: ModelVersion) -> Vec<Vitals> {
        let of = |(runs, vitals): &(ModelVersion, Vitals)| (*runs == version).then_some(*vitals);
        self.proven.values().filter_map(|(_, said)| said.as_ref().and_then(of)).collect()
    }
}

#[cfg(test)]
mod tests;
