//! Signed statements: COSE_Sign1 (RFC 9052) over the very bytes that travel.
//!
//! Two algorithms and no negotiation: EdDSA with ed25519 (RFC 8032) for the director, ES256 (P-256, SHA-256) for homes, whose
//! certificate keys are P-256. Each kind of statement has a context that is signed with it, so that a signature means
//! nothing elsewhere. Nothing in here knows a clock or a file; keys come in as bytes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use coset::{Algorithm, CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::limits::SEALED_BYTES_MAX;

/// Bytes of a key's name in a header: enough to tell a handful of keys apart; trust comes from the signature.
const KEY_ID_BYTES: usize = 8;

/// Why a text or file is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an ed25519 or P-256 private key in PKCS#8.
    #[error("not an ed25519 or P-256 private key (PKCS#8 DER)")]
    Private,
    /// Not `ed25519:HEX` or `p256:HEX`.
    #[error("a public key is written ed25519:HEX (32 bytes) or p256:HEX (65 bytes, uncompressed point)")]
    Public,
}

/// A key that signs. `Debug` shows only its public half.
pub enum SigningKey {
    /// The director's kind.
    Ed25519(Box<Ed25519KeyPair>),
    /// The homes' kind.
    P256(Box<EcdsaKeyPair>),
}

impl SigningKey {
    /// Reads a private key, PKCS#8 DER.
    ///
    /// # Errors
    /// [`KeyError::Private`] for anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = Ed25519KeyPair::from_pkcs8(der) {
            return Ok(Self::Ed25519(Box::new(key)));
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map(|key| Self::P256(Box::new(key)))
            .map_err(|_| KeyError::Private)
    }

    /// The half that may be known.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let fits = "a key pair of ours has a public key of its kind's length";
        match self {
            Self::Ed25519(key) => PublicKey::Ed25519(key.public_key().as_ref().try_into().expect(fits)),
            Self::P256(key) => PublicKey::P256(key.public_key().as_ref().try_into().expect(fits)),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Self::P256(key) => key
                .sign(&SystemRandom::new(), message)
                .map(|made| made.as_ref().to_vec())
                .map_err(|_| SealError::Signing),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// A key that verifies. Written `ed25519:HEX` or `p256:HEX`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublicKey {
    /// 32 bytes (RFC 8032).
    Ed25519([u8; 32]),
    /// The uncompressed point (SEC 1).
    P256([u8; 65]),
}

impl PublicKey {
    /// What a header calls it: the first bytes of the key's SHA-256.
    #[must_use]
    pub fn id(&self) -> [u8; KEY_ID_BYTES] {
        let digest = Sha256::digest(self.as_bytes());
        std::array::from_fn(|index| digest[index])
    }

    /// The key's bytes without its kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::P256(bytes) => bytes,
        }
    }

    fn algorithm(&self) -> iana::Algorithm {
        match self {
            Self::Ed25519(_) => iana::Algorithm::EdDSA,
            Self::P256(_) => iana::Algorithm::ES256,
        }
    }

    fn verifies(&self, signature: &[u8], message: &[u8]) -> bool {
        match self {
            Self::Ed25519(bytes) => UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature).is_ok(),
            Self::P256(bytes) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).verify(message, signature).is_ok()
            }
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Ed25519(_) => "ed25519",
            Self::P256(_) => "p256",
        };
        write!(f, "{kind}:{}", hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (kind, digits) = text.split_once(':').ok_or(KeyError::Public)?;
        let bytes = hex::decode(digits).map_err(|_| KeyError::Public)?;
        match kind {
            "ed25519" => bytes.try_into().map(Self::Ed25519).map_err(|_| KeyError::Public),
            "p256" if bytes.first() == Some(&4) => bytes.try_into().map(Self::P256).map_err(|_| KeyError::Public),
            _ => Err(KeyError::Public),
        }
    }
}

/// Most keys in a file of trusted keys: the one in use, and others while they change.
pub const TRUSTED_KEYS_MAX: usize = 4;

/// Reads a file of trusted keys: one public key a line, empty lines and `#` comments left out.
///
/// # Errors
/// [`KeyError::Public`] when a line is no key, there is none, or there are more than [`TRUSTED_KEYS_MAX`].
pub fn trusted_keys(text: &str) -> Result<Vec<PublicKey>, KeyError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(PublicKey::from_str).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() || keys.len() > TRUSTED_KEYS_MAX { Err(KeyError::Public) } else { Ok(keys) }
}

/// Why bytes are not a statement of somebody who is trusted. The order of the variants is the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More than [`SEALED_BYTES_MAX`]; not parsed at all.
    #[error("a signed statement of {found} bytes, at most {SEALED_BYTES_MAX} are read")]
    TooLarge {
        /// Length of the statement, in bytes.
        found: usize,
    },
    /// Not a COSE_Sign1 structure.
    #[error("not a COSE_Sign1 structure: {0}")]
    NotCose(String),
    /// Headers that ask for more than is understood here.
    #[error("critical headers are not understood here")]
    Critical,
    /// Nothing was signed.
    #[error("the statement has no payload")]
    NoPayload,
    /// A key that is not trusted.
    #[error("signed by the key {0}, which is not trusted here")]
    UnknownKey(String),
    /// Another algorithm than the key's.
    #[error("the algorithm is not that of the key")]
    Algorithm,
    /// The signature is not the key's over these bytes in this context.
    #[error("the signature does not verify")]
    Signature,
    /// Signed, and still not what it should be.
    #[error("the payload is not usable: {0}")]
    Payload(String),
    /// The library could not sign.
    #[error("cannot sign")]
    Signing,
}

/// Signs `payload` in `context`; the result is a COSE_Sign1 structure.
///
/// # Errors
/// [`SealError::Signing`] or [`SealError::TooLarge`].
pub fn seal(payload: Vec<u8>, context: &[u8], key: &SigningKey) -> Result<Vec<u8>, SealError> {
    let public = key.public();
    let protected = HeaderBuilder::new().algorithm(public.algorithm()).key_id(public.id().to_vec()).build();
    let sealed = CoseSign1Builder::new()
        .protected(protected)
        .payload(payload)
        .try_create_signature(context, |message| key.sign(message))?
        .build();
    let bytes = sealed.to_vec().map_err(|error| SealError::NotCose(error.to_string()))?;
    if bytes.len() > SEALED_BYTES_MAX { Err(SealError::TooLarge { found: bytes.len() }) } else { Ok(bytes) }
}

/// The payload of `bytes`, if one of the `trusted` keys signed it in `context`.
///
/// # Errors
/// [`SealError`], one variant for each way to be wrong. Never panics, whatever the bytes.
pub fn open(bytes: &[u8], context: &[u8], trusted: &[PublicKey]) -> Result<Vec<u8>, SealError> {
    if bytes.len() > SEALED_BYTES_MAX {
        return Err(SealError::TooLarge { found: bytes.len() });
    }
    let sealed = CoseSign1::from_slice(bytes).map_err(|error| SealError::NotCose(error.to_string()))?;
    let header = &sealed.protected.header;
    if !header.crit.is_empty() || !sealed.unprotected.crit.is_empty() {
        return Err(SealError::Critical);
    }
    if sealed.payload.is_none() {
        return Err(SealError::NoPayload);
    }
    // Only what is protected counts: a name in the other header could be changed on the way.
    let unknown = || SealError::UnknownKey(hex::encode(&header.key_id[..header.key_id.len().min(KEY_ID_BYTES)]));
    let key = trusted.iter().find(|key| key.id()[..] == header.key_id[..]).ok_or_else(unknown)?;
    if header.alg != Some(Algorithm::Assigned(key.algorithm())) {
        return Err(SealError::Algorithm);
    }
    sealed.verify_signature(context, |signature, message| {
        if key.verifies(signature, message) { Ok(()) } else { Err(SealError::Signature) }
    })?;
    sealed.payload.ok_or(SealError::NoPayload)
}

/// [`seal`]s a statement as CBOR.
///
/// # Errors
/// [`SealError`].
pub(crate) fn seal_value(value: &impl Serialize, context: &[u8], key: &SigningKey) -> Result<Vec<u8>, SealError> {
    let payload = serde_cbor::to_vec(value).map_err(|error| SealError::Payload(error.to_string()))?;
    seal(payload, context, key)
}

/// [`open`]s a statement that [`seal_value`] sealed.
///
/// # Errors
/// The first [`SealError`] that applies.
pub(crate) fn open_value<T: DeserializeOwned>(
    bytes: &[u8],
    context: &[u8],
    keys: &[PublicKey],
) -> Result<T, SealError> {
    let payload = open(bytes, context, keys)?;
    serde_cbor::from_slice(&payload).map_err(|error| SealError::Payload(error.to_string()))
}

#[cfg(test)]
mod tests;
