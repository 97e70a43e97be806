//! Counting what was quietened, and what was lost by it.

use hearthwatch_detector::alarm::Alarm;
use hearthwatch_evaluation::dataset::RecordedHome;
use jiff::tz::TimeZone;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::life::{DELAY_MEDIAN_HOURS, DISMISSALS_MAX, Life, hits, injected};
use super::nuisance::Nuisance;

/// After so many dismissals repeats are counted.
pub(super) const DISMISSALS: [usize; DISMISSALS_MAX] = [1, 2];
/// Bootstrap resamples of homes.
const RESAMPLES: usize = 2000;

/// Counts of one home under one habit, beside the same home without answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Nuisances with at least so many alarms as [`DISMISSALS`] says when nobody answers …
    pub(super) nuisances: [u32; DISMISSALS_MAX],
    /// … their alarms after the time at which that many were answered, …
    pub(super) repeats: [u32; DISMISSALS_MAX],
    /// … and in the same stretch when nobody answers.
    pub(super) repeats_unanswered: [u32; DISMISSALS_MAX],
    /// True events on the same entities after the first dismissal, …
    pub(super) events: u32,
    /// … of which were found, …
    pub(super) found: u32,
    /// … and when nobody answers.
    pub(super) found_unanswered: u32,
}

impl Tally {
    /// Counts the repeats of each nuisance from when its first and second alarm were answered. Both lives are counted
    /// from the same moments: those of the life without answers.
    pub(super) fn count_repeats(&mut self, nuisances: &[Nuisance], life: &Life, unanswered: &Life, zone: &TimeZone) {
        for nuisance in nuisances {
            let after = |alarms: &[Alarm], at: i64| {
                alarms.iter().filter(|alarm| alarm.raised_at > at && nuisance.causes(alarm, zone)).count() as u32
            };
            for (place, count) in DISMISSALS.into_iter().enumerate() {
                let Some(at) = answered_at(nuisance, unanswered, count, zone) else { continue };
                self.nuisances[place] += 1;
                self.repeats[place] += after(&life.alarms, at);
                self.repeats_unanswered[place] += after(&unanswered.alarms, at);
            }
        }
    }

    /// Counts true events on the nuisances' entities after the first dismissal. An event in which an alarm is raised
    /// without it (`twin`) proves nothing and is left out.
    pub(super) fn count_recall(
        &mut self,
        home: &RecordedHome,
        nuisances: &[Nuisance],
        (life, unanswered, twin): (&Life, &Life, &Life),
        zone: &TimeZone,
    ) {
        for label in injected(home) {
            let of_entity = nuisances.iter().filter(|nuisance| nuisance.entity == label.entity);
            let since = of_entity.filter_map(|nuisance| answered_at(nuisance, twin, 1, zone)).min();
            let counts = since.is_some_and(|since| label.start > since);
            if !counts || twin.alarms.iter().any(|alarm| hits(alarm, label)) {
                continue;
            }
            self.events += 1;
            self.found += u32::from(life.alarms.iter().any(|alarm| hits(alarm, label)));
            self.found_unanswered += u32::from(unanswered.alarms.iter().any(|alarm| hits(alarm, label)));
        }
    }

    fn add(mut self, other: &Self) -> Self {
        for place in 0..DISMISSALS.len() {
            self.nuisances[place] += other.nuisances[place];
            self.repeats[place] += other.repeats[place];
            self.repeats_unanswered[place] += other.repeats_unanswered[place];
        }
        self.events += other.events;
        self.found += other.found;
        self.found_unanswered += other.found_unanswered;
        self
    }

    /// Share of the repeats that the answers spared, after as many dismissals as [`DISMISSALS`] has at `place`.
    fn spared(&self, place: usize) -> f64 {
        let before = self.repeats_unanswered[place];
        if before == 0 { 0.0 } else { 1.0 - f64::from(self.repeats[place]) / f64::from(before) }
    }

    /// Change of recall, in points of a hundred.
    fn recall_change(&self) -> f64 {
        if self.events == 0 {
            0.0
        } else {
            100.0 * (f64::from(self.found) - f64::from(self.found_unanswered)) / f64::from(self.events)
        }
    }
}

/// When the nuisance's alarm of this number (from 1) would be answered, if it has so many.
fn answered_at(nuisance: &Nuisance, unanswered: &Life, number: usize, zone: &TimeZone) -> Option<i64> {
    let alarm = unanswered.alarms.iter().filter(|alarm| nuisance.causes(alarm, zone)).nth(number - 1)?;
    Some(alarm.raised_at + (DELAY_MEDIAN_HOURS * 3600.0) as i64)
}

/// One line of the table: all homes together, with 90 % intervals over homes.
pub(super) fn line(name: &str, homes: &[Tally], seed: u64) -> String {
    let all = sum(homes.iter());
    let mut text = format!("{name:<28}");
    for place in 0..DISMISSALS.len() {
        let (low, high) = interval(homes, seed, |tally| tally.spared(place));
        text += &format!(
            " | {:>3}: {:>3}/{:<3} {:>4.0} % ({:>4.0}..{:>3.0})",
            all.nuisances[place],
            all.repeats[place],
            all.repeats_unanswered[place],
            100.0 * all.spared(place),
            100.0 * low,
            100.0 * high
        );
    }
    let (low, high) = interval(homes, seed, Tally::recall_change);
    text + &format!(
        " | {:>3}→{:<3} of {:<3} {:+.1} ({low:+.1}..{high:+.1})",
        all.found_unanswered,
        all.found,
        all.events,
        all.recall_change()
    )
}

fn sum<'a>(homes: impl Iterator<Item = &'a Tally>) -> Tally {
    homes.fold(Tally::default(), Tally::add)
}

/// The percentile bootstrap over homes, 90 %.
fn interval(homes: &[Tally], seed: u64, figure: impl Fn(&Tally) -> f64) -> (f64, f64) {
    if homes.is_empty() {
        return (0.0, 0.0);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .map(|_| figure(&sum((0..homes.len()).map(|_| &homes[rng.random_range(0..homes.len())]))))
        .collect();
    drawn.sort_by(f64::total_cmp);
    (drawn[RESAMPLES / 20], drawn[RESAMPLES - 1 - RESAMPLES / 20])
}
