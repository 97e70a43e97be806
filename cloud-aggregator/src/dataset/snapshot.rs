//! From stored answers to examples: the last answer of each alarm, in order of (home, sequence).

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::messages::{FeedbackRecord, Origin, Verdict};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};
use serde::{Deserialize, Serialize};

use super::quality::QualityReport;
use super::recall::{Heard, RecallEstimate};
use super::{EXAMPLES_MAX, PAGE_ROWS, WEIGHT_MAX};
use crate::store::{FeedbackFilter, FeedbackRow, Store, StoreError};

/// One labelled window.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Where it comes from.
    pub key: RecordKey,
    /// What kind of entity.
    pub class: DeviceClass,
    /// The model that raised the alarm.
    pub model_version: ModelVersion,
    /// The answer: something was off, or nothing was.
    pub anomalous: bool,
    /// How much it counts; 1 for an answered alarm, the inverse propensity for a drawn question.
    pub weight: f32,
    /// `WINDOW_STEPS * FEATURES` numbers, oldest step first.
    pub window: Vec<f32>,
}

/// Where the examples come from and what was left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lineage {
    /// Hash of the recorded sets that go with the examples.
    pub corpus: String,
    /// Stored answers that were looked at.
    pub watermark: u64,
    /// The newest line of the audit log by which one of them was let out of quarantine; 0 where none was.
    #[serde(default, skip_serializing_if = "none")]
    pub lifts: u64,
    /// By home.
    pub homes: BTreeMap<HomeId, HomeLineage>,
    /// What random questions say of the champion's recall.
    #[serde(default)]
    pub recall: RecallEstimate,
    /// What a look at the examples found; empty in snapshots from before there was one.
    #[serde(default)]
    pub quality: QualityReport,
}

/// What was learnt from before, and by which model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consumed {
    /// The champion; the routine detector before the first.
    pub champion: ModelVersion,
    /// By home: answers up to this one are in the champion's weights already and are not learnt from again.
    pub through: BTreeMap<HomeId, Sequence>,
    /// Answers that a later line of the audit log let out of quarantine are new all the same.
    pub lifts: u64,
    /// When the run that made the champion began: what was stored later it cannot have learnt from, whatever a snapshot of
    /// the same content has been looked at since.
    pub until: Option<i64>,
}

/// One home's part in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HomeLineage {
    /// First sequence that was looked at.
    pub first: Sequence,
    /// Last sequence that was looked at.
    pub last: Sequence,
    /// Answers that were looked at.
    pub answers: u64,
    /// Of these: in the champion's weights already.
    #[serde(default)]
    pub consumed: u64,
    /// Of these: became examples.
    pub examples: u64,
    /// Of these: replaced by a later answer for the same alarm.
    pub superseded: u64,
    /// Of these: answered *expected*, which teaches nothing.
    pub expected: u64,
    /// Of these: without a window, from a home that shares its verdicts alone.
    #[serde(default)]
    pub windowless: u64,
    /// Of these: of another feature schema or an unknown class.
    pub unreadable: u64,
    /// Of these: beyond the size of a snapshot.
    pub surplus: u64,
    /// Of these: admitted unannounced.
    #[serde(default, skip_serializing_if = "none")]
    pub unannounced: u64,
    /// Of these: left out because the home is excluded.
    #[serde(default, skip_serializing_if = "none")]
    pub excluded: u64,
}

/// Left out of the lineage where it is 0, as in lineages from before there were exclusions.
fn none(count: &u64) -> bool {
    *count == 0
}

/// An immutable data set. Its id is the SHA-256 of its canonical bytes ([`super::to_bytes`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Hex.
    pub id: String,
    /// In order of (home, sequence).
    pub examples: Vec<Example>,
    /// The story.
    pub lineage: Lineage,
}

/// What is left of an answer once it has been looked at.
struct Answer {
    sequence: Sequence,
    answered_at: i64,
    example: Option<Example>,
    /// Whether it was drawn at random.
    drawn: bool,
}

/// Takes a snapshot of every answer in the store that the champion has not learnt from. `corpus` is the hash of the
/// recorded sets that go with it.
///
/// # Errors
/// [`StoreError`].
pub fn take(store: &dyn Store, corpus: &str, consumed: &Consumed) -> Result<Snapshot, StoreError> {
    let mut lineage = Lineage { corpus: corpus.to_owned(), ..Lineage::default() };
    let mut answers: BTreeMap<(HomeId, AlarmId), Answer> = BTreeMap::new();
    // Of several answers to one alarm or question the last one counts, here as well.
    let mut of_champion: BTreeMap<(HomeId, AlarmId), (Origin, Verdict)> = BTreeMap::new();
    let excluded: BTreeSet<HomeId> =
        store.exclusions()?.into_iter().filter(|row| row.lifted.is_none()).map(|row| row.home).collect();
    let mut after = None;
    loop {
        let page = store.feedback(&FeedbackFilter { home: None, after: after.clone(), limit: PAGE_ROWS })?;
        let Some(last) = page.last() else { break };
        after = Some(last.record.key());
        for row in page {
            lineage.watermark += 1;
            lineage.lifts = lineage.lifts.max(row.lift.unwrap_or_default());
            if row.record.model_version == consumed.champion && !excluded.contains(&row.record.home) {
                let asked = (row.record.home.clone(), row.record.alarm.clone());
                of_champion.insert(asked, (row.record.origin, row.record.verdict));
            }
            consider(row, (consumed, &excluded), &mut lineage, &mut answers);
        }
    }
    let mut heard = Heard::default();
    of_champion.into_values().for_each(|(origin, verdict)| heard.add(origin, verdict));
    lineage.recall = heard.estimate();
    weigh_drawn(&mut answers);
    let mut kept: Vec<(i64, Example)> =
        answers.into_values().filter_map(|answer| Some((answer.answered_at, answer.example?))).collect();
    if kept.len() > EXAMPLES_MAX {
        kept.sort_by(|a, b| (b.0, &b.1.key).cmp(&(a.0, &a.1.key)));
        for (_, example) in kept.drain(EXAMPLES_MAX..) {
            lineage.homes.entry(example.key.home).or_default().surplus += 1;
        }
    }
    let mut examples: Vec<Example> = kept.into_iter().map(|(_, example)| example).collect();
    examples.sort_by(|a, b| a.key.cmp(&b.key));
    super::influence::cap(&mut examples);
    for example in &examples {
        lineage.homes.entry(example.key.home.clone()).or_default().examples += 1;
    }
    let id = super::format::id(&examples, &lineage.corpus);
    Ok(Snapshot { id, examples, lineage })
}

/// Brings the drawn questions' inverse propensities to a mean of 1 (stabilised weights, Robins 2000), within the cap.
fn weigh_drawn(answers: &mut BTreeMap<(HomeId, AlarmId), Answer>) {
    let drawn = || answers.values().filter(|answer| answer.drawn).filter_map(|answer| answer.example.as_ref());
    let count = drawn().count();
    let mean = drawn().map(|example| example.weight).sum::<f32>() / count.max(1) as f32;
    for answer in answers.values_mut().filter(|answer| answer.drawn) {
        if let Some(example) = &mut answer.example {
            example.weight = (example.weight / mean).min(WEIGHT_MAX);
        }
    }
}

fn consider(
    row: FeedbackRow,
    (consumed, excluded): (&Consumed, &BTreeSet<HomeId>),
    lineage: &mut Lineage,
    answers: &mut BTreeMap<(HomeId, AlarmId), Answer>,
) {
    let (record, received_at) = (row.record, row.received_at);
    let home = lineage.homes.entry(record.home.clone()).or_default();
    if home.answers == 0 {
        home.first = record.sequence;
    }
    home.answers += 1;
    home.last = record.sequence;
    home.unannounced += u64::from(row.grace);
    if excluded.contains(&record.home) {
        home.excluded += 1;
        return;
    }
    let lifted_since = row.lift.is_some_and(|line| line > consumed.lifts);
    let in_time = consumed.until.is_none_or(|until| received_at <= until);
    if in_time && !lifted_since && consumed.through.get(&record.home).is_some_and(|through| record.sequence <= *through)
    {
        home.consumed += 1;
        // An older answer to the same alarm that was let in since has been overtaken before it came.
        if answers.remove(&(record.home, record.alarm)).is_some() {
            home.superseded += 1;
        }
        return;
    }
    match record.verdict {
        Verdict::Expected => home.expected += 1,
        Verdict::Confirmed | Verdict::Dismissed if record.window.is_none() => home.windowless += 1,
        Verdict::Confirmed | Verdict::Dismissed if !readable(&record) => home.unreadable += 1,
        Verdict::Confirmed | Verdict::Dismissed => {}
    }
    let alarm = (record.home.clone(), record.alarm.clone());
    let (sequence, answered_at) = (record.sequence, record.answered_at);
    let drawn = matches!(record.origin, Origin::Probe { .. });
    // Rows come in order of sequence, so whatever is there already is older.
    let before = answers.insert(alarm, Answer { sequence, answered_at, example: example(record), drawn });
    if before.is_some_and(|before| before.example.is_some() && before.sequence < sequence) {
        home.superseded += 1;
    }
}

fn readable(record: &FeedbackRecord) -> bool {
    record.feature_schema == FEATURE_SCHEMA
        && record.window.values.len() == WINDOW_STEPS * FEATURES
        && DeviceClass::parse(&record.device_class).is_some()
}

/// `None` for an answer that teaches nothing, or of a schema that this program does not learn from.
fn example(record: FeedbackRecord) -> Option<Example> {
    if !readable(&record) {
        return None;
    }
    let class = DeviceClass::parse(&record.device_class)?;
    let anomalous = match record.verdict {
        Verdict::Confirmed => true,
        Verdict::Dismissed => false,
        Verdict::Expected => return None,
    };
    let weight = match record.origin {
        Origin::Alarm | Origin::Miss => 1.0,
        Origin::Probe { propensity } => 1.0 / propensity,
    };
    Some(Example {
        key: record.key(),
        class,
        model_version: record.model_version,
        anomalous,
        weight,
        window: record.window.values,
    })
}

#[cfg(test)]
mod tests;
