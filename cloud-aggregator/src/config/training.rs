//! `[training]`: when to learn, from what, with which seed.

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_detector::network::DeviceKind;
use hearthwatch_learning::training::TrainingConfig;

use super::mlflow;

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
    section.finish(faults);
    TrainingConfig {
        device,
        mlflow,
        trigger_count: trigger_count.unwrap_or(usual.trigger_count),
        schedule_hours: schedule_hours.unwrap_or(usual.schedule_hours),
        drift: drift.unwrap_or(usual.drift),
        confirmations: confirmations.unwrap_or(usual.confirmations),
        corpus,
        seed: seed.unwrap_or(usual.seed),
        auto_release: auto_release.unwrap_or(usual.auto_release),
    }
}

/// The device that was asked for, opened once: a GPU that is not there is known before a port opens, not at night.
fn device(section: &mut Section<'_>, faults: &mut Faults) -> Option<DeviceKind> {
    let name = section.text("device", faults)?;
    let opened = DeviceKind::parse(&name).and_then(|kind| kind.open().map(|_| kind));
    let remedy = "flex is the processor, and always there";
    opened.map_err(|error| faults.add(section.key("device"), error.to_string(), remedy)).ok()
}
