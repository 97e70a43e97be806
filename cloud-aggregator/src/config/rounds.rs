//! `[rounds]`: whether, when and how homes are asked to train.

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_protocol::limits::{MASK_GROUP_MIN, ROUND_BATCH_MAX, ROUND_CLIP_MAX, ROUND_NOISE_MAX, ROUND_STEPS_MAX};
use hearthwatch_protocol::round::MaskTerms;
use hearthwatch_rounds::{
    BufferSettings, EXCHANGE_MINUTES_MAX, GROUP_MAX, MINUTES_MAX, MaskSettings, RoundsConfig, StrategyName,
};
use strum::VariantNames as _;

/// Most homes of a round: each delta is 30 KB in the store, and one strategy holds all of them: 300 MB.
const COHORT_MAX: u64 = 10_000;

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> RoundsConfig {
    let usual = RoundsConfig::default();
    let minutes = 1..=MINUTES_MAX;
    let strategy = section.text("strategy", faults).and_then(|name| {
        let known = name.parse::<StrategyName>();
        let unknown = |_| {
            let remedy = format!("one of {}", StrategyName::VARIANTS.join(", "));
            faults.add(section.key("strategy"), format!("{name:?} is not a strategy"), remedy);
        };
        known.map_err(unknown).ok()
    });
    let enabled = section.flag("enabled", faults);
    let masked = section.flag("masked", faults).unwrap_or(false);
    let buffered = section.flag("buffered", faults).unwrap_or(false);
    let auto_release = section.flag("auto_release", faults);
    let mut whole = |key, range, usual: u32| {
        let number = section.whole(key, range, faults).and_then(|number| u32::try_from(number).ok());
        number.unwrap_or(usual)
    };
    let interval_hours = whole("interval_hours", 0..=8_784, usual.interval_hours);
    let deadline_minutes = whole("deadline_minutes", minutes.clone(), usual.deadline_minutes);
    let evaluate_minutes = whole("evaluate_minutes", minutes.clone(), usual.evaluate_minutes);
    let masks = MaskSettings::default();
    let group = whole("group", MASK_GROUP_MIN as u64..=u64::from(GROUP_MAX), masks.group.into());
    let exchange_minutes = whole("exchange_minutes", 1..=EXCHANGE_MINUTES_MAX, masks.exchange_minutes);
    let cohort = whole("cohort", 1..=COHORT_MAX, usual.cohort);
    let least = whole("least", 1..=COHORT_MAX, usual.least);
    let buffer = BufferSettings::default();
    let buffer_size = whole("buffer_size", 1..=COHORT_MAX, buffer.size);
    let staleness_max = whole("staleness_max", 0..=1_000, buffer.staleness_max);
    let least_evaluators = whole("least_evaluators", 0..=COHORT_MAX, usual.least_evaluators);
    let heard_hours = whole("heard_hours", 1..=8_784, usual.heard_hours);
    let steps = whole("steps", 1..=u64::from(ROUND_STEPS_MAX), usual.steps);
    let batch = whole("batch", 1..=u64::from(ROUND_BATCH_MAX), usual.batch);
    let replay_steps = whole("replay_steps", 1..=10_000, usual.replay_steps);
    let replay_batch = whole("replay_batch", 1..=4_096, usual.replay_batch);
    let rounds_per_series = whole("rounds_per_series", 1..=1_000, usual.rounds_per_series);
    let mut number = |key, range, usual: f64| section.number(key, range, faults).unwrap_or(usual);
    let threshold = number("threshold", 0.0..=1.0, masks.threshold);
    let evaluator_share = number("evaluator_share", 0.0..=0.9, usual.evaluator_share);
    let clip = number("clip", 1e-3..=ROUND_CLIP_MAX, usual.clip);
    let noise = number("noise", 0.0..=ROUND_NOISE_MAX, usual.noise);
    let server_noise = number("server_noise", 0.0..=ROUND_NOISE_MAX, usual.server_noise);
    let count_noise = number("count_noise", 0.0..=ROUND_NOISE_MAX, usual.count_noise);
    let attacker_share = number("attacker_share", 0.0..=0.49, usual.attacker_share);
    let learning_rate = number("learning_rate", 1e-6..=0.1, usual.learning_rate);
    let replay_learning_rate = number("replay_learning_rate", 1e-6..=0.1, usual.replay_learning_rate);
    let server_step = number("server_step", 0.1..=10.0, usual.server_step);
    if least > cohort {
        let remedy = format!("at most {cohort}, or a larger cohort");
        faults.add(section.key("least"), format!("{least} deltas cannot come from {cohort} homes"), remedy);
    }
    if !MaskTerms::is_threshold(threshold) {
        let remedy = "more than two thirds, at most 1: of fewer a server could ask one part for the secrets of the other; 0.7 is usual";
        faults.add(section.key("threshold"), format!("a threshold of {threshold} does not hide single homes"), remedy);
    }
    if masked && least < group {
        let remedy = format!("at least {group}, or a smaller group");
        faults.add(section.key("least"), format!("{least} homes are fewer than a group of {group}"), remedy);
    }
    if masked && server_noise > 0.0 {
        let problem = "the server adds no noise where deltas are masked";
        faults.add(section.key("server_noise"), problem, "0, and noise of the homes; or masked = false");
    }
    if buffered && buffer_size > cohort {
        let remedy = format!("at most {cohort}, or a larger cohort");
        let problem = format!("a buffer of {buffer_size} never fills with {cohort} homes");
        faults.add(section.key("buffer_size"), problem, remedy);
    }
    if buffered && (masked || noise > 0.0 || server_noise > 0.0) {
        let problem = "deltas of several rounds can be neither masked together nor counted on for noise";
        faults.add(section.key("buffered"), problem, "false; or masked = false, noise = 0 and server_noise = 0");
    }
    let strategy = strategy.unwrap_or(usual.strategy);
    if server_noise > 0.0 && strategy != StrategyName::ClippedMean {
        let problem =
            format!("noise promises nothing where what one home changes has no bound, as with {}", strategy.as_str());
        faults.add(section.key("server_noise"), problem, "0, or strategy = \"clipped-mean\"".to_owned());
    }
    section.finish(faults);
    RoundsConfig {
        enabled: enabled.unwrap_or(usual.enabled),
        interval_hours,
        deadline_minutes,
        evaluate_minutes,
        cohort,
        least,
        least_evaluators,
        evaluator_share,
        heard_hours,
        clip,
        noise,
        server_noise,
        count_noise,
        masks: masked.then(|| MaskSettings {
            group: u8::try_from(group).unwrap_or(masks.group),
            threshold,
            exchange_minutes,
        }),
        buffer: buffered.then_some(BufferSettings { size: buffer_size, staleness_max }),
        strategy,
        attacker_share,
        steps,
        batch,
        learning_rate,
        server_step,
        replay_learning_rate,
        replay_steps,
        replay_batch,
        rounds_per_series,
        auto_release: auto_release.unwrap_or(usual.auto_release),
    }
}
