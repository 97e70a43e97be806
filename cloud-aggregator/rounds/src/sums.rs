//! Makes one delta of the sums of groups. What single homes sent is not known here: no norm, no cosine, and nobody to leave out but a group.

use std::collections::BTreeMap;

use hearthwatch_federation::{FixedPoint, Strategy};
use hearthwatch_protocol::HomeId;
use hearthwatch_store::StoreResult;
use hearthwatch_store::rounds::{GroupRow, RoundHomeRow, RoundHomeState};
use sha2::{Digest as _, Sha256};

use super::aggregate::Aggregated;
use super::groups;

/// A group whose sum is there.
struct Summed<'a> {
    row: &'a GroupRow,
    /// Whose deltas are in it, by home.
    homes: Vec<HomeId>,
    /// Why it is not used.
    left: Option<String>,
}

/// Aggregates the means of `groups` by a fresh `strategy`; `rows` are the round's homes. A sum with the delta of a home that was excluded or
/// withdrew is not used. Why there is no aggregate, where there is none.
pub(super) fn aggregate(
    groups: &[GroupRow],
    mut strategy: Box<dyn Strategy>,
    rows: &[RoundHomeRow],
    excluded: &BTreeMap<HomeId, String>,
    grid: FixedPoint,
    now: i64,
) -> StoreResult<Result<Aggregated, String>> {
    let (mut summed, mut norms) = (Vec::new(), Vec::new());
    for row in groups {
        let Some(sum) = &row.sum else { continue };
        let server = groups::server(row)?;
        let homes = groups::masked(&server);
        let mut left = groups::spoilt(&server, rows, excluded);
        if left.is_none() {
            let words: Vec<u16> = sum.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word)).collect();
            match grid.mean(&words, homes.len()) {
                Ok(mean) => {
                    norms.push(mean.norm());
                    strategy.add(&name(row), mean);
                }
                Err(error) => left = Some(error.to_string()),
            }
        }
        summed.push(Summed { row, homes, left });
    }
    let came = summed.iter().any(|group| group.left.is_none());
    let Some(aggregate) = strategy.finish().filter(|_| came) else {
        let why = summed.iter().filter_map(|group| Some(format!("{}: {}", name(group.row), group.left.as_ref()?)));
        return Ok(Err(format!("no sum of a group is usable: {}", why.collect::<Vec<_>>().join("; "))));
    };
    for out in &aggregate.left_out {
        if let Some(group) = summed.iter_mut().find(|group| name(group.row) == out.home) {
            group.left = Some(out.reason.to_string());
        }
    }
    let (mut homes, mut used, mut hasher) = (Vec::new(), 0, Sha256::new());
    let by_home: BTreeMap<&HomeId, &RoundHomeRow> = rows.iter().map(|row| (&row.home, row)).collect();
    for Summed { row, homes: members, left } in &summed {
        if left.is_none() {
            used += members.len();
            hasher.update(row.number.to_be_bytes());
            for home in members {
                hasher.update((home.as_str().len() as u64).to_be_bytes());
                hasher.update(home.as_str());
            }
            hasher.update(Sha256::digest(row.sum.as_deref().unwrap_or_default()));
        }
        for home in members {
            let Some(before) = by_home.get(home).copied() else { continue };
            if before.state == RoundHomeState::Declined {
                continue;
            }
            let own = if before.reason.is_empty() { String::new() } else { format!("; {}", before.reason) };
            let (state, reason) = match left {
                Some(why) => (RoundHomeState::LeftOut, format!("masked, in the sum of {}: {why}{own}", name(row))),
                None => (
                    RoundHomeState::Taken,
                    format!(
                        "masked, in the sum of {} of {} homes: no norm of its own is known{own}",
                        name(row),
                        members.len()
                    ),
                ),
            };
            homes.push(RoundHomeRow { state, reason, at: Some(now), ..before.clone() });
        }
    }
    for value in aggregate.delta.values() {
        hasher.update(value.to_le_bytes());
    }
    norms.sort_by(f64::total_cmp);
    Ok(Ok(Aggregated {
        delta: aggregate.delta,
        digest: hex::encode(hasher.finalize()),
        homes,
        used,
        median_norm: norms.get(norms.len() / 2).copied().unwrap_or_default(),
    }))
}

fn name(group: &GroupRow) -> String {
    format!("group-{}", group.number)
}
