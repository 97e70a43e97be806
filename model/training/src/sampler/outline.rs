//! What a home can draw windows from, as plain values: to compare our rounds with those of another framework.

use hearthwatch_detector::grid::{FEATURES, WINDOW_STEPS};
use hearthwatch_detector::network::tame;
use hearthwatch_evaluation::evaluate::{EntityTrace, HomePair};

use super::{Sampler, is_mirrored, signed_features, target};

/// Everything that a round of one home is drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeOutline {
    /// Histories, and copies of them with faults.
    pub sources: Vec<SourceOutline>,
    /// Faults: index of the source, its first row, and the row behind its last.
    pub faults: Vec<[u32; 3]>,
    /// Features that are jittered and mirrored, by place.
    pub signed: [bool; FEATURES],
}

/// One entity's rows. A window ends with a row and begins 95 rows before it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceOutline {
    /// Oldest first, `FEATURES` values each.
    pub rows: Vec<f32>,
    /// By [`DeviceClass::index`](hearthwatch_detector::class::DeviceClass::index).
    pub class: usize,
    /// Whether windows are mirrored half of the time.
    pub mirrored: bool,
    /// Rows that a window may end with.
    pub ready: Vec<bool>,
    /// Rows that a normal window may end with.
    pub normal: Vec<u32>,
    /// What comes after each of these: the next step's residual, NaN where it is not known.
    pub targets: Vec<f32>,
}

impl HomeOutline {
    /// Of one home, as [`train_round`](crate::train_round) draws from it without verdicts.
    #[must_use]
    pub fn of(home: &HomePair) -> Self {
        let sampler = Sampler::for_round(std::slice::from_ref(home), &[]);
        let mut traces: Vec<&EntityTrace> = sampler.normal.iter().map(|normal| normal.trace).collect();
        for fault in &sampler.faults {
            if !traces.iter().any(|trace| std::ptr::eq(*trace, fault.trace)) {
                traces.push(fault.trace);
            }
        }
        let place = |trace: &EntityTrace| traces.iter().position(|other| std::ptr::eq(*other, trace)).unwrap_or(0);
        let faults = sampler.faults.iter().map(|fault| {
            let (trace, offset) = (fault.trace, first_row(fault.trace));
            let row = |step: usize| step.saturating_sub(offset) as u32;
            [place(trace) as u32, row(fault.steps.start), row(fault.steps.end)]
        });
        let faults = faults.collect();
        let sources = traces.iter().enumerate().map(|(place, trace)| {
            let normal = sampler.normal.get(place).map_or(&[][..], |normal| &normal.steps);
            source(trace, normal)
        });
        let mut signed = [false; FEATURES];
        signed_features().for_each(|feature| signed[feature] = true);
        Self { sources: sources.collect(), faults, signed }
    }
}

/// The first step with a row.
fn first_row(trace: &EntityTrace) -> usize {
    (0..trace.len()).find(|step| trace.row(*step).is_some()).unwrap_or(trace.len())
}

fn source(trace: &EntityTrace, normal: &[u32]) -> SourceOutline {
    let offset = first_row(trace);
    let steps = offset..trace.len();
    let rows = steps.clone().filter_map(|step| trace.row(step)).flatten().map(|value| tame(*value)).collect();
    SourceOutline {
        rows,
        class: trace.class.index(),
        mirrored: is_mirrored(trace.class.index()),
        ready: steps.map(|step| step + 1 >= offset + WINDOW_STEPS && trace.network_ready(step)).collect(),
        normal: normal.iter().map(|step| step.saturating_sub(offset as u32)).collect(),
        targets: normal.iter().map(|step| target(trace, *step as usize).unwrap_or(f32::NAN)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::network::WINDOW_VALUES;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fixtures::pair;

    #[test]
    fn the_windows_of_the_outline_are_those_that_are_drawn() {
        let pair = pair(1);
        let outline = HomeOutline::of(&pair);
        let pairs = [pair];
        let drawn = Sampler::for_validation(&pairs).draw(&mut ChaCha8Rng::seed_from_u64(1), 64, 0.3, 0.0);
        let window = |source: &SourceOutline, row: usize| {
            source.rows[(row + 1 - WINDOW_STEPS) * FEATURES..(row + 1) * FEATURES].to_vec()
        };
        let ends = |source: &SourceOutline, faulty: bool, place: usize| -> Vec<usize> {
            let faults = outline.faults.iter().filter(|[of, ..]| *of as usize == place);
            let in_faults = faults.flat_map(|[_, first, end]| *first as usize..*end as usize);
            let in_faults = in_faults.filter(|row| source.ready.get(*row) == Some(&true));
            if faulty { in_faults.collect() } else { source.normal.iter().map(|row| *row as usize).collect() }
        };
        for (at, label) in drawn.labels.iter().enumerate() {
            let wanted = &drawn.windows[at * WINDOW_VALUES..(at + 1) * WINDOW_VALUES];
            let found = outline.sources.iter().enumerate().any(|(place, source)| {
                ends(source, *label == 1.0, place).iter().any(|row| window(source, *row) == wanted)
            });
            assert!(found, "window {at}, label {label}");
        }
    }
}
