//! `alarms.csv`: the alarms of a replay, as they stood when it ended.

use std::collections::HashMap;
use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};
use hearthwatch_detector::alarm::{Alarm, AlarmEvent};
use hearthwatch_detector::reading::EntityInfo;

use super::moment::rfc3339;

/// Columns of `alarms.csv`.
pub const HEADER: [&str; 8] = ["alarm_id", "start", "end", "raised_at", "entity_id", "severity", "score", "reason"];

/// Every alarm that was raised, in that order, with what became of it.
#[derive(Debug, Default)]
pub struct AlarmBook {
    alarms: Vec<Alarm>,
    places: HashMap<String, usize>,
}

impl AlarmBook {
    /// Takes note of what became of an alarm.
    pub fn note(&mut self, event: &AlarmEvent) {
        let alarm = event.alarm();
        if let Some(&place) = self.places.get(&alarm.id) {
            self.alarms[place] = alarm.clone();
        } else {
            self.places.insert(alarm.id.clone(), self.alarms.len());
            self.alarms.push(alarm.clone());
        }
    }

    /// The alarms, in the order in which they were raised.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// None where no alarm has this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Alarm> {
        self.places.get(id).map(|&place| &self.alarms[place])
    }

    /// Writes `alarms.csv`. An alarm that lasts has an empty end.
    ///
    /// # Errors
    /// When `output` cannot be written.
    pub fn write<W: Write>(&self, output: W, infos: &[EntityInfo]) -> io::Result<W> {
        let mut writer = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(output);
        writer.write_record(HEADER)?;
        for alarm in &self.alarms {
            writer.write_record([
                alarm.id.as_str(),
                &rfc3339(alarm.start),
                &alarm.end.map_or_else(String::new, rfc3339),
                &rfc3339(alarm.raised_at),
                &infos[alarm.entity as usize].entity_id,
                alarm.severity.as_str(),
                &alarm.score.to_string(),
                &alarm.reason,
            ])?;
        }
        writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}
