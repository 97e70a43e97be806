//! The routine detector: the experts' evidence on one scale, and what speaks loudest.
//!
//! The scale is −ln(how often a week a step as unusual as this is expected). Statistics get it from their own fortnight's
//! tail, the rules by construction; so a home's budget means the same for a thermometer, a meter and a door.

use crate::class::DeviceClass;
use crate::experts::tail::Tail;
use crate::features::{AnomalyKind, LN_STEPS_PER_WEEK, Normaliser, RoutineScore};
use crate::features::{Learnt, Switching};
use crate::grid::STEP_SECONDS;

/// The score of a value that the quantity cannot have: above every threshold.
pub(crate) const PHYSICS_SCORE: f32 = 20.0;
/// The score of a sensor that exists to warn and does.
pub(crate) const ALERT_SCORE: f32 = 15.0;
/// A warning sensor that turned on more often than this lately is judged like any other: a splash guard, a kitchen.
const ALERTS_MAX: f32 = 3.0;
/// How much of the second loudest expert's surprise is added to the loudest's: they agree on what is real more often
/// than on what is chance.
const SECOND_SHARE: f32 = 0.3;
const STEPS_PER_HOUR: f32 = 3600.0 / STEP_SECONDS as f32;

/// What the statistics look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numeric {
    /// The transformed value; NaN while there is none.
    pub(crate) value: f32,
    /// Normalised residual.
    pub(crate) residual: f32,
    /// Roughness over 3 h, in the unit of the value.
    pub(crate) rough: f32,
    /// Sum of the last innovations, in their scale.
    pub(crate) innovations: f32,
    /// What the value would be without them.
    pub(crate) announced: f32,
}

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) broken: Option<f64>,
    pub(crate) flat: f32,
    pub(crate) flat_steps: u32,
    pub(crate) usual_run: u32,
    pub(crate) silent: f32,
    pub(crate) age_steps: f32,
    pub(crate) usual_pause: u32,
}

/// Judges a number's step. `peers` is the residual that the peers leave, when there are peers.
pub(crate) fn judge_number(
    ready: bool,
    seen: &Numeric,
    peers: Option<(f32, &Tail)>,
    rules: &Rules,
    learnt: &Learnt,
    normal: &Normaliser,
) -> RoutineScore {
    let mut best =
        if ready && !seen.value.is_nan() { statistics(seen, peers, learnt, normal) } else { RoutineScore::calm() };
    louder(&mut best, rules.flat, AnomalyKind::Flat, hours(rules.flat_steps as f32), hours(rules.usual_run as f32));
    // A device that says nothing stands still as well; silence is the better word for it.
    if rules.silent >= rules.flat - 1.0 && rules.silent > RoutineScore::FLOOR {
        let score = rules.silent.max(rules.flat);
        if score >= best.score {
            best = RoutineScore {
                score,
                kind: AnomalyKind::Silent,
                amount: hours(rules.age_steps),
                usual: hours(rules.usual_pause as f32),
            };
        }
    }
    if let Some(broken) = rules.broken {
        louder(&mut best, PHYSICS_SCORE, AnomalyKind::Physics, broken.clamp(-1e30, 1e30) as f32, 0.0);
    }
    best
}

/// Whether turning on is an alarm by itself: a smoke or water sensor that hardly ever does.
pub(crate) fn warns(class: DeviceClass, switching: &Switching) -> bool {
    matches!(class, DeviceClass::Smoke | DeviceClass::Moisture) && switching.stay.times(true) <= ALERTS_MAX
}

/// Judges a binary entity's step.
pub(crate) fn judge_switching(class: DeviceClass, ready: bool, switching: &Switching) -> RoutineScore {
    let mut best = RoutineScore::calm();
    let stay = &switching.stay;
    if stay.current() == Some(true) && warns(class, switching) {
        louder(&mut best, ALERT_SCORE, AnomalyKind::Alert, 1.0, stay.times(true));
    }
    if ready {
        louder(&mut best, stay.evidence(), AnomalyKind::TimeInState, hours(stay.elapsed() as f32), 0.0);
        let rate = &switching.rate;
        louder(&mut best, rate.evidence(), AnomalyKind::Rate, rate.last_hour() as f32, rate.usual());
    }
    best
}

fn statistics(seen: &Numeric, peers: Option<(f32, &Tail)>, learnt: &Learnt, normal: &Normaliser) -> RoutineScore {
    let shown = |transformed: f32| normal.value((transformed - normal.centre) / normal.scale);
    let value = shown(seen.value);
    let level = learnt.level_tail.surprise(seen.residual.abs());
    let change = learnt.autoregression.as_ref().map_or(0.0, |fitted| fitted.tail.surprise(seen.innovations.abs()));
    let noise = learnt.rough_tail.surprise(seen.rough);
    let apart = peers.map_or(0.0, |(residual, tail)| tail.surprise(residual.abs()));

    let usual_change =
        learnt.autoregression.as_ref().and_then(|fitted| Some(fitted.tail.usual_limit()? * fitted.scale()));
    let usual_apart = peers.and_then(|(_, tail)| tail.usual_limit()).unwrap_or(0.0);
    let mut voices = [
        (level, AnomalyKind::Level, value, 0.0),
        (change, AnomalyKind::Change, value - shown(seen.announced), usual_change.unwrap_or(0.0)),
        (noise, AnomalyKind::Noise, seen.rough, learnt.rough_tail.usual_limit().unwrap_or(0.0)),
        (apart, AnomalyKind::Peers, value, usual_apart),
    ];
    voices.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (surprise, kind, amount, usual) = voices[0];
    let score = surprise + SECOND_SHARE * voices[1].0 - LN_STEPS_PER_WEEK;
    RoutineScore { score, kind, amount, usual }
}

fn louder(best: &mut RoutineScore, score: f32, kind: AnomalyKind, amount: f32, usual: f32) {
    if score > best.score {
        *best = RoutineScore { score, kind, amount, usual };
    }
}

fn hours(steps: f32) -> f32 {
    steps / STEPS_PER_HOUR
}
