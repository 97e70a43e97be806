//! `[training]`: when to learn, from what, with which seed.

use std::collections::BTreeMap;

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::network::DeviceKind;
use hearthwatch_learning::training::TrainingConfig;
use hearthwatch_learning::training::limits::{Limits, Quiet};

use super::mlflow;

/// Longest goal, in hours: a year.
const FRESHNESS_HOURS_MAX: u64 = 8_784;

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> TrainingConfig {
    let usual = TrainingConfig::default();
    let corpus = section.path("corpus", faults);
    if let Some(path) = corpus.as_ref().filter(|path| !path.is_dir()) {
        let remedy = "the directory that holds the recorded sets, one folder each; `hearthwatch-emulator data fetch` downloads them";
        faults.add(section.key("corpus"), format!("{} is not a directory", path.display()), remedy);
    }
    let device = device(&mut section, faults).unwrap_or(usual.device);
    let mlflow = section.section("mlflow", faults).and_then(|section| mlflow::read(section, faults));
    let trigger_count = section.whole("trigger_count", 0..=1_000_000, faults);
    let schedule_hours = section.whole("schedule_hours", 0..=8_784, faults);
    let drift = section.flag("drift", faults);
    let confirmations = section.flag("confirmations", faults);
    let seed = section.whole("seed", 0..=i64::MAX.unsigned_abs(), faults);
    let auto_release = section.flag("auto_release", faults);
    let freshness = section.section("freshness", faults).map(|section| freshness(section, faults)).unwrap_or_default();
    let limits = limits(&mut section, faults);
    section.finish(faults);
    TrainingConfig {
        device,
        mlflow,
        trigger_count: trigger_count.unwrap_or(usual.trigger_count),
        schedule_hours: schedule_hours.unwrap_or(usual.schedule_hours),
        drift: drift.unwrap_or(usual.drift),
        confirmations: confirmations.unwrap_or(usual.confirmations),
        freshness,
        limits,
        corpus,
        seed: seed.unwrap_or(usual.seed),
        auto_release: auto_release.unwrap_or(usual.auto_release),
    }
}

/// `[training.freshness]`: hours by device class.
fn freshness(mut section: Section<'_>, faults: &mut Faults) -> BTreeMap<String, u32> {
    let mut goals = BTreeMap::new();
    for class in DeviceClass::ALL {
        let hours = section.whole(class.as_str(), 1..=FRESHNESS_HOURS_MAX, faults);
        if let Some(hours) = hours.and_then(|hours| u32::try_from(hours).ok()) {
            goals.insert(class.as_str().to_owned(), hours);
        }
    }
    section.finish(faults);
    goals
}

/// Quiet times and budgets.
fn limits(section: &mut Section<'_>, faults: &mut Faults) -> Limits {
    let mut quiet = Vec::new();
    for text in section.texts("quiet", faults).unwrap_or_default() {
        match text.parse::<Quiet>() {
            Ok(time) => quiet.push(time),
            Err(error) => faults.add(
                section.key("quiet"),
                error.to_string(),
                "times of the day in UTC, e.g. quiet = [\"22:00-06:00\"]",
            ),
        }
    }
    let mut number = |key: &'static str, most: u64| {
        section.whole(key, 1..=most, faults).and_then(|number| u32::try_from(number).ok())
    };
    let (hours_per_week, watt_hours_per_week) =
        (number("hours_per_week", 168), number("watt_hours_per_week", 1_000_000));
    let watts = number("watts", 100_000);
    if watt_hours_per_week.is_some() && watts.is_none() {
        let remedy = "watts = what the machine takes while it trains; a power meter at the plug tells";
        faults.add(section.key("watts"), "is missing beside watt_hours_per_week", remedy);
    }
    Limits { quiet, hours_per_week, watt_hours_per_week, watts: watts.unwrap_or_default() }
}

/// The device that was asked for, opened once: a GPU that is not there is known before a port opens, not at night.
fn device(section: &mut Section<'_>, faults: &mut Faults) -> Option<DeviceKind> {
    let name = section.text("device", faults)?;
    let opened = DeviceKind::parse(&name).and_then(|kind| kind.open().map(|_| kind));
    let remedy = "flex is the processor, and always there";
    opened.map_err(|error| faults.add(section.key("device"), error.to_string(), remedy)).ok()
}
