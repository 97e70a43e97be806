//! `[rounds]` of the configuration: when this home may train, and how much a round may cost it.

use std::path::PathBuf;

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_edge_core::round_job::{ENTITIES_MAX, JobLimits};

use crate::conditions::{Hours, Limits};

/// Longest run that can be configured, in seconds: a night's quarter. A round of 24 sensors takes a Pi some minutes.
const SECONDS_MAX: u64 = 2 * 3_600;
/// Most memory that can be configured, in MiB: half of the smallest Pi that runs Home Assistant.
const MEMORY_MIB_MAX: u64 = 512;
/// Least memory that can be configured, in MiB: below it the program does not even start.
const MEMORY_MIB_MIN: u64 = 32;

/// What the owner allows a round.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoundsConfig {
    /// The program that trains; none: `hearthwatch-train-round` beside the agent's own.
    pub program: Option<PathBuf>,
    /// When a round may run here.
    pub limits: Limits,
    /// What it may take.
    pub job: JobLimits,
}

impl RoundsConfig {
    /// The table's content, its defaults in the place of what is missing or a fault.
    pub fn read(mut section: Section<'_>, faults: &mut Faults) -> Self {
        let usual = Self::default();
        let program = section.text("program", faults).map(|text| section.resolve(&text));
        let hours = section.text("hours", faults).map(|text| Hours::parse(&text));
        let hours = hours.map(|hours| {
            hours.unwrap_or_else(|problem| {
                let remedy = "write \"22-6\" (from 22:00 until 6:00, in the home's time) or \"always\"";
                faults.add(section.key("hours"), problem, remedy);
                Hours::default()
            })
        });
        let mut whole = |key, range, usual: u32| {
            section.whole(key, range, faults).and_then(|number| u32::try_from(number).ok()).unwrap_or(usual)
        };
        let job = JobLimits {
            seconds: whole("seconds", 10..=SECONDS_MAX, usual.job.seconds),
            memory_mib: whole("memory_mib", MEMORY_MIB_MIN..=MEMORY_MIB_MAX, usual.job.memory_mib),
            entities: whole("entities", 1..=ENTITIES_MAX as u64, usual.job.entities),
        };
        let limits = Limits {
            hours: hours.unwrap_or(usual.limits.hours),
            temperature_max: section
                .number("temperature_max", 30.0..=110.0, faults)
                .unwrap_or(usual.limits.temperature_max),
            battery_min: section.number("battery_min", 0.0..=100.0, faults).unwrap_or(usual.limits.battery_min),
            mains_only: section.flag("mains_only", faults).unwrap_or(usual.limits.mains_only),
            load_max: section.number("load_max", 0.05..=100.0, faults).unwrap_or(usual.limits.load_max),
        };
        section.finish(faults);
        Self { program, limits, job }
    }

    /// It in one line, for `--check-config`.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { limits, job, .. } = self;
        format!(
            "{}, at most {} s, {} MiB, {} sensors, {} °C",
            limits.hours, job.seconds, job.memory_mib, job.entities, limits.temperature_max
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hearthwatch_configuration::read_table;

    use super::*;

    fn read(text: &str) -> (RoundsConfig, Vec<String>) {
        let file = Path::new("/etc/hearthwatch/edge.toml");
        let mut faults = Faults::none(file);
        let mut root = Section::root(read_table(text).unwrap(), Path::new("/etc/hearthwatch"));
        let config = root.section("rounds", &mut faults).map(|section| RoundsConfig::read(section, &mut faults));
        (config.unwrap_or_default(), faults.list().iter().map(|fault| fault.key.clone()).collect())
    }

    #[test]
    fn what_the_owner_does_not_say_is_a_night_and_a_small_share_of_a_small_computer() {
        let (config, faults) = read("[rounds]\nprogram = \"bin/train\"\nseconds = 60\nhours = \"always\"\n");
        assert_eq!(faults, [""; 0]);
        assert_eq!(config.program, Some(PathBuf::from("/etc/hearthwatch/bin/train")));
        assert_eq!((config.job.seconds, config.job.memory_mib, config.limits.hours), (60, 128, Hours::Always));
        assert_eq!(
            RoundsConfig::default().describe(),
            "between 22:00 and 6:00, at most 600 s, 128 MiB, 24 sensors, 75 °C"
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_a_fault_of_its_key() {
        let text = "[rounds]\nhours = \"night\"\nentities = 100\nmemory_mib = 4096\nbattery_min = 101\ncores = 4\n";
        let keys = ["rounds.hours", "rounds.memory_mib", "rounds.entities", "rounds.battery_min", "rounds.cores"];
        assert_eq!(read(text).1, keys);
    }
}
