//! Questions that the champion asks in a home, and how simulated residents answer them.

use std::sync::Arc;

use hearthwatch_detector::alarm::{Alarm, AlarmEvent};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_evaluation::dataset::{LabelOrigin, RecordedHome};
use hearthwatch_training::{FeedbackExample, HomeAnswer, HomeVerdict};
use jiff::tz::TimeZone;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Median delay of an answer, hours (exponential).
const DELAY_MEDIAN_HOURS: f64 = 7.0;

/// An alarm that was sent, with what only the simulation knows.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Question {
    entity: u32,
    raised_at: i64,
    window: Vec<f32>,
    class: DeviceClass,
    /// Whether a fault was there.
    real: bool,
    /// By how much it exceeded its threshold.
    excess: f32,
    /// When answers stop counting.
    until: i64,
}

/// How the households of an arm answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Habits {
    /// Probability that a question is answered.
    pub(in crate::bench) answered: f64,
    /// Probability that an answer is the opposite of the truth.
    pub(in crate::bench) wrong: f64,
    /// Probability that a real but faint alarm is dismissed as boring.
    pub(in crate::bench) bored: f64,
    /// Share of homes that flip every answer.
    pub(in crate::bench) flipping: f64,
    /// Whether answers are dealt out anew among all questions.
    pub(in crate::bench) shuffled: bool,
}

/// An excess below which a real alarm is boring.
const FAINT: f32 = 1.5;

/// The alarms of the champion on a home with faults, those that have a window.
pub(in crate::bench) fn questions(
    home: &RecordedHome,
    model: &Arc<Model>,
    warm_up_days: i64,
    budget: f64,
) -> Vec<Question> {
    let Some((first, last)) = home.span() else { return Vec::new() };
    let from = first + warm_up_days * 86_400;
    let timezone = TimeZone::get(&home.timezone).unwrap_or(TimeZone::UTC);
    let config = DetectorConfig { timezone, budget_per_week: budget, salt: home.full_name().into_bytes() };
    let mut detector = HomeDetector::new(config, Arc::clone(model));
    for entity in &home.entities {
        detector.add_entity(entity.clone());
    }
    let mut asked = Vec::new();
    let mut readings = home.readings.iter().peekable();
    let mut step = first - first.rem_euclid(STEP_SECONDS);
    while step < last {
        step += STEP_SECONDS;
        let mut events = Vec::new();
        while let Some(reading) = readings.next_if(|reading| reading.at <= step) {
            events.extend(detector.observe(reading));
        }
        let voice = if step > from { AlarmMode::Raise } else { AlarmMode::LearnOnly };
        events.extend(detector.close_step(step, voice).events);
        for event in events {
            let AlarmEvent::Raised(alarm) = event else { continue };
            if let Some(window) = detector.window_of(&alarm.id) {
                asked.push(Question {
                    entity: alarm.entity,
                    raised_at: alarm.raised_at,
                    window: window.to_vec(),
                    class: home.entities[alarm.entity as usize].class,
                    real: is_real(home, &alarm),
                    excess: alarm.score - alarm.threshold,
                    until: last,
                });
            }
        }
    }
    asked
}

fn is_real(home: &RecordedHome, alarm: &Alarm) -> bool {
    home.labels.iter().any(|label| {
        label.origin == LabelOrigin::Injected
            && label.entity == alarm.entity
            && (label.start..=label.end).contains(&alarm.raised_at)
    })
}

/// An answer that came in time: the place of its home among those asked, its question, and whether it was said to be real.
struct Given<'a> {
    turn: usize,
    question: &'a Question,
    said: bool,
}

/// The answers as examples for the server.
pub(in crate::bench) fn answers(asked: &[(usize, &[Question])], habits: &Habits, seed: u64) -> Vec<HomeAnswer> {
    let example = |one: Given<'_>| {
        let Question { window, class, .. } = one.question;
        let example = FeedbackExample { window: window.clone(), class: *class, anomalous: one.said, weight: 1.0 };
        HomeAnswer { home: format!("home-{}", asked[one.turn].0), example }
    };
    given(asked, habits, seed).into_iter().map(example).collect()
}

/// The same answers for each home's own training, by its place among those asked.
pub(in crate::bench) fn verdicts(asked: &[(usize, &[Question])], habits: &Habits, seed: u64) -> Vec<Vec<HomeVerdict>> {
    let mut verdicts = vec![Vec::new(); asked.len()];
    for Given { turn, question, said } in given(asked, habits, seed) {
        verdicts[turn].push(HomeVerdict { entity: question.entity, at: question.raised_at, confirmed: said });
    }
    verdicts
}

/// The answers to these homes' questions that came in time.
fn given<'a>(asked: &[(usize, &'a [Question])], habits: &Habits, seed: u64) -> Vec<Given<'a>> {
    let flips = (asked.len() as f64 * habits.flipping).round() as usize;
    let mut given: Vec<Given<'a>> = Vec::new();
    for (turn, (home, questions)) in asked.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(*home as u64 + 1);
        for question in *questions {
            // All dice are thrown for each question, so that arms differ in their habits alone.
            let (answered, wrong, bored) = (rng.random::<f64>(), rng.random::<f64>(), rng.random::<f64>());
            let delay = -rng.random_range(f64::EPSILON..1.0).ln() * DELAY_MEDIAN_HOURS / std::f64::consts::LN_2;
            let late = question.raised_at + (delay * 3600.0) as i64 > question.until;
            if answered >= habits.answered || late {
                continue;
            }
            let boring = question.real && question.excess < FAINT && bored < habits.bored;
            let honest = question.real && !boring;
            let said = if turn < flips || wrong < habits.wrong { !honest } else { honest };
            given.push(Given { turn, question, said });
        }
    }
    if habits.shuffled {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        for place in (1..given.len()).rev() {
            let other = rng.random_range(0..=place);
            let (one, two) = (given[place].said, given[other].said);
            (given[place].said, given[other].said) = (two, one);
        }
    }
    given
}
