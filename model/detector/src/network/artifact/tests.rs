//! What an artifact must withstand: its own round trip, and every kind of damage.

use std::collections::BTreeMap;

use super::*;
use crate::alarm::CalibrationCurve;
use crate::class::DeviceClass;
use crate::network::{Architecture, initial_weights};

fn calibration() -> Calibration {
    let curve = CalibrationCurve { points: vec![(0.01, 6.0), (0.1, 4.0), (1.0, 1.5)] };
    Calibration { classes: BTreeMap::from([(DeviceClass::Power, curve.clone())]), fallback: curve }
}

fn artifact(seed: u64) -> Artifact {
    Artifact::new(ArtifactParts {
        weights: initial_weights(seed),
        calibration: calibration(),
        blend: Blend::default(),
        baseline: calibration(),
        training: serde_json::json!({"seed": seed}),
        lineage: Lineage::default(),
    })
    .unwrap()
}

/// The same file with its manifest rewritten.
fn with_manifest(bytes: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let manifest = change(&metadata.metadata().as_ref().unwrap()[MANIFEST_KEY]);
    let container = SafeTensors::deserialize(bytes).unwrap();
    let mut views = container.tensors();
    views.sort_by(|left, right| left.0.cmp(&right.0));
    safetensors::serialize(views, Some(HashMap::from([(MANIFEST_KEY.to_owned(), manifest)]))).unwrap()
}

/// The same file with one tensor replaced or (with `None`) left out.
fn with_tensor(bytes: &[u8], name: &str, new: Option<(Dtype, &[usize], &[u8])>) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let container = SafeTensors::deserialize(bytes).unwrap();
    let mut views: Vec<_> = container.tensors().into_iter().filter(|(known, _)| known != name).collect();
    if let Some((dtype, shape, data)) = new {
        views.push((name.to_owned(), TensorView::new(dtype, shape.to_vec(), data).unwrap()));
    }
    safetensors::serialize(views, metadata.metadata().clone()).unwrap()
}

#[test]
fn the_same_content_gives_the_same_bytes_through_every_round_trip() {
    let bytes = artifact(1).to_bytes();
    assert_eq!(bytes, artifact(1).to_bytes());
    let read = Artifact::parse(&bytes).unwrap();
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(read.weights_id(), artifact(1).weights_id());
    assert_eq!(read.calibration(), &calibration());
    assert!(bytes.len() < ARTIFACT_BYTES_MAX / 4);
}

#[test]
fn other_weights_have_another_id_and_other_metadata_does_not() {
    assert_ne!(artifact(1).weights_id(), artifact(2).weights_id());
    let bytes = artifact(1).to_bytes();
    let renamed = with_manifest(&bytes, |json| json.replace("\"seed\":1", "\"seed\":2"));
    assert_ne!(renamed, bytes);
    assert_eq!(Artifact::parse(&renamed).unwrap().weights_id(), artifact(1).weights_id());
}

#[test]
fn refuses_what_is_too_large_before_reading_it() {
    let bytes = vec![0; ARTIFACT_BYTES_MAX + 1];
    assert_eq!(
        Artifact::parse(&bytes).unwrap_err(),
        ArtifactError::TooLarge { length: ARTIFACT_BYTES_MAX + 1, limit: ARTIFACT_BYTES_MAX }
    );
}

#[test]
fn refuses_what_is_no_container() {
    assert!(matches!(Artifact::parse(b"").unwrap_err(), ArtifactError::Structure(_)));
    assert!(matches!(Artifact::parse(&[0xff; 64]).unwrap_err(), ArtifactError::Structure(_)));
}

#[test]
fn refuses_a_container_without_a_manifest() {
    let bytes = artifact(1).to_bytes();
    let container = SafeTensors::deserialize(&bytes).unwrap();
    let bare = safetensors::serialize(container.tensors(), None).unwrap();
    assert_eq!(Artifact::parse(&bare).unwrap_err(), ArtifactError::ManifestMissing);
}

#[test]
fn refuses_a_manifest_by_what_is_wrong_with_it() {
    let bytes = artifact(1).to_bytes();
    let parse = |from: &str, to: &str| {
        Artifact::parse(&with_manifest(&bytes, |json| {
            assert!(json.contains(from), "the manifest holds {from}");
            json.replacen(from, to, 1)
        }))
        .unwrap_err()
    };
    assert!(matches!(parse("{\"format\"", "[\"format\""), ArtifactError::Manifest(_)));
    assert!(matches!(parse("\"lineage\"", "\"ancestry\""), ArtifactError::Manifest(_)));
    assert_eq!(
        parse("\"format_version\":1", "\"format_version\":9"),
        ArtifactError::Format { found: "hearthwatch-model 9".into(), expected: "hearthwatch-model 3".into() }
    );
    assert!(matches!(parse("patch-tree", "oak-tree"), ArtifactError::Architecture { .. }));
    assert_eq!(
        parse("\"feature_schema\":1", "\"feature_schema\":7"),
        ArtifactError::FeatureSchema { found: 7, expected: 1 }
    );
    assert_eq!(
        parse("\"temperature\"", "\"humidity\""),
        ArtifactError::Classes { index: 0, found: "humidity".into(), expected: "temperature".into() }
    );
    assert_eq!(
        parse("[1.0,1.5]", "[1.0,9.5]"),
        ArtifactError::Calibration {
            which: "network",
            fault: "curve of power must have rising rates and falling thresholds".into()
        }
    );
    assert!(matches!(parse("[1.0,1.5]", "[1.0,1e39]"), ArtifactError::Calibration { .. } | ArtifactError::Manifest(_)));
}

#[test]
fn refuses_a_network_that_this_program_does_not_run_by_its_name() {
    // The dilated network that earlier programs could run, as its artifacts say it.
    let renamed = with_manifest(&artifact(1).to_bytes(), |json| {
        json.replace("\"patch-tree\"", "\"cone\"").replace("\"parameters\":29798", "\"parameters\":25926")
    });
    let known = Architecture::known();
    let cone = Architecture { name: "cone".to_owned(), parameters: 25_926, ..known.clone() };
    let error = Artifact::parse(&renamed).unwrap_err();
    assert_eq!(error, ArtifactError::Architecture { found: format!("{cone:?}"), expected: format!("{known:?}") });
    assert!(error.to_string().starts_with("the artifact's architecture is Architecture { name: \"cone\""), "{error}");
}

#[test]
fn refuses_tensors_by_what_is_wrong_with_them() {
    let bytes = artifact(1).to_bytes();
    assert_eq!(
        Artifact::parse(&with_tensor(&bytes, "head.bias", None)).unwrap_err(),
        ArtifactError::Tensors { missing: vec!["head.bias".into()], unexpected: vec![] }
    );
    assert_eq!(
        Artifact::parse(&with_tensor(&bytes, "extra", Some((Dtype::F32, &[1], &[0; 4])))).unwrap_err(),
        ArtifactError::Tensors { missing: vec![], unexpected: vec!["extra".into()] }
    );
    assert_eq!(
        Artifact::parse(&with_tensor(&bytes, "head.bias", Some((Dtype::I32, &[6], &[0; 24])))).unwrap_err(),
        ArtifactError::Dtype { name: "head.bias".into(), found: "I32".into() }
    );
    assert_eq!(
        Artifact::parse(&with_tensor(&bytes, "head.bias", Some((Dtype::F32, &[2, 3], &[0; 24])))).unwrap_err(),
        ArtifactError::Shape { name: "head.bias".into(), found: vec![2, 3], expected: vec![6] }
    );
    let nan = f32::NAN.to_le_bytes().repeat(6);
    assert_eq!(
        Artifact::parse(&with_tensor(&bytes, "head.bias", Some((Dtype::F32, &[6], &nan)))).unwrap_err(),
        ArtifactError::NotFinite { name: "head.bias".into() }
    );
}

#[test]
fn refuses_weights_that_do_not_reproduce_the_golden_outputs() {
    let bytes = artifact(1).to_bytes();
    let shifted = 0.5_f32.to_le_bytes().repeat(6);
    assert!(matches!(
        Artifact::parse(&with_tensor(&bytes, "head.bias", Some((Dtype::F32, &[6], &shifted)))).unwrap_err(),
        ArtifactError::Golden { case: 0, .. }
    ));
}

#[test]
fn no_mutation_of_the_bytes_panics_or_passes_with_other_outputs() {
    const FLIPS: usize = 600;
    let honest = artifact(1);
    let bytes = honest.to_bytes();
    let (windows, classes) = golden_windows();
    let expected = honest.scorer().score(&windows, &classes);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut refused = 0;
    for round in 0..FLIPS {
        let mut damaged = bytes.clone();
        // The header is where a parser can be led astray: half of the damage goes there.
        let range = if round % 2 == 0 { 0..header } else { 0..bytes.len() };
        for _ in 0..=rng.random_range(0..3) {
            let at = rng.random_range(range.clone());
            damaged[at] ^= 1 << rng.random_range(0..8);
        }
        match Artifact::parse(&damaged) {
            Err(_) => refused += 1,
            Ok(survivor) => {
                // Damage in a golden window's or a weight's last bits may pass; it must then not change what is said.
                for (got, expected) in survivor.scorer().score(&windows, &classes).iter().zip(&expected) {
                    assert!((got.logit - expected.logit).abs() <= 0.01 * expected.logit.abs().max(1.0));
                }
            }
        }
    }
    assert!(refused > FLIPS / 4, "only {refused} of {FLIPS} damaged artifacts were refused");
}

#[test]
fn no_truncation_or_extension_is_accepted() {
    let bytes = artifact(1).to_bytes();
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for _ in 0..60 {
        let length = rng.random_range(0..bytes.len());
        assert!(matches!(Artifact::parse(&bytes[..length]).unwrap_err(), ArtifactError::Structure(_)));
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(Artifact::parse(&longer).unwrap_err(), ArtifactError::Structure(_)));
}
