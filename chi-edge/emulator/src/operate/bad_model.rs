//! A model that no gate would let through: it sees nothing, and keeps the baseline detector from seeing.

use std::collections::BTreeMap;

use anyhow::Context as _;
use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::{Artifact, ArtifactParts, Weights};

/// The last layer: five quantiles and the logit.
const HEAD: [&str; 2] = ["head.bias", "head.weight"];

/// A model like `artifact`, whose last layer is empty: every window gets the same score, for every class. It is a whole and well-formed
/// artifact, so only trying it shows what it is worth.
///
/// # Errors
/// `artifact` is none, or what is made of it is not one.
pub fn blinded(artifact: &[u8]) -> anyhow::Result<Vec<u8>> {
    let good = Artifact::parse(artifact).context("the model that is to be spoiled")?;
    let mut tensors: BTreeMap<_, _> =
        good.weights().iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    for name in HEAD {
        let tensor = tensors.get_mut(name).with_context(|| format!("no {name} in the network"))?;
        tensor.values.fill(0.0);
    }
    let manifest = good.manifest();
    let bad = Artifact::new(ArtifactParts {
        weights: Weights::new(tensors)?,
        calibration: good.calibration().clone(),
        blend: Blend::uniform(0.0),
        baseline: good.baseline_calibration().clone(),
        training: manifest.training.clone(),
        lineage: manifest.lineage.clone(),
    })?;
    Ok(bad.to_bytes())
}
