//! `[training]`: when to learn, from what, with which seed.

use hearthwatch_detector::network::DeviceKind;
use hearthwatch_learning::training::{SCHEDULE_HOURS_DEFAULT, SEED_DEFAULT, TRIGGER_COUNT_DEFAULT, TrainingConfig};

use super::mlflow;
use super::section::Section;

pub(super) fn read(mut section: Section<'_>) -> TrainingConfig {
    let corpus = section.path("corpus");
    if let Some(path) = corpus.as_ref().filter(|path| !path.is_dir()) {
        let remedy = "the directory that holds the recorded sets, one folder each; `hearthwatch-emulator data fetch` downloads them";
        section.fault("corpus", format!("{} is not a directory", path.display()), remedy);
    }
    let device = device(&mut section);
    let mlflow = section.nested("mlflow", "training.mlflow").and_then(mlflow::read);
    let config = TrainingConfig {
        device,
        mlflow,
        trigger_count: section.number("trigger_count", 0..=1_000_000, TRIGGER_COUNT_DEFAULT).unsigned_abs(),
        schedule_hours: section.number("schedule_hours", 0..=8_784, SCHEDULE_HOURS_DEFAULT).unsigned_abs(),
        corpus,
        seed: section.number("seed", 0..=i64::MAX, SEED_DEFAULT).unsigned_abs(),
        auto_release: section.flag("auto_release", true),
    };
    section.finish();
    config
}

/// The device that was asked for, opened once: a GPU that is not there is known before a port opens, not at night.
fn device(section: &mut Section<'_>) -> DeviceKind {
    let Some(name) = section.text("device") else { return DeviceKind::Flex };
    let opened = DeviceKind::parse(&name).and_then(|kind| kind.open().map(|_| kind));
    opened.unwrap_or_else(|error| {
        section.fault("device", error.to_string(), "flex is the processor, and always there");
        DeviceKind::Flex
    })
}
