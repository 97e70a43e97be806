//! What the codec takes, what it refuses, and with which words.

use aws_lc_rs::signature::Ed25519KeyPair;
use proptest::prelude::*;

use super::*;
use crate::assignment::{Assignment, Order};
use crate::id::{AlarmId, HomeId, ModelVersion, Sequence};
use crate::manifest::{Manifest, Vitals};
use crate::messages::{
    AgentStatus, Announcement, Contribution, FeatureWindow, FeedbackRecord, Origin, PayloadDigest, Receipt, Refusal,
    RefusalReason, ReleaseNotice, RoundPart, RoundReceipt, RoundRefusal, RoundRequest, RoundState, UpdateOutcome,
    UpdateStage, Verdict, Withdrawal, WithdrawalReceipt, WithdrawalScope,
};
use crate::round::{
    ClassCount, DeclineReason, EvaluateWork, GroupRequest, MaskAnswer, MaskExchange, MaskTerms, MaskedTrainWork,
    RoundAnswer, RoundFile, RoundOffer, RoundPlan, RoundResult, RoundWork, TrainRecipe, TrainWork,
};
use crate::seal::SigningKey;
use crate::statement::Statement as _;

fn record() -> FeedbackRecord {
    FeedbackRecord {
        home: HomeId::new("home-7").unwrap(),
        sequence: Sequence(3),
        alarm: AlarmId::new("a1b2c3").unwrap(),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion(2),
        feature_schema: 1,
        window: FeatureWindow { steps: 2, features: 2, values: vec![0.0, -1.5, 2.25, 12.0] },
        score: 3.5,
        threshold: 2.0,
        verdict: Verdict::Dismissed,
        origin: Origin::Alarm,
        raised_at: 1_700_000_000,
        answered_at: 1_700_003_600,
    }
}

/// Said when the alarm of [`record`] was raised.
fn announcement() -> Announcement {
    Announcement {
        home: HomeId::new("home-7").unwrap(),
        sequence: Sequence(2),
        alarm: AlarmId::new("a1b2c3").unwrap(),
        model_version: ModelVersion(2),
        window_sha256: record().window.digest(),
        raised_on: 1_699_920_000,
    }
}

/// A miss that a resident declared, and a record of a home that shares its verdicts alone.
fn further_records() -> [(&'static str, FeedbackRecord); 2] {
    let miss = FeedbackRecord { verdict: Verdict::Confirmed, origin: Origin::Miss, score: 0.5, ..record() };
    let alone = FeedbackRecord {
        window: FeatureWindow::none(),
        raised_at: 1_699_920_000,
        answered_at: 1_699_920_000,
        ..record()
    };
    [("feedback-miss", miss), ("feedback-verdict-alone", alone)]
}

/// A receipt that names the bytes that it speaks of: of numbers 7 and 9; nothing ever came under 8.
fn naming_receipt() -> Receipt {
    let digests = vec![PayloadDigest([7; 8]), PayloadDigest::MISSING, PayloadDigest([9; 8])];
    Receipt { through: Sequence(9), refused: vec![], digests }
}

/// A refusal that speaks about a mirror.
fn refusal_of_metadata() -> UpdateOutcome {
    let reason = "expired: timestamp metadata is expired".to_owned();
    UpdateOutcome::refused(ModelVersion(3), UpdateStage::Verify, reason, 1_700_000_000)
}

/// One example of every kind and form, by the name of its golden file.
fn examples() -> Vec<(&'static str, Message)> {
    let further = further_records().map(|(name, record)| (name, Message::Feedback(record)));
    let naming = ("receipt-digests", Message::Receipt(naming_receipt()));
    let staged = ("outcome-stage", Message::Outcome(refusal_of_metadata()));
    kinds()
        .into_iter()
        .map(|message| (message.kind(), message))
        .chain(further)
        .chain([naming, staged])
        .chain(further_rounds())
        .collect()
}

fn kinds() -> Vec<Message> {
    vec![
        Message::Feedback(record()),
        Message::Announcement(announcement()),
        Message::Receipt(Receipt {
            through: Sequence(9),
            refused: vec![Refusal { sequence: Sequence(8), reason: RefusalReason::WindowShape }],
            digests: vec![],
        }),
        Message::Status(AgentStatus {
            online: true,
            agent_version: "0.1.0".to_owned(),
            model_version: ModelVersion(2),
            entities: 31,
            outbox: 4,
        }),
        Message::Outcome(UpdateOutcome {
            model_version: ModelVersion(3),
            stage: None,
            result: UpdateResult::RolledBack { reason: "golden vectors differ".to_owned(), to: ModelVersion(2) },
            at: 1_700_000_000,
        }),
        Message::Release(ReleaseNotice {
            model_version: ModelVersion(3),
            target: "model-3.safetensors".to_owned(),
            at: 1_700_000_000,
        }),
        Message::Withdrawal(Withdrawal {
            home: HomeId::new("home-7").unwrap(),
            id: 2,
            scope: WithdrawalScope::Records(vec![Sequence(3), Sequence(5)]),
            at: 1_700_000_000,
        }),
        Message::WithdrawalReceipt(WithdrawalReceipt {
            id: 2,
            removed: 2,
            models: vec![ModelVersion(3), ModelVersion(2)],
            at: 1_700_000_001,
        }),
        Message::Contribution(Contribution {
            model_version: ModelVersion(3),
            snapshot: "5f".repeat(32),
            answers: 7,
            examples: 6,
            at: 1_700_000_000,
        }),
        Message::Assignment(assignment().sign(&golden_key()).unwrap()),
        Message::Manifest(manifest().sign(&golden_key()).unwrap()),
        Message::RoundOffer(round_offer().sign(&golden_key()).unwrap()),
        Message::RoundPlan(round_plan().sign(&golden_key()).unwrap()),
        RoundPart::cut(&round_answer().sign(&golden_key()).unwrap(), b"a delta").pop().map(Message::RoundPart).unwrap(),
        Message::RoundReceipt(RoundReceipt { round: 3, state: RoundState::Wanted(1) }),
        Message::RoundRequest(RoundRequest {
            signed: group_request().sign(&golden_key()).unwrap(),
            body: GROUP_BODY.to_vec(),
        }),
    ]
}

fn round_offer() -> RoundOffer {
    let classes = vec![ClassCount { class: "temperature".to_owned(), entities: 6 }];
    RoundOffer { home: HomeId::new("home-7").unwrap(), willing: true, classes, at: 1_700_000_000, masks: false }
}

fn round_plan() -> RoundPlan {
    RoundPlan {
        home: HomeId::new("home-7").unwrap(),
        round: 3,
        work: RoundWork::Train(TrainWork {
            base: RoundFile { sha256: [1; 32], length: 120_000 },
            recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 7 },
            clip: 1.0,
            noise: 0.0,
            server_noise: 0.0,
        }),
        cohort: 12,
        least: 6,
        opens_at: 1_700_000_000,
        deadline: 1_700_086_400,
        nonce: [2; 16],
    }
}

/// The other work that a plan may ask for.
fn evaluation_plan() -> RoundPlan {
    let models = vec![RoundFile { sha256: [1; 32], length: 120_000 }, RoundFile { sha256: [3; 32], length: 120_001 }];
    RoundPlan { work: RoundWork::Evaluate(EvaluateWork { models, seed: 7, noise: 0.5 }), ..round_plan() }
}

fn round_answer() -> RoundAnswer {
    RoundAnswer {
        home: HomeId::new("home-7").unwrap(),
        round: 3,
        nonce: [2; 16],
        result: RoundResult::Delta(RoundFile::of(b"a delta")),
        at: 1_700_003_600,
    }
}

/// What a request of a masked round is about.
const GROUP_BODY: &[u8] = b"a group";

/// The second exchange of a masked round.
fn group_request() -> GroupRequest {
    GroupRequest {
        home: HomeId::new("home-7").unwrap(),
        round: 3,
        nonce: [2; 16],
        exchange: MaskExchange::Shares,
        file: RoundFile::of(GROUP_BODY),
        deadline: 1_700_090_000,
    }
}

/// Work whose delta goes out under masks.
fn masked_plan() -> RoundPlan {
    let RoundWork::Train(train) = round_plan().work else { panic!("other work") };
    let masks = MaskTerms { group: 8, threshold: 0.7, until: 1_700_100_000 };
    RoundPlan { work: RoundWork::MaskedTrain(MaskedTrainWork { train, masks }), ..round_plan() }
}

/// A home that can mask, what it sends and receives in a masked round, a home that sends nothing, and two other receipts.
fn further_rounds() -> [(&'static str, Message); 8] {
    let offer = RoundOffer { masks: true, ..round_offer() };
    let keys = MaskAnswer { exchange: MaskExchange::Keys, file: RoundFile::of(b"keys") };
    let keys = RoundAnswer { result: RoundResult::Masks(keys), ..round_answer() };
    let keys = RoundPart::cut(&keys.sign(&golden_key()).unwrap(), b"keys").remove(0);
    let declined = RoundAnswer { result: RoundResult::Declined(DeclineReason::HistoryTooShort), ..round_answer() };
    let declined = RoundPart::cut(&declined.sign(&golden_key()).unwrap(), &[]).remove(0);
    let receipt = |state| Message::RoundReceipt(RoundReceipt { round: 3, state });
    [
        ("round_offer-masks", Message::RoundOffer(offer.sign(&golden_key()).unwrap())),
        ("round_plan-masked", Message::RoundPlan(masked_plan().sign(&golden_key()).unwrap())),
        ("round_part-keys", Message::RoundPart(keys)),
        ("round_receipt-received", receipt(RoundState::Received(MaskExchange::Keys))),
        ("round_plan-evaluate", Message::RoundPlan(evaluation_plan().sign(&golden_key()).unwrap())),
        ("round_part-declined", Message::RoundPart(declined)),
        ("round_receipt-taken", receipt(RoundState::Taken)),
        ("round_receipt-refused", receipt(RoundState::Refused(RoundRefusal::Norm))),
    ]
}

/// ed25519, whose signatures are the same each time.
fn golden_key() -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()))
}

fn assignment() -> Assignment {
    Assignment {
        home: HomeId::new("home-7").unwrap(),
        generation: 4,
        order: Order::Install,
        model_version: ModelVersion(3),
        target: "model-3.safetensors".to_owned(),
        sha256: [1; 32],
        length: 120_000,
        not_before: 1_700_000_000,
        expires_at: 1_700_086_400,
        nonce: [2; 16],
    }
}

fn manifest() -> Manifest {
    Manifest {
        home: HomeId::new("home-7").unwrap(),
        nonce: [2; 16],
        generation: 4,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion(3),
        sha256: [1; 32],
        at: 1_700_000_000,
        vitals: Some(Vitals { alarms: 3, confirmed: 1, dismissed: 1, fault_checks: 8, caught: 7, ..Vitals::default() }),
    }
}

#[test]
fn an_offer_from_before_masks_is_one_of_a_home_that_cannot_mask_and_an_aggregator_from_before_reads_a_new_one() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Before {
        home: HomeId,
        willing: bool,
        classes: Vec<ClassCount>,
        at: i64,
    }
    let body = serde_cbor::to_vec(&RoundOffer { masks: true, ..round_offer() }).unwrap();
    let RoundOffer { home, willing, classes, at, .. } = round_offer();
    assert_eq!(serde_cbor::from_slice::<Before>(&body).unwrap(), Before { home, willing, classes, at });
    let before = serde_cbor::to_vec(&round_offer()).unwrap();
    assert!(!before.windows(5).any(|bytes| bytes == b"masks"), "the bytes of a home that cannot are those from before");
    assert!(!serde_cbor::from_slice::<RoundOffer>(&before).unwrap().masks);
}

#[test]
fn the_golden_signatures_verify() {
    let golden = |kind: &str| {
        let path = format!("{}/golden/{kind}.cbor.hex", env!("CARGO_MANIFEST_DIR"));
        decode(&hex::decode(std::fs::read_to_string(path).unwrap().trim()).unwrap()).unwrap()
    };
    let keys = [golden_key().public()];
    let Message::Assignment(signed) = golden("assignment") else { panic!("another kind") };
    assert_eq!(signed.read(&keys), Ok(assignment()));
    let Message::Manifest(signed) = golden("manifest") else { panic!("another kind") };
    assert_eq!(signed.read_of(&manifest().home, &keys), Ok(manifest()));
    let Message::RoundPlan(signed) = golden("round_plan") else { panic!("another kind") };
    assert_eq!(signed.read(&keys), Ok(round_plan()));
    let Message::RoundOffer(signed) = golden("round_offer") else { panic!("another kind") };
    assert_eq!(signed.read(&keys), Ok(round_offer()));
    let Message::RoundPlan(signed) = golden("round_plan-masked") else { panic!("another kind") };
    assert_eq!(signed.read(&keys), Ok(masked_plan()));
    let Message::RoundRequest(request) = golden("round_request") else { panic!("another kind") };
    assert_eq!((request.signed.read(&keys), &*request.body), (Ok(group_request()), GROUP_BODY));
    let Message::RoundPart(part) = golden("round_part") else { panic!("another kind") };
    assert_eq!(part.answer.read(&keys), Ok(round_answer()));
}

#[test]
fn the_bytes_of_every_kind_are_those_of_the_golden_files() {
    for (name, message) in examples() {
        let path = format!("{}/golden/{name}.cbor.hex", env!("CARGO_MANIFEST_DIR"));
        let bytes = encode(&message).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, hex::encode(&bytes) + "\n").unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert_eq!(hex::encode(&bytes), golden.trim(), "{name} differs from {path}");
        assert_eq!(decode(&hex::decode(golden.trim()).unwrap()), Ok(message));
    }
}

fn refused(change: impl FnOnce(&mut FeedbackRecord)) -> DecodeError {
    let mut record = record();
    change(&mut record);
    let body = serde_cbor::to_vec(&record).unwrap();
    let bytes = serde_cbor::to_vec(&Envelope { v: SCHEMA_VERSION, kind: "feedback".to_owned(), body }).unwrap();
    decode(&bytes).unwrap_err()
}

#[test]
fn a_number_that_is_not_finite_is_refused_on_both_sides() {
    assert_eq!(refused(|record| record.window.values[1] = f32::NAN), DecodeError::NotFinite);
    assert_eq!(refused(|record| record.score = f32::INFINITY), DecodeError::NotFinite);
    let mut bad = record();
    bad.threshold = f32::NEG_INFINITY;
    assert_eq!(encode(&Message::Feedback(bad)), Err(EncodeError(DecodeError::NotFinite)));
}

#[test]
fn a_window_that_does_not_fill_its_shape_is_refused() {
    assert_eq!(refused(|record| record.window.steps = 3), DecodeError::WindowLength { expected: 6, found: 4 });
    assert_eq!(refused(|record| record.window.steps = 0), DecodeError::WindowShape { steps: 0, features: 2 });
    assert_eq!(refused(|record| record.window.steps = 999), DecodeError::WindowShape { steps: 999, features: 2 });
}

#[test]
fn a_propensity_outside_the_unit_interval_is_refused() {
    for propensity in [0.0, -0.1, 1.5, f32::NAN] {
        assert_eq!(refused(|record| record.origin = Origin::AuditSample { propensity }), DecodeError::Propensity);
    }
}

#[test]
fn a_version_or_kind_from_the_future_is_named_not_guessed() {
    let envelope =
        |v: u16, kind: &str| serde_cbor::to_vec(&Envelope { v, kind: kind.to_owned(), body: vec![0xa0] }).unwrap();
    assert_eq!(decode(&envelope(2, "feedback")), Err(DecodeError::UnknownSchema(2)));
    assert_eq!(decode(&envelope(1, "gossip")), Err(DecodeError::UnknownKind("gossip".to_owned())));
}

#[test]
fn a_receipt_that_names_more_or_broken_digests_is_refused() {
    let envelope =
        |body| serde_cbor::to_vec(&Envelope { v: SCHEMA_VERSION, kind: "receipt".to_owned(), body }).unwrap();
    let many = Receipt { digests: vec![PayloadDigest([1; 8]); RECEIPT_DIGESTS_MAX + 1], ..naming_receipt() };
    let too_long = DecodeError::ListTooLong { field: "digests", max: RECEIPT_DIGESTS_MAX };
    assert_eq!(decode(&envelope(serde_cbor::to_vec(&many).unwrap())), Err(too_long));
    let mut cut = serde_cbor::to_vec(&naming_receipt()).unwrap();
    // The byte string of 24 bytes at the end becomes one of 23.
    let header = cut.len() - 26;
    assert_eq!(cut[header..header + 2], [0x58, 24]);
    cut.pop();
    cut[header + 1] = 23;
    let DecodeError::Body { kind: "receipt", cause } = decode(&envelope(cut)).unwrap_err() else { panic!("another") };
    assert!(cause.contains("length is not a multiple of 8"), "{cause}");
}

#[test]
fn an_agent_from_before_reads_a_receipt_that_names_digests() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Before {
        through: Sequence,
        refused: Vec<Refusal>,
    }
    let body = serde_cbor::to_vec(&naming_receipt()).unwrap();
    let before: Before = serde_cbor::from_slice(&body).unwrap();
    assert_eq!(before, Before { through: Sequence(9), refused: vec![] });
}

#[test]
fn a_stage_that_only_newer_agents_know_is_read_as_another_one() {
    let mut bytes = encode(&Message::Outcome(refusal_of_metadata())).unwrap();
    let at = bytes.windows(6).position(|word| word == b"verify").unwrap();
    bytes[at..at + 6].copy_from_slice(b"polish");
    let Message::Outcome(outcome) = decode(&bytes).unwrap() else { panic!("another kind") };
    assert_eq!(outcome, UpdateOutcome { stage: Some(UpdateStage::Other), ..refusal_of_metadata() });
}

#[test]
fn a_cloud_from_before_reads_an_outcome_that_names_its_stage() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Before {
        model_version: ModelVersion,
        result: UpdateResult,
        at: i64,
    }
    let sent = refusal_of_metadata();
    let body = serde_cbor::to_vec(&sent).unwrap();
    let before: Before = serde_cbor::from_slice(&body).unwrap();
    assert_eq!(before, Before { model_version: sent.model_version, result: sent.result, at: sent.at });
}

#[test]
fn the_key_of_a_refused_record_can_still_be_read() {
    let mut bad = record();
    bad.score = f32::NAN;
    let envelope =
        |v: u16, kind: &str, body: Vec<u8>| serde_cbor::to_vec(&Envelope { v, kind: kind.to_owned(), body }).unwrap();
    let body = serde_cbor::to_vec(&bad).unwrap();
    assert_eq!(peek_key(&envelope(1, "feedback", body.clone())), Some(bad.key()));
    assert_eq!(peek_key(&envelope(9, "feedback", body.clone())), Some(bad.key()), "whatever the version");
    assert_eq!(peek_key(&envelope(1, "status", body)), None);
    assert_eq!(peek_key(&envelope(1, "feedback", vec![0xa0])), None);
}

#[test]
fn an_oversized_payload_is_refused_unread() {
    let bytes = vec![0xff; PAYLOAD_BYTES_MAX + 1];
    assert_eq!(decode(&bytes), Err(DecodeError::TooLarge { found: PAYLOAD_BYTES_MAX + 1 }));
}

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = encode(&Message::Feedback(record())).unwrap();
    bytes.push(0);
    assert!(matches!(decode(&bytes), Err(DecodeError::Envelope(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_damage_to_a_true_message_makes_the_decoder_panic(at in 0usize..160, with in any::<u8>()) {
        let mut bytes = encode(&Message::Feedback(record())).unwrap();
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = decode(&bytes);
    }

    #[test]
    fn every_window_survives_the_journey(values in prop::collection::vec(-1e6f32..1e6, 1..64)) {
        let mut sent = record();
        sent.window = FeatureWindow { steps: values.len() as u16, features: 1, values };
        let message = Message::Feedback(sent);
        prop_assert_eq!(decode(&encode(&message).unwrap()), Ok(message));
    }
}
