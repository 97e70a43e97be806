//! A home's side of a masked round, from the delta that training left to the opened shares. Pure: bytes come in, bytes go out; randomness is
//! an argument.
//!
//! What is in here is secret: it lies in the home's own database until the round ends, and nowhere else. Each exchange is answered once;
//! [`Masks`] is written down before the answer is sent.

use hearthwatch_masking::{
    BodyError, Exchange, GroupStart, Home, HomeRefusal, KeyPairs, ShareDelivery, UnmaskRequest, Words, from_bytes,
    to_bytes,
};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::{GroupRequest, MaskExchange, MaskTerms};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

/// What a home holds of a masked round until it ends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masks {
    /// The delta; empty once it was sent under masks.
    words: Words,
    side: Side,
    /// SHA-256 of the body of the newest request that was answered: brokers hand a retained message out again.
    #[serde(with = "serde_bytes")]
    answered: [u8; 32],
}

/// How far the home is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    /// It has no group yet.
    Keys(KeyPairs),
    /// It is in a group.
    Group(Box<Home>),
}

/// A request that was accepted for the home's plan.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// This home.
    pub own: &'a HomeId,
    /// What the plan promised.
    pub terms: &'a MaskTerms,
    /// The request.
    pub request: &'a GroupRequest,
    /// The bytes that it names.
    pub body: &'a [u8],
}

/// Why a request is not answered. Nothing of the home was exposed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasksRefusal {
    /// It was answered before.
    #[error("the request was answered before")]
    Again,
    /// A second group, or an exchange whose turn it is not: a second answer could expose what the first does not.
    #[error("a request of the exchange {found:?} came out of turn: ignored")]
    OutOfTurn {
        /// The request's.
        found: MaskExchange,
    },
    /// Not what the plan promised.
    #[error("the group is not what the plan promised: {0}")]
    Terms(&'static str),
    /// Not within the limits, or nothing that an honest server says.
    #[error(transparent)]
    Home(#[from] HomeRefusal),
    /// Other bytes than a request has.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl MasksRefusal {
    /// Whether the home leaves the round, for no right request can follow. Else it goes on waiting.
    #[must_use]
    pub fn leaves(&self) -> bool {
        !matches!(self, Self::Again | Self::OutOfTurn { .. })
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masks").field("sent", &self.sent()).finish_non_exhaustive()
    }
}

impl Masks {
    /// Draws keys for what training left: little-endian words. With the body of the first answer.
    ///
    /// # Errors
    /// [`MasksRefusal::Terms`] where the bytes are no words, [`MasksRefusal::Home`].
    pub fn begin(delta: &[u8], rng: &mut impl CryptoRng) -> Result<(Self, Vec<u8>), MasksRefusal> {
        let (words, rest) = delta.as_chunks::<2>();
        if !rest.is_empty() || words.is_empty() {
            return Err(MasksRefusal::Terms("what was trained has another form"));
        }
        let words = Words(words.iter().map(|word| u16::from_le_bytes(*word)).collect());
        let keys = KeyPairs::draw(rng);
        let body = to_bytes(&keys.public()?)?;
        Ok((Self { words, side: Side::Keys(keys), answered: [0; 32] }, body))
    }

    /// What the home's newest answer was about.
    #[must_use]
    pub fn sent(&self) -> MaskExchange {
        match &self.side {
            Side::Keys(_) => MaskExchange::Keys,
            Side::Group(home) => match home.next() {
                Exchange::Advertise | Exchange::Share => MaskExchange::Keys,
                Exchange::Mask => MaskExchange::Shares,
                Exchange::Unmask => MaskExchange::Masked,
                Exchange::Done => MaskExchange::Opened,
            },
        }
    }

    /// Homes of the group, once there is one.
    #[must_use]
    pub fn group_homes(&self) -> Option<u32> {
        match &self.side {
            Side::Keys(_) => None,
            Side::Group(home) => u32::try_from(home.plan().homes.len()).ok(),
        }
    }

    /// The body of the answer.
    ///
    /// # Errors
    /// [`MasksRefusal`]; then nothing has changed.
    pub fn answer(&mut self, asked: &Asked<'_>, rng: &mut impl CryptoRng) -> Result<Vec<u8>, MasksRefusal> {
        let request = asked.request;
        if request.file.sha256 == self.answered {
            return Err(MasksRefusal::Again);
        }
        let mut next = self.clone();
        let answer = next.next(asked, rng)?;
        next.answered = request.file.sha256;
        *self = next;
        Ok(answer)
    }

    fn next(&mut self, asked: &Asked<'_>, rng: &mut impl CryptoRng) -> Result<Vec<u8>, MasksRefusal> {
        let Asked { own, terms, request, body } = *asked;
        match (&mut self.side, request.exchange, self.words.0.len()) {
            (Side::Keys(keys), MaskExchange::Shares, words) => {
                let GroupStart { plan, roster } = from_bytes(body)?;
                let homes = plan.homes.len();
                let broken = [
                    ("another round", plan.round != request.round),
                    ("fewer homes", homes < usize::from(terms.group)),
                    ("a lower threshold", plan.threshold < terms.threshold_of(homes)),
                    ("another number of values", usize::try_from(plan.words) != Ok(words)),
                ];
                if let Some((what, _)) = broken.into_iter().find(|(_, broken)| *broken) {
                    return Err(MasksRefusal::Terms(what));
                }
                let mut home = Home::enter(plan, own, keys.clone(), rng)?;
                let shares = home.share_keys(&roster, rng)?;
                self.side = Side::Group(Box::new(home));
                Ok(to_bytes(&shares)?)
            }
            (Side::Group(home), MaskExchange::Masked, _) if home.next() == Exchange::Mask => {
                let delivery: ShareDelivery = from_bytes(body)?;
                let masked = home.mask(&delivery, self.words.clone())?;
                // It is under masks now, and needed no more.
                self.words.0.fill(0);
                self.words = Words(Vec::new());
                Ok(to_bytes(&masked)?)
            }
            (Side::Group(home), MaskExchange::Opened, _) if home.next() == Exchange::Unmask => {
                let request: UnmaskRequest = from_bytes(body)?;
                Ok(to_bytes(&home.unmask(&request)?)?)
            }
            (_, found, _) => Err(MasksRefusal::OutOfTurn { found }),
        }
    }

    /// As it is stored.
    ///
    /// # Errors
    /// None with values of this program.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_cbor::Error> {
        serde_cbor::to_vec(self)
    }

    /// Reads what [`Masks::to_bytes`] wrote; none for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_cbor::from_slice(bytes).ok()
    }
}

#[cfg(test)]
pub(crate) mod tests;
