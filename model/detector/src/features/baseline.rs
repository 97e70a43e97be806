//! The baseline detector: the experts' evidence on one scale, and what has the highest score.
//!
//! The scale is −ln(how often a week a step as unusual as this is expected). Statistics get it from their own fortnight's
//! tail, the rules by construction; so a home's budget means the same for a thermometer, a meter and a door.

use crate::class::DeviceClass;
use crate::experts::habits::Broken;
use crate::features::Normaliser;
use crate::features::{Learnt, Switching};
use crate::finding::{AnomalyKind, BaselineScore, LN_STEPS_PER_WEEK};
use crate::grid::STEP_SECONDS;
use crate::reading::Noticeable;
use crate::statistics::tail::Tail;

/// The score of a value that the quantity cannot have: above every threshold.
pub(crate) const PHYSICS_SCORE: f32 = 20.0;
/// The score of a sensor that exists to warn and does.
pub(crate) const ALERT_SCORE: f32 = 15.0;
/// A contact that chatters: above the threshold of any budget.
const CHATTER_SCORE: f32 = 12.0;
/// How much of the second highest expert's surprise is added to the highest's: they agree on what is real more often
/// than on what is chance.
const SECOND_SHARE: f32 = 0.3;
/// From this surprise on an entity is unusual by its own past: less than once a day.
const OWN_NAME_SURPRISE: f32 = 5.0;
const STEPS_PER_HOUR: f32 = 3600.0 / STEP_SECONDS as f32;

/// What the statistics look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumericInput {
    /// The transformed value; NaN while there is none.
    pub(crate) value: f32,
    /// [`Feature::Residual`](crate::grid::Feature::Residual) of the step.
    pub(crate) residual: f32,
    /// Roughness over 3 h, in the unit of the value.
    pub(crate) rough: f32,
    /// The same without its two largest moves: a jump, or a peak, is no restlessness.
    pub(crate) rough_rest: f32,
    /// Sum of the last innovations, in their scale.
    pub(crate) innovations: f32,
    /// What the value would be without them.
    pub(crate) announced: f32,
    /// By how much the last hour's values differ from the newest, at the most, in the shown unit.
    pub(crate) moved_in_hour: f32,
    /// Half an hour ago; NaN where that is not known.
    pub(crate) before: f32,
}

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallInput {
    pub(crate) broken: Option<f64>,
    pub(crate) flat: f32,
    pub(crate) flat_steps: u32,
    pub(crate) usual_run: u32,
    pub(crate) silent: f32,
    pub(crate) age_steps: f32,
    pub(crate) usual_pause: u32,
    /// Paused longer than ever: its value is no news.
    pub(crate) late: bool,
}

impl StallInput {
    /// Whether the entity stands still or is silent for longer than it ever was.
    pub(crate) fn stalled(&self) -> bool {
        self.late || self.flat > BaselineScore::FLOOR || self.silent > BaselineScore::FLOOR
    }
}

/// Judges a number's step. `own` are its own statistics while it is ready and known, `value` is shown, `peers` is the
/// residual that the peers leave when they count.
pub(crate) fn judge_number(
    own: Option<&[Statistic; 3]>,
    value: f32,
    peers: Option<(f32, &Tail)>,
    rules: &StallInput,
) -> BaselineScore {
    let mut best = own.map_or_else(BaselineScore::calm, |own| statistics(own, value, peers));
    take_if_higher(
        &mut best,
        rules.flat,
        AnomalyKind::Flat,
        hours(rules.flat_steps as f32),
        hours(rules.usual_run as f32),
    );
    // A device that says nothing stands still as well; silence is the better word for it.
    if rules.silent >= rules.flat - 1.0 && rules.silent > BaselineScore::FLOOR {
        let score = rules.silent.max(rules.flat);
        if score >= best.score {
            best = BaselineScore {
                score,
                kind: AnomalyKind::Silent,
                amount: hours(rules.age_steps),
                usual: hours(rules.usual_pause as f32),
            };
        }
    }
    if let Some(broken) = rules.broken {
        take_if_higher(&mut best, PHYSICS_SCORE, AnomalyKind::Physics, broken.clamp(-1e30, 1e30) as f32, 0.0);
    }
    best
}

/// Judges a binary entity's step.
pub(crate) fn judge_switching(
    class: DeviceClass,
    ready: bool,
    switching: &Switching,
    broken: Option<Broken>,
) -> BaselineScore {
    let mut best = BaselineScore::calm();
    let stay = &switching.stay;
    if class.warns_of_danger() {
        // That it turned on at an unusual hour, or has been off for long, is no other news and must not take the place of this.
        if stay.current() == Some(true) {
            take_if_higher(&mut best, ALERT_SCORE, AnomalyKind::Alert, 1.0, stay.times(true));
        }
        return best;
    }
    if ready {
        // Nobody at home is no news of a sensor: an *off* lasts as long as others were active, and means something only of what
        // sees people. What stays on is a rule's to say ([`crate::rules`]).
        let sees_people = matches!(class, DeviceClass::Motion | DeviceClass::Occupancy);
        if sees_people && stay.current() == Some(false) && switching.accompanied {
            take_if_higher(
                &mut best,
                switching.silence.evidence(),
                AnomalyKind::TimeInState,
                hours(stay.elapsed() as f32),
                0.0,
            );
        }
        let rate = &switching.rate;
        if rate.chatters() {
            take_if_higher(&mut best, CHATTER_SCORE, AnomalyKind::Rate, rate.last_hour() as f32, rate.usual());
        } else if rate.is_busy() {
            take_if_higher(&mut best, rate.evidence(), AnomalyKind::Rate, rate.last_hour() as f32, rate.usual());
        }
        if matches!(class, DeviceClass::Motion | DeviceClass::Door | DeviceClass::Window | DeviceClass::Opening) {
            take_if_higher(
                &mut best,
                switching.quiet_hours.evidence(),
                AnomalyKind::QuietHour,
                rate.last_hour() as f32,
                rate.usual(),
            );
        }
        if let Some(Broken { evidence, misses, share }) = broken {
            // An entity that was off for as long before is not broken: nobody was there.
            let evidence = evidence.min(switching.silence.longest_evidence());
            take_if_higher(&mut best, evidence, AnomalyKind::Habit, misses, share);
        }
    }
    best
}

/// One statistic: its surprise, its kind, its figure and what that usually stays below.
pub(crate) type Statistic = (f32, AnomalyKind, f32, f32);

/// The entity's own statistics, the highest first; its peers apart. What a resident would not call a difference is none, however
/// rare: a value inside the band that is shown, a move of a tenth of a degree. `announced` says whether the hours before announce a
/// move at all: not where somebody opens a tap or a cloud passes.
pub(crate) fn own_statistics(
    seen: &NumericInput,
    learnt: &Learnt,
    normal: &Normaliser,
    least: Noticeable,
    announced: bool,
) -> [Statistic; 3] {
    let shown = |transformed: f32| Normaliser::inverse(transformed, normal.log);
    let value = shown(seen.value);
    let noticeable = least.from(value);
    let or_none = |is_difference: bool, surprise: f32| if is_difference { surprise } else { 0.0 };
    let apart = (value - shown(normal.centre)).abs() >= noticeable && learnt.is_outside(seen.residual);
    let level = or_none(apart, learnt.level_surprise(seen.residual));
    let fitted = learnt.autoregression.as_ref();
    let usual_change = fitted.and_then(|fitted| Some(fitted.tail.usual_limit()? * fitted.scale())).unwrap_or(0.0);
    // The message gives the move itself, so there must be one, in the direction of the surprise.
    let moved = value - shown(seen.before);
    let is_move = moved.abs() >= noticeable && moved * seen.innovations > 0.0;
    let change = or_none(announced && is_move, unpredicted(seen, learnt, normal, least));
    let usual_rough = learnt.rough_tail.usual_limit().unwrap_or(0.0);
    let rough = if normal.log { seen.rough * value.abs() } else { seen.rough };
    let noise = or_none(2.0 * rough >= noticeable && seen.rough > usual_rough, learnt.rough_tail.surprise(seen.rough));
    let by_level = (AnomalyKind::Level, value, 0.0);
    let by_change = (AnomalyKind::Change, moved, usual_change);
    // One jump makes three hours rough; it is called what it is.
    let by_noise = match seen.rough_rest > usual_rough {
        false if apart => by_level,
        false if is_move => by_change,
        _ => (AnomalyKind::Noise, seen.rough, usual_rough),
    };
    let statistic = |surprise: f32, (kind, amount, usual)| (surprise, kind, amount, usual);
    let mut statistics = [statistic(level, by_level), statistic(change, by_change), statistic(noise, by_noise)];
    statistics.sort_by(|a, b| b.0.total_cmp(&a.0));
    statistics
}

/// The surprise at what the autoregression did not predict: a move, or standing still where a move was predicted.
pub(crate) fn unpredicted(seen: &NumericInput, learnt: &Learnt, normal: &Normaliser, least: Noticeable) -> f32 {
    let shown = |transformed: f32| Normaliser::inverse(transformed, normal.log);
    let value = shown(seen.value);
    let apart = (value - shown(seen.announced)).abs() >= least.from(value);
    let fitted = learnt.autoregression.as_ref().filter(|_| apart);
    fitted.map_or(0.0, |fitted| fitted.tail.surprise(seen.innovations.abs()))
}

fn statistics(own: &[Statistic; 3], value: f32, peers: Option<(f32, &Tail)>) -> BaselineScore {
    let (mut first, mut second) = (own[0], own[1].0);
    if let Some((residual, tail)) = peers {
        let apart = tail.surprise(residual.abs());
        if apart > first.0 {
            // Out of step with its peers, and unusual by its own past too: that is the plainer word.
            let by_itself = first.0 >= OWN_NAME_SURPRISE && first.1 != AnomalyKind::Noise;
            second = first.0;
            first = if by_itself {
                (apart, first.1, first.2, first.3)
            } else {
                (apart, AnomalyKind::Peers, value, tail.usual_limit().unwrap_or(0.0))
            };
        } else {
            second = second.max(apart);
        }
    }
    let (surprise, kind, amount, usual) = first;
    BaselineScore { score: surprise + SECOND_SHARE * second - LN_STEPS_PER_WEEK, kind, amount, usual }
}

fn take_if_higher(best: &mut BaselineScore, score: f32, kind: AnomalyKind, amount: f32, usual: f32) {
    if score > best.score {
        *best = BaselineScore { score, kind, amount, usual };
    }
}

fn hours(steps: f32) -> f32 {
    steps / STEPS_PER_HOUR
}
