//! The end of a group: secrets put together from shares, and the masks taken off the sum.

use super::{Dealer, Ended, Lie, Server};
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
    /// Shares that were opened wrongly, and did no harm.
    pub lies: Vec<Lie>,
}

impl Server {
    /// Closes the last exchange.
    ///
    /// # Errors
    /// [`Ended::TooFew`] (also where an exchange before is still open), [`Ended::TooFewShares`], [`Ended::FalseDealer`].
    pub fn close_unmask(&mut self) -> Result<GroupSum, Ended> {
        self.enough(Exchange::Unmask, self.answered.len())?;
        let mut sum = self.sum.clone();
        for (place, dealer) in &self.dealers {
            let secret = self.put_together(*place, dealer)?;
            let lied = || Ended::FalseDealer { dealer: *place };
            if self.masked.contains_key(place) {
                if sharing::seed_commitment(&self.group, *place, &secret) != dealer.seed_commitment {
                    return Err(lied());
                }
                let seed = agreement::own_seed(&secret, &self.group).map_err(|_| lied())?;
                sum.mask(&seed, Sign::Minus);
            } else {
                let key = self.keys.get(place).map(|keys| keys.masking);
                if agreement::public(&secret).ok() != key {
                    return Err(lied());
                }
                self.take_off_pairs(*place, &secret, &mut sum).map_err(|_| lied())?;
            }
        }
        self.open = Exchange::Done;
        // Nothing that could take masks off again is kept.
        self.dealers.clear();
        let homes = self.masked.keys().copied().collect();
        Ok(GroupSum { words: sum, homes, lies: self.lies.iter().copied().collect() })
    }

    fn put_together(&self, place: Place, dealer: &Dealer) -> Result<Secret, Ended> {
        let (found, needed) = (dealer.opened.len(), self.plan.threshold);
        let shares = dealer.opened.iter().map(|(holder, share)| (*holder, share));
        sharing::join(shares, needed).ok_or(Ended::TooFewShares { dealer: place, found, needed: usize::from(needed) })
    }

    /// Takes off the masks that homes have in common with one that dropped out.
    fn take_off_pairs(&self, dropped: Place, masking: &Secret, sum: &mut Words) -> Result<(), agreement::NoKey> {
        for place in self.masked.keys() {
            let Some(keys) = self.keys.get(place) else { continue };
            let seed = agreement::pair_seed(masking, &keys.masking, &self.group)?;
            sum.mask(&seed, sign(*place, dropped).turned());
        }
        Ok(())
    }
}
