//! Withdrawals: delete, find out which released models had learnt from what is gone, and say both.

use hearthwatch_protocol::limits::WITHDRAWN_MODELS_MAX;
use hearthwatch_protocol::messages::{Withdrawal, WithdrawalReceipt, WithdrawalScope};
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};

use crate::dataset::{HomeLineage, Lineage};
use crate::event::{Event, RecordsWithdrawn};
use crate::metrics::Metrics;
use crate::release_desk::origin;
use crate::store::{Actor, AuditEntry, Store, StoreError};

/// Carries out one withdrawal. The same one again changes nothing and gets the same receipt.
pub(super) fn withdraw(
    store: &dyn Store,
    metrics: &Metrics,
    withdrawal: &Withdrawal,
    now: i64,
) -> Result<WithdrawalReceipt, StoreError> {
    let models = taught_by(store, &withdrawal.home, &withdrawal.scope)?;
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
    Ok(WithdrawalReceipt { id: row.id, removed: row.removed, models, at: row.at })
}

/// The released models whose data set looked at answers of `home` that `scope` covers, newest first.
fn taught_by(store: &dyn Store, home: &HomeId, scope: &WithdrawalScope) -> Result<Vec<ModelVersion>, StoreError> {
    let mut models = Vec::new();
    for release in store.releases()?.into_iter().take(WITHDRAWN_MODELS_MAX) {
        let lineage = lineage_of(store, release.model_version)?;
        let touched = lineage.and_then(|(_, lineage)| lineage.homes.get(home).map(|part| touches(part, scope)));
        if touched == Some(true) {
            models.push(release.model_version);
        }
    }
    Ok(models)
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

/// The data set that a model learnt from: its id and its story; `None` for a model given from outside.
pub(super) fn lineage_of(store: &dyn Store, version: ModelVersion) -> Result<Option<(String, Lineage)>, StoreError> {
    let Some(model) = store.model(version)? else { return Ok(None) };
    let Some(run) = store.run(origin(&model.run))? else { return Ok(None) };
    let Some(snapshot) = store.snapshot(&run.snapshot)? else { return Ok(None) };
    let lineage = serde_json::from_str(&snapshot.lineage)
        .map_err(|error| StoreError::Corrupt { table: "snapshots", cause: error.to_string() })?;
    Ok(Some((snapshot.id, lineage)))
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
