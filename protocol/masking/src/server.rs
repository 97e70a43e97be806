//! The server's side: it adds what homes send under masks, and removes the masks from the sum alone.

mod unmasking;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::agreement::{self, PublicKeys};
use super::group::{GroupDigest, GroupPlan, Place, PlanFault};
use super::messages::{
    AdvertiseKeys, DealtShares, Exchange, MaskedInput, Roster, SEALED_BYTES, ShareDelivery, ShareFrom, ShareKeys,
    Unmask, UnmaskRequest,
};
use super::secret::Secret;
use super::sharing::{self, Shared};
use super::words::Words;

pub use unmasking::GroupSum;

/// Why the server does not take a home's message. The group goes on; the home may send a right one while the exchange is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Of another round or group.
    #[error("the message belongs to another group")]
    OtherGroup,
    /// Its exchange is over, or has not begun.
    #[error("the exchange {found:?} is not open; {open:?} is")]
    OutOfTurn {
        /// Of the message.
        found: Exchange,
        /// What is open.
        open: Exchange,
    },
    /// The home was not in the exchange before.
    #[error("the home does not take part")]
    Stranger,
    /// The first one counts.
    #[error("the home has answered already")]
    Twice,
    /// Not what the exchange asks for.
    #[error("the message is wrong: {0}")]
    Wrong(&'static str),
}

/// Why an exchange cannot be closed. Nothing of single homes was exposed. The exchange stays open: answers that still come are taken.
/// A caller that waits no longer ends the group without a sum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Another exchange is open. Closing one twice would give a wrong sum, or deliveries without shares.
    #[error("the exchange {found:?} is not open and cannot be closed: go on from {open:?}")]
    OutOfTurn {
        /// What the caller closes.
        found: Exchange,
        /// What is open.
        open: Exchange,
    },
    /// Too many dropped out.
    #[error("{found} homes answered in the exchange {exchange:?}, {needed} are needed; ask again with other homes")]
    TooFew {
        /// Where.
        exchange: Exchange,
        /// Homes that answered.
        found: usize,
        /// The plan's threshold.
        needed: usize,
    },
    /// So many homes could not use a dealer's shares that its masks would stay on. Whether the dealer or the homes are at fault cannot be
    /// determined.
    #[error("{} homes accuse the home at place {}: leave out either side", by.len(), dealer.0)]
    Accused {
        /// Whose shares.
        dealer: Place,
        /// By whom.
        by: Vec<Place>,
    },
    /// The shares are those that the dealer committed to, but the secret that they give is not: the dealer is at fault.
    #[error("the home at place {} dealt out shares of something else than its secrets: leave it out", dealer.0)]
    FalseDealer {
        /// Who.
        dealer: Place,
    },
    /// Too few of the shares that homes opened are right. [`Server::wrong_shares`] has who opened wrong ones.
    #[error(
        "{found} right shares of the home at place {}, {needed} are needed: leave out the homes that opened wrong ones",
        dealer.0
    )]
    TooFewShares {
        /// Whose shares.
        dealer: Place,
        /// Right ones.
        found: usize,
        /// The plan's threshold.
        needed: usize,
    },
}

/// A share that a home opened and that is not the one that its dealer committed to. The home is at fault: it could check the share before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WrongShare {
    /// The home that opened it.
    pub by: Place,
    /// The dealer whose share it should be.
    pub of: Place,
}

/// One group at the server. Of words it holds one sum under masks, never those of a home.
///
/// A value that was written with serde and read again goes on where it stopped. What closing an exchange gives is given once: write it
/// together with the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    plan: GroupPlan,
    group: GroupDigest,
    open: Exchange,
    keys: BTreeMap<Place, PublicKeys>,
    dealers: BTreeMap<Place, Dealer>,
    /// Homes that sent words, each with the dealers that it accuses.
    masked: BTreeMap<Place, BTreeSet<Place>>,
    sum: Words,
    /// Homes that opened shares.
    answered: BTreeSet<Place>,
    #[serde(rename = "lies")]
    wrong_shares: BTreeSet<WrongShare>,
}

/// What a home dealt out.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Dealer {
    #[serde(with = "serde_bytes")]
    seed_commitment: [u8; 32],
    /// The sealed parts are gone once deliveries were made.
    shares: BTreeMap<Place, DealtShares>,
    /// Shares that were opened and are right.
    opened: BTreeMap<Place, Secret>,
}

impl Server {
    /// Opens the first exchange.
    ///
    /// # Errors
    /// [`PlanFault`].
    pub fn new(plan: GroupPlan) -> Result<Self, PlanFault> {
        plan.check()?;
        Ok(Self {
            group: plan.digest(),
            open: Exchange::Advertise,
            keys: BTreeMap::new(),
            dealers: BTreeMap::new(),
            masked: BTreeMap::new(),
            sum: Words::zero(plan.words),
            answered: BTreeSet::new(),
            wrong_shares: BTreeSet::new(),
            plan,
        })
    }

    /// Takes a home's keys.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn advertise(&mut self, message: &AdvertiseKeys) -> Result<(), Refused> {
        self.expect(&message.group, Exchange::Advertise)?;
        if self.plan.home(message.from).is_none() {
            return Err(Refused::Stranger);
        }
        if self.keys.contains_key(&message.from) {
            return Err(Refused::Twice);
        }
        // A copied key would make an honest home refuse the whole roster.
        let new = [message.keys.sealing, message.keys.masking];
        let known = self.keys.values().flat_map(|keys| [keys.sealing, keys.masking]);
        if new[0] == new[1] || known.into_iter().any(|key| new.contains(&key)) {
            return Err(Refused::Wrong("a key that is not the home's own"));
        }
        // So would a key of low order: no home can agree on a secret with it.
        let trial = Secret([1; 32]);
        if new.iter().any(|key| agreement::pair_seed(&trial, key, &self.group).is_err()) {
            return Err(Refused::Wrong("a key that nobody can agree with"));
        }
        self.keys.insert(message.from, message.keys);
        Ok(())
    }

    /// Closes the first exchange.
    ///
    /// # Errors
    /// [`Ended::OutOfTurn`], [`Ended::TooFew`].
    pub fn close_advertise(&mut self) -> Result<Roster, Ended> {
        self.can_close(Exchange::Advertise, self.keys.len())?;
        self.open = Exchange::Share;
        Ok(Roster { group: self.group, keys: self.keys.iter().map(|(place, keys)| (*place, *keys)).collect() })
    }

    /// Takes the shares that a home dealt out.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn share_keys(&mut self, message: ShareKeys) -> Result<(), Refused> {
        self.expect(&message.group, Exchange::Share)?;
        if !self.keys.contains_key(&message.from) {
            return Err(Refused::Stranger);
        }
        if self.dealers.contains_key(&message.from) {
            return Err(Refused::Twice);
        }
        if !message.shares.iter().map(|share| share.to).eq(self.keys.keys().copied()) {
            return Err(Refused::Wrong("not one share for each home of the roster"));
        }
        if message.shares.iter().any(|share| share.sealed.len() != SEALED_BYTES) {
            return Err(Refused::Wrong("sealed shares of another length"));
        }
        let shares = message.shares.into_iter().map(|share| (share.to, share)).collect();
        let dealer = Dealer { seed_commitment: message.seed_commitment, shares, opened: BTreeMap::new() };
        self.dealers.insert(message.from, dealer);
        Ok(())
    }

    /// Closes the second exchange: a delivery for each home that dealt.
    ///
    /// # Errors
    /// [`Ended::OutOfTurn`], [`Ended::TooFew`].
    pub fn close_share(&mut self) -> Result<Vec<ShareDelivery>, Ended> {
        self.can_close(Exchange::Share, self.dealers.len())?;
        let homes: Vec<Place> = self.dealers.keys().copied().collect();
        let mut deliveries = Vec::with_capacity(homes.len());
        for to in homes {
            let shares = self.dealers.iter_mut().filter_map(|(from, dealer)| {
                let dealt = dealer.shares.get_mut(&to)?;
                let sealed = std::mem::take(&mut dealt.sealed);
                Some(ShareFrom { from: *from, sealed, commitments: dealt.commitments })
            });
            deliveries.push(ShareDelivery { group: self.group, to, shares: shares.collect() });
        }
        self.open = Exchange::Mask;
        Ok(deliveries)
    }

    /// Adds a home's masked words to the sum; they are not kept.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn mask(&mut self, message: &MaskedInput) -> Result<(), Refused> {
        self.expect(&message.group, Exchange::Mask)?;
        if !self.dealers.contains_key(&message.from) {
            return Err(Refused::Stranger);
        }
        if self.masked.contains_key(&message.from) {
            return Err(Refused::Twice);
        }
        if message.words.0.len() != self.sum.0.len() {
            return Err(Refused::Wrong("another number of words"));
        }
        self.sum.add(&message.words);
        let accused = message.accused.iter().copied().filter(|place| self.dealers.contains_key(place)).collect();
        self.masked.insert(message.from, accused);
        Ok(())
    }

    /// Closes the third exchange.
    ///
    /// # Errors
    /// [`Ended::OutOfTurn`], [`Ended::TooFew`], [`Ended::Accused`].
    pub fn close_mask(&mut self) -> Result<UnmaskRequest, Ended> {
        self.can_close(Exchange::Mask, self.masked.len())?;
        for dealer in self.dealers.keys() {
            let accusing = self.masked.iter().filter(|(_, accused)| accused.contains(dealer));
            let by: Vec<Place> = accusing.map(|(place, _)| *place).collect();
            if self.masked.len() - by.len() < usize::from(self.plan.threshold) {
                return Err(Ended::Accused { dealer: *dealer, by });
            }
        }
        self.open = Exchange::Unmask;
        let dropped = self.dealers.keys().copied().filter(|place| !self.masked.contains_key(place)).collect();
        Ok(UnmaskRequest { group: self.group, masked: self.masked.keys().copied().collect(), dropped })
    }

    /// Takes the shares that a home opened. Those that are not what their dealers committed to are recorded and not used.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn unmask(&mut self, message: &Unmask) -> Result<(), Refused> {
        self.expect(&message.group, Exchange::Unmask)?;
        let accused = self.masked.get(&message.from).ok_or(Refused::Stranger)?;
        if self.answered.contains(&message.from) {
            return Err(Refused::Twice);
        }
        // Who keeps a share back without having accused its dealer could end the group unnamed.
        let mut opened: Vec<Place> = message.shares.iter().map(|share| share.of).collect();
        opened.sort_unstable();
        if !opened.iter().eq(self.dealers.keys().filter(|dealer| !accused.contains(dealer))) {
            return Err(Refused::Wrong("not one share of each dealer that the home did not accuse"));
        }
        self.answered.insert(message.from);
        for opened in &message.shares {
            let what = self.asked_of(opened.of);
            let Some(dealer) = self.dealers.get_mut(&opened.of) else { continue };
            let Some(dealt) = dealer.shares.get(&message.from) else { continue };
            let commitment = sharing::commitment(&self.group, opened.of, message.from, what, &opened.share);
            if commitment == *dealt.commitments.of(what) {
                dealer.opened.insert(message.from, opened.share.clone());
            } else {
                self.wrong_shares.insert(WrongShare { by: message.from, of: opened.of });
            }
        }
        Ok(())
    }

    /// The group.
    #[must_use]
    pub fn plan(&self) -> &GroupPlan {
        &self.plan
    }

    /// Homes whose words are in the sum.
    pub fn masked(&self) -> impl Iterator<Item = Place> + '_ {
        self.masked.keys().copied()
    }

    /// The exchange that is open.
    #[must_use]
    pub fn open(&self) -> Exchange {
        self.open
    }

    /// Wrong shares that homes opened so far.
    pub fn wrong_shares(&self) -> impl Iterator<Item = WrongShare> + '_ {
        self.wrong_shares.iter().copied()
    }

    fn asked_of(&self, dealer: Place) -> Shared {
        if self.masked.contains_key(&dealer) { Shared::Seed } else { Shared::MaskingKey }
    }

    fn expect(&self, group: &GroupDigest, found: Exchange) -> Result<(), Refused> {
        if *group != self.group {
            return Err(Refused::OtherGroup);
        }
        if found != self.open {
            return Err(Refused::OutOfTurn { found, open: self.open });
        }
        Ok(())
    }

    /// Whether `exchange` is open and enough homes answered in it.
    fn can_close(&self, exchange: Exchange, found: usize) -> Result<(), Ended> {
        if exchange != self.open {
            return Err(Ended::OutOfTurn { found: exchange, open: self.open });
        }
        let needed = usize::from(self.plan.threshold);
        if found < needed { Err(Ended::TooFew { exchange, found, needed }) } else { Ok(()) }
    }
}
