//! What homes' deltas were like over the rounds: which home is left out again and again, copies, or has the same direction as another.

use std::collections::BTreeMap;

use super::delta::Delta;
use super::sketch::{Sketch, Sketcher};

/// Weight of earlier rounds against one more: after three good rounds a home has .22 of its suspicion left.
const MEMORY: f64 = 0.6;
/// Suspicion up to which a home counts in full: one bad round gives .4.
const TRUSTED: f64 = 0.45;
/// Suspicion from which a home does not count: the third bad round in a row gives .78.
const EXCLUDED: f64 = 0.75;
/// Cosine to the aggregate of the round before from which a delta is a copy of it.
const COPY: f64 = 0.9;
/// Cosine between two homes' ways, over the rounds, from which they act as one.
const ALIKE: f64 = 0.5;
/// Rounds that both homes must have for that comparison.
const ALIKE_ROUNDS: u32 = 3;
/// Most homes that are remembered: 3 KB each are 30 MB, and to compare a cohort of 1,000 with them takes 1,000 × 10,000 × 512
/// multiplications. Beyond, those that took part longest ago are forgotten.
pub const REMEMBERED_MAX: usize = 10_000;

/// What one home did in a round.
#[derive(Debug, Clone)]
pub struct Conduct {
    /// As it was added to the strategy.
    pub home: String,
    /// Whether the strategy left it out for a reason that counts against it ([`Reason::is_suspect`](crate::Reason::is_suspect)).
    pub left_out: bool,
    /// Of the delta that it sent.
    pub sketch: Sketch,
}

/// A home's record.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Rounds in which it took part.
    pub rounds: u32,
    /// Rounds of them in which the strategy left it out.
    pub left_out: u32,
    /// Rounds of them in which it sent a copy of the aggregate of the round before.
    pub copied: u32,
    /// The home whose way is most like its own, where one is near enough, and the cosine.
    pub alike: Option<(String, f64)>,
    /// In [0, 1]: the share of bad rounds, later ones weighing more.
    pub suspicion: f64,
    /// Number of the last recorded round in which it took part, from 1.
    pub latest: u64,
    /// Sum of the parts of its deltas that are perpendicular to the aggregates; earlier rounds weigh less.
    pub way: Sketch,
}

/// How a home's deltas are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its deltas count in full.
    Trusted,
    /// They count less.
    Doubted,
    /// They are checked and not used, until enough rounds went well.
    Excluded,
}

impl Verdict {
    /// Suspicion up to which a home counts in full.
    pub const TRUSTED_UP_TO: f64 = TRUSTED;

    /// That of a suspicion in [0, 1].
    #[must_use]
    pub fn of(suspicion: f64) -> Self {
        match weight_of(suspicion) {
            0.0 => Self::Excluded,
            weight if weight < 1.0 => Self::Doubted,
            _ => Self::Trusted,
        }
    }
}

/// Weight of a delta, in [0, 1].
fn weight_of(suspicion: f64) -> f64 {
    ((EXCLUDED - suspicion) / (EXCLUDED - TRUSTED)).clamp(0.0, 1.0)
}

/// The standings of all homes.
#[derive(Debug, Clone)]
pub struct Reputation {
    sketcher: Sketcher,
    homes: BTreeMap<String, Standing>,
    /// Of the aggregate of the round before.
    before: Option<Sketch>,
    /// Rounds that were recorded.
    round: u64,
}

impl Reputation {
    /// No home is known yet. `seed` is the aggregator's secret ([`Sketcher::new`]).
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::restored(seed, 0, None, BTreeMap::new())
    }

    /// As it was after `round` recorded rounds, the last of which made the aggregate of the sketch `before`. A sketch of another seed
    /// is of no use.
    #[must_use]
    pub fn restored(seed: u64, round: u64, before: Option<Sketch>, homes: BTreeMap<String, Standing>) -> Self {
        Self { sketcher: Sketcher::new(seed), homes, before, round }
    }

    /// Rounds that were recorded.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.round
    }

    /// Sketch of the aggregate of the last recorded round.
    #[must_use]
    pub fn before(&self) -> Option<&Sketch> {
        self.before.as_ref()
    }

    /// Homes that are remembered, by name.
    #[must_use]
    pub fn homes(&self) -> &BTreeMap<String, Standing> {
        &self.homes
    }

    /// What is remembered of a delta; to be made before the strategy takes the delta itself.
    #[must_use]
    pub fn sketch(&self, delta: &Delta) -> Sketch {
        self.sketcher.sketch(delta)
    }

    /// Records a finished round: what each home did, and what the homes together changed.
    pub fn record(&mut self, conducts: &[Conduct], aggregate: &Delta) {
        let aggregate = self.sketcher.sketch(aggregate);
        self.round += 1;
        let mut bad = BTreeMap::new();
        for conduct in conducts {
            let copied = self.before.as_ref().is_some_and(|before| conduct.sketch.cosine(before) >= COPY);
            let standing = self.homes.entry(conduct.home.clone()).or_insert_with(Standing::new);
            standing.rounds += 1;
            standing.left_out += u32::from(conduct.left_out);
            standing.copied += u32::from(copied);
            standing.latest = self.round;
            standing.way.scaled_plus(MEMORY, &conduct.sketch.beside(&aggregate));
            bad.insert(conduct.home.clone(), conduct.left_out || copied);
        }
        let alike: Vec<_> = {
            let ways = self.ways();
            bad.keys().map(|home| most_alike(home, &ways)).collect()
        };
        for ((home, bad), alike) in bad.into_iter().zip(alike) {
            if let Some(standing) = self.homes.get_mut(&home) {
                let bad = bad || alike.is_some();
                standing.alike = alike;
                standing.suspicion = MEMORY * standing.suspicion + (1.0 - MEMORY) * f64::from(u8::from(bad));
            }
        }
        self.before = Some(aggregate);
        self.forget();
    }

    /// Weight of a home's next delta, in [0, 1]; a home that is not known counts in full.
    #[must_use]
    pub fn weight(&self, home: &str) -> f64 {
        self.homes.get(home).map_or(1.0, |standing| weight_of(standing.suspicion))
    }

    /// How a home's next delta is used.
    #[must_use]
    pub fn verdict(&self, home: &str) -> Verdict {
        self.homes.get(home).map_or(Verdict::Trusted, |standing| Verdict::of(standing.suspicion))
    }

    /// A home's record; none where it never took part or was forgotten.
    #[must_use]
    pub fn standing(&self, home: &str) -> Option<&Standing> {
        self.homes.get(home)
    }

    /// Of the homes with [`ALIKE_ROUNDS`], in the order of their names.
    fn ways(&self) -> Vec<Way<'_>> {
        let known = self.homes.iter().filter(|(_, standing)| standing.rounds >= ALIKE_ROUNDS);
        known.map(|(home, Standing { way, .. })| Way { home, sketch: way, norm: way.norm() }).collect()
    }

    fn forget(&mut self) {
        let excess = self.homes.len().saturating_sub(REMEMBERED_MAX);
        if excess > 0 {
            let mut oldest: Vec<(u64, String)> =
                self.homes.iter().map(|(home, standing)| (standing.latest, home.clone())).collect();
            oldest.sort_unstable();
            for (_, home) in oldest.into_iter().take(excess) {
                self.homes.remove(&home);
            }
        }
    }
}

/// What a home did over the rounds; its norm is computed once for all comparisons of a round.
struct Way<'a> {
    home: &'a str,
    sketch: &'a Sketch,
    norm: f64,
}

/// The home whose way is nearest to that of `home`, and the cosine, from [`ALIKE`] on.
fn most_alike(home: &str, ways: &[Way<'_>]) -> Option<(String, f64)> {
    let own = &ways[ways.binary_search_by_key(&home, |way| way.home).ok()?];
    let others = ways.iter().filter(|other| other.home != home);
    let cosines = others.map(|other| (other.home, own.sketch.product(other.sketch) / (own.norm * other.norm)));
    // A way of norm zero gives NaN, which the filter drops.
    let alike = cosines.filter(|(_, cosine)| *cosine >= ALIKE);
    alike.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(name, cosine)| (name.to_owned(), cosine.min(1.0)))
}

impl Standing {
    fn new() -> Self {
        Self { rounds: 0, left_out: 0, copied: 0, alike: None, suspicion: 0.0, latest: 0, way: Sketch::zero() }
    }
}

impl std::fmt::Display for Standing {
    /// For an operator.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "left out {} of {} rounds", self.left_out, self.rounds)?;
        if self.copied > 0 {
            write!(f, ", copied {}", self.copied)?;
        }
        if let Some((home, cosine)) = &self.alike {
            write!(f, ", goes the way of {home} (cosine {cosine:.2})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn noise(seed: u64) -> Delta {
        Delta::zero().noised(0.01, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// Homes that send these deltas, of whom those named were left out; the aggregate is the first.
    fn record(reputation: &mut Reputation, sent: &[(&str, Delta)], left_out: &[&str]) {
        let conduct = |(home, delta): &(&str, Delta)| Conduct {
            home: (*home).to_owned(),
            left_out: left_out.contains(home),
            sketch: reputation.sketch(delta),
        };
        let conducts: Vec<Conduct> = sent.iter().map(conduct).collect();
        reputation.record(&conducts, &sent[0].1);
    }

    #[test]
    fn a_home_that_is_left_out_three_times_is_excluded_and_comes_back_after_good_rounds() {
        let mut reputation = Reputation::new(1);
        let mut round = 0;
        let verdicts = [true, true, true, false, false, false, false].map(|left_out| {
            let left_out: &[&str] = if left_out { &["b"] } else { &[] };
            round += 1;
            record(&mut reputation, &[("a", noise(round)), ("b", noise(100 + round))], left_out);
            reputation.verdict("b")
        });
        use Verdict::{Doubted, Excluded, Trusted};
        assert_eq!(verdicts, [Trusted, Doubted, Excluded, Doubted, Trusted, Trusted, Trusted]);
        assert_eq!(reputation.standing("b").unwrap().to_string(), "left out 3 of 7 rounds");
        assert_eq!((reputation.weight("a"), reputation.weight("unknown")), (1.0, 1.0));
    }

    #[test]
    fn a_restored_reputation_goes_on_as_the_one_that_was_stored() {
        let mut first = Reputation::new(1);
        record(&mut first, &[("a", noise(1)), ("b", noise(2))], &["b"]);
        let stored = |sketch: &Sketch| Sketch::from_bytes(&sketch.to_bytes()).unwrap();
        let homes = first
            .homes()
            .iter()
            .map(|(home, standing)| (home.clone(), Standing { way: stored(&standing.way), ..standing.clone() }));
        let mut again = Reputation::restored(1, first.rounds(), first.before().map(stored), homes.collect());
        for reputation in [&mut first, &mut again] {
            record(reputation, &[("a", noise(3)), ("b", noise(1))], &[]);
        }
        assert_eq!(again.homes(), first.homes());
        assert_eq!(again.standing("b").unwrap().to_string(), "left out 1 of 2 rounds, copied 1");
        assert_eq!(Sketch::from_bytes(&[0; 12]), None);
    }

    #[test]
    fn a_home_that_sends_the_last_aggregate_again_is_found() {
        let mut reputation = Reputation::new(1);
        for round in 0..4 {
            let copied = if round == 0 { Delta::zero() } else { noise(round - 1) };
            record(&mut reputation, &[("a", noise(round)), ("b", copied), ("c", noise(100 + round))], &[]);
        }
        let standing = reputation.standing("b").unwrap();
        assert_eq!((standing.copied, reputation.verdict("b")), (3, Verdict::Excluded));
        assert_eq!(reputation.verdict("c"), Verdict::Trusted);
    }

    #[test]
    fn a_drift_that_two_homes_share_is_found_although_no_round_shows_it() {
        let mut reputation = Reputation::new(1);
        let drift = noise(1_000);
        for round in 0..5 {
            let with_drift = |seed: u64| noise(seed + round).plus(&drift);
            let sent = [
                ("a", noise(round)),
                ("b", with_drift(200)),
                ("c", with_drift(300)),
                ("d", noise(400 + round)),
                ("e", noise(500 + round)),
            ];
            record(&mut reputation, &sent, &[]);
        }
        let (other, cosine) = reputation.standing("b").unwrap().alike.clone().unwrap();
        assert!(other == "c" && cosine > ALIKE, "{other} {cosine}");
        assert_eq!(reputation.verdict("b"), Verdict::Excluded);
        assert_eq!((reputation.verdict("d"), reputation.verdict("e")), (Verdict::Trusted, Verdict::Trusted));
    }

    #[test]
    fn a_delta_that_overflows_hides_no_shared_drift() {
        let mut reputation = Reputation::new(1);
        let drift = noise(1_000);
        let huge = Delta::new(vec![f32::MAX; drift.values().len()]).unwrap();
        for round in 0..3 {
            let with_drift = |seed: u64| noise(seed + round).plus(&drift);
            let sent = [("a", noise(round)), ("b", with_drift(200)), ("c", with_drift(300)), ("d", huge.clone())];
            record(&mut reputation, &sent, &["d"]);
        }
        let alike = |home: &str| reputation.standing(home).and_then(|standing| standing.alike.clone());
        assert_eq!(alike("b").map(|(home, _)| home).as_deref(), Some("c"));
        assert_eq!(alike("d"), None);
    }

    #[test]
    fn more_homes_than_are_remembered_push_out_those_of_earlier_rounds() {
        let mut reputation = Reputation::new(1);
        record(&mut reputation, &[("first", noise(1))], &["first"]);
        let sketch = reputation.sketch(&noise(2));
        let conduct = |home: usize| Conduct { home: home.to_string(), left_out: false, sketch: sketch.clone() };
        reputation.record(&(0..REMEMBERED_MAX).map(conduct).collect::<Vec<_>>(), &noise(3));
        assert_eq!(reputation.standing("first"), None);
        assert!(reputation.standing("0").is_some());
        reputation.record(&(0..2).map(|home| conduct(REMEMBERED_MAX + home)).collect::<Vec<_>>(), &noise(3));
        assert_eq!(reputation.homes.len(), REMEMBERED_MAX, "although all but two took part in the same round");
    }
}
