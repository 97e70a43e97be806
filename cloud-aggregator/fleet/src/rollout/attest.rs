//! What the fleet runs, as far as it is proven: a home's signed manifest held against the order that it was given.

use hearthwatch_protocol::manifest::Manifest;
use hearthwatch_protocol::seal::PublicKey;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::rollouts::{AssignmentRow, ManifestRow};
use strum::IntoStaticStr;

/// What is proven about one home.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Attestation {
    /// It never said what it runs.
    Silent,
    /// What it said is not signed by a key that was certified for it, or is not usable.
    Unproven(String),
    /// Signed, but before the newest order reached it.
    Behind {
        /// What it ran then.
        runs: ModelVersion,
    },
    /// Signed with the newest order's nonce, and running something else: it refused, went back, or its owner decided.
    Differs {
        /// What it runs, by its own signed word.
        runs: ModelVersion,
    },
    /// Signed with the newest order's nonce, running what it was ordered to.
    Attested {
        /// Version that it was ordered to run and does.
        runs: ModelVersion,
    },
}

impl Attestation {
    /// The word for it in the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// What is proven to run there.
    #[must_use]
    pub fn runs(&self) -> Option<ModelVersion> {
        match self {
            Self::Silent | Self::Unproven(_) => None,
            Self::Behind { runs } | Self::Differs { runs } | Self::Attested { runs } => Some(*runs),
        }
    }
}

/// Judges what `home` said against its newest `assignment`. `keys` are those that were certified for it. The second value
/// is the manifest, if it is the home's.
#[must_use]
pub fn attest(
    home: &HomeId,
    assignment: Option<&AssignmentRow>,
    manifest: Option<&ManifestRow>,
    keys: &[PublicKey],
) -> (Attestation, Option<Manifest>) {
    let Some(row) = manifest else { return (Attestation::Silent, None) };
    let manifest = match row.signed.read_of(home, keys) {
        Ok(manifest) => manifest,
        Err(error) => return (Attestation::Unproven(error.to_string()), None),
    };
    let runs = manifest.model_version;
    let attestation = match assignment {
        Some(order) if order.nonce != manifest.nonce || order.generation != manifest.generation => {
            Attestation::Behind { runs }
        }
        Some(order) if order.model_version != runs => Attestation::Differs { runs },
        Some(_) | None => Attestation::Attested { runs },
    };
    (attestation, Some(manifest))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use hearthwatch_protocol::assignment::SignedAssignment;
    use hearthwatch_protocol::seal::SigningKey;
    use hearthwatch_protocol::statement::Statement as _;
    use hearthwatch_store::fixtures::home;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
    }

    fn said(model_version: u64, generation: u64, nonce: u8) -> ManifestRow {
        let (home, nonce, agent_version) = (home("a"), [nonce; 16], "0.1.0".to_owned());
        let (model_version, sha256) = (ModelVersion(model_version), [0; 32]);
        let manifest = Manifest { home, nonce, generation, agent_version, model_version, sha256, at: 1, vitals: None };
        ManifestRow { home: manifest.home.clone(), signed: manifest.sign(&key(1)).unwrap(), heard_at: 1 }
    }

    fn order() -> AssignmentRow {
        let (home, model_version, nonce) = (home("a"), ModelVersion(3), [9; 16]);
        let signed = SignedAssignment::from_bytes(Vec::new());
        AssignmentRow { home, generation: 4, model_version, nonce, issued_at: 1, expires_at: 2, signed }
    }

    fn judged(said: &ManifestRow) -> Attestation {
        attest(&home("a"), Some(&order()), Some(said), &[key(1).public()]).0
    }

    #[test]
    fn only_the_newest_orders_nonce_and_model_attest() {
        assert_eq!(judged(&said(3, 4, 9)), Attestation::Attested { runs: ModelVersion(3) });
        assert_eq!(judged(&said(2, 4, 9)), Attestation::Differs { runs: ModelVersion(2) });
        assert_eq!(judged(&said(3, 3, 9)), Attestation::Behind { runs: ModelVersion(3) }, "an older order");
        assert_eq!(judged(&said(3, 4, 8)), Attestation::Behind { runs: ModelVersion(3) }, "a guessed nonce");
        assert_eq!(attest(&home("a"), Some(&order()), None, &[]).0, Attestation::Silent);
    }

    #[test]
    fn a_manifest_signed_by_another_key_proves_nothing() {
        let judged = attest(&home("a"), Some(&order()), Some(&said(3, 4, 9)), &[key(2).public()]).0;
        assert_eq!((judged.as_str(), judged.runs()), ("unproven", None));
    }
}
