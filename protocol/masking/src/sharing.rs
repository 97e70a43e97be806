//! Secrets in shares (Shamir 1979), and commitments that show whether a share is the right one.

use blahaj::{Share, Sharks};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::group::{GroupDigest, Place};
use super::secret::Secret;

/// Which secret of a home a share belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// The secret key that masks of pairs come from.
    MaskingKey,
    /// The seed of the mask that the home adds by itself.
    Seed,
}

/// Hashes of a home's two shares of one dealer. A share is 256 random bits to everybody who does not
/// have it, so that its hash does not reveal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareCommitments {
    /// Of the share of the masking key.
    #[serde(with = "serde_bytes")]
    pub masking: [u8; 32],
    /// Of the share of the seed.
    #[serde(with = "serde_bytes")]
    pub seed: [u8; 32],
}

impl ShareCommitments {
    pub(crate) fn of(&self, what: Shared) -> &[u8; 32] {
        match what {
            Shared::MaskingKey => &self.masking,
            Shared::Seed => &self.seed,
        }
    }
}

/// One share for each place below `places`; `threshold` of them give the secret, fewer reveal nothing.
pub fn split(secret: &Secret, threshold: u8, places: usize, rng: &mut impl CryptoRng) -> Vec<Secret> {
    let shares = Sharks(threshold).dealer_rng(&secret.0, rng).take(places);
    // The library writes the point first, which is the place and one; so it is not sent.
    shares.filter_map(|share| <[u8; 32]>::try_from(&Vec::from(&share)[1..]).ok().map(Secret)).collect()
}

/// The secret, from shares with the places that they were made for; none from fewer than `threshold`. Shares that do not belong together
/// give another secret: the caller compares it with what the dealer committed to.
pub fn join<'a>(shares: impl Iterator<Item = (Place, &'a Secret)>, threshold: u8) -> Option<Secret> {
    let shares: Vec<Share> = shares
        .take(usize::from(threshold))
        .filter_map(|(place, share)| {
            let point = [&[place.0.checked_add(1)?][..], &share.0].concat();
            Share::try_from(&point[..]).ok()
        })
        .collect();
    let secret = Sharks(threshold).recover(&shares).ok()?;
    <[u8; 32]>::try_from(&secret[..]).ok().map(Secret)
}

/// Binds a dealer to the share that it made for a holder.
pub fn commitment(group: &GroupDigest, dealer: Place, holder: Place, what: Shared, share: &Secret) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"hearthwatch masking share 1");
    hash.update(group.0);
    hash.update([dealer.0, holder.0, u8::from(what == Shared::Seed)]);
    hash.update(share.0);
    hash.finalize().into()
}

/// Binds a home to its seed. The masking key needs none: its public half is known.
pub fn seed_commitment(group: &GroupDigest, dealer: Place, seed: &Secret) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"hearthwatch masking seed 1");
    hash.update(group.0);
    hash.update([dealer.0]);
    hash.update(seed.0);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    proptest! {
        #[test]
        fn as_many_shares_as_the_threshold_give_the_secret_and_fewer_do_not(bytes: [u8; 32], seed: u64, threshold in 2_u8..=11, skip in 0_usize..5) {
            let secret = Secret(bytes);
            let shares = split(&secret, threshold, 16, &mut ChaCha20Rng::seed_from_u64(seed));
            let some = |count| shares.iter().enumerate().skip(skip).take(count).map(|(place, share)| (Place(place as u8), share));
            prop_assert_eq!(join(some(usize::from(threshold)), threshold), Some(secret));
            prop_assert_eq!(join(some(usize::from(threshold) - 1), threshold), None);
        }
    }
}
