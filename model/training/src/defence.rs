//! What a home's answers may do to everybody's model: a quota, caps on influence, and trust by how far it agrees with others.
//!
//! None of it proves anything about a single answer; the last defence is the gate, which measures the candidate on
//! homes whose truth is known.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::FEATURES;

use super::feedback::FeedbackExample;

/// Nearest answers of other homes that an answer is compared with.
const NEIGHBOURS: usize = 7;
/// Answers of a home below which its reliability is not doubted: a few disagreements are chance.
const DOUBT_ANSWERS_MIN: usize = 6;
/// Answers that every home is taken to have given like the median home, before any of its own: with few answers of its own, it
/// weighs nearly as much as any.
const PRIOR_ANSWERS: f64 = 6.0;
/// How far below the fleet's agreement a home must lie to be doubted, in standard errors.
const DOUBT_SIGMAS: f64 = 2.0;
/// Weight within a class that a home keeps in any case: in a class that only few homes have, few answers are all there is. Thirty are
/// three drawn questions at their largest weight.
const CLASS_WEIGHT_KEPT: f64 = 30.0;

/// One answer with whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeAnswer {
    /// The home; only equality matters.
    pub home: String,
    /// Its weight is what the home asks for; [`defend`] may lower it and never raises it.
    pub example: FeedbackExample,
}

/// Which defences are on.
#[derive(Debug, Clone, PartialEq)]
pub struct DefencePolicy {
    /// Most answers of one home in a run; the last ones count.
    pub quota: usize,
    /// Most that one home's answers may weigh within a device class, as a share of what all other homes' weigh there. With a
    /// quarter, a hostile home needs three others to agree with it before it outweighs any honest one of them.
    pub class_influence_max: f64,
    /// Most of the whole weight that one home's answers may have.
    pub influence_max: f64,
    /// Whether homes that contradict the others beyond chance are left out, and the rest weigh by how far they agree.
    pub reliability: bool,
}

impl Default for DefencePolicy {
    fn default() -> Self {
        Self { quota: 40, class_influence_max: 0.25, influence_max: 0.1, reliability: true }
    }
}

impl DefencePolicy {
    /// No defence: every answer counts as given.
    #[must_use]
    pub fn none() -> Self {
        Self { quota: usize::MAX, class_influence_max: f64::INFINITY, influence_max: 1.0, reliability: false }
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
    /// What a home's answers weigh for agreeing less than the median home does: below 1, for those that do.
    pub reliability: BTreeMap<String, f64>,
    /// By what share the weights of a home were cut, for those that were.
    pub capped: BTreeMap<String, f64>,
    /// Whose each example is.
    pub homes: Vec<String>,
}

/// What is learnt from when one home is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct WithoutHome {
    /// As in [`HomeAnswer::home`].
    pub home: String,
    /// Its share of the weight of all examples, in [0, 1].
    pub weight_share: f64,
    /// Everything but its answers, weighing as before.
    pub examples: Vec<FeedbackExample>,
}

impl Defended {
    /// The examples without each of the `most` homes that weigh most, the heaviest first; of equals, the first by name.
    #[must_use]
    pub fn without_each(&self, most: usize) -> Vec<WithoutHome> {
        let mut weights: BTreeMap<&str, f64> = BTreeMap::new();
        for (home, example) in self.homes.iter().zip(&self.examples) {
            *weights.entry(home).or_default() += f64::from(example.weight);
        }
        let total: f64 = weights.values().sum();
        let mut heaviest: Vec<(&str, f64)> = weights.into_iter().collect();
        heaviest.sort_by(|left, right| right.1.total_cmp(&left.1));
        let without = |(home, weight): &(&str, f64)| WithoutHome {
            home: (*home).to_owned(),
            weight_share: weight / total.max(f64::MIN_POSITIVE),
            examples: self
                .homes
                .iter()
                .zip(&self.examples)
                .filter(|(whose, _)| whose != home)
                .map(|(_, example)| example.clone())
                .collect(),
        };
        heaviest.iter().take(most).map(without).collect()
    }
}

/// Applies the defences in order: quota, reliability, influence within each class, influence on the whole. The order of the answers decides
/// which are last.
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
        let agreement = Agreement::of(&kept);
        defended.doubted = agreement.doubted();
        defended.reliability = agreement.weights();
        defended.reliability.retain(|home, _| !defended.doubted.contains(home));
        kept.retain(|answer| !defended.doubted.contains(&answer.home));
    }
    let trusted = |answer: &&HomeAnswer| {
        let reliability = defended.reliability.get(&answer.home).copied().unwrap_or(1.0);
        f64::from(answer.example.weight.max(0.0)) * reliability
    };
    let mut weights: Vec<f64> = kept.iter().map(trusted).collect();
    let homes: Vec<&str> = kept.iter().map(|answer| answer.home.as_str()).collect();
    let before = sums(&homes, &weights);
    cap_within_classes(&kept, &mut weights, policy.class_influence_max);
    cap_on_the_whole(&homes, &mut weights, policy.influence_max);
    let after = sums(&homes, &weights);
    let cut = before.into_iter().filter(|(home, before)| after[home] < *before);
    defended.capped = cut.map(|(home, before)| (home.to_owned(), 1.0 - after[home] / before)).collect();
    let weighed =
        |(answer, weight): (&&HomeAnswer, f64)| FeedbackExample { weight: weight as f32, ..answer.example.clone() };
    defended.examples = kept.iter().zip(weights).map(weighed).collect();
    defended.homes = kept.iter().map(|answer| answer.home.clone()).collect();
    defended
}

/// The weights added up by key.
fn sums<K: Ord + Copy>(keys: &[K], weights: &[f64]) -> BTreeMap<K, f64> {
    let mut sums = BTreeMap::new();
    for (key, weight) in keys.iter().zip(weights) {
        *sums.entry(*key).or_default() += weight;
    }
    sums
}

/// Brings each home down to `share` of what all others weigh in the class, or to [`CLASS_WEIGHT_KEPT`] if that is more.
fn cap_within_classes(answers: &[&HomeAnswer], weights: &mut [f64], share: f64) {
    let keys: Vec<(DeviceClass, &str)> =
        answers.iter().map(|answer| (answer.example.class, answer.home.as_str())).collect();
    let classes: Vec<DeviceClass> = keys.iter().map(|(class, _)| *class).collect();
    let (own, totals) = (sums(&keys, weights), sums(&classes, weights));
    for (key, weight) in keys.iter().zip(weights) {
        let own = own[key];
        let most = (share * (totals[&key.0] - own)).max(CLASS_WEIGHT_KEPT);
        if own > most {
            *weight *= most / own;
        }
    }
}

/// Brings each home down to its share of the whole.
///
/// The share is of the capped whole: with `n` capped homes of share `s` the others have `1 − n·s` of it. Where there are
/// too few homes for the cap to be met, all count alike.
fn cap_on_the_whole(homes: &[&str], weights: &mut [f64], influence_max: f64) {
    let own = sums(homes, weights);
    let mut sorted: Vec<f64> = own.values().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let limit = influence_max.max(1.0 / sorted.len().max(1) as f64);
    if limit >= 1.0 {
        return;
    }
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
    for (home, weight) in homes.iter().zip(weights) {
        if own[home] > allowed {
            *weight *= allowed / own[home];
        }
    }
}

/// How often each home's answers agree with the nearest answers of other homes.
struct Agreement<'a> {
    /// Agreed, of all that had an opinion to agree with.
    homes: BTreeMap<&'a str, (usize, usize)>,
    /// The median home's share: a minority of attackers does not move it. None where nobody could be compared.
    usual: Option<f64>,
}

impl<'a> Agreement<'a> {
    fn of(answers: &[&'a HomeAnswer]) -> Self {
        let mut homes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for answer in answers {
            let Some(expected) = opinion_of_others(answer, answers) else { continue };
            let (agreed, all) = homes.entry(&answer.home).or_default();
            *agreed += usize::from(expected == answer.example.anomalous);
            *all += 1;
        }
        let mut shares: Vec<f64> = homes.values().map(|(agreed, all)| *agreed as f64 / *all as f64).collect();
        shares.sort_by(f64::total_cmp);
        Self { homes, usual: shares.get(shares.len() / 2).copied() }
    }

    /// Homes that disagree more often than the median home does, beyond chance.
    fn doubted(&self) -> Vec<String> {
        let Some(usual) = self.usual else { return Vec::new() };
        let beyond_chance = |(agreed, all): (usize, usize)| {
            let error = (usual * (1.0 - usual) / all as f64).sqrt().max(1.0 / all as f64);
            (agreed as f64 / all as f64) < usual - DOUBT_SIGMAS * error
        };
        let doubted = self.homes.iter().filter(|(_, counts)| counts.1 >= DOUBT_ANSWERS_MIN && beyond_chance(**counts));
        doubted.map(|(home, _)| (*home).to_owned()).collect()
    }

    /// What each home's answers weigh against the median home's, for those that weigh less.
    ///
    /// The one-coin model of Dawid and Skene (1979): a home answers rightly with a probability p of its own, estimated here by
    /// its agreement, drawn towards the median home's by [`PRIOR_ANSWERS`]. Its vote then counts 2p − 1 (Karger, Oh and Shah
    /// 2011), nothing at a coin's toss. One round, not to convergence: with the few homes there are, an iteration would find
    /// whatever block of homes agrees with itself.
    fn weights(&self) -> BTreeMap<String, f64> {
        let Some(usual) = self.usual.filter(|usual| *usual > 0.5) else { return BTreeMap::new() };
        let weigh = |(agreed, all): (usize, usize)| {
            let share = (agreed as f64 + PRIOR_ANSWERS * usual) / (all as f64 + PRIOR_ANSWERS);
            ((2.0 * share - 1.0) / (2.0 * usual - 1.0)).max(0.0)
        };
        let weights = self.homes.iter().map(|(home, counts)| ((*home).to_owned(), weigh(*counts)));
        weights.filter(|(_, weight)| *weight < 1.0).collect()
    }
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
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_detector::network::WINDOW_VALUES;

    /// An answer about a window at `level`; truth is that a level above one half is anomalous.
    fn answer(home: &str, level: f32, flips: bool) -> HomeAnswer {
        let example = FeedbackExample {
            window: vec![level; WINDOW_VALUES],
            class: DeviceClass::Temperature,
            anomalous: (level > 0.5) != flips,
            weight: 1.0,
        };
        HomeAnswer { home: home.into(), example }
    }

    /// Ten homes of twelve answers, none about quite the same; the first so many flip theirs.
    fn fleet(attackers: usize) -> Vec<HomeAnswer> {
        let level =
            |home: usize, number: usize| (number % 4) as f32 / 3.0 + ((home * 7 + number * 13) % 17) as f32 * 0.01;
        let of =
            |home: usize| (0..12).map(move |number| answer(&format!("h{home}"), level(home, number), home < attackers));
        (0..10).flat_map(of).collect()
    }

    #[test]
    fn a_home_that_flips_its_answers_is_doubted_and_honest_ones_are_not() {
        let policy = DefencePolicy { reliability: true, ..DefencePolicy::none() };
        assert_eq!(defend(&fleet(2), &policy).doubted, ["h0", "h1"]);
        assert_eq!(defend(&fleet(0), &policy).doubted, [""; 0]);
    }

    #[test]
    fn a_home_that_errs_now_and_then_weighs_less_and_is_not_left_out() {
        let policy = DefencePolicy { reliability: true, ..DefencePolicy::none() };
        let mut answers = fleet(0);
        // One wrong answer of twelve: (11 + 6) of 18 agree, so 2 × 17/18 − 1.
        answers[0].example.anomalous = !answers[0].example.anomalous;
        let defended = defend(&answers, &policy);
        assert_eq!(defended.doubted, [""; 0]);
        assert_eq!(defended.reliability.keys().collect::<Vec<_>>(), ["h0"]);
        assert!((defended.reliability["h0"] - 8.0 / 9.0).abs() < 1e-9, "{:?}", defended.reliability);
        assert!((defended.examples[0].weight - 8.0 / 9.0).abs() < 1e-6);
        assert_eq!(defended.examples[12].weight, 1.0);
    }

    #[test]
    fn the_heaviest_homes_are_left_out_one_at_a_time() {
        let mut answers: Vec<HomeAnswer> = fleet(0).into_iter().take(36).collect();
        answers[30].example.weight = 3.0;
        let defended = defend(&answers, &DefencePolicy::none());
        let without = defended.without_each(2);
        assert_eq!(without.iter().map(|one| one.home.as_str()).collect::<Vec<_>>(), ["h2", "h0"]);
        assert!((without[0].weight_share - 14.0 / 38.0).abs() < 1e-9);
        assert_eq!(without[0].examples, defended.examples[..24]);
        assert_eq!(defended.without_each(9).len(), 3);
    }

    #[test]
    fn the_last_answers_of_a_home_fill_its_quota() {
        let policy = DefencePolicy { quota: 2, ..DefencePolicy::none() };
        let answers: Vec<HomeAnswer> = (0..5).map(|number| answer("a", number as f32, false)).collect();
        let defended = defend(&answers, &policy);
        assert_eq!(defended.examples.iter().map(|example| example.window[0]).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(defended.over_quota["a"], 3);
    }

    fn of_class(class: DeviceClass, home: &str, count: usize, weight: f32) -> Vec<HomeAnswer> {
        let answer = answer(home, 0.0, false);
        vec![HomeAnswer { example: FeedbackExample { class, weight, ..answer.example }, ..answer }; count]
    }

    /// What the home weighs in the class, of all that is there.
    fn share(defended: &Defended, home: &str, class: DeviceClass) -> f32 {
        let all = || defended.homes.iter().zip(&defended.examples).filter(|(_, example)| example.class == class);
        let own = all().filter(|(whose, _)| *whose == home);
        own.map(|(_, one)| one.weight).sum::<f32>() / all().map(|(_, one)| one.weight).sum::<f32>()
    }

    #[test]
    fn a_home_weighs_a_quarter_of_all_others_in_a_class_however_often_it_answers() {
        let policy = DefencePolicy { class_influence_max: 0.25, ..DefencePolicy::none() };
        let others = ["a", "b", "c", "d"].into_iter().flat_map(|name| of_class(DeviceClass::Power, name, 40, 1.0));
        let answers: Vec<HomeAnswer> =
            of_class(DeviceClass::Power, "loud", 1000, 1.0).into_iter().chain(others).collect();
        let defended = defend(&answers, &policy);
        assert!((share(&defended, "loud", DeviceClass::Power) - 40.0 / 200.0).abs() < 1e-4);
        assert_eq!(defended.examples[1000].weight, 1.0, "the others are left alone");
        assert_eq!(defended.capped.keys().collect::<Vec<_>>(), ["loud"]);
        assert!((defended.capped["loud"] - 0.96).abs() < 1e-9, "{:?}", defended.capped);
    }

    #[test]
    fn a_home_alone_in_its_class_keeps_a_weight_of_thirty() {
        let policy = DefencePolicy { class_influence_max: 0.25, ..DefencePolicy::none() };
        let alone = |count| {
            let defended = defend(&of_class(DeviceClass::Power, "a", count, 1.0), &policy);
            defended.examples.iter().map(|example| example.weight).sum::<f32>()
        };
        assert_eq!(alone(3), 3.0);
        assert!((alone(50) - 30.0).abs() < 1e-4);
    }

    /// Why there are two caps, first half: without the one within a class, a home that answers forty drawn questions, each at its
    /// largest weight, outweighs a class that few homes have, and is still far from a tenth of the whole.
    #[test]
    fn the_cap_on_the_whole_does_not_bound_a_home_within_a_class() {
        let whole_alone = DefencePolicy { influence_max: 0.1, ..DefencePolicy::none() };
        let mut answers: Vec<HomeAnswer> =
            (0..100).flat_map(|number| of_class(DeviceClass::Power, &format!("other-{number}"), 40, 1.0)).collect();
        for name in ["a", "b", "c", "d"] {
            answers.extend(of_class(DeviceClass::Water, name, 40, 1.0));
        }
        answers.extend(of_class(DeviceClass::Water, "loud", 40, 10.0));
        assert!((share(&defend(&answers, &whole_alone), "loud", DeviceClass::Water) - 400.0 / 560.0).abs() < 1e-4);
        let both = DefencePolicy { class_influence_max: 0.25, ..whole_alone };
        assert!((share(&defend(&answers, &both), "loud", DeviceClass::Water) - 40.0 / 200.0).abs() < 1e-4);
    }

    /// Second half: a home that answers a little in every class keeps all of it in each, and only the cap on the whole bounds it.
    #[test]
    fn the_cap_within_a_class_does_not_bound_a_home_in_the_whole() {
        use DeviceClass::{Humidity, Power, Temperature, Water};
        let class_alone = DefencePolicy { class_influence_max: 0.25, ..DefencePolicy::none() };
        let mut answers: Vec<HomeAnswer> =
            (0..19).flat_map(|number| of_class(Power, &format!("other-{number}"), 5, 1.0)).collect();
        for class in [Humidity, Power, Temperature, Water] {
            answers.extend(of_class(class, "loud", 10, 2.0));
        }
        let share_of_all = |policy: &DefencePolicy| defend(&answers, policy).without_each(1)[0].weight_share;
        assert!((share_of_all(&class_alone) - 80.0 / 175.0).abs() < 1e-4);
        let both = DefencePolicy { influence_max: 0.1, ..class_alone };
        assert!((share_of_all(&both) - 0.1).abs() < 1e-4);
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
            let policy = DefencePolicy { influence_max: cap, ..DefencePolicy::none() };
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
