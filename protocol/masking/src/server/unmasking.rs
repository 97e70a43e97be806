//! The end of a group: secrets are joined from shares, and the masks removed from the sum.

use super::{Dealer, Ended, Server, WrongShare};
use crate::agreement;
use crate::group::Place;
use crate::home::sign;
use crate::messages::Exchange;
use crate::secret::Secret;
use crate::sharing;
use crate::words::{Sign, Words};

/// What a group gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSum {
    /// Of the words of [`Self::homes`], modulo 2¹⁶.
    pub words: Words,
    /// Whose words are in it, in ascending order.
    pub homes: Vec<Place>,
    /// Wrong shares that homes opened; there were enough right ones.
    pub wrong_shares: Vec<WrongShare>,
}

impl Server {
    /// Closes the last exchange.
    ///
    /// # Errors
    /// [`Ended::OutOfTurn`], [`Ended::TooFew`], [`Ended::TooFewShares`], [`Ended::FalseDealer`].
    pub fn close_unmask(&mut self) -> Result<GroupSum, Ended> {
        self.can_close(Exchange::Unmask, self.answered.len())?;
        let mut sum = self.sum.clone();
        for (place, dealer) in &self.dealers {
            let secret = self.joined(*place, dealer)?;
            let false_dealer = || Ended::FalseDealer { dealer: *place };
            if self.masked.contains_key(place) {
                if sharing::seed_commitment(&self.group, *place, &secret) != dealer.seed_commitment {
                    return Err(false_dealer());
                }
                let seed = agreement::own_seed(&secret, &self.group).map_err(|_| false_dealer())?;
                sum.mask(&seed, Sign::Minus);
            } else {
                let key = self.keys.get(place).map(|keys| keys.masking);
                if agreement::public(&secret).ok() != key {
                    return Err(false_dealer());
                }
                self.remove_pairs(*place, &secret, &mut sum).map_err(|_| false_dealer())?;
            }
        }
        self.open = Exchange::Done;
        // Nothing that could remove masks again is kept.
        self.dealers.clear();
        let homes = self.masked.keys().copied().collect();
        Ok(GroupSum { words: sum, homes, wrong_shares: self.wrong_shares().collect() })
    }

    fn joined(&self, place: Place, dealer: &Dealer) -> Result<Secret, Ended> {
        let (found, needed) = (dealer.opened.len(), self.plan.threshold);
        let shares = dealer.opened.iter().map(|(holder, share)| (*holder, share));
        sharing::join(shares, needed).ok_or(Ended::TooFewShares { dealer: place, found, needed: usize::from(needed) })
    }

    /// Removes the masks that homes have in common with one that dropped out.
    fn remove_pairs(&self, dropped: Place, masking: &Secret, sum: &mut Words) -> Result<(), agreement::NoKey> {
        for place in self.masked.keys() {
            let Some(keys) = self.keys.get(place) else { continue };
            let seed = agreement::pair_seed(masking, &keys.masking, &self.group)?;
            sum.mask(&seed, sign(*place, dropped).opposite());
        }
        Ok(())
    }
}
