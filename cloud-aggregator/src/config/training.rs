//! `[training]`: when to learn, from what, with which seed.

use std::path::PathBuf;

use hearthwatch_detector::network::DeviceKind;

use super::section::Section;

/// New answers that start a run: with one alarm a week and every second one answered, a day's worth of some 350 homes.
pub const TRIGGER_COUNT_DEFAULT: i64 = 50;

/// Hours between scheduled runs: a week, the rhythm of a household.
pub const SCHEDULE_HOURS_DEFAULT: i64 = 168;

/// Seed of a run whose configuration names none.
pub const SEED_DEFAULT: i64 = 7;

/// When and how to retrain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingConfig {
    /// So many new teaching answers start a run; 0 never does.
    pub trigger_count: u64,
    /// A run starts when the last one is so many hours old and there is a new answer; 0 never does.
    pub schedule_hours: u64,
    /// Directory with the recorded sets that networks are trained and judged on.
    pub corpus: Option<PathBuf>,
    /// Everything random in a run follows from it.
    pub seed: u64,
    /// Release at once what the gate promotes; otherwise it waits for a person.
    pub auto_release: bool,
    /// Where networks are trained: the processor, or a GPU in a program built for one.
    pub device: DeviceKind,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            trigger_count: TRIGGER_COUNT_DEFAULT.unsigned_abs(),
            schedule_hours: SCHEDULE_HOURS_DEFAULT.unsigned_abs(),
            corpus: None,
            seed: SEED_DEFAULT.unsigned_abs(),
            auto_release: true,
            device: DeviceKind::Flex,
        }
    }
}

impl TrainingConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let corpus = section.path("corpus");
        if let Some(path) = corpus.as_ref().filter(|path| !path.is_dir()) {
            let remedy = "the directory that holds the recorded sets, one folder each; `hearthwatch-emulator data fetch` downloads them";
            section.fault("corpus", format!("{} is not a directory", path.display()), remedy);
        }
        let device = device(&mut section);
        let config = Self {
            device,
            trigger_count: section.number("trigger_count", 0..=1_000_000, TRIGGER_COUNT_DEFAULT).unsigned_abs(),
            schedule_hours: section.number("schedule_hours", 0..=8_784, SCHEDULE_HOURS_DEFAULT).unsigned_abs(),
            corpus,
            seed: section.number("seed", 0..=i64::MAX, SEED_DEFAULT).unsigned_abs(),
            auto_release: section.flag("auto_release", true),
        };
        section.finish();
        config
    }
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
