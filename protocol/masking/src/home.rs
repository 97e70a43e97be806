//! The home's side: it gives each message once, and never both secrets of anybody.

use std::collections::BTreeMap;

use hearthwatch_protocol::HomeId;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use super::agreement::{self, NoKey, PublicKeys, Way};
use super::group::{GroupDigest, GroupPlan, Place, PlanFault};
use super::messages::{
    AdvertiseKeys, DealtShares, Exchange, MaskedInput, OpenedShare, Roster, SEALED_BYTES, ShareDelivery, ShareFrom,
    ShareKeys, Unmask, UnmaskRequest,
};
use super::secret::Secret;
use super::sharing::{self, ShareCommitments, Shared};
use super::words::{Sign, Words};

/// Why a home does not answer a message. Nothing of the home was exposed, and it still waits for the right message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HomeRefusal {
    /// The plan is outside the limits.
    #[error(transparent)]
    Plan(#[from] PlanFault),
    /// The plan does not list this home, or the message is for another one.
    #[error("the plan or message is for other homes: do not take part")]
    NotThisHome,
    /// A message of another round or group.
    #[error("the message belongs to another group: ignore it")]
    OtherGroup,
    /// Repeated, or out of turn: a second answer could expose what the first does not.
    #[error("a message of the exchange {found:?} came while this home waits for {expected:?}: ignore it")]
    OutOfTurn {
        /// Of the message.
        found: Exchange,
        /// What this home waits for.
        expected: Exchange,
    },
    /// The message is not what an honest server makes of the messages of honest homes.
    #[error("the server's message is wrong: {0}; leave the group if no right one comes")]
    Wrong(&'static str),
    /// Going on with so few could expose single homes.
    #[error("{found} homes take part, {needed} are needed: leave the group if no other message comes")]
    TooFew {
        /// Homes that take part.
        found: usize,
        /// The plan's threshold.
        needed: usize,
    },
    /// Not the number that the plan asks for.
    #[error("{found} words, the plan asks for {expected}: train the network that the plan means")]
    Words {
        /// Words that the caller gave.
        found: usize,
        /// Words that the plan asks for.
        expected: u32,
    },
    /// The cryptographic library refused a key.
    #[error("a key of the group cannot be used: leave the group")]
    Key,
}

impl From<NoKey> for HomeRefusal {
    fn from(_: NoKey) -> Self {
        Self::Key
    }
}

/// A home's two keys before it knows its group, new for each round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPairs {
    sealing: Secret,
    masking: Secret,
}

impl KeyPairs {
    /// Draws them.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        Self { sealing: Secret::draw(rng), masking: Secret::draw(rng) }
    }

    /// The halves that everybody may know.
    ///
    /// # Errors
    /// [`HomeRefusal::Key`].
    pub fn public(&self) -> Result<PublicKeys, HomeRefusal> {
        Ok(PublicKeys { sealing: agreement::public(&self.sealing)?, masking: agreement::public(&self.masking)? })
    }
}

/// One home in one group.
///
/// A value that was written with serde and read again goes on where it stopped. It holds the home's secrets: only the home's own disk may
/// have it. Write it before the message that it gave is sent: a home that forgot a message and makes another one could expose its words.
/// A message is given once: where it is lost, the home drops out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    plan: GroupPlan,
    group: GroupDigest,
    own: Place,
    sealing: Secret,
    masking: Secret,
    seed: Secret,
    /// The exchange whose message the home gives next.
    next: Exchange,
    roster: BTreeMap<Place, PublicKeys>,
    /// Shares by dealer; none where they could not be used.
    held: BTreeMap<Place, Option<Held>>,
}

/// Shares of one dealer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    masking: Secret,
    seed: Secret,
}

impl Home {
    /// Takes part; the message opens the first exchange.
    ///
    /// # Errors
    /// [`HomeRefusal::Plan`], [`HomeRefusal::NotThisHome`], [`HomeRefusal::Key`].
    pub fn join(
        plan: GroupPlan,
        home: &HomeId,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, AdvertiseKeys), HomeRefusal> {
        let keys = KeyPairs::draw(rng);
        let home = Self::enter(plan, home, keys, rng)?;
        let keys = home.roster.get(&home.own).copied().ok_or(HomeRefusal::NotThisHome)?;
        let message = AdvertiseKeys { group: home.group, from: home.own, keys };
        Ok((home, message))
    }

    /// Takes part with keys that were advertised before there was a group.
    ///
    /// # Errors
    /// [`HomeRefusal::Plan`], [`HomeRefusal::NotThisHome`], [`HomeRefusal::Key`].
    pub fn enter(
        plan: GroupPlan,
        home: &HomeId,
        keys: KeyPairs,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, HomeRefusal> {
        plan.check()?;
        let own = plan.place(home).ok_or(HomeRefusal::NotThisHome)?;
        let group = plan.digest();
        let roster = BTreeMap::from([(own, keys.public()?)]);
        let (KeyPairs { sealing, masking }, seed) = (keys, Secret::draw(rng));
        let next = Exchange::Share;
        Ok(Self { plan, group, own, sealing, masking, seed, next, roster, held: BTreeMap::new() })
    }

    /// Deals out shares of its secrets. The caller has checked who signed the keys of the roster.
    ///
    /// # Errors
    /// [`HomeRefusal`].
    pub fn share_keys(&mut self, roster: &Roster, rng: &mut impl CryptoRng) -> Result<ShareKeys, HomeRefusal> {
        self.expect(&roster.group, Exchange::Share)?;
        let keys: BTreeMap<Place, PublicKeys> = roster.keys.iter().copied().collect();
        self.check_list(roster.keys.iter().map(|(place, _)| *place))?;
        if keys.get(&self.own) != self.roster.get(&self.own) {
            return Err(HomeRefusal::Wrong("the roster has other keys for this home"));
        }
        let mut all: Vec<&[u8; 32]> = keys.values().flat_map(|keys| [&keys.sealing, &keys.masking]).collect();
        all.sort_unstable();
        if !all.is_sorted_by(|left, right| left < right) {
            return Err(HomeRefusal::Wrong("a key is in the roster twice"));
        }
        let (threshold, homes) = (self.plan.threshold, self.plan.homes.len());
        let of_masking = sharing::split(&self.masking, threshold, homes, rng);
        let of_seed = sharing::split(&self.seed, threshold, homes, rng);
        let mut shares = Vec::with_capacity(keys.len());
        for (to, other) in &keys {
            let at = usize::from(to.0);
            let (Some(masking), Some(seed)) = (of_masking.get(at), of_seed.get(at)) else {
                return Err(HomeRefusal::Wrong("a place is not in the plan"));
            };
            let way = Way { from: self.own, to: *to };
            let plain = [masking.0, seed.0].concat();
            let sealed = agreement::seal(&self.sealing, &other.sealing, &self.group, way, &plain)?;
            shares.push(DealtShares { to: *to, sealed, commitments: self.commitments(way, masking, seed) });
        }
        let seed_commitment = sharing::seed_commitment(&self.group, self.own, &self.seed);
        self.roster = keys;
        self.next = Exchange::Mask;
        Ok(ShareKeys { group: self.group, from: self.own, seed_commitment, shares })
    }

    /// Puts its masks on `words`, which are not kept.
    ///
    /// # Errors
    /// [`HomeRefusal`]. Shares that cannot be used are no error: their dealers are accused in the message.
    pub fn mask(&mut self, delivery: &ShareDelivery, words: Words) -> Result<MaskedInput, HomeRefusal> {
        self.expect(&delivery.group, Exchange::Mask)?;
        if delivery.to != self.own {
            return Err(HomeRefusal::NotThisHome);
        }
        if words.0.len() != self.plan.words as usize {
            return Err(HomeRefusal::Words { found: words.0.len(), expected: self.plan.words });
        }
        self.check_list(delivery.shares.iter().map(|share| share.from))?;
        let mut held = BTreeMap::new();
        let mut masked = words;
        masked.mask(&agreement::own_seed(&self.seed, &self.group)?, Sign::Plus);
        for share in &delivery.shares {
            let keys =
                self.roster.get(&share.from).ok_or(HomeRefusal::Wrong("shares of a home that is not in the roster"))?;
            held.insert(share.from, self.open(share, keys));
            if share.from != self.own {
                let seed = agreement::pair_seed(&self.masking, &keys.masking, &self.group)?;
                masked.mask(&seed, sign(self.own, share.from));
            }
        }
        if matches!(held.get(&self.own), Some(None)) {
            return Err(HomeRefusal::Wrong("the shares that this home kept for itself were altered"));
        }
        let accused = held.iter().filter(|(_, held)| held.is_none()).map(|(place, _)| *place).collect();
        self.held = held;
        self.next = Exchange::Unmask;
        Ok(MaskedInput { group: self.group, from: self.own, accused, words: masked })
    }

    /// Gives one share of each dealer, and forgets its secrets: a second request finds nothing.
    ///
    /// # Errors
    /// [`HomeRefusal`].
    pub fn unmask(&mut self, request: &UnmaskRequest) -> Result<Unmask, HomeRefusal> {
        self.expect(&request.group, Exchange::Unmask)?;
        self.check_list(request.masked.iter().copied())?;
        let mut all = [&request.masked[..], &request.dropped].concat();
        all.sort_unstable();
        if !all.iter().eq(self.held.keys()) {
            return Err(HomeRefusal::Wrong("the request does not name each dealer once"));
        }
        let asked = request.masked.iter().map(|place| (place, Shared::Seed));
        let asked = asked.chain(request.dropped.iter().map(|place| (place, Shared::MaskingKey)));
        let shares = asked.filter_map(|(of, what)| {
            let held = self.held.get(of)?.as_ref()?;
            let share = match what {
                Shared::Seed => &held.seed,
                Shared::MaskingKey => &held.masking,
            };
            Some(OpenedShare { of: *of, share: share.clone() })
        });
        let message = Unmask { group: self.group, from: self.own, shares: shares.collect() };
        self.held.clear();
        for secret in [&mut self.sealing, &mut self.masking, &mut self.seed] {
            *secret = Secret([0; 32]);
        }
        self.next = Exchange::Done;
        Ok(message)
    }

    /// The group.
    #[must_use]
    pub fn plan(&self) -> &GroupPlan {
        &self.plan
    }

    /// The exchange whose message this home gives next.
    #[must_use]
    pub fn next(&self) -> Exchange {
        self.next
    }

    fn expect(&self, group: &GroupDigest, found: Exchange) -> Result<(), HomeRefusal> {
        if *group != self.group {
            return Err(HomeRefusal::OtherGroup);
        }
        if found != self.next {
            return Err(HomeRefusal::OutOfTurn { found, expected: self.next });
        }
        Ok(())
    }

    /// A list of homes that take part: ascending, enough, this one among them.
    fn check_list(&self, places: impl Iterator<Item = Place>) -> Result<(), HomeRefusal> {
        let places: Vec<Place> = places.collect();
        if !places.is_sorted_by(|left, right| left < right) {
            return Err(HomeRefusal::Wrong("homes are not listed in ascending order, each once"));
        }
        if !places.contains(&self.own) {
            return Err(HomeRefusal::Wrong("this home takes part and is not listed"));
        }
        let (found, needed) = (places.len(), usize::from(self.plan.threshold));
        if found < needed { Err(HomeRefusal::TooFew { found, needed }) } else { Ok(()) }
    }

    fn commitments(&self, way: Way, masking: &Secret, seed: &Secret) -> ShareCommitments {
        let of = |what, share| sharing::commitment(&self.group, way.from, way.to, what, share);
        ShareCommitments { masking: of(Shared::MaskingKey, masking), seed: of(Shared::Seed, seed) }
    }

    /// The shares, where they open and are what the dealer committed to.
    fn open(&self, share: &ShareFrom, keys: &PublicKeys) -> Option<Held> {
        if share.sealed.len() != SEALED_BYTES {
            return None;
        }
        let way = Way { from: share.from, to: self.own };
        let plain = agreement::open(&self.sealing, &keys.sealing, &self.group, way, &share.sealed).ok()?;
        let [masking, seed] = plain.as_chunks::<32>().0 else { return None };
        let held = Held { masking: Secret(*masking), seed: Secret(*seed) };
        (self.commitments(way, &held.masking, &held.seed) == share.commitments).then_some(held)
    }
}

/// How `own` applies the mask that it has in common with `other`.
pub(crate) fn sign(own: Place, other: Place) -> Sign {
    if own < other { Sign::Plus } else { Sign::Minus }
}
