//! Draws training windows: so many inside faults, the others from normal time.

mod outline;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::{FEATURES, Feature, STEP_SECONDS};
use hearthwatch_detector::network::{Scorer, WINDOW_VALUES, tame};
use hearthwatch_evaluation::dataset::{Label, LabelOrigin};
use hearthwatch_evaluation::evaluate::{EntityTrace, HomePair, HomeTrace};
use hearthwatch_evaluation::inject::Family;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::feedback::FeedbackExample;

pub use outline::{HomeOutline, SourceOutline};

/// After a fault its shadow stays in the window: for a day it is neither fault nor normal.
const SHADOW_SECONDS: i64 = 86_400;

/// Most of a fault's beginning that is passed over.
const ONSET_SECONDS_MAX: i64 = 6 * 3600;

/// Half the width of the uniform noise added to a training window's features, so that no window is seen twice alike.
const JITTER: f32 = 0.15;

/// Of the windows that are looked at for hard ones, one in so many counts as hard.
const HARD_ONE_IN: usize = 20;

/// Around a confirmed alarm, seconds from its begin: learnt as a fault, and never as normal.
const CONFIRMED_SECONDS: std::ops::RangeInclusive<i64> = -3600..=3 * 3600;

/// Around a dismissed alarm, seconds from its begin: normal, and drawn twice as often.
const DISMISSED_SECONDS: std::ops::RangeInclusive<i64> = -3600..=3600;

/// Windows scored together: 256 × 1,920 values are 2 MB.
const HARD_GATHER: usize = 256;

/// A batch of windows in plain rows.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// `n * WINDOW_VALUES` values.
    pub windows: Vec<f32>,
    /// `n` values of [`DeviceClass::index`].
    pub classes: Vec<usize>,
    /// 1 inside a fault, 0 in normal time.
    pub labels: Vec<f32>,
    /// Of the label in the cross-entropy: 1, or what an answer weighs.
    pub weights: Vec<f32>,
    /// The next step's residual.
    pub targets: Vec<f32>,
    /// 1 where the target is known and the window is from normal time.
    pub known: Vec<f32>,
}

/// What a resident answered about an alarm, for training in that home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeVerdict {
    /// Index in the home's list.
    pub entity: u32,
    /// When the alarm began, Unix seconds.
    pub at: i64,
    /// Whether it was real; a false alarm otherwise.
    pub confirmed: bool,
}

/// Steps of one entity that may be drawn as normal.
struct NormalSteps<'a> {
    trace: &'a EntityTrace,
    steps: Vec<u32>,
}

/// One fault's steps that may be drawn.
struct Fault<'a> {
    trace: &'a EntityTrace,
    steps: std::ops::Range<usize>,
}

/// Everything that can be drawn from a set of homes.
pub(super) struct Sampler<'a> {
    normal: Vec<NormalSteps<'a>>,
    faults: Vec<Fault<'a>>,
    feedback: &'a [FeedbackExample],
    augment: bool,
    /// Entity and step of the windows from normal time that look oddest to the network so far.
    hard: Vec<(usize, u32)>,
    hard_share: f64,
}

impl<'a> Sampler<'a> {
    /// For training: windows are jittered, and mirrored where the quantity is as likely to be too low as too high.
    pub fn for_training(pairs: &'a [HomePair], feedback: &'a [FeedbackExample]) -> Self {
        Self::new(pairs, &[], feedback, true)
    }

    /// For homes' own training, with what their residents answered, by position; homes beyond the list have no answers.
    pub fn for_round(pairs: &'a [HomePair], verdicts: &[Vec<HomeVerdict>]) -> Self {
        Self::new(pairs, verdicts, &[], true)
    }

    /// For validation: windows as they are.
    pub fn for_validation(pairs: &'a [HomePair]) -> Self {
        Self::new(pairs, &[], &[], false)
    }

    fn new(
        pairs: &'a [HomePair],
        verdicts: &[Vec<HomeVerdict>],
        feedback: &'a [FeedbackExample],
        augment: bool,
    ) -> Self {
        let mut sampler =
            Self { normal: Vec::new(), faults: Vec::new(), feedback, augment, hard: Vec::new(), hard_share: 0.0 };
        for (place, pair) in pairs.iter().enumerate() {
            sampler.add_home(pair, verdicts.get(place).map_or(&[], Vec::as_slice));
        }
        sampler
    }

    fn add_home(&mut self, pair: &'a HomePair, verdicts: &[HomeVerdict]) {
        for home in std::iter::once(&pair.clean).chain(&pair.faulty) {
            for trace in &home.entities {
                let own: Vec<HomeVerdict> =
                    verdicts.iter().filter(|verdict| verdict.entity == trace.entity).copied().collect();
                self.add(home, trace, &own);
            }
        }
    }

    fn add(&mut self, home: &'a HomeTrace, trace: &'a EntityTrace, verdicts: &[HomeVerdict]) {
        let labels: Vec<&Label> = home.labels.iter().filter(|label| label.entity == trace.entity).collect();
        let mut steps = Vec::new();
        for index in 0..trace.len() {
            let at = trace.at(index);
            let shadowed =
                labels.iter().any(|label| label.start <= at && at <= label.end.saturating_add(SHADOW_SECONDS));
            let near = |confirmed: bool, seconds: &std::ops::RangeInclusive<i64>| {
                verdicts.iter().any(|one| one.confirmed == confirmed && seconds.contains(&at.saturating_sub(one.at)))
            };
            if at > home.from && !shadowed && trace.network_ready(index) && !near(true, &CONFIRMED_SECONDS) {
                let times = if near(false, &DISMISSED_SECONDS) { 2 } else { 1 };
                steps.extend(std::iter::repeat_n(index as u32, times));
            }
        }
        if !steps.is_empty() {
            self.normal.push(NormalSteps { trace, steps });
        }
        // The clean twin's labels are the recording's own; the faulty twin carries them too, once is enough.
        let is_clean = home.labels.iter().all(|label| label.origin == LabelOrigin::Real);
        for label in labels.iter().filter(|label| is_clean == (label.origin == LabelOrigin::Real)) {
            let step = |at: i64| ((at - trace.first).max(0) / STEP_SECONDS) as usize;
            let range = step(label.start + onset(label) + STEP_SECONDS - 1)..(step(label.end) + 1).min(trace.len());
            if range.clone().any(|index| trace.network_ready(index)) {
                self.faults.push(Fault { trace, steps: range });
            }
        }
        // As with the recording's own labels: the faulty copies have the same hours, once is enough.
        for verdict in verdicts.iter().filter(|verdict| is_clean && verdict.confirmed) {
            let step = |seconds: i64| {
                let at = verdict.at.saturating_add(seconds).saturating_sub(trace.first).max(0);
                ((at / STEP_SECONDS) as usize).min(trace.len())
            };
            let range = step(*CONFIRMED_SECONDS.start())..step(*CONFIRMED_SECONDS.end());
            if range.clone().any(|index| trace.network_ready(index)) {
                self.faults.push(Fault { trace, steps: range });
            }
        }
    }

    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    pub fn has_normal_time(&self) -> bool {
        !self.normal.is_empty()
    }

    /// Draws `n` windows: a share from feedback (when there is any), of the rest a share from faults.
    pub fn draw(&self, rng: &mut ChaCha8Rng, n: usize, faulty_share: f64, feedback_share: f64) -> Batch {
        let mut batch = Batch::default();
        batch.windows.reserve(n * WINDOW_VALUES);
        for place in 0..n {
            // Both are drawn each time, so that a run without feedback has the same windows in all other places.
            let (source, kind) = (rng.random::<f64>(), rng.random::<f64>());
            if source < feedback_share && !self.feedback.is_empty() {
                let example = &self.feedback[rng.random_range(0..self.feedback.len())];
                batch.push(&example.window, example.class.index(), example.anomalous, example.weight, None);
            } else if kind < faulty_share && self.has_faults() {
                self.draw_fault(rng, &mut batch);
            } else {
                self.draw_normal(rng, &mut batch);
            }
            if self.augment {
                batch.augment(place, rng);
            }
        }
        batch
    }

    fn draw_fault(&self, rng: &mut ChaCha8Rng, batch: &mut Batch) {
        /// A few steps of a fault may have no window (a sensor that just came back); one draw in a few finds one.
        const TRIES: usize = 32;
        for _ in 0..TRIES {
            let fault = &self.faults[rng.random_range(0..self.faults.len())];
            let index = rng.random_range(fault.steps.clone());
            if fault.trace.network_ready(index)
                && let Some(window) = fault.trace.window(index)
            {
                return batch.push(window, fault.trace.class.index(), true, 1.0, None);
            }
        }
        self.draw_normal(rng, batch);
    }

    fn any_normal(&self, rng: &mut ChaCha8Rng) -> (usize, u32) {
        let entity = rng.random_range(0..self.normal.len());
        let steps = &self.normal[entity].steps;
        (entity, steps[rng.random_range(0..steps.len())])
    }

    /// Looks at `pool` windows from normal time with the network as it is and draws a share of the next windows from
    /// normal time among the oddest of them: at one alarm a week only the tail counts, and uniform draws hardly meet it.
    pub fn find_hard(&mut self, scorer: &Scorer, rng: &mut ChaCha8Rng, share: f64, pool: usize) {
        if share <= 0.0 || !self.has_normal_time() {
            return;
        }
        let pool: Vec<(usize, u32)> = (0..pool).map(|_| self.any_normal(rng)).collect();
        let mut scored = Vec::with_capacity(pool.len());
        for part in pool.chunks(HARD_GATHER) {
            let trace = |entity: usize| self.normal[entity].trace;
            let windows: Vec<f32> = part
                .iter()
                .flat_map(|(entity, step)| trace(*entity).window(*step as usize).expect("normal steps have windows"))
                .copied()
                .collect();
            let classes: Vec<usize> = part.iter().map(|(entity, _)| trace(*entity).class.index()).collect();
            let logits = scorer.score(&windows, &classes).into_iter().map(|output| output.logit);
            scored.extend(logits.zip(part.iter().copied()));
        }
        scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        self.hard = scored.into_iter().take(pool.len() / HARD_ONE_IN).map(|(_, place)| place).collect();
        self.hard_share = share;
    }

    fn draw_normal(&self, rng: &mut ChaCha8Rng, batch: &mut Batch) {
        let hard = !self.hard.is_empty() && rng.random::<f64>() < self.hard_share;
        let (entity, step) = if hard { self.hard[rng.random_range(0..self.hard.len())] } else { self.any_normal(rng) };
        let (index, trace) = (step as usize, self.normal[entity].trace);
        let window = trace.window(index).expect("normal steps are network-ready");
        batch.push(window, trace.class.index(), false, 1.0, target(trace, index));
    }
}

/// What the network should predict at a step: the next step's residual, where that is known.
fn target(trace: &EntityTrace, index: usize) -> Option<f32> {
    let next = index + 1;
    let known = next < trace.len() && trace.observed[next].is_finite();
    known.then(|| trace.row(next).map(|row| row[Feature::Residual.index()])).flatten()
}

/// Whether windows of a class, by [`DeviceClass::index`], are mirrored half of the time: too low must be as likely as too high.
fn is_mirrored(class: usize) -> bool {
    DeviceClass::ALL.get(class).is_some_and(|class| !class.heavy_tailed())
}

/// The features that are jittered and mirrored, by place.
fn signed_features() -> impl Iterator<Item = usize> {
    Feature::ALL.into_iter().filter(|feature| feature.is_signed()).map(Feature::index)
}

impl Batch {
    fn push(&mut self, window: &[f32], class: usize, anomalous: bool, weight: f32, target: Option<f32>) {
        self.windows.extend(window.iter().map(|value| tame(*value)));
        self.classes.push(class);
        self.labels.push(f32::from(u8::from(anomalous)));
        self.weights.push(weight);
        self.targets.push(target.unwrap_or(0.0));
        self.known.push(f32::from(u8::from(target.is_some())));
    }

    /// Jitters one window, and mirrors it half of the time where [`is_mirrored`].
    fn augment(&mut self, place: usize, rng: &mut ChaCha8Rng) {
        let mirror = rng.random::<bool>() && is_mirrored(self.classes[place]);
        let window = &mut self.windows[place * WINDOW_VALUES..(place + 1) * WINDOW_VALUES];
        // One jitter for the whole window and feature: it must not look like noise in time.
        let mut jitter = [0.0; FEATURES];
        for feature in signed_features() {
            jitter[feature] = JITTER * (2.0 * rng.random::<f32>() - 1.0);
        }
        for row in window.chunks_exact_mut(FEATURES) {
            for feature in signed_features() {
                row[feature] = if mirror { -row[feature] } else { row[feature] } + jitter[feature];
            }
        }
        if mirror {
            self.targets[place] = -self.targets[place];
        }
    }

    /// Windows in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether it holds no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How long a fault goes on before it differs from normal time: nothing is trained on there, in either direction.
fn onset(label: &Label) -> i64 {
    let length = (label.end - label.start).max(0);
    let share = if label.family == Family::Drift.as_str() {
        0.35
    } else if [Family::SlowLeak, Family::Stuck, Family::Missing, Family::TimeShift]
        .iter()
        .any(|family| label.family == family.as_str())
    {
        0.15
    } else {
        0.0
    };
    ((length as f64 * share) as i64).clamp(STEP_SECONDS, ONSET_SECONDS_MAX.max(STEP_SECONDS)).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::pair;
    use rand::SeedableRng;

    #[test]
    fn faults_and_normal_time_come_in_the_asked_shares_and_only_normal_time_has_a_target() {
        let pairs = [pair(1)];
        let sampler = Sampler::for_training(&pairs, &[]);
        let batch = sampler.draw(&mut ChaCha8Rng::seed_from_u64(1), 400, 0.25, 0.5);
        let faulty = batch.labels.iter().filter(|label| **label == 1.0).count();
        assert!((70..130).contains(&faulty), "{faulty} of 400");
        assert_eq!(batch.windows.len(), 400 * WINDOW_VALUES);
        assert!(batch.labels.iter().zip(&batch.known).all(|(label, known)| label * known == 0.0));
        assert!(batch.known.iter().sum::<f32>() > 200.0);
    }

    #[test]
    fn feedback_comes_in_its_share_with_its_weight() {
        let pairs = [pair(1)];
        let example = FeedbackExample {
            window: vec![0.25; WINDOW_VALUES],
            class: DeviceClass::Power,
            anomalous: true,
            weight: 3.0,
        };
        let feedback = [example];
        let sampler = Sampler::for_training(&pairs, &feedback);
        let batch = sampler.draw(&mut ChaCha8Rng::seed_from_u64(1), 400, 0.0, 0.25);
        let answered = batch.weights.iter().filter(|weight| **weight == 3.0).count();
        assert!((70..130).contains(&answered), "{answered} of 400");
    }

    #[test]
    fn normal_time_keeps_away_from_faults_and_their_shadow() {
        let pairs = [pair(1)];
        let sampler = Sampler::for_validation(&pairs);
        let labels = &pairs[0].faulty[0].labels;
        assert!(!labels.is_empty());
        for normal in sampler.normal.iter().filter(|normal| std::ptr::eq(normal.trace, &pairs[0].faulty[0].entities[0]))
        {
            for step in &normal.steps {
                let at = normal.trace.at(*step as usize);
                assert!(
                    !labels
                        .iter()
                        .any(|label| { label.entity == 0 && label.start <= at && at <= label.end + SHADOW_SECONDS })
                );
            }
        }
    }

    #[test]
    fn what_was_confirmed_is_a_fault_and_not_normal_and_what_was_dismissed_is_drawn_twice_as_often() {
        let pairs = [pair(1)];
        let clean = &pairs[0].clean.entities[0];
        let hour = |hours: i64| pairs[0].clean.from + hours * 3600;
        let (confirmed, dismissed) = (hour(100), hour(200));
        let verdicts = vec![vec![
            HomeVerdict { entity: 0, at: confirmed, confirmed: true },
            HomeVerdict { entity: 0, at: dismissed, confirmed: false },
        ]];
        let (with, without) = (Sampler::for_round(&pairs, &verdicts), Sampler::for_round(&pairs, &[]));
        let steps = |sampler: &Sampler<'_>, from: i64, until: i64| {
            let of_clean = sampler.normal.iter().filter(|normal| std::ptr::eq(normal.trace, clean));
            of_clean
                .flat_map(|normal| &normal.steps)
                .filter(|step| (from..=until).contains(&clean.at(**step as usize)))
                .count()
        };
        let around = |at: i64, before: i64, after: i64| (at - before * 3600, at + after * 3600);
        let (from, until) = around(confirmed, 1, 3);
        assert!(steps(&without, from, until) > 10);
        assert_eq!(steps(&with, from, until), 0);
        assert_eq!(with.faults.len(), without.faults.len() + 1, "once, from the history itself");
        let (from, until) = around(dismissed, 1, 1);
        assert_eq!(steps(&with, from, until), 2 * steps(&without, from, until));
    }
}
