//! What an artifact says about itself: one JSON document in the container's metadata.

use serde::{Deserialize, Serialize};

use super::QUANTILE_LEVELS;
use super::error::ArtifactError;
use super::layout::{ARCHITECTURE_NAME, CLASS_SLOTS, OUTPUTS, PARAMETER_COUNT};
use crate::alarm::{Blend, Calibration, CalibrationCurve};
use crate::class::DeviceClass;
use crate::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};

/// Newest version of the artifact's layout; a newer one is refused. Version 2 added the blend, version 3 the
/// classes that the network judges.
pub const ARTIFACT_FORMAT_VERSION: u32 = 3;

/// What an artifact without anything newer is written as, so that agents of the first version can run it.
const ARTIFACT_FORMAT_FIRST: u32 = 1;

/// What an artifact without a list of classes is written as.
const ARTIFACT_FORMAT_BLEND: u32 = 2;

const FORMAT_NAME: &str = "hearthwatch-model";

/// The manifest: enough to decide whether the artifact can be run here, and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `hearthwatch-model`.
    pub format: String,
    /// The oldest version that has everything that is in it.
    pub format_version: u32,
    /// Must equal [`Architecture::known`].
    pub architecture: Architecture,
    /// Which features its windows hold ([`FEATURE_SCHEMA`]).
    pub feature_schema: u32,
    /// Names of the device classes by index, as the writer numbered them.
    pub classes: Vec<String>,
    /// Thresholds on the network's score.
    pub calibration: Calibration,
    /// Which classes the network judges, and how the baseline score joins its logit.
    #[serde(default, skip_serializing_if = "Blend::is_nothing")]
    pub blend: Blend,
    /// Thresholds on the baseline detector's score, for entities the network does not judge.
    #[serde(rename = "routine")]
    pub baseline: Calibration,
    /// The training run's whole configuration, as the trainer wrote it.
    pub training: serde_json::Value,
    /// What it was made from.
    pub lineage: Lineage,
}

/// The network's name and sizes, spelled out so that a mismatch can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// [`ARCHITECTURE_NAME`].
    pub name: String,
    /// Steps of a window.
    pub window_steps: usize,
    /// Features of a step.
    pub features: usize,
    /// Rows of the class table.
    pub class_slots: usize,
    /// Outputs of a window.
    pub outputs: usize,
    /// Number of parameters.
    pub parameters: usize,
    /// The quantile levels in per mille, so that equality is exact.
    pub quantiles_per_mille: Vec<u32>,
}

impl Architecture {
    /// That of the network which this program runs.
    #[must_use]
    pub fn known() -> Self {
        Self {
            name: ARCHITECTURE_NAME.to_owned(),
            window_steps: WINDOW_STEPS,
            features: FEATURES,
            class_slots: CLASS_SLOTS,
            outputs: OUTPUTS,
            parameters: PARAMETER_COUNT,
            quantiles_per_mille: QUANTILE_LEVELS.iter().map(|level| (level * 1000.0).round() as u32).collect(),
        }
    }
}

/// What a model was made from: enough to find the data again, and no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The recorded homes by role and content hash.
    pub homes: Vec<LineageHome>,
    /// SHA-256 in hex over the feedback examples, when there were any.
    pub feedback: Option<String>,
    /// Number of feedback examples.
    pub feedback_examples: usize,
    /// Weights id of the champion it was fine-tuned from.
    pub champion: Option<String>,
}

/// One recorded home of the corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineageHome {
    /// Its set and name, e.g. `citylearn_2022_homes/building-3`.
    pub name: String,
    /// `train`, `calibrate` or `test`.
    pub role: String,
    /// SHA-256 in hex of its readings.
    pub sha256: String,
}

impl Manifest {
    /// A manifest of this program's format.
    #[must_use]
    pub fn new(
        calibration: Calibration,
        blend: Blend,
        baseline: Calibration,
        training: serde_json::Value,
        lineage: Lineage,
    ) -> Self {
        let format_version = if blend.in_charge.is_some() {
            ARTIFACT_FORMAT_VERSION
        } else if blend.is_nothing() {
            ARTIFACT_FORMAT_FIRST
        } else {
            ARTIFACT_FORMAT_BLEND
        };
        Self {
            format: FORMAT_NAME.to_owned(),
            format_version,
            architecture: Architecture::known(),
            feature_schema: FEATURE_SCHEMA,
            classes: DeviceClass::ALL.iter().map(|class| class.as_str().to_owned()).collect(),
            calibration,
            blend,
            baseline,
            training,
            lineage,
        }
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ArtifactError::Manifest`], [`ArtifactError::Format`], [`ArtifactError::Architecture`],
    /// [`ArtifactError::FeatureSchema`], [`ArtifactError::Classes`] or [`ArtifactError::Calibration`].
    pub(super) fn parse(json: &str) -> Result<Self, ArtifactError> {
        // The format is read by itself first: a newer manifest may have fields that this program does not know.
        let format: Format = serde_json::from_str(json).map_err(|error| ArtifactError::Manifest(error.to_string()))?;
        let known = (ARTIFACT_FORMAT_FIRST..=ARTIFACT_FORMAT_VERSION).contains(&format.format_version);
        if format.format != FORMAT_NAME || !known {
            return Err(ArtifactError::Format {
                found: format!("{} {}", format.format, format.format_version),
                expected: format!("{FORMAT_NAME} {ARTIFACT_FORMAT_VERSION}"),
            });
        }
        let manifest: Self = serde_json::from_str(json).map_err(|error| ArtifactError::Manifest(error.to_string()))?;
        let known = Architecture::known();
        if manifest.architecture != known {
            return Err(ArtifactError::Architecture {
                found: format!("{:?}", manifest.architecture),
                expected: format!("{known:?}"),
            });
        }
        if manifest.feature_schema != FEATURE_SCHEMA {
            return Err(ArtifactError::FeatureSchema { found: manifest.feature_schema, expected: FEATURE_SCHEMA });
        }
        check_classes(&manifest.classes)?;
        check_calibration("network", &manifest.calibration)?;
        check_calibration("routine", &manifest.baseline)?;
        if !manifest.blend.is_sound() {
            let fault = format!("weights of the blend must lie between 0 and {}", Blend::WEIGHT_MAX);
            return Err(ArtifactError::Calibration { which: "network", fault });
        }
        Ok(manifest)
    }
}

#[derive(Deserialize)]
struct Format {
    format: String,
    format_version: u32,
}

/// Both programs must number the classes alike as far as both know them; either may know more at the end.
fn check_classes(found: &[String]) -> Result<(), ArtifactError> {
    for (index, (found, class)) in found.iter().zip(DeviceClass::ALL).enumerate() {
        if found != class.as_str() {
            return Err(ArtifactError::Classes { index, found: found.clone(), expected: class.as_str().to_owned() });
        }
    }
    Ok(())
}

fn check_calibration(which: &'static str, calibration: &Calibration) -> Result<(), ArtifactError> {
    let fault = |fault: String| ArtifactError::Calibration { which, fault };
    check_curve(&calibration.fallback).map_err(|reason| fault(format!("fallback curve {reason}")))?;
    for (class, curve) in &calibration.classes {
        check_curve(curve).map_err(|reason| fault(format!("curve of {} {reason}", class.as_str())))?;
    }
    Ok(())
}

fn check_curve(curve: &CalibrationCurve) -> Result<(), &'static str> {
    if curve.points.is_empty() {
        return Err("has no points");
    }
    if !curve.points.iter().all(|(rate, threshold)| rate.is_finite() && *rate > 0.0 && threshold.is_finite()) {
        return Err("has a rate that is not positive or a value that is not finite");
    }
    if !curve.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 >= pair[1].1) {
        return Err("must have rising rates and falling thresholds");
    }
    Ok(())
}
