//! A home's wish for its next certificate, signed with the key of the one before.
//!
//! It crosses the fleet's pinned HTTPS, not the broker. The signature, not the TLS session, says who asks: a certificate that
//! has run out opens no TLS session any more, and its key can still prove whose it was.

use serde::{Deserialize, Serialize};

use crate::id::HomeId;
use crate::limits::RENEWAL_CSR_BYTES_MAX;
use crate::seal::{self, PublicKey, SealError, SigningKey};

/// Signed with every wish, so that its signature means nothing elsewhere.
const CONTEXT: &[u8] = b"hearthwatch renewal 1";

/// What a home asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The home whose present key signs.
    pub home: HomeId,
    /// PKCS#10 signing request for a new key, PEM.
    pub csr: String,
    /// When, Unix seconds: an old wish is not granted again.
    pub at: i64,
}

/// A signed wish as it travels: a COSE_Sign1 structure that nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRenewal(Vec<u8>);

/// Why a wish proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenewalRefusal {
    /// Not signed by a key of the home's.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Another home's.
    #[error("the renewal is of {found}")]
    OtherHome {
        /// Whose it is.
        found: HomeId,
    },
    /// The signing request is too long.
    #[error("a signing request of {found} bytes, at most {RENEWAL_CSR_BYTES_MAX} fit a signed statement")]
    Csr {
        /// Bytes.
        found: usize,
    },
}

impl Renewal {
    /// Signs it with the key of the home's present certificate.
    ///
    /// # Errors
    /// [`RenewalRefusal`].
    pub fn sign(&self, key: &SigningKey) -> Result<SignedRenewal, RenewalRefusal> {
        self.check()?;
        Ok(SignedRenewal(seal::seal_value(self, CONTEXT, key)?))
    }

    fn check(&self) -> Result<(), RenewalRefusal> {
        let found = self.csr.len();
        if found > RENEWAL_CSR_BYTES_MAX { Err(RenewalRefusal::Csr { found }) } else { Ok(()) }
    }
}

impl SignedRenewal {
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

    /// What it says, if `home` signed it with `key`. Whether it is fresh is for the caller to see.
    ///
    /// # Errors
    /// The first [`RenewalRefusal`] that applies.
    pub fn read(&self, key: PublicKey, home: &HomeId) -> Result<Renewal, RenewalRefusal> {
        let renewal: Renewal = seal::open_value(&self.0, CONTEXT, &[key])?;
        if renewal.home != *home {
            return Err(RenewalRefusal::OtherHome { found: renewal.home });
        }
        renewal.check()?;
        Ok(renewal)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

    use super::*;

    fn key() -> SigningKey {
        SigningKey::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    fn renewal() -> Renewal {
        Renewal { home: HomeId::new("home-7").unwrap(), csr: "a request".to_owned(), at: 1_790_000_000 }
    }

    #[test]
    fn the_bytes_of_a_wish_are_those_of_the_golden_file_and_read_back() {
        // ed25519, whose signatures are the same each time.
        let key = SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()));
        let path = format!("{}/golden/renewal.cose.hex", env!("CARGO_MANIFEST_DIR"));
        let signed = renewal().sign(&key).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, hex::encode(signed.as_bytes()) + "\n").unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert_eq!(hex::encode(signed.as_bytes()), golden.trim(), "differs from {path}");
        let read = SignedRenewal::from_bytes(hex::decode(golden.trim()).unwrap());
        assert_eq!(read.read(key.public(), &renewal().home), Ok(renewal()));
    }

    #[test]
    fn a_wish_reads_back_with_the_key_that_signed_it_and_no_other() {
        let key = key();
        let signed = renewal().sign(&key).unwrap();
        assert_eq!(signed.read(key.public(), &renewal().home), Ok(renewal()));
        let unknown = SealError::UnknownKey(hex::encode(key.public().id()));
        assert_eq!(signed.read(self::key().public(), &renewal().home), Err(unknown.into()));
    }

    #[test]
    fn a_home_asks_only_for_itself() {
        let key = key();
        let signed = renewal().sign(&key).unwrap();
        let refused = signed.read(key.public(), &HomeId::new("home-8").unwrap()).unwrap_err();
        assert_eq!(refused, RenewalRefusal::OtherHome { found: renewal().home });
    }

    #[test]
    fn a_manifests_signature_is_no_wish() {
        let key = key();
        let sealed = seal::seal(serde_cbor::to_vec(&renewal()).unwrap(), b"hearthwatch manifest 1", &key).unwrap();
        let refused = SignedRenewal::from_bytes(sealed).read(key.public(), &renewal().home).unwrap_err();
        assert_eq!(refused, RenewalRefusal::Seal(SealError::Signature));
    }

    #[test]
    fn a_request_that_does_not_fit_is_not_signed() {
        let long = Renewal { csr: "x".repeat(RENEWAL_CSR_BYTES_MAX + 1), ..renewal() };
        assert_eq!(long.sign(&key()), Err(RenewalRefusal::Csr { found: RENEWAL_CSR_BYTES_MAX + 1 }));
    }
}
