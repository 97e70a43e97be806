//! A store like that of a large fleet after a year, made in bulk.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_detector::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::messages::{AgentStatus, FeatureWindow, FeedbackRecord, Origin, UpdateOutcome, Verdict};
use hearthwatch_protocol::{AlarmId, HomeId, Message, ModelVersion, Sequence, Topic, encode};
use hearthwatch_store::{
    FeedbackRow, IngestBatch, NewModel, ReleaseRow, RunRow, RunState, RunTrigger, SnapshotRow, SqliteStore, Store as _,
};
use indicatif::ProgressBar;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

/// Rows of one transaction: 16 MB.
const AT_ONCE: u64 = 2_000;

/// Days over which the answers came.
const DAYS: i64 = 90;

/// The name of a home; in order of the number.
pub(super) fn name(number: u64) -> String {
    format!("home-{number:06}")
}

/// Opens the store in `data`, after filling it if it is not there.
pub(super) fn store(data: &Path, homes: u64, answers: u64, seed: u64, now: i64) -> anyhow::Result<SqliteStore> {
    let file = data.join(DATABASE_FILE);
    let store = SqliteStore::open(&file)?;
    if store.fleet_totals()?.homes > 0 {
        println!("the store in {} is taken as it is", data.display());
        return Ok(store);
    }
    enrol(&file, homes, now)?;
    let each = answers.div_ceil(homes);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bar = ProgressBar::new(answers).with_message("answers");
    let mut left = answers;
    let mut batch = IngestBatch { at: now, ..IngestBatch::default() };
    for number in 0..homes {
        let home = HomeId::new(name(number))?;
        let (agent_version, model_version) = ("0.1.0".to_owned(), ModelVersion(1));
        let status = AgentStatus { online: number % 7 != 0, agent_version, model_version, entities: 31, outbox: 1 };
        batch.statuses.push((home.clone(), status));
        let installed = UpdateOutcome::installed(model_version, now - 3_600);
        batch.outcomes.push((home.clone(), installed));
        for sequence in 1..=each.min(left) {
            let ago = DAYS * 86_400 * i64::try_from(each - sequence + 1)? / i64::try_from(each)?;
            batch.feedback.push(row(&home, sequence, now - ago, &mut rng)?);
        }
        left -= each.min(left);
        if batch.feedback.len() as u64 >= AT_ONCE || number + 1 == homes {
            store.apply(&batch)?;
            bar.inc(batch.feedback.len() as u64);
            batch = IngestBatch { at: now, ..IngestBatch::default() };
        }
    }
    bar.finish_and_clear();
    released(&store, homes, now)?;
    Ok(store)
}

/// Lets the homes in, in one transaction.
fn enrol(file: &Path, homes: u64, now: i64) -> anyhow::Result<()> {
    let mut connection = rusqlite::Connection::open(file)?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO homes (home, enrolled_at) VALUES (?1, ?2)")?;
        for number in 0..homes {
            insert.execute(rusqlite::params![name(number), now - DAYS * 86_400])?;
        }
    }
    Ok(transaction.commit()?)
}

/// A run, its model, and its release: what the page shows and the director sends out.
fn released(store: &SqliteStore, homes: u64, now: i64) -> anyhow::Result<()> {
    let lineage: serde_json::Map<String, serde_json::Value> = (0..homes)
        .map(|number| (name(number), serde_json::json!({"first": 1, "last": 90, "answers": 90, "examples": 60})))
        .collect();
    store.put_snapshot(&SnapshotRow {
        id: "5a".repeat(32),
        created_at: now - 7_200,
        rows: 50_000,
        homes,
        watermark: 0,
        corpus: "bench".to_owned(),
        lineage: serde_json::json!({"corpus": "bench", "watermark": 0, "homes": lineage}).to_string(),
    })?;
    store.put_run(&RunRow {
        id: "bench".to_owned(),
        snapshot: "5a".repeat(32),
        trigger: RunTrigger::Hand,
        config: "{}".to_owned(),
        champion: None,
        state: RunState::Promoted,
        started_at: now - 7_200,
        ended_at: Some(now - 7_000),
        challenger: Some("cd".repeat(32)),
        report: Some("{}".to_owned()),
        failure: None,
    })?;
    let (sha256, weights_id, run) = ("cd".repeat(32), "w".to_owned(), "bench".to_owned());
    let model = store.add_model(&NewModel { sha256: sha256.clone(), length: 117_000, weights_id, run, at: now })?;
    store.put_release(&ReleaseRow {
        model_version: model.version,
        target: "model-1.safetensors".to_owned(),
        sha256,
        length: 117_000,
        report_sha256: String::new(),
        released_at: now - 7_000,
        by: "auto".to_owned(),
    })?;
    Ok(())
}

/// Device classes that answers are about, one after the other.
pub(super) const CLASSES: [&str; 5] = ["temperature", "power", "door", "humidity", "motion"];

/// An answer of a bench, with a window of the detector's size.
pub(crate) fn answer(
    home: &HomeId,
    sequence: u64,
    at: i64,
    noise: f32,
    verdict: Verdict,
) -> anyhow::Result<FeedbackRecord> {
    Ok(FeedbackRecord {
        home: home.clone(),
        sequence: Sequence(sequence),
        alarm: AlarmId::new(format!("bench-{sequence}"))?,
        device_class: CLASSES[usize::try_from(sequence)? % CLASSES.len()].to_owned(),
        model_version: ModelVersion::ROUTINE,
        feature_schema: FEATURE_SCHEMA,
        window: FeatureWindow {
            steps: u16::try_from(WINDOW_STEPS)?,
            features: u16::try_from(FEATURES)?,
            values: (0..WINDOW_STEPS * FEATURES).map(|number| noise + (number % 13) as f32 / 13.0).collect(),
        },
        score: 2.0,
        threshold: 1.0,
        verdict,
        // A declared miss needs no announcement: what is measured is the storing.
        origin: Origin::Miss,
        raised_at: at - 7_200,
        answered_at: at - 3_600,
    })
}

fn row(home: &HomeId, sequence: u64, at: i64, rng: &mut ChaCha8Rng) -> anyhow::Result<FeedbackRow> {
    let verdicts = [Verdict::Confirmed, Verdict::Dismissed, Verdict::Dismissed, Verdict::Expected];
    let verdict = verdicts[rng.random_range(0..verdicts.len())];
    let record = answer(home, sequence, at, rng.random_range(0.0..1.0), verdict)?;
    let payload = encode(&Message::Feedback(record.clone()))?;
    let digest = Sha256::digest(&payload).into();
    Ok(FeedbackRow { record, payload: payload.into(), digest, received_at: at, grace: false, lift: None })
}

/// An answer as the broker delivers it.
pub(super) fn message(home: u64, sequence: u64, now: i64) -> anyhow::Result<(String, Bytes)> {
    let home = HomeId::new(name(home)).context("a home's name")?;
    let record = answer(&home, sequence, now, 0.5, Verdict::Dismissed)?;
    Ok((Topic::Feedback(home).to_string(), encode(&Message::Feedback(record))?.into()))
}
