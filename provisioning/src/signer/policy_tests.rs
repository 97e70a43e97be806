//! What is signed, and each thing that is not, with its reason.

use std::collections::HashMap;
use std::num::NonZeroU64;

use tough::schema::{Hashes, Targets};

use super::*;
use crate::fixtures::now;
use crate::signer::message::{GateKey, PromotionVerdict};

fn gate() -> GateKey {
    let dir = tempfile::tempdir().unwrap();
    let (_, private) = crate::ceremony::make_key().unwrap();
    let path = dir.path().join("gate.key");
    crate::files::write_private(&path, &private).unwrap();
    GateKey::load(&path).unwrap()
}

fn empty(version: u64) -> Targets {
    let expires = now() + SignedDuration::from_hours(24 * TARGETS_DAYS);
    let mut targets = Targets::new("1.0.0".to_owned(), NonZeroU64::new(version).unwrap(), expires);
    targets.delegations = None;
    targets
}

fn release(version: u64, content: u8) -> (String, Target) {
    let target = Target {
        length: 1000,
        hashes: Hashes { sha256: vec![content; 32].into(), _extra: HashMap::new() },
        custom: HashMap::from([("model_version".to_owned(), version.into())]),
        _extra: HashMap::new(),
    };
    (target_name(ModelVersion(version)), target)
}

fn with(mut targets: Targets, releases: &[(String, Target)]) -> Targets {
    for (name, target) in releases {
        targets.targets.insert(name.clone().try_into().unwrap(), target.clone());
    }
    targets
}

fn text(targets: &Targets) -> String {
    String::from_utf8(targets.canonical_form().unwrap()).unwrap()
}

fn verdict_on((name, target): &(String, Target), verdict: Judgement) -> PromotionVerdict {
    let model_version = ModelVersion(target.custom["model_version"].as_u64().unwrap());
    let (sha256, length, report_sha256) = (hex::encode(&*target.hashes.sha256), target.length, "ab".repeat(32));
    PromotionVerdict { target: name.clone(), sha256, length, model_version, verdict, report_sha256 }
}

struct Bench {
    gate: GateKey,
    state: State,
}

impl Bench {
    fn new() -> Self {
        Self { gate: gate(), state: State::first(text(&empty(1)).as_bytes()) }
    }

    fn promote(&self, release: &(String, Target)) -> SignedVerdict {
        self.gate.sign(verdict_on(release, Judgement::Promote)).unwrap()
    }

    fn decide(&self, targets: &Targets, verdicts: &[SignedVerdict]) -> Result<State, Refusal> {
        decide(&self.state, &text(targets), verdicts, &self.gate.public(), now())
    }

    /// What comes of asking for these releases after the empty version.
    fn ask(&self, releases: &[(String, Target)], verdicts: &[SignedVerdict]) -> Result<State, Refusal> {
        self.decide(&with(empty(2), releases), verdicts)
    }

    fn released(mut self, versions: std::ops::RangeInclusive<u64>) -> Self {
        let all: Vec<_> = versions.map(|version| release(version, 1)).collect();
        let verdicts: Vec<_> = all.iter().map(|release| self.promote(release)).collect();
        self.state = self.decide(&with(empty(2), &all), &verdicts).unwrap();
        self
    }
}

#[test]
fn a_release_that_the_gate_promoted_is_signed_and_raises_both_versions() {
    let bench = Bench::new();
    let one = release(1, 7);
    let next = bench.ask(std::slice::from_ref(&one), &[bench.promote(&one)]).unwrap();
    assert_eq!((next.version, next.model_version), (2, ModelVersion(1)));
    assert_eq!(State::from_bytes(&next.to_bytes()), Ok(next));
}

#[test]
fn metadata_without_anything_new_are_signed_without_a_verdict() {
    let bench = Bench::new().released(1..=2);
    let next = bench.decide(&with(empty(3), &[release(1, 1), release(2, 1)]), &[]).unwrap();
    assert_eq!((next.version, next.model_version), (3, ModelVersion(2)));
}

#[test]
fn the_very_same_bytes_are_signed_again_because_the_answer_may_be_lost() {
    let mut bench = Bench::new();
    let one = release(1, 7);
    let targets = with(empty(2), std::slice::from_ref(&one));
    bench.state = bench.decide(&targets, &[bench.promote(&one)]).unwrap();
    assert_eq!(bench.decide(&targets, &[]), Ok(bench.state.clone()));
}

#[test]
fn a_release_without_a_verdict_is_refused() {
    let bench = Bench::new();
    let target = "model-1.safetensors".to_owned();
    assert_eq!(bench.ask(&[release(1, 7)], &[]), Err(Refusal::NoVerdict { target }));
}

/// What release 1 is refused for with the verdict that `verdict` makes of the bench.
fn refused(verdict: impl FnOnce(&Bench, &(String, Target)) -> SignedVerdict) -> Refusal {
    let (bench, one) = (Bench::new(), release(1, 7));
    let verdict = verdict(&bench, &one);
    bench.ask(&[one], &[verdict]).unwrap_err()
}

#[test]
fn a_verdict_that_another_key_signed_is_refused() {
    let forged = refused(|_, one| gate().sign(verdict_on(one, Judgement::Promote)).unwrap());
    assert_eq!(forged, Refusal::VerdictSignature { target: "model-1.safetensors".to_owned() });
}

#[test]
fn a_verdict_that_was_edited_after_signing_is_refused() {
    let edited = refused(|bench, one| {
        let mut held = bench.gate.sign(verdict_on(one, Judgement::Hold)).unwrap();
        held.body.verdict = Judgement::Promote;
        held
    });
    assert_eq!(edited, Refusal::VerdictSignature { target: "model-1.safetensors".to_owned() });
}

#[test]
fn a_release_that_the_gate_holds_back_is_refused() {
    let held = refused(|bench, one| bench.gate.sign(verdict_on(one, Judgement::Hold)).unwrap());
    assert_eq!(held, Refusal::NotPromoted { target: "model-1.safetensors".to_owned() });
}

#[test]
fn a_verdict_on_another_file_of_the_same_name_is_refused() {
    let bench = Bench::new();
    let verdict = bench.promote(&release(1, 7));
    let target = "model-1.safetensors".to_owned();
    let refused = bench.ask(&[release(1, 8)], std::slice::from_ref(&verdict));
    assert_eq!(refused, Err(Refusal::VerdictDiffers { target: target.clone(), field: "sha256".to_owned() }));
    let mut longer = release(1, 7);
    longer.1.length += 1;
    let refused = bench.ask(&[longer], &[verdict]);
    assert_eq!(refused, Err(Refusal::VerdictDiffers { target, field: "length".to_owned() }));
}

#[test]
fn a_version_is_one_more_than_the_last_and_nothing_else() {
    let bench = Bench::new().released(1..=1);
    for asked in [1, 2, 4, u64::MAX] {
        assert_eq!(bench.decide(&empty(asked), &[]), Err(Refusal::Version { last: 2, asked }), "{asked}");
    }
}

#[test]
fn a_released_file_never_changes_its_content() {
    let bench = Bench::new().released(1..=1);
    let other = release(1, 9);
    let verdict = bench.promote(&other);
    let target = other.0.clone();
    assert_eq!(bench.decide(&with(empty(3), &[other]), &[verdict]), Err(Refusal::Changed { target }));
}

#[test]
fn what_is_said_about_a_released_file_changes_only_with_a_verdict() {
    let bench = Bench::new().released(1..=1);
    let mut told = release(1, 1);
    told.1.custom.insert("weights_id".to_owned(), "abc".into());
    let target = told.0.clone();
    let targets = with(empty(3), std::slice::from_ref(&told));
    assert_eq!(bench.decide(&targets, &[]), Err(Refusal::NoVerdict { target }));
    bench.decide(&targets, &[bench.promote(&told)]).unwrap();
}

#[test]
fn a_withdrawn_release_cannot_come_back_as_new() {
    let mut bench = Bench::new().released(1..=2);
    bench.state = bench.decide(&with(empty(3), &[release(1, 1)]), &[]).expect("a release may be withdrawn");
    let two = release(2, 1);
    let verdict = bench.promote(&two);
    let refused = bench.decide(&with(empty(4), &[release(1, 1), two]), &[verdict]);
    assert_eq!(refused, Err(Refusal::ModelVersion { target: "model-2.safetensors".to_owned(), highest: 2 }));
}

#[test]
fn a_name_that_disagrees_with_its_version_or_leaves_the_directory_is_refused() {
    let bench = Bench::new();
    let (_, target) = release(1, 7);
    for name in ["model-2.safetensors", "model-01.safetensors", "a/model-1.safetensors", "firmware.bin"] {
        let refused = bench.ask(&[(name.to_owned(), target.clone())], &[]);
        assert_eq!(refused, Err(Refusal::TargetName { target: name.to_owned() }));
    }
    let mut silent = release(1, 7);
    silent.1.custom.clear();
    let target = silent.0.clone();
    assert_eq!(bench.ask(&[silent], &[]), Err(Refusal::TargetName { target }));
}

#[test]
fn a_file_that_no_agent_would_take_is_refused() {
    let bench = Bench::new();
    let mut huge = release(1, 7);
    huge.1.length = ARTIFACT_BYTES_MAX + 1;
    let (target, length) = (huge.0.clone(), huge.1.length);
    assert_eq!(bench.ask(&[huge], &[]), Err(Refusal::TargetSize { target, length }));
}

#[test]
fn bytes_that_are_not_the_canonical_form_are_refused() {
    let bench = Bench::new();
    let ask = |text: &str| decide(&bench.state, text, &[], &bench.gate.public(), now());
    let plain = text(&empty(2));
    assert_eq!(ask(&format!("{plain} ")), Err(Refusal::NotCanonical));
    let twice = plain.replacen("\"version\":2", "\"version\":2,\"x\":1", 1);
    assert_eq!(ask(&twice), Err(Refusal::Unexpected("members of their own".to_owned())));
    assert!(matches!(ask("{}"), Err(Refusal::NotTargets(_))));
    let snapshot = plain.replace("\"_type\":\"targets\"", "\"_type\":\"snapshot\"");
    assert!(matches!(ask(&snapshot), Err(Refusal::NotTargets(_) | Refusal::NotCanonical)));
}

#[test]
fn delegations_are_refused() {
    let bench = Bench::new();
    let delegated = text(&empty(2)).replacen(
        "\"expires\"",
        "\"delegations\":{\"keys\":{},\"roles\":[{\"keyids\":[],\"name\":\"x\",\"paths\":[\"*\"],\"terminating\":false,\
         \"threshold\":1}]},\"expires\"",
        1,
    );
    let refused = decide(&bench.state, &delegated, &[], &bench.gate.public(), now());
    assert_eq!(refused, Err(Refusal::Unexpected("delegations".to_owned())));
}

#[test]
fn an_expiry_in_the_past_too_far_ahead_or_in_fractions_is_refused() {
    let bench = Bench::new();
    for expires in ["2026-03-01T12:00:00Z", "2027-03-01T12:00:00Z", "2026-04-01T12:00:00.5Z"] {
        let mut targets = empty(2);
        targets.expires = expires.parse().unwrap();
        let refused = bench.decide(&targets, &[]);
        assert_eq!(refused, Err(Refusal::Expiry { expires: expires.to_owned(), days_max: 181 }), "{expires}");
    }
}

#[test]
fn too_much_is_refused_unread() {
    let bench = Bench::new();
    let long = "x".repeat(TARGETS_BYTES_MAX + 1);
    let refused = decide(&bench.state, &long, &[], &bench.gate.public(), now());
    assert_eq!(refused, Err(Refusal::TooLarge { found: TARGETS_BYTES_MAX as u64 + 1 }));
    let many = vec![bench.promote(&release(1, 7)); VERDICTS_MAX + 1];
    assert_eq!(bench.decide(&empty(2), &many), Err(Refusal::TooManyVerdicts { found: VERDICTS_MAX as u64 + 1 }));
}

#[test]
fn the_gate_signs_no_verdict_that_could_be_read_two_ways() {
    let bench = Bench::new();
    let good = verdict_on(&release(1, 7), Judgement::Promote);
    for bad in [
        PromotionVerdict { target: "model-1.safetensors\nx".to_owned(), ..good.clone() },
        PromotionVerdict { model_version: ModelVersion(2), ..good.clone() },
        PromotionVerdict { sha256: "AB".repeat(32), ..good.clone() },
        PromotionVerdict { report_sha256: "ab".repeat(31), ..good.clone() },
    ] {
        assert_eq!(bench.gate.sign(bad.clone()), None, "{bad:?}");
    }
}
