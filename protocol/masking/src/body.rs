//! What exchanges carry, as bytes (CBOR): written by one side, read by the other before anything of it is believed.

use hearthwatch_protocol::limits::ROUND_BODY_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::agreement::PublicKeys;
use super::messages::{GroupStart, MaskedInput, ShareDelivery, ShareKeys, Unmask, UnmaskRequest};

/// Something that is the body of a message.
pub trait Body: Serialize + DeserializeOwned {}

impl Body for PublicKeys {}
impl Body for GroupStart {}
impl Body for ShareKeys {}
impl Body for ShareDelivery {}
impl Body for MaskedInput {}
impl Body for UnmaskRequest {}
impl Body for Unmask {}

/// Why bytes are no such body, or a body has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than [`ROUND_BODY_BYTES_MAX`]; not parsed at all.
    #[error("a body of {0} bytes, at most {ROUND_BODY_BYTES_MAX} are read")]
    TooLong(usize),
    /// Other fields or values, or something behind them.
    #[error("not what the exchange asks for: {0}")]
    Malformed(String),
}

/// Writes a body.
///
/// # Errors
/// [`BodyError`]; with values of this crate there is none.
pub fn to_bytes(body: &impl Body) -> Result<Vec<u8>, BodyError> {
    let bytes = serde_cbor::to_vec(body).map_err(|error| BodyError::Malformed(error.to_string()))?;
    if bytes.len() > ROUND_BODY_BYTES_MAX { Err(BodyError::TooLong(bytes.len())) } else { Ok(bytes) }
}

/// Reads a body. Whether it fits the group is for [`super::Home`] and [`super::Server`] to say.
///
/// # Errors
/// [`BodyError`]. Never panics, whatever the bytes.
pub fn from_bytes<T: Body>(bytes: &[u8]) -> Result<T, BodyError> {
    if bytes.len() > ROUND_BODY_BYTES_MAX {
        return Err(BodyError::TooLong(bytes.len()));
    }
    serde_cbor::from_slice(bytes).map_err(|error| BodyError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::HomeId;
    use hearthwatch_protocol::limits::{ID_LENGTH_MAX, MASK_GROUP_MAX, ROUND_REQUEST_BYTES_MAX};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::{GROUP_WORDS_MAX, GroupPlan, Home, Server, Words};

    #[test]
    fn the_largest_group_fits_into_the_limits_of_every_message() {
        let name = |home: usize| HomeId::new(format!("{home:0>ID_LENGTH_MAX$}")).unwrap();
        let plan =
            GroupPlan::new(u64::MAX, u32::MAX, [255; 16], (0..MASK_GROUP_MAX).map(name).collect(), GROUP_WORDS_MAX);
        let plan = plan.unwrap();
        let mut server = Server::new(plan.clone()).unwrap();
        let mut homes: Vec<Home> = Vec::new();
        for (place, id) in plan.homes.iter().enumerate() {
            let (home, message) = Home::join(plan.clone(), id, &mut ChaCha20Rng::seed_from_u64(place as u64)).unwrap();
            server.advertise(&message).unwrap();
            homes.push(home);
        }
        let roster = server.close_advertise().unwrap();
        let start = to_bytes(&GroupStart { plan, roster: roster.clone() }).unwrap();
        assert!(start.len() <= ROUND_REQUEST_BYTES_MAX, "{}", start.len());
        assert_eq!(from_bytes::<GroupStart>(&start).unwrap().roster, roster);
        for home in &mut homes {
            let dealt = home.share_keys(&roster, &mut ChaCha20Rng::seed_from_u64(99)).unwrap();
            server.share_keys(from_bytes(&to_bytes(&dealt).unwrap()).unwrap()).unwrap();
        }
        let delivery = server.close_share().unwrap().remove(0);
        let bytes = to_bytes(&delivery).unwrap();
        assert!(bytes.len() <= ROUND_REQUEST_BYTES_MAX, "{}", bytes.len());
        let words = Words(vec![0; GROUP_WORDS_MAX as usize]);
        assert!(to_bytes(&homes[0].mask(&delivery, words).unwrap()).is_ok());
    }

    #[test]
    fn what_is_cut_short_or_goes_on_or_is_too_long_is_refused() {
        let keys = PublicKeys { sealing: [1; 32], masking: [2; 32] };
        let bytes = to_bytes(&keys).unwrap();
        assert_eq!(from_bytes(&bytes), Ok(keys));
        assert!(matches!(from_bytes::<PublicKeys>(&bytes[1..]), Err(BodyError::Malformed(_))));
        assert!(matches!(from_bytes::<PublicKeys>(&[&bytes[..], &[0]].concat()), Err(BodyError::Malformed(_))));
        let long = vec![0; ROUND_BODY_BYTES_MAX + 1];
        assert_eq!(from_bytes::<PublicKeys>(&long), Err(BodyError::TooLong(long.len())));
    }
}
