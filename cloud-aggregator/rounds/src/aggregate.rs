//! Makes one delta of those that came, one of them in memory at a time where the strategy allows.

use std::collections::BTreeMap;

use hearthwatch_federation::{Delta, Quantised, Strategy};
use hearthwatch_protocol::HomeId;
use hearthwatch_store::rounds::{RoundHomeRow, RoundHomeState};
use hearthwatch_store::{Store, StoreResult};
use sha2::{Digest as _, Sha256};

/// Why a delta was left out where it was neither the strategy nor a person.
const UNREADABLE: &str = "its body is not what was taken";

/// What homes' deltas became.
pub(super) struct Aggregated {
    /// To be added to the base.
    pub delta: Delta,
    /// Hex SHA-256 over each used home and its delta's digest, in order, and over the values that they became.
    pub digest: String,
    /// Every home whose delta was there, with what became of it.
    pub homes: Vec<RoundHomeRow>,
    /// Homes whose delta is part of it.
    pub used: usize,
    /// Median norm of the deltas that were there.
    pub median_norm: f64,
}

/// Aggregates the deltas of `rows`, all of them taken and in order of home, by a fresh `strategy`. `excluded` homes are left out. None without
/// a usable delta.
pub(super) fn aggregate(
    store: &dyn Store,
    mut strategy: Box<dyn Strategy>,
    rows: Vec<RoundHomeRow>,
    excluded: &BTreeMap<HomeId, String>,
    now: i64,
) -> StoreResult<Option<Aggregated>> {
    let mut left: BTreeMap<HomeId, String> = BTreeMap::new();
    let mut norms = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(reason) = excluded.get(&row.home) {
            left.insert(row.home.clone(), reason.clone());
            continue;
        }
        match delta(store, row)? {
            Some(delta) => {
                norms.push(delta.norm());
                strategy.add(row.home.as_str(), delta);
            }
            None => {
                left.insert(row.home.clone(), UNREADABLE.to_owned());
            }
        }
    }
    let Some(aggregate) = strategy.finish() else { return Ok(None) };
    for out in &aggregate.left_out {
        if let Ok(home) = HomeId::new(&out.home) {
            left.insert(home, out.reason.to_string());
        }
    }
    let mut hasher = Sha256::new();
    let mut homes = Vec::with_capacity(rows.len());
    for row in rows {
        let similarity = delta(store, &row)?.map(|delta| delta.cosine(&aggregate.delta));
        let (state, reason) = match left.remove(&row.home) {
            Some(reason) => (RoundHomeState::LeftOut, reason),
            None => {
                hasher.update((row.home.as_str().len() as u64).to_be_bytes());
                hasher.update(row.home.as_str());
                hasher.update(row.digest.unwrap_or_default());
                (RoundHomeState::Taken, String::new())
            }
        };
        homes.push(RoundHomeRow { state, reason, similarity, at: Some(now), ..row });
    }
    for value in aggregate.delta.values() {
        hasher.update(value.to_le_bytes());
    }
    norms.sort_by(f64::total_cmp);
    Ok(Some(Aggregated {
        delta: aggregate.delta,
        digest: hex::encode(hasher.finalize()),
        homes,
        used: aggregate.homes,
        median_norm: norms.get(norms.len() / 2).copied().unwrap_or_default(),
    }))
}

/// The home's delta; none where its body is not the one that was taken.
fn delta(store: &dyn Store, row: &RoundHomeRow) -> StoreResult<Option<Delta>> {
    let body = store.round_body(row.round, &row.home)?;
    let digest: [u8; 32] = Sha256::digest(&body).into();
    let whole = row.digest == Some(digest);
    Ok(Quantised::from_bytes(&body).ok().filter(|_| whole).and_then(|quantised| quantised.restore().ok()))
}
