//! Homes' standings between their rows in the store and the reputation that rounds are judged with.

use std::collections::BTreeMap;

use hearthwatch_federation::{Reputation, Sketch, Standing, Verdict};
use hearthwatch_protocol::HomeId;
use hearthwatch_store::standings::{Remembered, ReputationRow, StandingRow};
use hearthwatch_store::{Store, StoreError, StoreResult};

/// The reputation of all homes, and the secret that its sketches are made with.
pub(super) struct Kept {
    pub reputation: Reputation,
    seed: u64,
}

impl Kept {
    /// What the store has; a new one with this `seed` where it has none.
    pub fn read(store: &dyn Store, seed: u64) -> StoreResult<Self> {
        let Some(row) = store.reputation()? else { return Ok(Self { reputation: Reputation::new(seed), seed }) };
        let seed = u64::from_le_bytes(row.seed);
        let before = row.before.as_deref().map(|bytes| sketch("reputation", bytes)).transpose()?;
        let standings = store.standings(None, 0)?.into_iter();
        let homes = standings.map(|row| Ok((row.home.to_string(), standing(row)?))).collect::<StoreResult<_>>()?;
        Ok(Self { reputation: Reputation::restored(seed, row.rounds, before, homes), seed })
    }

    /// Weights of homes that count less, or not at all.
    pub fn weights(&self) -> BTreeMap<String, f64> {
        let homes = self.reputation.homes().keys();
        homes.map(|home| (home.clone(), self.reputation.weight(home))).filter(|(_, weight)| *weight < 1.0).collect()
    }

    /// What is to be stored after a round, of which `before` says who was remembered before it.
    pub fn remembered(&self, before: &[String]) -> Remembered {
        let Self { reputation, seed } = self;
        let taking_part = reputation.homes().iter().filter(|(_, standing)| standing.latest == reputation.rounds());
        let standings = taking_part.filter_map(|(home, standing)| row(home, standing)).collect();
        let gone = before.iter().filter(|home| reputation.standing(home).is_none());
        Remembered {
            reputation: ReputationRow {
                seed: seed.to_le_bytes(),
                rounds: reputation.rounds(),
                before: reputation.before().map(Sketch::to_bytes),
            },
            standings,
            forgotten: gone.filter_map(|home| HomeId::new(home).ok()).collect(),
        }
    }

    /// Who is remembered.
    pub fn names(&self) -> Vec<String> {
        self.reputation.homes().keys().cloned().collect()
    }
}

/// How a home's next delta is used, in a word for reports.
#[must_use]
pub fn verdict(row: &StandingRow) -> &'static str {
    match Verdict::of(row.suspicion) {
        Verdict::Trusted => "trusted",
        Verdict::Doubted => "doubted",
        Verdict::Excluded => "left_out",
    }
}

/// A home whose earlier rounds count against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspected {
    /// Its name.
    pub home: HomeId,
    /// [`verdict`].
    pub verdict: &'static str,
    /// What its rounds were like, for an operator.
    pub described: String,
}

/// Homes whose deltas count less, or not, after earlier rounds: at most `limit`, the worst first.
///
/// # Errors
/// Those of the store, and [`StoreError::Corrupt`] where a row's sketch is none.
pub fn suspected(store: &dyn Store, limit: usize) -> StoreResult<Vec<Suspected>> {
    let rows = store.suspected(Verdict::TRUSTED_UP_TO, limit)?.into_iter();
    let described = |row: StandingRow| {
        let (home, verdict) = (row.home.clone(), verdict(&row));
        standing(row).map(|standing| Suspected { home, verdict, described: standing.to_string() })
    };
    rows.filter(|row| Verdict::of(row.suspicion) != Verdict::Trusted).map(described).collect()
}

fn standing(row: StandingRow) -> StoreResult<Standing> {
    let way = sketch("standings", &row.way)?;
    let StandingRow { rounds, left_out, copied, alike, suspicion, latest, .. } = row;
    Ok(Standing { rounds, left_out, copied, alike, suspicion, latest, way })
}

fn row(home: &str, standing: &Standing) -> Option<StandingRow> {
    let Standing { rounds, left_out, copied, alike, suspicion, latest, way } = standing.clone();
    let home = HomeId::new(home).ok()?;
    Some(StandingRow { home, rounds, left_out, copied, alike, suspicion, latest, way: way.to_bytes() })
}

fn sketch(table: &'static str, bytes: &[u8]) -> StoreResult<Sketch> {
    let cause = || format!("a sketch of {} bytes; {} are one", bytes.len(), Sketch::BYTES);
    Sketch::from_bytes(bytes).ok_or_else(|| StoreError::Corrupt { table, cause: cause() })
}
