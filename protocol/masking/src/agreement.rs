//! Keys that two homes agree on (X25519, HKDF-SHA-256), and what is sealed with them (ChaCha20-Poly1305).

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use serde::{Deserialize, Serialize};

use super::group::{GroupDigest, Place};
use super::secret::Secret;

/// The public halves of a home's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    /// Shares are sealed for it; its secret never leaves the home.
    #[serde(with = "serde_bytes")]
    pub sealing: [u8; 32],
    /// Masks of pairs come from it; its secret is shared, and put together where the home drops out.
    #[serde(with = "serde_bytes")]
    pub masking: [u8; 32],
}

/// The library refused: a public key of low order, bytes that do not open, or no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKey;

/// The public half of a secret key.
pub fn public(secret: &Secret) -> Result<[u8; 32], NoKey> {
    let key = private(secret)?.compute_public_key().map_err(|_| NoKey)?;
    key.as_ref().try_into().map_err(|_| NoKey)
}

fn private(secret: &Secret) -> Result<PrivateKey, NoKey> {
    PrivateKey::from_private_key(&X25519, &secret.0).map_err(|_| NoKey)
}

/// Length of a derived key, in bytes.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

fn derived(material: &[u8], group: &GroupDigest, purpose: &[&[u8]]) -> Result<Secret, NoKey> {
    let key = Salt::new(HKDF_SHA256, &group.0).extract(material);
    let mut bytes = [0; 32];
    key.expand(purpose, Bytes32).and_then(|derived| derived.fill(&mut bytes)).map_err(|_| NoKey)?;
    Ok(Secret(bytes))
}

/// The seed of the mask that two homes have in common; the same from either side.
pub fn pair_seed(own: &Secret, other: &[u8; 32], group: &GroupDigest) -> Result<Secret, NoKey> {
    agree(&private(own)?, UnparsedPublicKey::new(&X25519, other), NoKey, |shared| {
        derived(shared, group, &[b"pair mask"])
    })
}

/// The seed of the mask that a home adds by itself.
pub fn own_seed(seed: &Secret, group: &GroupDigest) -> Result<Secret, NoKey> {
    derived(&seed.0, group, &[b"own mask"])
}

/// Who seals, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub from: Place,
    pub to: Place,
}

/// The key of one direction between two homes: it seals one message, so the nonce may be fixed.
fn sealing_key(own: &Secret, other: &[u8; 32], group: &GroupDigest, way: Way) -> Result<LessSafeKey, NoKey> {
    let key = agree(&private(own)?, UnparsedPublicKey::new(&X25519, other), NoKey, |shared| {
        derived(shared, group, &[b"shares", &[way.from.0, way.to.0]])
    })?;
    UnboundKey::new(&CHACHA20_POLY1305, &key.0).map(LessSafeKey::new).map_err(|_| NoKey)
}

fn bound_to(group: &GroupDigest, way: Way) -> Aad<Vec<u8>> {
    Aad::from([&group.0[..], &[way.from.0, way.to.0]].concat())
}

/// Seals for the home with the public key `other`.
pub fn seal(own: &Secret, other: &[u8; 32], group: &GroupDigest, way: Way, plain: &[u8]) -> Result<Vec<u8>, NoKey> {
    let mut bytes = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let key = sealing_key(own, other, group, way)?;
    key.seal_in_place_append_tag(nonce, bound_to(group, way), &mut bytes).map_err(|_| NoKey)?;
    Ok(bytes)
}

/// Opens what the home with the public key `other` sealed.
///
/// # Errors
/// [`NoKey`] where that home did not seal it for this group and direction, or something was altered.
pub fn open(own: &Secret, other: &[u8; 32], group: &GroupDigest, way: Way, sealed: &[u8]) -> Result<Vec<u8>, NoKey> {
    let mut bytes = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let key = sealing_key(own, other, group, way)?;
    key.open_in_place(nonce, bound_to(group, way), &mut bytes).map(|plain| plain.to_vec()).map_err(|_| NoKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupDigest = GroupDigest([3; 32]);
    const WAY: Way = Way { from: Place(0), to: Place(1) };

    fn keys() -> [(Secret, [u8; 32]); 2] {
        [1, 2].map(|byte| (Secret([byte; 32]), public(&Secret([byte; 32])).unwrap()))
    }

    #[test]
    fn both_sides_of_a_pair_have_the_same_mask_and_another_group_has_another() {
        let [(one, one_public), (two, two_public)] = keys();
        let seed = pair_seed(&one, &two_public, &GROUP);
        assert_eq!(seed, pair_seed(&two, &one_public, &GROUP));
        assert_ne!(seed, pair_seed(&one, &two_public, &GroupDigest([4; 32])));
    }

    #[test]
    fn what_was_sealed_opens_in_its_group_and_direction_alone() {
        let [(one, one_public), (two, two_public)] = keys();
        let sealed = seal(&one, &two_public, &GROUP, WAY, b"shares").unwrap();
        assert_eq!(open(&two, &one_public, &GROUP, WAY, &sealed).unwrap(), b"shares");
        let back = Way { from: Place(1), to: Place(0) };
        assert_eq!(open(&two, &one_public, &GROUP, back, &sealed), Err(NoKey));
        assert_eq!(open(&two, &one_public, &GroupDigest([4; 32]), WAY, &sealed), Err(NoKey));
        let mut altered = sealed;
        altered[0] ^= 1;
        assert_eq!(open(&two, &one_public, &GROUP, WAY, &altered), Err(NoKey));
    }

    #[test]
    fn a_public_key_of_low_order_is_refused() {
        assert_eq!(pair_seed(&Secret([1; 32]), &[0; 32], &GROUP), Err(NoKey));
    }
}
