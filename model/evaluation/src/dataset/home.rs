//! A recorded home: its entities, their readings, and what is known to be wrong in them.

use hearthwatch_detector::reading::{EntityInfo, Reading, Value};
use sha2::{Digest, Sha256};

/// Seconds in a week.
const WEEK_SECONDS: f64 = 604_800.0;

/// Where a label comes from; the two are never counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelOrigin {
    /// The recording's authors labelled it.
    Real,
    /// The seeded injector put it into a copy.
    Injected,
}

/// A stretch of one entity's recording in which something is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Index in the home's entities.
    pub entity: u32,
    /// First faulty second.
    pub start: i64,
    /// Last faulty second.
    pub end: i64,
    /// What kind of fault, e.g. `level_shift` or `steam`.
    pub family: String,
    /// Real labels of a recording count as events in a clean twin, too.
    pub origin: LabelOrigin,
}

/// One home's recording: entities by index, readings by time.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedHome {
    /// Unique within its set, e.g. `building-3`.
    pub name: String,
    /// The set's folder name, e.g. `citylearn_2022_homes`.
    pub set: String,
    /// IANA name of the zone its days are counted in.
    pub timezone: String,
    /// What was recorded; [`Reading::entity`] points here.
    pub entities: Vec<EntityInfo>,
    /// Sorted by time, then entity.
    pub readings: Vec<Reading>,
    /// Known faults, sorted by start.
    pub labels: Vec<Label>,
}

impl RecordedHome {
    /// Set and name together: unique over all sets.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.set, self.name)
    }

    /// First and last reading, Unix seconds; `None` without readings.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((self.readings.first()?.at, self.readings.last()?.at))
    }

    /// Length in weeks, from the first reading to the last.
    #[must_use]
    pub fn weeks(&self) -> f64 {
        self.span().map_or(0.0, |(first, last)| (last - first) as f64 / WEEK_SECONDS)
    }

    /// The part of the recording with `from < at <= until`, labels cut to it.
    #[must_use]
    pub fn between(&self, from: i64, until: i64) -> Self {
        let begin = self.readings.partition_point(|reading| reading.at <= from);
        let end = self.readings.partition_point(|reading| reading.at <= until);
        let labels = self
            .labels
            .iter()
            .filter(|label| label.end > from && label.start <= until)
            .map(|label| Label { start: label.start.max(from + 1), end: label.end.min(until), ..label.clone() })
            .collect();
        Self {
            name: self.name.clone(),
            set: self.set.clone(),
            timezone: self.timezone.clone(),
            entities: self.entities.clone(),
            readings: self.readings[begin..end.max(begin)].to_vec(),
            labels,
        }
    }

    /// SHA-256 in hex over entities, readings and labels: what a lineage record points at.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let mut hasher = Sha256::new();
        for entity in &self.entities {
            for text in [entity.entity_id.as_str(), entity.class.as_str(), entity.unit.as_str()] {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        for reading in &self.readings {
            hasher.update(reading.at.to_le_bytes());
            hasher.update(reading.entity.to_le_bytes());
            let (kind, bits) = match reading.value {
                Value::Number(number) => (0_u8, number.to_bits()),
                Value::Binary(state) => (1, u64::from(state)),
                Value::Gap => (2, 0),
            };
            hasher.update([kind]);
            hasher.update(bits.to_le_bytes());
        }
        for label in &self.labels {
            hasher.update(label.entity.to_le_bytes());
            hasher.update(label.start.to_le_bytes());
            hasher.update(label.end.to_le_bytes());
            hasher.update(label.family.as_bytes());
        }
        hex::encode(hasher.finalize())
    }
}
