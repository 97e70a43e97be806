//! What the network says of a step, what is kept of that, and whether it is of use in this home.

use std::collections::BTreeSet;

use super::trust::{NetworkRecord, gain};
use super::{DAY_SECONDS, HomeDetector, Model};
use crate::alarm::Verdict;
use crate::features::EntityStep;
use crate::features::TrialWindow;
use crate::network::{MICRO_BATCH, NetworkOutput};
use crate::statistics::daily_max::DAYS;

impl HomeDetector {
    /// The network's score of every number that it judges, that is ready and has a full window.
    pub(super) fn ask_network(&self, steps: &[EntityStep]) -> Vec<Option<NetworkOutput>> {
        let mut outputs = vec![None; steps.len()];
        let Model::Network { scorer, blend, .. } = &*self.model else { return outputs };
        let judged = steps.iter().enumerate().filter(|(_, step)| {
            let class = self.entities[step.entity as usize].class;
            step.ready
                && step.has_statistics
                && step.is_news
                && !class.is_binary()
                && blend.judges(class)
                && self.extractor.has_window(step.entity)
        });
        let judged: Vec<(usize, u32)> = judged.map(|(place, step)| (place, step.entity)).collect();
        // As many at a time as the network takes in a pass: the windows of 300 entities together are 2.3 MB.
        for pass in judged.chunks(MICRO_BATCH) {
            let windows: Vec<f32> =
                pass.iter().filter_map(|(_, entity)| self.extractor.window(*entity)).flatten().collect();
            let classes: Vec<usize> =
                pass.iter().map(|(_, entity)| self.entities[*entity as usize].class.index()).collect();
            for ((place, _), output) in pass.iter().zip(scorer.score(&windows, &classes)) {
                // A score that is no number is no score: the baseline detector speaks instead.
                outputs[*place] = Some(output).filter(|output| output.logit.is_finite());
            }
        }
        outputs
    }

    /// Keeps what the network says of each entity, told or not.
    pub(super) fn note_network(&mut self, steps: &[EntityStep], outputs: &[Option<NetworkOutput>], share: f32) {
        for (step, output) in steps.iter().zip(outputs) {
            let Some(output) = output else { continue };
            let class = self.entities[step.entity as usize].class;
            if let Some(margin) = self.model.network_margin(class, &step.baseline, output, share) {
                self.records[step.entity as usize].note(margin);
            }
        }
        if steps.first().is_some_and(|step| step.at % DAY_SECONDS == 0) {
            self.records.iter_mut().for_each(NetworkRecord::next_day);
            self.leave_confirmed();
        }
    }

    /// What the network said while an alarm was on that a resident confirmed tells nothing of clean days: were it kept, one real fault
    /// would silence the network for four weeks.
    pub(super) fn leave_confirmed(&mut self) {
        let Some(now) = self.extractor.closed() else { return };
        let answers = self.decider.answers().all().iter().filter(|answer| answer.verdict == Verdict::Confirmed);
        let confirmed: BTreeSet<&str> = answers.map(|answer| answer.alarm_id.as_str()).collect();
        for alarm in self.decider.alarms().iter().filter(|alarm| confirmed.contains(alarm.id.as_str())) {
            let back = |at: i64| usize::try_from(now.div_euclid(DAY_SECONDS) - at.div_euclid(DAY_SECONDS)).unwrap_or(0);
            if let Some(record) = self.records.get_mut(alarm.entity as usize) {
                // A step that ends at midnight is of the day before.
                let first = back(alarm.start.saturating_sub(1)).min(DAYS - 1);
                (back(alarm.end.unwrap_or(now))..=first).for_each(|back| record.leave_day(back));
            }
        }
    }

    /// Tries whether the network is of use here: small faults are put into copies of the entities whose turn it is.
    pub(super) fn try_faults(&mut self, share: f32) {
        let Model::Network { scorer, blend, .. } = &*self.model else { return };
        for (index, record) in self.records.iter_mut().enumerate() {
            let class = self.entities[index].class;
            let windows = if blend.judges(class) { self.extractor.small_faults(index) } else { Vec::new() };
            if windows.is_empty() {
                continue;
            }
            let values: Vec<f32> = windows.iter().flat_map(|window| &window.values).copied().collect();
            let outputs = scorer.score(&values, &vec![class.index(); windows.len()]);
            let gain_of = |(window, output): (&TrialWindow, &NetworkOutput)| {
                let baseline = &window.baseline;
                let margin = baseline.score - self.model.baseline_threshold(class, baseline.kind, share);
                let network = self.model.network_margin(class, baseline, output, share);
                gain(baseline.kind, margin, network.unwrap_or(f32::NEG_INFINITY), record.lift_so_far())
            };
            record.add_check(windows.iter().zip(&outputs).map(gain_of).sum());
        }
    }
}
