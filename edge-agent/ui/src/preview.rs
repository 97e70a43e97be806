//! "At most so many alarms a week", tried on the home's own last month: stored rarities are held against the budget again;
//! nothing is scored anew, so a month of 300 entities takes a fraction of a second.

use std::collections::HashMap;

use hearthwatch_detector::alarm::{Adapts, AlarmEvent, Decider, DeciderConfig, Evidence};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_store::history::LoudStep;

/// Length of the previewed past, seconds.
pub const PREVIEW_SECONDS: i64 = 30 * 86_400;
/// How much less rare than its threshold a score may be and still hold an alarm together.
const HOLD: f32 = 1.0;

/// An alarm that there would have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WouldBe {
    /// Row id in the history.
    pub entity: i64,
    /// When it would have been raised, Unix seconds.
    pub at: i64,
}

/// The rarity from which on a score raises an alarm, when `watched` entities share `per_week` alarms.
#[must_use]
pub fn threshold(per_week: f64, watched: usize) -> f32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "some hundreds share some alarms")]
    let share = (per_week / watched.max(1) as f64) as f32;
    -share.max(f32::MIN_POSITIVE).ln()
}

/// The least rarity that matters to a preview of `per_week`.
#[must_use]
pub fn floor(per_week: f64, watched: usize) -> f32 {
    threshold(per_week, watched) - HOLD
}

/// The alarms that `steps` (in order of time, all those above [`floor`]) would have given, oldest first.
#[must_use]
pub fn alarms(steps: &[LoudStep], per_week: f64, watched: usize) -> Vec<WouldBe> {
    let threshold = threshold(per_week, watched);
    let mut numbers: HashMap<i64, u32> = HashMap::new();
    let mut rows = Vec::new();
    for step in steps {
        numbers.entry(step.entity).or_insert_with(|| {
            rows.push(step.entity);
            u32::try_from(rows.len() - 1).unwrap_or(u32::MAX)
        });
    }
    // The very decisions of the agent, its allowance among them; the offset and the answers are in the rarities already.
    let config = DeciderConfig { budget_per_week: per_week, salt: Vec::new(), adapts: Adapts::ByAllowance };
    let mut decider = Decider::new(config);
    for row in &rows {
        let info = EntityInfo { entity_id: row.to_string(), class: DeviceClass::GenericNumber, unit: String::new() };
        decider.add_entity(info);
    }
    let quiet = |entity| evidence(entity, None, threshold, false);
    let mut would_be = Vec::new();
    let mut loud = steps.chunk_by(|one, next| one.at == next.at).peekable();
    let Some(mut at) = steps.first().map(|step| step.at) else { return would_be };
    let last = steps.last().map_or(at, |step| step.at);
    while at <= last {
        // Silence between loud steps counts too: it ends alarms, and two loud steps with a quiet day between are not two
        // of three.
        let mut all: Vec<Evidence> = (0..).take(rows.len()).map(quiet).collect();
        if let Some(now) = loud.next_if(|chunk| chunk[0].at <= at) {
            for step in now {
                let number = numbers[&step.entity];
                all[number as usize] = evidence(number, Some(step.rarity), threshold, step.immediate);
            }
        }
        for event in decider.decide(at, 0.0, &all, true).events {
            if let AlarmEvent::Raised(alarm) = event {
                would_be.push(WouldBe { entity: rows[alarm.entity as usize], at: alarm.raised_at });
            }
        }
        at += STEP_SECONDS;
    }
    would_be
}

fn evidence(entity: u32, score: Option<f32>, threshold: f32, immediate: bool) -> Evidence {
    let kind = if immediate { AnomalyKind::Physics } else { AnomalyKind::Pattern };
    Evidence { entity, score, threshold, kind, amount: 0.0, usual: 0.0, observed: None, band: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at: i64, entity: i64, rarity: f32) -> LoudStep {
        LoudStep { at: at * STEP_SECONDS, entity, rarity, immediate: false }
    }

    #[test]
    fn a_larger_budget_hears_what_a_smaller_one_does_not() {
        // Ten entities: one alarm a week asks for a rarity of ln 10 = 2.3, a tenth of one for 4.6.
        let steps = [step(1, 7, 3.0), step(2, 7, 3.0), step(500, 8, 6.0), step(501, 8, 6.0)];
        let raised = |per_week| alarms(&steps, per_week, 10).iter().map(|one| one.entity).collect::<Vec<_>>();
        assert_eq!(raised(1.0), [7, 8]);
        assert_eq!(raised(0.1), [8]);
        assert_eq!(raised(0.001), [0i64; 0]);
    }

    #[test]
    fn one_loud_step_is_not_enough_and_two_days_apart_do_not_add_up() {
        assert_eq!(alarms(&[step(1, 7, 9.0)], 1.0, 10), []);
        assert_eq!(alarms(&[step(1, 7, 9.0), step(289, 7, 9.0)], 1.0, 10), []);
        let at_once = LoudStep { immediate: true, ..step(1, 7, 9.0) };
        assert_eq!(alarms(&[at_once], 1.0, 10), [WouldBe { entity: 7, at: STEP_SECONDS }]);
    }

    #[test]
    fn the_allowance_of_four_weeks_is_kept_as_it_is_at_home() {
        // Every sixth hour another of two hundred entities is a little rarer than asked for.
        let rare = threshold(1.0, 200) + 1.0;
        let steps: Vec<LoudStep> = (0..100).flat_map(|n| [step(n * 36, n, rare), step(n * 36 + 1, n, rare)]).collect();
        assert_eq!(alarms(&steps, 1.0, 200).len(), 12, "three times the budget");
    }

    #[test]
    fn a_month_without_anything_loud_has_no_alarms() {
        assert_eq!(alarms(&[], 5.0, 300), []);
    }
}
