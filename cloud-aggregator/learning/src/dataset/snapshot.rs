//! From stored answers to examples: the last answer of each alarm, in order of (home, sequence).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_detector::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::messages::{FeedbackRecord, Origin, Verdict};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};
use hearthwatch_store::story::Lineage;
use hearthwatch_store::{FeedbackFilter, FeedbackRow, Store, StoreError, StoreResult};

use super::format::Writer;
use super::quality::Check;
use super::recall::Heard;
use super::{EXAMPLES_MAX, PAGE_ROWS, WEIGHT_MAX};

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

/// What was learnt from before, and by which model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consumed {
    /// The champion; the baseline detector before the first.
    pub champion: ModelVersion,
    /// By home: answers up to this one are in the champion's weights already and are not learnt from again.
    pub through: BTreeMap<HomeId, Sequence>,
    /// Answers that a later line of the audit log let out of quarantine are new all the same.
    pub lifts: u64,
    /// When the run that made the champion began: what was stored later it cannot have learnt from, whatever a snapshot of
    /// the same content has been looked at since.
    pub until: Option<i64>,
}

/// An immutable data set. Its id is the SHA-256 of its canonical bytes ([`super::to_bytes`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Examples in it.
    pub rows: usize,
    /// Which answers it was made of, and which were left out and why.
    pub lineage: Lineage,
}

/// Which answers become examples, in order of (home, sequence), before their windows are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    examples: Vec<Weighed>,
    lineage: Lineage,
}

/// An example without its window: some 60 bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weighed {
    pub(super) key: RecordKey,
    pub(super) class: DeviceClass,
    pub(super) weight: f32,
    pub(super) answered_at: i64,
    /// Whether it was drawn at random.
    pub(super) drawn: bool,
}

/// What is left of an answer once it has been looked at.
struct Answer {
    sequence: Sequence,
    example: Option<Weighed>,
}

/// One home's answers, by alarm. Stored answers come home by home, so only one home's are held at a time.
#[derive(Default)]
struct HomeAnswers {
    of: Option<HomeId>,
    answers: BTreeMap<AlarmId, Answer>,
    // Of several answers to one alarm or question the last one counts, here as well.
    of_champion: BTreeMap<AlarmId, (Origin, Verdict)>,
}

/// What is kept of the homes that are through.
#[derive(Default)]
struct Gathered {
    heard: Heard,
    examples: Vec<Weighed>,
    /// Examples by home, before the surplus is left out.
    by_home: BTreeMap<HomeId, u64>,
    /// Drawn questions, and the sum of their weights, in order of (home, alarm).
    drawn: usize,
    drawn_weight: f32,
}

impl Gathered {
    /// Takes over what is left of a home.
    fn take(&mut self, home: &mut HomeAnswers) {
        std::mem::take(&mut home.of_champion)
            .into_values()
            .for_each(|(origin, verdict)| self.heard.add(origin, verdict));
        let Some(name) = home.of.take() else { return };
        let mut count = 0;
        for example in std::mem::take(&mut home.answers).into_values().filter_map(|answer| answer.example) {
            if example.drawn {
                self.drawn += 1;
                self.drawn_weight += example.weight;
            }
            self.examples.push(example);
            count += 1;
        }
        self.by_home.insert(name, count);
        // Twice as many, so that each is moved once on average.
        if self.examples.len() > 2 * EXAMPLES_MAX {
            newest(&mut self.examples);
        }
    }
}

/// Leaves the [`EXAMPLES_MAX`] that were answered last, in any order.
fn newest(examples: &mut Vec<Weighed>) {
    if examples.len() > EXAMPLES_MAX {
        let key = |example: &Weighed| (example.answered_at, example.key.clone());
        examples.select_nth_unstable_by(EXAMPLES_MAX, |a, b| key(b).cmp(&key(a)));
        examples.truncate(EXAMPLES_MAX);
    }
}

/// Looks at every answer in the store that the champion has not learnt from and chooses which become examples. `corpus` is the hash
/// of the recorded sets that go with it. Holds one page of answers at a time, and of those chosen no window.
///
/// # Errors
/// [`StoreError`].
pub fn choose(store: &dyn Store, corpus: &str, consumed: &Consumed) -> StoreResult<Chosen> {
    let mut lineage = Lineage { corpus: corpus.to_owned(), ..Lineage::default() };
    let excluded: BTreeSet<HomeId> = store.excluded(0)?.into_iter().map(|row| row.home).collect();
    let (mut gathered, mut home) = (Gathered::default(), HomeAnswers::default());
    let mut after = None;
    loop {
        let page = store.feedback(&FeedbackFilter { home: None, after: after.clone(), limit: PAGE_ROWS })?;
        let Some(last) = page.last() else { break };
        after = Some(last.record.key());
        for row in page {
            if home.of.as_ref() != Some(&row.record.home) {
                gathered.take(&mut home);
                home.of = Some(row.record.home.clone());
            }
            lineage.watermark += 1;
            lineage.lifts = lineage.lifts.max(row.lift.unwrap_or_default());
            if row.record.model_version == consumed.champion && !excluded.contains(&row.record.home) {
                home.of_champion.insert(row.record.alarm.clone(), (row.record.origin, row.record.verdict));
            }
            consider(row, (consumed, &excluded), &mut lineage, &mut home.answers);
        }
    }
    gathered.take(&mut home);
    lineage.recall = gathered.heard.estimate();
    let (mut examples, mean) = (gathered.examples, gathered.drawn_weight / gathered.drawn.max(1) as f32);
    newest(&mut examples);
    examples.sort_by(|a, b| a.key.cmp(&b.key));
    // Inverse propensities are brought to a mean of 1 (stabilised weights, Robins 2000), within the cap.
    for example in examples.iter_mut().filter(|example| example.drawn) {
        example.weight = (example.weight / mean).min(WEIGHT_MAX);
    }
    for example in &examples {
        lineage.homes.entry(example.key.home.clone()).or_default().examples += 1;
    }
    for (home, count) in gathered.by_home {
        let lineage = lineage.homes.entry(home).or_default();
        lineage.surplus = count - lineage.examples;
    }
    Ok(Chosen { examples, lineage })
}

/// Writes the chosen examples' canonical bytes to `sink`, one page of windows at a time, and looks at each. `reference` describes what
/// the champion was trained on. `None` when one of them was taken back by its home meanwhile: choose again.
///
/// # Errors
/// The store's, or the sink's.
pub fn write(
    store: &dyn Store,
    chosen: Chosen,
    reference: Option<&FeatureProfile>,
    sink: &mut dyn Write,
) -> Result<Option<Snapshot>, WriteError> {
    let Chosen { examples, mut lineage } = chosen;
    let mut writer = Writer::begin(sink, &lineage.corpus, examples.len())?;
    let mut check = Check::new(reference);
    for page in examples.chunks(PAGE_ROWS) {
        let keys: Vec<RecordKey> = page.iter().map(|example| example.key.clone()).collect();
        let rows = store.feedback_of(&keys)?;
        if rows.len() < page.len() {
            return Ok(None);
        }
        for (weighed, row) in page.iter().zip(rows) {
            let Some(example) = example(row.record) else { return Ok(None) };
            let example = Example { weight: weighed.weight, ..example };
            check.add(&example);
            writer.add(&example)?;
        }
    }
    let id = writer.id();
    lineage.quality = check.finish();
    Ok(Some(Snapshot { id, rows: examples.len(), lineage }))
}

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The answers cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("write a snapshot: {0}")]
    Io(#[from] io::Error),
}

fn consider(
    row: FeedbackRow,
    (consumed, excluded): (&Consumed, &BTreeSet<HomeId>),
    lineage: &mut Lineage,
    answers: &mut BTreeMap<AlarmId, Answer>,
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
        if answers.remove(&record.alarm).is_some() {
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
    let (alarm, sequence, answered_at) = (record.alarm.clone(), record.sequence, record.answered_at);
    let drawn = matches!(record.origin, Origin::AuditSample { .. });
    let example =
        example(record).map(|Example { key, class, weight, .. }| Weighed { key, class, weight, answered_at, drawn });
    // Rows come in order of sequence, so whatever is there already is older.
    let before = answers.insert(alarm, Answer { sequence, example });
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
        Origin::AuditSample { propensity } => 1.0 / propensity,
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
