//! A closed step taken in: what was expected of it, its row of features, and what rules and statistics look at.

use super::{CLIP, Draft, Entity, HomeStep};
use crate::experts::autoregression::{ORDER, SUM_STEPS};
use crate::features::Normaliser;
use crate::features::baseline::{NumericInput, StallInput};
use crate::features::calendar::{Clock, LocalTime};
use crate::features::intake::Closed;
use crate::features::profile::Profile;
use crate::features::ring::mean_known;
use crate::features::roughness::roughness;
use crate::finding::Finding;
use crate::grid::{DAY_STEPS, FEATURES, Feature, STEP_SECONDS, WINDOW_STEPS};
use crate::rules::RuleInput;

/// Steps of six hours.
const SIX_HOURS: usize = 36;
/// After this many steps without a value the first ones back say nothing of change: two hours.
const SETTLE_AFTER_STEPS: u32 = 12;

/// A step's value against what was expected of it; all of it after the logarithm where the entity has one.
struct Expected {
    profile: Option<Profile>,
    normal: Normaliser,
    /// Value less expectation; NaN while nothing is expected.
    raw: f32,
    /// The same in robust scales, within ±[`CLIP`].
    residual: f32,
    /// From the step before.
    difference: f32,
    innovation: f32,
    /// What the value would be without its last innovations.
    announced: f32,
    /// The residual of this time yesterday.
    day_ago: f32,
}

impl Entity {
    /// Takes in a closed step and drafts its features.
    pub(crate) fn advance(
        &mut self,
        at: i64,
        closed: &Closed,
        home_step: &HomeStep<'_>,
        scratch: &mut Vec<f32>,
    ) -> Draft {
        let local = home_step.clock.local;
        let binary = self.switching.is_some();
        let overdue = !binary && self.heartbeat.overdue();
        let observed = closed.value.filter(|_| !overdue);
        let value = observed.map_or(f32::NAN, |value| Normaliser::transform(value, self.log));
        if self.first_at.is_none() && !value.is_nan() {
            self.first_at = Some(at);
        }
        self.settle(value);
        // While the whole home is silent nothing is known to stand still.
        self.flatline.step(if closed.fresh || self.home_alive { value } else { f32::NAN });
        self.switch(closed, local.hour_of_week);

        // The newest value kept is the one of the step before.
        let expected = self.expected(at, value, closed.fresh, home_step.clock, scratch);
        self.values.push(value);
        self.residuals.push(expected.raw);
        self.reported.push(closed.fresh);
        let finding = self.finding(observed, closed, home_step);

        let age_steps = closed.age.map_or(WINDOW_STEPS as f32, |age| (age / STEP_SECONDS) as f32);
        let (rough_short, rough_rest, rough_day) = roughness(&self.values);
        let features = self.row(value, &expected, (rough_short, rough_day), (age_steps, closed.fresh), &local);
        let ready = self.ready(at);
        let (flat, silent) = self.stillness(at, closed);
        let Expected { profile, normal, residual, announced, .. } = expected;
        Draft {
            features,
            observed,
            ready,
            band: profile.filter(|_| self.is_shown(at)).and_then(|_| self.band(&normal)),
            normal,
            residual,
            numeric: NumericInput {
                value,
                residual,
                rough: rough_short,
                rough_rest,
                innovations: self.innovations.iter().sum(),
                announced,
                before: self.values.back(SUM_STEPS),
                moved_in_hour: self.moved_within_the_hour(value),
            },
            rules: StallInput {
                broken: closed.broken.filter(|_| self.first_at.is_some() && !self.is_new(at)),
                flat,
                flat_steps: self.flatline.run(),
                usual_run: self.flatline.usual_run(),
                silent,
                age_steps,
                usual_pause: self.heartbeat.usual_pause(),
                late: !binary && self.heartbeat.late(),
            },
            finding,
            has_statistics: self.shape.has_statistics(),
        }
    }

    /// A binary entity's learners take the step.
    fn switch(&mut self, closed: &Closed, hour_of_week: usize) {
        let Some(switching) = &mut self.switching else { return };
        switching.stay.step(closed.state, closed.switches, hour_of_week);
        switching.rate.step(closed.switches, hour_of_week);
        switching.quiet_hours.step(closed.switches, hour_of_week);
        switching.accompanied |= self.others_active;
        if self.others_active || closed.switches > 0 || closed.state.is_none() {
            switching.silence.step(closed.state, closed.switches, hour_of_week);
        }
    }

    /// The value against what the fortnight before it lets expect.
    fn expected(&mut self, at: i64, value: f32, fresh: bool, clock: &Clock, scratch: &mut Vec<f32>) -> Expected {
        let is_out = |back: usize| self.excluded.holds(at - STEP_SECONDS * (back as i64 + 1));
        let profile = Profile::of_next(&self.values, &clock.shifts, is_out, scratch);
        let scale = self.learnt.scale;
        let centre = profile.map_or(if value.is_nan() { self.learnt.level } else { value }, |profile| profile.median);
        let raw = if profile.is_some() { value - centre } else { f32::NAN };
        let difference = value - self.values.back(0);
        let (innovation, announced) = self.innovation(value, fresh);
        Expected {
            profile,
            normal: Normaliser { centre, scale, log: self.log },
            raw,
            residual: (raw / scale).clamp(-CLIP, CLIP),
            difference,
            innovation,
            announced,
            day_ago: self.residuals.back(DAY_STEPS - 1) / scale,
        }
    }

    fn finding(&mut self, observed: Option<f32>, closed: &Closed, home_step: &HomeStep<'_>) -> Option<Finding> {
        let HomeStep { clock, lights, heats } = *home_step;
        let input = RuleInput {
            value: observed,
            standing: closed.value,
            state: closed.state,
            switches: closed.switches,
            reported: closed.fresh,
            home_alive: self.home_alive,
            counted: closed.counted,
            hour: clock.local.hour_of_day(),
            lights,
            heats,
        };
        self.rules.step(&self.info, &self.shape, &input)
    }

    /// The row, but for what the home's other entities say ([`Feature::ClassMedian`], [`Feature::PeerResidual`]): those stay 0.
    /// `roughness` over 3 h and over a day; `report` is how many steps ago the last one came, and whether one came now.
    fn row(
        &self,
        value: f32,
        expected: &Expected,
        roughness: (f32, f32),
        report: (f32, bool),
        local: &LocalTime,
    ) -> [f32; FEATURES] {
        let scale = self.learnt.scale;
        let angle = local.day_share * std::f32::consts::TAU;
        let mut row = [0.0f32; FEATURES];
        let mut set = |feature: Feature, value: f32| row[feature.index()] = value;
        set(Feature::Residual, expected.residual);
        set(Feature::Difference, expected.difference / scale);
        set(Feature::OwnDifference, expected.difference / self.learnt.step_scale * 0.25);
        set(Feature::UnchangedAge, (self.flatline.run() as f32).ln_1p() / 3.0);
        set(Feature::MeanSixHours, mean_known(self.residuals.newest(SIX_HOURS)) / scale);
        set(Feature::MeanDay, mean_known(self.residuals.newest(DAY_STEPS)) / scale);
        set(Feature::RoughnessThreeHours, roughness.0 / scale);
        set(Feature::RoughnessDay, roughness.1 / scale);
        if let Some(profile) = expected.profile {
            let beyond = (value - profile.high).max(0.0) - (profile.low - value).max(0.0);
            set(Feature::BeyondBand, beyond / scale);
            set(Feature::BandWidth, (profile.high - profile.low) / scale);
        }
        set(Feature::DayAgo, expected.day_ago);
        let distance = if self.learnt.known > 0 { (value - self.learnt.level) / scale * 0.5 } else { 0.0 };
        set(Feature::LevelDistance, distance);
        set(Feature::TimeSine, angle.sin());
        set(Feature::TimeCosine, angle.cos());
        set(Feature::Weekend, f32::from(u8::from(local.weekend)));
        set(Feature::Innovation, expected.innovation);
        set(Feature::ReportAge, report.0.ln_1p() / 3.0);
        set(Feature::Reported, f32::from(u8::from(report.1)));
        for feature in &mut row {
            *feature = if feature.is_nan() { 0.0 } else { feature.clamp(-CLIP, CLIP) };
        }
        row
    }

    fn settle(&mut self, value: f32) {
        if value.is_nan() {
            self.absent = self.absent.saturating_add(1);
        } else {
            if self.absent >= SETTLE_AFTER_STEPS {
                self.settling = SUM_STEPS as u32;
            }
            self.absent = 0;
        }
    }

    /// The autoregression's surprise at `value`, and what it had announced before the last few surprises.
    fn innovation(&mut self, value: f32, fresh: bool) -> (f32, f32) {
        let innovation = match &self.learnt.autoregression {
            // A value that is merely carried on surprises nobody.
            Some(fitted) if fresh && !value.is_nan() && self.settling == 0 => {
                let expected = fitted.predict(self.values.newest(ORDER));
                ((value - expected) / fitted.scale()).clamp(-4.0 * CLIP, 4.0 * CLIP)
            }
            _ => 0.0,
        };
        if !value.is_nan() {
            self.settling = self.settling.saturating_sub(1);
        }
        self.innovations.rotate_left(1);
        self.innovations[SUM_STEPS - 1] = innovation;
        let scale = self.learnt.autoregression.as_ref().map_or(0.0, |fitted| fitted.scale());
        (innovation, value - self.innovations.iter().sum::<f32>() * scale)
    }
}
