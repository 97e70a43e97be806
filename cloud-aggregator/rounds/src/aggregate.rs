//! Makes one delta of those that came, one of them in memory at a time where the strategy allows.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_federation::{Conduct, Delta, Quantised, Reason, Reputation, Strategy};
use hearthwatch_protocol::HomeId;
use hearthwatch_store::rounds::{RoundHomeRow, RoundHomeState};
use hearthwatch_store::{Store, StoreResult};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};

/// Why a delta was left out where it was neither the strategy nor a person.
pub(super) const UNREADABLE: &str = "its body is not what was taken";

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

/// How deltas become one.
pub(super) struct How<'a, R> {
    /// A fresh one.
    pub strategy: Box<dyn Strategy>,
    /// What the deltas of earlier rounds weigh, by the number of the round.
    pub weights: BTreeMap<u64, f64>,
    /// Homes that are left out, and why.
    pub excluded: &'a BTreeMap<HomeId, String>,
    /// Weighed the strategy, and learns of this round; none where rounds say nothing of a home.
    pub reputation: Option<&'a mut Reputation>,
    /// Standard deviation of the noise on each value of what the deltas become.
    pub noise: f64,
    /// Where that comes from.
    pub rng: &'a mut R,
    /// Unix seconds.
    pub now: i64,
}

/// Aggregates the deltas of `rows`, all of them taken and in order of home. None without a usable delta.
pub(super) fn aggregate(
    store: &dyn Store,
    rows: Vec<RoundHomeRow>,
    how: How<'_, impl CryptoRng>,
) -> StoreResult<Option<Aggregated>> {
    let How { mut strategy, weights, excluded, reputation, noise, rng, now } = how;
    let mut conducts = Vec::new();
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
                if let Some(reputation) = &reputation {
                    let (home, sketch) = (row.home.to_string(), reputation.sketch(&delta));
                    conducts.push(Conduct { home, left_out: false, sketch });
                }
                let delta = delta.scaled(weights.get(&row.round).copied().unwrap_or(1.0));
                strategy.add(row.home.as_str(), delta);
            }
            None => {
                left.insert(row.home.clone(), UNREADABLE.to_owned());
            }
        }
    }
    let Some(aggregate) = strategy.finish() else { return Ok(None) };
    let mut weighed: BTreeMap<String, String> = BTreeMap::new();
    if let Some(reputation) = &reputation {
        weighed = conducts.iter().filter_map(|conduct| weighed_by(reputation, &conduct.home)).collect();
    }
    for out in &aggregate.left_out {
        let earlier = weighed.remove(&out.home).filter(|_| out.reason == Reason::EarlierRounds);
        let reason = earlier.map_or_else(|| out.reason.to_string(), |earlier| format!("{}: {earlier}", out.reason));
        if let Ok(home) = HomeId::new(&out.home) {
            left.insert(home, reason);
        }
    }
    if let Some(reputation) = reputation {
        let suspect = aggregate.left_out.iter().filter(|out| out.reason.is_suspect());
        let suspect: BTreeSet<&str> = suspect.map(|out| out.home.as_str()).collect();
        for conduct in &mut conducts {
            conduct.left_out = suspect.contains(conduct.home.as_str());
        }
        reputation.record(&conducts, &aggregate.delta);
    }
    let delta_of_all = aggregate.delta.noised(noise, rng);
    let mut hasher = Sha256::new();
    let mut homes = Vec::with_capacity(rows.len());
    for row in rows {
        let similarity = delta(store, &row)?.map(|delta| delta.cosine(&delta_of_all));
        let (state, reason) = match left.remove(&row.home) {
            Some(reason) => (RoundHomeState::LeftOut, reason),
            None => {
                hasher.update((row.home.as_str().len() as u64).to_be_bytes());
                hasher.update(row.home.as_str());
                hasher.update(row.digest.unwrap_or_default());
                let stale = weights.get(&row.round).map(|weight| (row.round, *weight));
                let stale = stale.map(|(round, weight)| format!("trained in round {round}, counts {weight:.2}"));
                let weighed = weighed.remove(row.home.as_str());
                (RoundHomeState::Taken, stale.into_iter().chain(weighed).collect::<Vec<_>>().join("; "))
            }
        };
        homes.push(RoundHomeRow { state, reason, similarity, at: Some(now), ..row });
    }
    for value in delta_of_all.values() {
        hasher.update(value.to_le_bytes());
    }
    norms.sort_by(f64::total_cmp);
    Ok(Some(Aggregated {
        delta: delta_of_all,
        digest: hex::encode(hasher.finalize()),
        homes,
        used: aggregate.homes,
        median_norm: norms.get(norms.len() / 2).copied().unwrap_or_default(),
    }))
}

/// What earlier rounds take from a home's weight, in words; none where it counts in full.
fn weighed_by(reputation: &Reputation, home: &str) -> Option<(String, String)> {
    let weight = reputation.weight(home);
    let standing = reputation.standing(home).filter(|_| weight < 1.0)?;
    let words = if weight > 0.0 { format!("counts {weight:.2}: {standing}") } else { standing.to_string() };
    Some((home.to_owned(), words))
}

/// The home's delta; none where its body is not the one that was taken.
fn delta(store: &dyn Store, row: &RoundHomeRow) -> StoreResult<Option<Delta>> {
    let body = store.round_body(row.round, &row.home)?;
    let digest: [u8; 32] = Sha256::digest(&body).into();
    let whole = row.digest == Some(digest);
    Ok(Quantised::from_bytes(&body).ok().filter(|_| whole).and_then(|quantised| quantised.restore().ok()))
}
