//! Withdrawals: delete, find out which released models had learnt from what is gone, and say both.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_protocol::limits::WITHDRAWN_MODELS_MAX;
use hearthwatch_protocol::messages::{Withdrawal, WithdrawalReceipt, WithdrawalScope};
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};
use hearthwatch_store::story::{HomeLineage, lineage_of};
use hearthwatch_store::{Actor, AuditEntry, Store, StoreResult};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;

use crate::event::RecordsWithdrawn;

/// Carries out `withdrawals`, and says what each home is to be told. The same one again changes nothing and gets the same receipt.
pub(super) fn withdraw(
    store: &dyn Store,
    metrics: &Metrics,
    withdrawals: &[Withdrawal],
    now: i64,
) -> StoreResult<Vec<(HomeId, WithdrawalReceipt)>> {
    if withdrawals.is_empty() {
        return Ok(Vec::new());
    }
    let homes: BTreeSet<&HomeId> = withdrawals.iter().map(|withdrawal| &withdrawal.home).collect();
    let trained_on = TrainedOn::read(store, &homes)?;
    let mut told = Vec::with_capacity(withdrawals.len());
    for withdrawal in withdrawals {
        let models = trained_on.by(&withdrawal.home, &withdrawal.scope);
        let row = store.withdraw(withdrawal, now)?;
        // An older time means that it was carried out before.
        if row.at == now {
            RecordsWithdrawn { home: &withdrawal.home, removed: row.removed }.emit(metrics);
            store.append_audit(&AuditEntry {
                at: now,
                actor: Actor::Home(withdrawal.home.clone()),
                action: "home.withdraw".to_owned(),
                subject: withdrawal.home.to_string(),
                detail: format!("{{\"id\":{},\"removed\":{}}}", row.id, row.removed),
            })?;
        }
        told.push((
            withdrawal.home.clone(),
            WithdrawalReceipt { id: row.id, removed: row.removed, models, at: row.at },
        ));
    }
    Ok(told)
}

/// What released models learnt of some homes, newest model first. Read once for all withdrawals of a batch: a release's lineage names
/// every home of its data set.
struct TrainedOn(Vec<(ModelVersion, BTreeMap<HomeId, HomeLineage>)>);

impl TrainedOn {
    fn read(store: &dyn Store, homes: &BTreeSet<&HomeId>) -> StoreResult<Self> {
        let mut models = Vec::new();
        for release in store.releases()?.into_iter().take(WITHDRAWN_MODELS_MAX) {
            let Some((_, lineage)) = lineage_of(store, release.model_version)? else { continue };
            let mut parts = lineage.homes;
            parts.retain(|home, _| homes.contains(home));
            models.push((release.model_version, parts));
        }
        Ok(Self(models))
    }

    /// The models whose data set looked at answers of `home` that `scope` covers.
    fn by(&self, home: &HomeId, scope: &WithdrawalScope) -> Vec<ModelVersion> {
        let trained_on = self.0.iter().filter(|(_, parts)| parts.get(home).is_some_and(|part| touches(part, scope)));
        trained_on.map(|(version, _)| *version).collect()
    }
}

/// Whether a data set that looked at these answers learnt from some that `scope` covers. Which of them became examples
/// is not kept by number, so this errs on the side of naming a model.
fn touches(part: &HomeLineage, scope: &WithdrawalScope) -> bool {
    let looked_at = part.first..=part.last;
    part.examples > 0
        && match scope {
            WithdrawalScope::Through(last) => *last >= part.first,
            WithdrawalScope::Records(records) => records.iter().any(|sequence: &Sequence| looked_at.contains(sequence)),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_when_its_data_set_may_hold_what_is_taken_back() {
        let part = HomeLineage { first: Sequence(4), last: Sequence(9), examples: 2, ..HomeLineage::default() };
        let records = |list: &[u64]| WithdrawalScope::Records(list.iter().copied().map(Sequence).collect());
        assert!(touches(&part, &WithdrawalScope::Through(Sequence(4))));
        assert!(!touches(&part, &WithdrawalScope::Through(Sequence(3))));
        assert!(touches(&part, &records(&[1, 9])));
        assert!(!touches(&part, &records(&[3, 10])));
        assert!(!touches(&HomeLineage { examples: 0, ..part }, &records(&[5])));
    }
}
