//! Stretches of one entity's time that are seen and not learnt from: a fault must not become what is usual.

use crate::grid::STEP_SECONDS;

/// Stretches as (from, until], in Unix seconds; nearly always none.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExcludedSpans {
    spans: Vec<(i64, i64)>,
}

impl ExcludedSpans {
    pub(crate) fn push(&mut self, from: i64, until: i64) {
        self.spans.push((from, until));
    }

    /// Whether any of the step that ends at `step_end` belongs to one of them.
    pub(crate) fn holds(&self, step_end: i64) -> bool {
        self.spans.iter().any(|(from, until)| step_end > *from && step_end - STEP_SECONDS < *until)
    }

    /// Makes unknown what belongs to them, of one value a step, oldest first, of which the last step ends at `newest`.
    pub(crate) fn blank(&self, series: &mut [f32], newest: i64) {
        if self.spans.is_empty() {
            return;
        }
        let mut step_end = newest;
        for value in series.iter_mut().rev() {
            if self.holds(step_end) {
                *value = f32::NAN;
            }
            step_end -= STEP_SECONDS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_takes_every_step_that_it_touches() {
        let mut excluded = ExcludedSpans::default();
        excluded.push(700, 1900);
        let mut series = [1.0; 5];
        excluded.blank(&mut series, 3000);
        // The steps that end at 600, 1200, …, 3000.
        assert_eq!(series.map(f32::is_nan), [false, true, true, true, false]);
    }
}
