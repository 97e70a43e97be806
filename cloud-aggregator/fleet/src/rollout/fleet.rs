//! What the store knows about homes and their orders, read once for a plan.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_protocol::manifest::Vitals;
use hearthwatch_protocol::seal::PublicKey;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_provision::ledger::Ledger;
use hearthwatch_store::rollouts::{AssignmentRow, ManifestRow};
use hearthwatch_store::{Store, StoreResult};

use super::attest::{Attestation, attest};
use super::execute::ORDER_SECONDS;
use super::plan::Member;

/// The certified keys of each home; none where there is no ledger, or none that can be read.
fn certified(ledger: Option<&Ledger>) -> BTreeMap<HomeId, Vec<PublicKey>> {
    match ledger.map(Ledger::keys) {
        None => BTreeMap::new(),
        Some(Ok(keys)) => keys,
        Some(Err(error)) => {
            tracing::error!(%error, "the ledger of certificates cannot be read; no manifest counts as proven");
            BTreeMap::new()
        }
    }
}

/// What the store knows about homes and their orders, read once for a plan.
#[derive(Debug, Clone)]
pub(super) struct Fleet {
    /// Homes that are in, by name.
    pub homes: Vec<HomeId>,
    /// Each home's newest order.
    pub orders: BTreeMap<HomeId, AssignmentRow>,
    /// What each home is proven to run, and what its manifest says.
    pub proven: BTreeMap<HomeId, (Attestation, Option<(ModelVersion, Vitals)>)>,
}

impl Fleet {
    pub fn read(store: &dyn Store, ledger: Option<&Ledger>) -> StoreResult<Self> {
        let homes: Vec<HomeId> =
            store.homes()?.into_iter().filter(|row| row.revoked_at.is_none()).map(|row| row.home).collect();
        Ok(Self::of(homes, store.assignments()?, store.manifests()?, ledger))
    }

    /// Only the homes after `after`, at most `limit` of them.
    pub fn part(store: &dyn Store, ledger: Option<&Ledger>, after: Option<&HomeId>, limit: usize) -> StoreResult<Self> {
        let mut homes = Vec::new();
        let mut after = after.cloned();
        // Homes that were shut out are passed over, so that a page is full wherever there are more.
        while homes.len() < limit {
            let wanted = limit - homes.len();
            let rows = store.homes_after(after.as_ref(), wanted)?;
            after = rows.last().map(|row| row.home.clone());
            let last = rows.len() < wanted;
            homes.extend(rows.into_iter().filter(|row| row.revoked_at.is_none()).map(|row| row.home));
            if last {
                break;
            }
        }
        let (orders, manifests) = (store.assignments_of(&homes)?, store.manifests_of(&homes)?);
        Ok(Self::of(homes, orders, manifests, ledger))
    }

    fn of(
        homes: Vec<HomeId>,
        orders: Vec<AssignmentRow>,
        manifests: Vec<ManifestRow>,
        ledger: Option<&Ledger>,
    ) -> Self {
        let orders: BTreeMap<HomeId, AssignmentRow> = orders.into_iter().map(|row| (row.home.clone(), row)).collect();
        let manifests: BTreeMap<HomeId, _> = manifests.into_iter().map(|row| (row.home.clone(), row)).collect();
        let keys = certified(ledger);
        let none = Vec::new();
        let prove = |home: &HomeId| {
            let certified = keys.get(home).unwrap_or(&none);
            let (attestation, manifest) = attest(home, orders.get(home), manifests.get(home), certified);
            (attestation, manifest.and_then(|manifest| Some((manifest.model_version, manifest.vitals?))))
        };
        let proven = homes.iter().map(|home| (home.clone(), prove(home))).collect();
        Self { homes, orders, proven }
    }

    /// When each home was ordered to run `version`.
    pub fn assigned(&self, version: ModelVersion) -> BTreeMap<HomeId, i64> {
        let orders = self.orders.values().filter(|order| order.model_version == version);
        orders.map(|order| (order.home.clone(), order.issued_at)).collect()
    }

    pub fn members(&self, version: ModelVersion, reported: &BTreeSet<HomeId>) -> Vec<Member> {
        let member = |home: &HomeId| Member {
            home: home.clone(),
            assigned: self.orders.get(home).is_some_and(|order| order.model_version == version),
            reported: reported.contains(home),
        };
        self.homes.iter().map(member).collect()
    }

    /// Homes whose order for `version` has less than half of its life left.
    pub fn half_over(&self, version: ModelVersion, now: i64) -> Vec<HomeId> {
        let due = |order: &&AssignmentRow| order.model_version == version && order.expires_at - now < ORDER_SECONDS / 2;
        let orders = self.orders.values().filter(due);
        orders.map(|order| order.home.clone()).filter(|home| self.proven.contains_key(home)).collect()
    }

    pub fn vitals(&self, version: ModelVersion) -> Vec<Vitals> {
        let of = |(runs, vitals): &(ModelVersion, Vitals)| (*runs == version).then_some(*vitals);
        self.proven.values().filter_map(|(_, said)| said.as_ref().and_then(of)).collect()
    }
}
