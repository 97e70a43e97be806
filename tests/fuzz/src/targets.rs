//! The decoders, each called as the product calls it. Refusals are answers; only a panic, or a value that does not survive its
//! own way back, is a finding.

use std::io::Write as _;

use hearthwatch_api::http::paging::Paging;
use hearthwatch_api::routes::enroll::EnrolmentAsked;
use hearthwatch_api::routes::feedback::FeedbackQuery;
use hearthwatch_api::routes::releases::RollBack;
use hearthwatch_api::routes::renew::RenewalAsked;
use hearthwatch_api::routes::runs::Reason;
use hearthwatch_api::routes::tokens::NewToken;
use hearthwatch_detector::network::Artifact;
use hearthwatch_edge_detection::service::{RecordedState, recovered};
use hearthwatch_edge_home_assistant::discovery::{Command, Device};
use hearthwatch_edge_home_assistant::home_assistant::entities::{EntitiesEvent, WatchedEntities};
use hearthwatch_edge_home_assistant::home_assistant::registry::{HomeAssistantState, PresentState};
use hearthwatch_edge_replay::source::Source;
use hearthwatch_federation::{HomeCounts, MODELS_MAX, Quantised};
use hearthwatch_masking::{
    GroupPlan, GroupStart, Home, KeyPairs, MaskedInput, PublicKeys, Server, ShareDelivery, ShareKeys, Unmask,
    UnmaskRequest, Words, from_bytes,
};
use hearthwatch_protocol::assignment::{Assignment, SignedAssignment};
use hearthwatch_protocol::manifest::{Manifest, SignedManifest};
use hearthwatch_protocol::renewal::{Renewal, SignedRenewal};
use hearthwatch_protocol::round::{
    GroupRequest, RoundAnswer, RoundOffer, RoundPlan, SignedGroupRequest, SignedRoundAnswer, SignedRoundOffer,
    SignedRoundPlan,
};
use hearthwatch_protocol::seal::{PublicKey, trusted_keys};
use hearthwatch_protocol::{HomeId, SCHEMA_VERSION, Topic, decode, encode, peek_key};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde::de::DeserializeOwned;
use serde_cbor::Value;

/// A moment for states without a time of their own.
const NOW: i64 = 1_800_000_000;

/// Kinds of messages, as the envelope names them.
const KINDS: [&str; 16] = [
    "feedback",
    "receipt",
    "status",
    "outcome",
    "release",
    "assignment",
    "manifest",
    "withdrawal",
    "withdrawal_receipt",
    "contribution",
    "announcement",
    "round_offer",
    "round_plan",
    "round_part",
    "round_receipt",
    "round_request",
];

pub(super) fn envelope(bytes: &[u8]) {
    let _ = peek_key(bytes);
    if let Ok(message) = decode(bytes) {
        let again = encode(&message).expect("what was taken can be said");
        assert_eq!(decode(&again).as_ref(), Ok(&message), "and means the same");
    }
}

pub(super) fn body(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(*first) % KINDS.len()];
    let field = |name: &str, value| (Value::Text(name.to_owned()), value);
    let map = Value::Map(
        [
            field("v", Value::Integer(SCHEMA_VERSION.into())),
            field("kind", Value::Text(kind.to_owned())),
            field("body", Value::Bytes(body.to_vec())),
        ]
        .into(),
    );
    envelope(&serde_cbor::to_vec(&map).expect("a map of three fields is CBOR"));
}

pub(super) fn signed(bytes: &[u8]) {
    let keys = [PublicKey::Ed25519([7; 32]), PublicKey::P256([4; 65])];
    let home = HomeId::new("home-7").expect("made of allowed characters");
    let _ = SignedAssignment::from_bytes(bytes.to_vec()).accept(&keys, &home, None, NOW);
    let _ = SignedManifest::from_bytes(bytes.to_vec()).read_of(&home, &keys);
    let _ = SignedRenewal::from_bytes(bytes.to_vec()).read_of(&home, &keys);
    let _ = SignedRoundPlan::from_bytes(bytes.to_vec()).accept(&keys, &home, None, NOW);
    let _ = SignedRoundAnswer::from_bytes(bytes.to_vec()).read_of(&home, &keys);
    let _ = SignedRoundOffer::from_bytes(bytes.to_vec()).read_of(&home, &keys);
    let _ = SignedGroupRequest::from_bytes(bytes.to_vec()).read_of(&home, &keys);
    // What a thief of the key could sign.
    let _ = serde_cbor::from_slice::<Assignment>(bytes);
    let _ = serde_cbor::from_slice::<Manifest>(bytes);
    let _ = serde_cbor::from_slice::<Renewal>(bytes);
    let _ = serde_cbor::from_slice::<RoundPlan>(bytes);
    let _ = serde_cbor::from_slice::<RoundAnswer>(bytes);
    let _ = serde_cbor::from_slice::<RoundOffer>(bytes);
    let _ = serde_cbor::from_slice::<GroupRequest>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (trusted_keys(text), Topic::parse(text));
    }
}

/// The body of a home's answer in a round; the first byte chooses which.
pub(super) fn round_body(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    match first % 8 {
        7 => exchange(body),
        0 | 2 | 4 | 6 => {
            if let Ok(delta) = Quantised::from_bytes(body).and_then(|quantised| quantised.restore()) {
                assert!(delta.norm().is_finite(), "what was taken can be added");
            }
        }
        _ => {
            if let Ok(counts) = HomeCounts::from_bytes(body, 1 + usize::from(*first) % MODELS_MAX) {
                let bytes = counts.to_bytes().expect("what was taken can be said");
                assert_eq!(HomeCounts::from_bytes(&bytes, counts.models.len()), Ok(counts), "and means the same");
            }
        }
    }
}

/// What an exchange of a masked round carries, either way, to a server and to a home that wait for something.
fn exchange(bytes: &[u8]) {
    let homes =
        ["home-1", "home-2", "home-3", "home-4"].map(|name| HomeId::new(name).expect("made of allowed characters"));
    let plan = GroupPlan::new(1, 0, [1; 16], homes.to_vec(), 4).expect("within all limits");
    let mut server = Server::new(plan.clone()).expect("a plan within all limits");
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let (mut home, own) = Home::join(plan, &homes[0], &mut random).expect("the home is in the plan");
    server.advertise(&own).expect("the home's own keys");
    if let Ok(GroupStart { plan, roster }) = from_bytes(bytes) {
        let _ = (plan.check(), Server::new(plan.clone()).is_ok());
        let _ = home.share_keys(&roster, &mut random);
        let _ = Home::enter(plan, &homes[0], KeyPairs::draw(&mut random), &mut random);
    }
    let _ = from_bytes::<PublicKeys>(bytes);
    let _ = from_bytes::<ShareKeys>(bytes).map(|message| server.share_keys(message));
    let _ = from_bytes::<ShareDelivery>(bytes).map(|message| home.mask(&message, Words(vec![0; 4])));
    let _ = from_bytes::<MaskedInput>(bytes).map(|message| server.mask(&message));
    let _ = from_bytes::<UnmaskRequest>(bytes).map(|message| home.unmask(&message));
    let _ = from_bytes::<Unmask>(bytes).map(|message| server.unmask(&message));
}

pub(super) fn artifact(bytes: &[u8]) {
    let _ = Artifact::parse(bytes);
}

pub(super) fn home_assistant(bytes: &[u8]) {
    let Some((first, json)) = bytes.split_first() else { return };
    match first % 4 {
        3 => {
            if let Ok(rows) = serde_json::from_slice::<Vec<RecordedState>>(json) {
                let _ = recovered(&rows, b"this home's", NOW);
            }
        }
        0 => {
            if let Ok(event) = serde_json::from_slice::<EntitiesEvent>(json) {
                let mut watched = WatchedEntities::default();
                let _ = (watched.finds_in(&event), watched.apply(&event, NOW));
                let _ = watched.apply(&event, NOW);
            }
        }
        1 => read::<Vec<PresentState>>(json),
        _ => read::<HomeAssistantState>(json),
    }
}

pub(super) fn command(bytes: &[u8]) {
    let Some((first, payload)) = bytes.split_first() else { return };
    let device = Device::new("home-7".to_owned());
    for topic in ["verdict", "answer", "install", "sensitivity"] {
        let _ = Command::read(&device, &device.topic(&format!("command/{topic}")), payload, first % 2 == 1);
    }
}

pub(super) fn admin(bytes: &[u8]) {
    let Some((first, json)) = bytes.split_first() else { return };
    match first % 7 {
        0 => read::<EnrolmentAsked>(json),
        1 => read::<RollBack>(json),
        2 => read::<Reason>(json),
        3 => read::<NewToken>(json),
        4 => read::<Paging>(json),
        6 => read::<RenewalAsked>(json),
        _ => read::<FeedbackQuery>(json),
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let _ = T::deserialize(&mut reader);
}

pub(super) fn recorder(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(bytes).expect("and written");
    if let Ok(source) = Source::open(file.path()) {
        let _ = source.read(&mut |_| Ok(()));
    }
}
