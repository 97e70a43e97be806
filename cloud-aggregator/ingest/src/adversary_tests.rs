//! Everything that homes could send, through admission, batch and store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::messages::{
    AgentStatus, FeedbackRecord, Origin, UpdateOutcome, UpdateResult, UpdateStage, Verdict, Withdrawal, WithdrawalScope,
};
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Sequence, Topic, encode};
use hearthwatch_store::fixtures::{NOW, announcement, home, message, record};
use hearthwatch_store::{GAP_PATIENCE_SECONDS, NewModel, Store};
use hearthwatch_telemetry::metrics::Metrics;
use proptest::prelude::*;

use super::batch::BatchTaker;
use super::labels::LabelPolicy;

/// Numbers at which something may break.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..6,
        2 => prop::sample::select(vec![
            31, 32, 33, 64, 2_000, 2_001, 1_051_999, 1_052_000, 1_052_001, u64::from(u32::MAX), 1 << 53, i64::MAX as u64 - 1,
            i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX,
        ]),
        1 => any::<u64>(),
    ]
}

/// Times at which something may break.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => (-90_000_i64..90_000).prop_map(|off| NOW + off),
        2 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 946_684_800, i64::MAX - 1, i64::MAX]),
        1 => any::<i64>(),
    ]
}

fn hostile() -> impl Strategy<Value = HomeId> {
    prop::sample::select(vec!["hostile", "hostile-2", "stranger"]).prop_map(home)
}

fn feedback() -> impl Strategy<Value = Message> {
    let verdicts = prop::sample::select(vec![Verdict::Confirmed, Verdict::Dismissed, Verdict::Expected]);
    let origins = prop::sample::select(vec![Origin::Alarm, Origin::Miss]);
    (hostile(), number(), number(), time(), time(), verdicts, origins, any::<bool>()).prop_map(
        |(home, sequence, version, raised_at, answered_at, verdict, origin, alone)| {
            let plain = record(home.as_str(), 1);
            let window =
                if alone { hearthwatch_protocol::messages::FeatureWindow::none() } else { plain.window.clone() };
            Message::Feedback(FeedbackRecord {
                sequence: Sequence(sequence),
                model_version: ModelVersion(version),
                raised_at,
                answered_at,
                verdict,
                origin,
                window,
                ..plain
            })
        },
    )
}

fn outcome() -> impl Strategy<Value = Message> {
    let stages = prop::sample::select(vec![None, Some(UpdateStage::Fetch), Some(UpdateStage::Run)]);
    (number(), number(), time(), stages).prop_map(|(version, to, at, stage)| {
        let back = UpdateResult::RolledBack { reason: "deaf".to_owned(), to: ModelVersion(to) };
        let result = if to % 2 == 0 { UpdateResult::Installed } else { back };
        Message::Outcome(UpdateOutcome { model_version: ModelVersion(version), stage, result, at })
    })
}

fn withdrawal() -> impl Strategy<Value = Message> {
    let scopes = prop_oneof![
        number().prop_map(|last| WithdrawalScope::Through(Sequence(last))),
        prop::collection::vec(number().prop_map(Sequence), 0..5).prop_map(WithdrawalScope::Records),
    ];
    (hostile(), number(), scopes, time())
        .prop_map(|(home, id, scope, at)| Message::Withdrawal(Withdrawal { home, id, scope, at }))
}

fn status() -> impl Strategy<Value = Message> {
    (any::<bool>(), number(), any::<u32>(), any::<u32>()).prop_map(|(online, version, entities, outbox)| {
        let (agent_version, model_version) = ("0.1.0".to_owned(), ModelVersion(version));
        Message::Status(AgentStatus { online, agent_version, model_version, entities, outbox })
    })
}

/// A message of a hostile home, on one of its topics, or bytes of any size.
fn sent() -> impl Strategy<Value = (String, Bytes)> {
    let said = prop_oneof![
        feedback(),
        outcome(),
        withdrawal(),
        status(),
        prop::collection::vec(any::<u8>(), 0..2_049)
            .prop_map(|bytes| Message::Manifest(SignedManifest::from_bytes(bytes))),
    ];
    let told = (hostile(), said).prop_filter_map("the codec writes no such thing", |(home, message)| {
        let payload = encode(&message).ok()?;
        let topic = match message {
            Message::Outcome(_) => Topic::Outcome(home),
            Message::Withdrawal(_) => Topic::Withdrawal(home),
            Message::Status(_) => Topic::Status(home),
            Message::Manifest(_) => Topic::Manifest(home),
            _ => Topic::Feedback(home),
        };
        Some((topic.to_string(), Bytes::from(payload)))
    });
    let announced = (number(), number()).prop_filter_map("the codec writes no such thing", |(alarm, sequence)| {
        let answer = record("hostile", alarm);
        Some(announcement(&answer, sequence))
    });
    let noise =
        (prop::sample::select(vec!["feedback", "status", "outcome", "withdrawal", "manifest"]), 0_usize..70_000)
            .prop_map(|(kind, bytes)| (format!("hw/v1/home/hostile/up/{kind}"), Bytes::from(vec![0xa3; bytes])));
    prop_oneof![8 => told, 1 => announced, 1 => noise]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_homes_send_nothing_panics_every_good_record_is_stored_and_everything_else_has_an_end(
        batches in prop::collection::vec((prop::collection::vec(sent(), 0..12), 0_i64..2 * GAP_PATIENCE_SECONDS), 1..6),
    ) {
        let (_directory, store) = hearthwatch_store::fixtures::store();
        let store: Arc<dyn Store> = Arc::new(store);
        for name in ["good", "hostile", "hostile-2"] {
            store.enrol_home(&home(name), 1).unwrap();
        }
        let model = NewModel { sha256: "aa".to_owned(), length: 1, weights_id: "w".to_owned(), run: String::new(), at: 1 };
        store.add_model(&model).unwrap();
        let metrics = Arc::new(Metrics::new());
        let taker = BatchTaker::new(Arc::clone(&store), Arc::clone(&metrics))
            .with_labels(LabelPolicy { require_announced: false, ..LabelPolicy::default() });
        let mut now = NOW;
        for (number, (hostile, later)) in (1_u64..).zip(&batches) {
            now += later;
            let mut messages = hostile.clone();
            messages.insert(messages.len() / 2, message(&record("good", number)));
            // An error would be an engine's; there is none.
            let report = taker.take(&messages, now).unwrap();
            let told: BTreeMap<_, _> = report.receipts.into_iter().collect();
            prop_assert_eq!(told[&home("good")].through, Sequence(number));
            prop_assert!(told.keys().all(|who| *who != home("stranger")));
        }
        let good = store.home(&home("good")).unwrap().unwrap();
        prop_assert_eq!(good.records, batches.len() as u64);
        // Every answer that has a number is handled, or in quarantine with its home.
        let quarantined: BTreeSet<(Option<HomeId>, Option<Sequence>)> =
            store.quarantine(0).unwrap().into_iter().map(|row| (row.home, row.sequence)).collect();
        for (topic, payload) in batches.iter().flat_map(|(messages, _)| messages) {
            let envelope = super::admission::Envelope::open(topic, payload.clone());
            let Some(key) = envelope.key.clone().filter(|_| envelope.answer().is_some()) else { continue };
            let handled = !store.handled(std::slice::from_ref(&key)).unwrap().is_empty();
            prop_assert!(handled || quarantined.contains(&(Some(key.home.clone()), Some(key.sequence))), "{key}");
        }
        // And every word on an update is the model's that there is.
        prop_assert!(store.outcomes(None, 0).unwrap().iter().all(|row| row.model_version == ModelVersion(1)));
    }
}
