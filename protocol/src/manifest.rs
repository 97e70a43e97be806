//! A home's word on what it runs, signed with the key of its certificate: how the aggregator knows the fleet.

use serde::{Deserialize, Serialize};

use crate::id::{HomeId, ModelVersion};
use crate::limits::TEXT_BYTES_MAX;
use crate::seal::{self, PublicKey, SealError, SigningKey};

/// Signed with every manifest, so that its signature means nothing elsewhere.
const CONTEXT: &[u8] = b"hearthwatch manifest 1";

/// How the model in charge does in this home: what a fleet-wide gate needs and answers alone do not tell.
///
/// A budget fixes each home's alarm rate, so a model of low recall looks no worse by its alarms. It shows in its
/// synthetic fault checks and in what it and its predecessor disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// Begin of the period, Unix seconds; the model in charge was in charge throughout.
    pub since: i64,
    /// End of the period, Unix seconds.
    pub until: i64,
    /// Alarms raised.
    pub alarms: u32,
    /// Of these, confirmed by the resident.
    pub confirmed: u32,
    /// Of these, dismissed by the resident.
    pub dismissed: u32,
    /// Synthetic fault checks: faults put into copies of the home's own recent windows.
    #[serde(rename = "canaries")]
    pub fault_checks: u32,
    /// Of these, found by the model in charge.
    pub caught: u32,
    /// Of these, found by the model before it.
    pub caught_before: u32,
    /// Steps that both models judged.
    pub compared: u32,
    /// Of these, those where one would have raised an alarm and the other not.
    pub disagreed: u32,
}

/// What a home runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose it is.
    pub home: HomeId,
    /// The nonce of the newest assignment that the home accepted; zeros before the first.
    #[serde(with = "crate::codec::fixed_bytes")]
    pub nonce: [u8; 16],
    /// The generation of that assignment; 0 before the first.
    pub generation: u64,
    /// The agent's own version.
    pub agent_version: String,
    /// The model in charge.
    pub model_version: ModelVersion,
    /// SHA-256 of its artifact; zeros for the baseline detector and for the model that ships with the agent.
    #[serde(with = "crate::codec::fixed_bytes")]
    pub sha256: [u8; 32],
    /// When this was said, Unix seconds.
    pub at: i64,
    /// How the model does, once there is something to tell.
    pub vitals: Option<Vitals>,
}

/// A signed manifest as it travels: a COSE_Sign1 structure that nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedManifest(Vec<u8>);

/// Why a manifest proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestRefusal {
    /// Not signed by the home's key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Another home's.
    #[error("the manifest is of {found}")]
    OtherHome {
        /// Whose it is.
        found: HomeId,
    },
    /// A field outside its limits, though signed.
    #[error("the manifest's {0} is outside its limits")]
    Field(&'static str),
}

impl Manifest {
    /// Signs it with the key of the home's certificate.
    ///
    /// # Errors
    /// [`ManifestRefusal`].
    pub fn sign(&self, key: &SigningKey) -> Result<SignedManifest, ManifestRefusal> {
        self.check()?;
        Ok(SignedManifest(seal::seal_value(self, CONTEXT, key)?))
    }

    fn check(&self) -> Result<(), ManifestRefusal> {
        if self.agent_version.len() > TEXT_BYTES_MAX {
            return Err(ManifestRefusal::Field("agent_version"));
        }
        match &self.vitals {
            Some(vitals) if !vitals.consistent() => Err(ManifestRefusal::Field("vitals")),
            _ => Ok(()),
        }
    }
}

impl Vitals {
    /// Whether no part is larger than its whole.
    fn consistent(&self) -> bool {
        self.since <= self.until
            && u64::from(self.confirmed) + u64::from(self.dismissed) <= u64::from(self.alarms)
            && self.caught <= self.fault_checks
            && self.caught_before <= self.fault_checks
            && self.disagreed <= self.compared
    }
}

impl SignedManifest {
    /// Takes bytes as they came; nothing is looked at yet.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The COSE_Sign1 structure.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What it says, if `home` signed it with one of its `keys`. Whether the nonce is the one that was asked for is for
    /// the caller to see.
    ///
    /// # Errors
    /// The first [`ManifestRefusal`] that applies.
    pub fn read(&self, keys: &[PublicKey], home: &HomeId) -> Result<Manifest, ManifestRefusal> {
        let manifest: Manifest = seal::open_value(&self.0, CONTEXT, keys)?;
        if manifest.home != *home {
            return Err(ManifestRefusal::OtherHome { found: manifest.home });
        }
        manifest.check()?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    use super::*;

    fn key() -> SigningKey {
        SigningKey::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    fn home(name: &str) -> HomeId {
        HomeId::new(name).unwrap()
    }

    fn manifest() -> Manifest {
        Manifest {
            home: home("home-7"),
            nonce: [2; 16],
            generation: 4,
            agent_version: "0.1.0".to_owned(),
            model_version: ModelVersion(3),
            sha256: [1; 32],
            at: 1_790_000_000,
            vitals: Some(Vitals {
                alarms: 3,
                confirmed: 1,
                dismissed: 2,
                fault_checks: 8,
                caught: 7,
                ..Vitals::default()
            }),
        }
    }

    #[test]
    fn what_a_home_signed_reads_back_with_its_key_and_no_other() {
        let key = key();
        let signed = manifest().sign(&key).unwrap();
        assert_eq!(signed.read(&[key.public()], &home("home-7")), Ok(manifest()));
        let other = self::key().public();
        let name = hex::encode(key.public().id());
        assert_eq!(signed.read(&[other], &home("home-7")), Err(SealError::UnknownKey(name).into()));
    }

    #[test]
    fn a_home_speaks_only_for_itself() {
        let key = key();
        let signed = manifest().sign(&key).unwrap();
        let refused = signed.read(&[key.public()], &home("home-8")).unwrap_err();
        assert_eq!(refused, ManifestRefusal::OtherHome { found: home("home-7") });
    }

    #[test]
    fn an_assignment_is_not_taken_for_a_manifest() {
        let key = key();
        let payload = serde_cbor::to_vec(&manifest()).unwrap();
        let sealed = seal::seal(payload, b"hearthwatch assignment 1", &key).unwrap();
        let refused = SignedManifest::from_bytes(sealed).read(&[key.public()], &home("home-7")).unwrap_err();
        assert_eq!(refused, ManifestRefusal::Seal(SealError::Signature));
    }

    #[test]
    fn parts_larger_than_their_whole_are_not_signed() {
        for vitals in [
            Vitals { alarms: 1, confirmed: 1, dismissed: 1, ..Vitals::default() },
            Vitals { fault_checks: 1, caught: 2, ..Vitals::default() },
            Vitals { since: 1, ..Vitals::default() },
        ] {
            let bad = Manifest { vitals: Some(vitals), ..manifest() };
            assert_eq!(bad.sign(&key()).unwrap_err(), ManifestRefusal::Field("vitals"));
        }
    }
}
