//! What a home's answers may do to everybody's model: a quota, a cap on influence, and doubt about who contradicts all.
//!
//! None of it proves anything about a single answer; the last defence is the gate, which measures the candidate on
//! homes whose truth is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::feedback::FeedbackExample;
use crate::grid::FEATURES;

/// Answers nearest to one that say what the fleet thinks of it.
const NEIGHBOURS: usize = 7;
/// Answers of a home below which its reliability is not doubted: a few disagreements are chance.
const DOUBT_ANSWERS_MIN: usize = 6;
/// How far below the fleet's agreement a home must lie to be doubted, in standard errors.
const DOUBT_SIGMAS: f64 = 2.0;

/// One answer with whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeAnswer {
    /// The home; only equality matters.
    pub home: String,
    /// What it said.
    pub example: FeedbackExample,
}

/// Which defences are on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefencePolicy {
    /// Most answers of one home in a run; the last ones count.
    pub quota: usize,
    /// Most of the whole weight that one home's answers may have.
    pub influence_max: f64,
    /// Whether homes that contradict the others beyond chance are left out.
    pub reliability: bool,
}

impl Default for DefencePolicy {
    fn default() -> Self {
        Self { quota: 40, influence_max: 0.1, reliability: true }
    }
}

impl DefencePolicy {
    /// No defence: every answer counts as given.
    #[must_use]
    pub fn none() -> Self {
        Self { quota: usize::MAX, influence_max: 1.0, reliability: false }
    }
}

/// The answers that a run learns from, and what became of the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defended {
    /// To be learnt from, with the weights that are left, in the order given.
    pub examples: Vec<FeedbackExample>,
    /// Answers beyond the quota, by home.
    pub over_quota: BTreeMap<String, usize>,
    /// Homes whose answers contradict the others' beyond chance.
    pub doubted: Vec<String>,
    /// By what share the weights of a home were cut, for those that were.
    pub capped: BTreeMap<String, f64>,
}

/// Applies the defences in order: quota, reliability, influence. Pure; the order of the answers decides which are last.
#[must_use]
pub fn defend(answers: &[HomeAnswer], policy: &DefencePolicy) -> Defended {
    let mut defended = Defended::default();
    let mut kept: Vec<&HomeAnswer> = Vec::new();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers.iter().rev() {
        let own = count.entry(&answer.home).or_default();
        *own += 1;
        if *own <= policy.quota {
            kept.push(answer);
        } else {
            *defended.over_quota.entry(answer.home.clone()).or_default() += 1;
        }
    }
    kept.reverse();
    if policy.reliability {
        defended.doubted = doubted(&kept);
        kept.retain(|answer| !defended.doubted.contains(&answer.home));
    }
    let factors = caps(&kept, policy.influence_max);
    defended.examples = kept
        .iter()
        .map(|answer| {
            let factor = factors.get(answer.home.as_str()).copied().unwrap_or(1.0);
            FeedbackExample { weight: answer.example.weight * factor as f32, ..answer.example.clone() }
        })
        .collect();
    defended.capped = factors.into_iter().map(|(home, factor)| (home.to_owned(), 1.0 - factor)).collect();
    defended
}

/// Factors that bring each home down to its share of the whole, for those above it.
///
/// The share is of the capped whole: with `n` capped homes of share `s` the others have `1 − n·s` of it. Where there are
/// too few homes for the cap to be met, all count alike.
fn caps<'a>(answers: &[&'a HomeAnswer], influence_max: f64) -> BTreeMap<&'a str, f64> {
    let mut weights: BTreeMap<&str, f64> = BTreeMap::new();
    for answer in answers {
        *weights.entry(&answer.home).or_default() += f64::from(answer.example.weight.max(0.0));
    }
    let mut sorted: Vec<f64> = weights.values().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let limit = influence_max.max(1.0 / sorted.len().max(1) as f64);
    let mut allowed = f64::INFINITY;
    for capped in 1..=sorted.len() {
        let rest: f64 = sorted[capped..].iter().sum();
        let room = 1.0 - capped as f64 * limit;
        // Nobody is left to hold a share against: all are brought down to the smallest.
        let candidate = if room <= 1e-9 { sorted[sorted.len() - 1] } else { limit * rest / room };
        if sorted[capped - 1] <= candidate {
            break;
        }
        allowed = candidate;
    }
    weights.into_iter().filter(|(_, own)| *own > allowed).map(|(home, own)| (home, allowed / own)).collect()
}

/// Homes whose answers disagree with the nearest answers of other homes more often than the fleet's do, beyond chance.
fn doubted(answers: &[&HomeAnswer]) -> Vec<String> {
    let mut agreement: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for answer in answers {
        let Some(expected) = opinion_of_others(answer, answers) else { continue };
        let (agreed, all) = agreement.entry(&answer.home).or_default();
        *agreed += usize::from(expected == answer.example.anomalous);
        *all += 1;
    }
    let mut shares: Vec<f64> =
        agreement.values().filter(|(_, all)| *all > 0).map(|(agreed, all)| *agreed as f64 / *all as f64).collect();
    shares.sort_by(f64::total_cmp);
    // The median home: a minority that lies does not move it.
    let Some(usual) = shares.get(shares.len() / 2).copied() else { return Vec::new() };
    let beyond_chance = |(agreed, all): (usize, usize)| {
        let error = (usual * (1.0 - usual) / all as f64).sqrt().max(1.0 / all as f64);
        (agreed as f64 / all as f64) < usual - DOUBT_SIGMAS * error
    };
    agreement
        .into_iter()
        .filter(|(_, counts)| counts.1 >= DOUBT_ANSWERS_MIN && beyond_chance(*counts))
        .map(|(home, _)| home.to_owned())
        .collect()
}

/// What most of the nearest answers of other homes about the same class say; none where there are too few, or a tie.
fn opinion_of_others(answer: &HomeAnswer, answers: &[&HomeAnswer]) -> Option<bool> {
    let mut near: Vec<(f32, bool)> = answers
        .iter()
        .filter(|other| other.home != answer.home && other.example.class == answer.example.class)
        .map(|other| (distance(&answer.example.window, &other.example.window), other.example.anomalous))
        .collect();
    if near.len() < NEIGHBOURS {
        return None;
    }
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let yes = near[..NEIGHBOURS].iter().filter(|(_, anomalous)| *anomalous).count();
    Some(2 * yes > NEIGHBOURS)
}

/// Squared distance of the windows' last steps: what was unusual is unusual there.
fn distance(left: &[f32], right: &[f32]) -> f32 {
    let last = |window: &[f32]| window.len().saturating_sub(FEATURES);
    left[last(left)..].iter().zip(&right[last(right)..]).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::class::DeviceClass;
    use crate::network::WINDOW_VALUES;

    /// An answer about a window at `level`; truth is that a level above one half is anomalous.
    fn answer(home: &str, level: f32, lies: bool) -> HomeAnswer {
        let example = FeedbackExample {
            window: vec![level; WINDOW_VALUES],
            class: DeviceClass::Temperature,
            anomalous: (level > 0.5) != lies,
            weight: 1.0,
        };
        HomeAnswer { home: home.into(), example }
    }

    /// Ten homes of twelve answers, none about quite the same; the first so many lie.
    fn fleet(liars: usize) -> Vec<HomeAnswer> {
        let level =
            |home: usize, number: usize| (number % 4) as f32 / 3.0 + ((home * 7 + number * 13) % 17) as f32 * 0.01;
        let of =
            |home: usize| (0..12).map(move |number| answer(&format!("h{home}"), level(home, number), home < liars));
        (0..10).flat_map(of).collect()
    }

    #[test]
    fn a_home_that_flips_its_answers_is_doubted_and_honest_ones_are_not() {
        let policy = DefencePolicy { quota: 100, influence_max: 1.0, reliability: true };
        assert_eq!(defend(&fleet(2), &policy).doubted, ["h0", "h1"]);
        assert_eq!(defend(&fleet(0), &policy).doubted, [""; 0]);
    }

    #[test]
    fn the_last_answers_of_a_home_fill_its_quota() {
        let policy = DefencePolicy { quota: 2, influence_max: 1.0, reliability: false };
        let answers: Vec<HomeAnswer> = (0..5).map(|number| answer("a", number as f32, false)).collect();
        let defended = defend(&answers, &policy);
        assert_eq!(defended.examples.iter().map(|example| example.window[0]).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(defended.over_quota["a"], 3);
    }

    #[test]
    fn without_defences_every_answer_counts_as_given() {
        let answers = fleet(3);
        let given: Vec<FeedbackExample> = answers.iter().map(|answer| answer.example.clone()).collect();
        assert_eq!(defend(&answers, &DefencePolicy::none()).examples, given);
    }

    proptest! {
        #[test]
        fn no_home_has_more_than_its_share(counts in proptest::collection::vec(1usize..60, 5..15), cap in 0.2f64..0.9) {
            let answers: Vec<HomeAnswer> = counts
                .iter()
                .enumerate()
                .flat_map(|(home, count)| (0..*count).map(move |_| answer(&format!("h{home}"), 0.0, false)))
                .collect();
            let policy = DefencePolicy { quota: usize::MAX, influence_max: cap, reliability: false };
            let defended = defend(&answers, &policy);
            let total: f64 = defended.examples.iter().map(|example| f64::from(example.weight)).sum();
            for home in 0..counts.len() {
                let own: f64 = answers
                    .iter()
                    .zip(&defended.examples)
                    .filter(|(answer, _)| answer.home == format!("h{home}"))
                    .map(|(_, example)| f64::from(example.weight))
                    .sum();
                prop_assert!(own <= cap * total + 1e-3, "{own} of {total}");
            }
        }
    }
}
