//! Every reason to refuse, and the order in which they are looked for.

use hearthwatch_protocol::encode;
use hearthwatch_protocol::limits::PAYLOAD_BYTES_MAX;
use hearthwatch_protocol::messages::Verdict;
use hearthwatch_store::fixtures::{NOW, home, message, payload, record};
use proptest::prelude::*;

use super::*;

/// What is known of a well-behaved home.
fn known(released: &BTreeSet<ModelVersion>) -> Known<'_> {
    Known {
        enrolled: true,
        before: None,
        released,
        made: released,
        through: Sequence(0),
        recent: 0,
        announced: 0,
        quota: QUOTA_RECORDS,
        labels: LabelPolicy::default(),
        backing: Backing::default(),
        answered: None,
        now: NOW,
    }
}

static NONE: BTreeSet<ModelVersion> = BTreeSet::new();

/// A good record on its topic.
fn envelope() -> Envelope {
    let (topic, payload) = message(&record("home-7", 3));
    Envelope::open(&topic, payload)
}

fn judged(topic: &str, payload: Bytes) -> Admission {
    judge(&Envelope::open(topic, payload), &known(&BTreeSet::from([ModelVersion(3)])))
}

/// The reason and whether a receipt covers it.
fn refused(admission: Admission) -> (RefusalReason, bool) {
    match admission {
        Admission::Refuse { reason, covers, .. } => (reason, covers),
        other => panic!("not refused: {other:?}"),
    }
}

fn changed(change: impl FnOnce(&mut FeedbackRecord)) -> Admission {
    let mut record = record("home-7", 3);
    change(&mut record);
    judged("hw/v1/home/home-7/up/feedback", payload(&record))
}

#[test]
fn the_fixtures_know_the_detectors_window() {
    let (steps, features, schema) = hearthwatch_store::fixtures::WINDOW;
    assert_eq!((usize::from(steps), usize::from(features), schema), (WINDOW_STEPS, FEATURES, FEATURE_SCHEMA));
}

#[test]
fn a_good_record_is_admitted_with_its_bytes_and_their_hash() {
    let record = record("home-7", 3);
    let (topic, payload) = message(&record);
    let digest = Sha256::digest(&payload).into();
    let row = FeedbackRow { record, payload: payload.clone(), digest, received_at: NOW, grace: true, lift: None };
    assert_eq!(judged(&topic, payload), Admission::Admit(Admitted::Feedback(Box::new(row))));
}

#[test]
fn each_fault_of_a_record_gets_its_own_word_and_is_covered_by_a_receipt() {
    type Change = fn(&mut FeedbackRecord);
    let table: &[(RefusalReason, Change)] = &[
        (RefusalReason::WrongHome, |record| record.home = home("home-8")),
        (RefusalReason::UnknownSchema, |record| record.feature_schema = 2),
        (RefusalReason::WindowShape, |record| {
            record.window.steps = 48;
            record.window.values.truncate(48 * FEATURES);
        }),
        (RefusalReason::UnknownClass, |record| record.device_class = "ghosts".to_owned()),
        (RefusalReason::UnknownModel, |record| record.model_version = ModelVersion(4)),
        (RefusalReason::ImplausibleTime, |record| record.answered_at = record.raised_at - 1),
        (RefusalReason::ImplausibleTime, |record| record.answered_at = NOW + CLOCK_AHEAD_SECONDS_MAX + 1),
        (RefusalReason::ImplausibleTime, |record| record.raised_at = EARLIEST_AT - 1),
    ];
    for (reason, change) in table {
        assert_eq!(refused(changed(*change)), (*reason, true));
    }
}

#[test]
fn the_limits_themselves_are_admitted() {
    type Change = fn(&mut FeedbackRecord);
    let table: &[Change] = &[
        |record| record.model_version = ModelVersion(3),
        |record| record.answered_at = record.raised_at,
        |record| record.answered_at = NOW + CLOCK_AHEAD_SECONDS_MAX,
        |record| record.raised_at = EARLIEST_AT,
        |record| record.verdict = Verdict::Expected,
    ];
    for change in table {
        assert!(matches!(changed(*change), Admission::Admit(Admitted::Feedback(_))));
    }
}

#[test]
fn a_payload_that_is_no_record_gets_the_word_for_what_is_wrong_with_it() {
    let topic = "hw/v1/home/home-7/up/feedback";
    assert_eq!(refused(judged(topic, Bytes::from_static(b"hello"))), (RefusalReason::Malformed, false));
    let huge = Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1]);
    assert_eq!(refused(judged(topic, huge)), (RefusalReason::TooLarge, false));
    let status = hearthwatch_store::fixtures::status(0);
    let status = Bytes::from(encode(&Message::Status(status)).unwrap());
    assert_eq!(refused(judged(topic, status)), (RefusalReason::Malformed, false), "a status on the feedback topic");
    assert_eq!(refused(changed(|record| record.sequence = Sequence(0))), (RefusalReason::Malformed, false));
}

#[test]
fn a_record_that_cannot_be_decoded_is_covered_if_its_key_can_be_read() {
    // The codec would not write these: patch the bytes of a good one.
    let good = payload(&record("home-7", 3));
    let value = 0.5_f32.to_le_bytes();
    let at = good.windows(8).position(|window| window == [value, value].concat()).unwrap();
    let mut bytes = good.to_vec();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let topic = "hw/v1/home/home-7/up/feedback";
    assert_eq!(refused(judged(topic, bytes.into())), (RefusalReason::NotFinite, true));

    let at = good.windows(3).position(|window| window == b"av\x01").unwrap();
    let mut bytes = good.to_vec();
    bytes[at + 2] = 2;
    assert_eq!(refused(judged(topic, bytes.into())), (RefusalReason::UnknownSchema, true));
}

#[test]
fn a_topic_that_records_do_not_come_on_is_the_wrong_one() {
    let payload = payload(&record("home-7", 3));
    for topic in ["hw/v1/home/home-7/down/receipt", "hw/v1/fleet/release", "hw/v1/home/+/up/feedback", "weather"] {
        assert_eq!(refused(judged(topic, payload.clone())), (RefusalReason::WrongTopic, false), "{topic}");
    }
}

#[test]
fn a_stranger_is_refused_before_anything_it_says_is_believed() {
    let known = Known { enrolled: false, ..known(&NONE) };
    let bad = Envelope::open("hw/v1/home/home-7/up/feedback", Bytes::from_static(b"?"));
    for said in [envelope(), bad] {
        assert_eq!(refused(judge(&said, &known)), (RefusalReason::UnknownHome, false));
    }
}

#[test]
fn the_same_bytes_again_are_a_duplicate_and_other_bytes_a_replay() {
    let envelope = envelope();
    let key = envelope.key.clone().unwrap();
    let stored = Handled { key: key.clone(), digest: envelope.digest, refused: None };
    let again = judge(&envelope, &Known { before: Some(&stored), ..known(&NONE) });
    assert_eq!(again, Admission::Duplicate { key: key.clone(), refused: None });

    let reason = Some(RefusalReason::UnknownClass);
    let refused_before = Handled { refused: reason, ..stored.clone() };
    let again = judge(&envelope, &Known { before: Some(&refused_before), ..known(&NONE) });
    assert_eq!(again, Admission::Duplicate { key, refused: reason }, "the home is told its fate once more");

    let other = Handled { digest: [0; 32], ..stored };
    let replay = judge(&envelope, &Known { before: Some(&other), ..known(&NONE) });
    assert_eq!(refused(replay), (RefusalReason::ReplayedSequence, false));
}

#[test]
fn the_record_over_the_quota_is_refused_and_the_one_before_is_not() {
    let envelope = envelope();
    let with = |recent| judge(&envelope, &Known { recent, quota: 10, ..known(&NONE) });
    assert!(matches!(with(9), Admission::Admit(_)));
    assert_eq!(refused(with(10)), (RefusalReason::QuotaExceeded, true));
}

#[test]
fn an_outcome_comes_in_for_its_home() {
    let outcome = UpdateOutcome::installed(ModelVersion(3), NOW);
    let payload = Bytes::from(encode(&Message::Outcome(outcome.clone())).unwrap());
    let admitted = judged("hw/v1/home/home-7/up/outcome", payload);
    assert_eq!(admitted, Admission::Admit(Admitted::Outcome(home("home-7"), outcome)));
}

#[test]
fn a_number_far_beyond_what_its_home_can_have_sent_is_refused_and_covered_by_no_receipt() {
    let most = ahead_max(QUOTA_RECORDS);
    assert_eq!(most, 1_052_000);
    let judged = |sequence, through| {
        let (topic, payload) = message(&record("home-7", sequence));
        judge(&Envelope::open(&topic, payload), &Known { through: Sequence(through), ..known(&NONE) })
    };
    for (sequence, through) in [(most, 0), (40 + most, 40), (1, u64::MAX), (i64::MAX as u64, i64::MAX as u64 - 1)] {
        assert!(matches!(judged(sequence, through), Admission::Admit(_)), "{sequence} after {through}");
    }
    for (sequence, through) in [(most + 1, 0), (i64::MAX as u64, 0), (i64::MAX as u64, 7)] {
        let refused = refused(judged(sequence, through));
        assert_eq!(refused, (RefusalReason::SequenceAhead, false), "{sequence} after {through}");
    }
}

#[test]
fn a_quota_changes_the_numbers_that_may_be_ahead_only_upwards() {
    assert_eq!(ahead_max(1), ahead_max(QUOTA_RECORDS));
    assert!(ahead_max(864_000) > ahead_max(QUOTA_RECORDS));
    assert_eq!(ahead_max(u64::MAX), u64::MAX);
}

fn outcome(model_version: u64, at: i64) -> Admission {
    let outcome = UpdateOutcome::installed(ModelVersion(model_version), at);
    judged("hw/v1/home/home-7/up/outcome", encode(&Message::Outcome(outcome)).unwrap().into())
}

#[test]
fn an_outcome_of_a_model_that_was_never_made_is_refused() {
    assert_eq!(refused(outcome(4, NOW)), (RefusalReason::UnknownModel, false));
    assert_eq!(refused(outcome(u64::MAX, NOW)), (RefusalReason::UnknownModel, false));
}

#[test]
fn an_outcome_from_the_future_is_not_the_last_word_for_ever() {
    let latest = NOW + CLOCK_AHEAD_SECONDS_MAX;
    for (said, kept) in [(i64::MAX, latest), (latest, latest), (NOW, NOW), (i64::MIN, i64::MIN)] {
        let Admission::Admit(Admitted::Outcome(_, outcome)) = outcome(3, said) else { panic!("{said} is refused") };
        assert_eq!(outcome.at, kept);
    }
}

#[test]
fn a_withdrawal_has_a_number_that_can_be_counted_to() {
    let judged = |id| {
        let scope = hearthwatch_protocol::messages::WithdrawalScope::Through(Sequence(1));
        let withdrawal = Withdrawal { home: home("home-7"), id, scope, at: NOW };
        judged("hw/v1/home/home-7/up/withdrawal", encode(&Message::Withdrawal(withdrawal)).unwrap().into())
    };
    assert!(matches!(judged(i64::MAX as u64), Admission::Admit(_)));
    assert_eq!(refused(judged(u64::MAX)), (RefusalReason::Malformed, false));
    assert_eq!(refused(judged(0)), (RefusalReason::Malformed, false));
}

proptest! {
    #[test]
    fn no_topic_and_no_bytes_make_it_panic(topic in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = judged(&topic, bytes.into());
    }

    #[test]
    fn no_damage_to_a_good_payload_makes_it_panic(at in 0usize..8_000, with in any::<u8>()) {
        let mut bytes = payload(&record("home-7", 3)).to_vec();
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = judged("hw/v1/home/home-7/up/feedback", bytes.into());
    }
}
