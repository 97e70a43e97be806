//! Whole groups: homes that drop out, send wrong values, repeat themselves, or come from elsewhere.

use std::collections::BTreeSet;

use hearthwatch_protocol::HomeId;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::secret::Secret;

const WORDS: u32 = 64;

fn plan(homes: usize) -> GroupPlan {
    let homes = (0..homes).map(|home| HomeId::new(format!("home-{home:02}")).unwrap()).collect();
    GroupPlan::new(7, 3, [9; 16], homes, WORDS).unwrap()
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// What home `home` sends: words that no other home has.
fn words(home: usize) -> Words {
    Words(
        (0..WORDS as u16)
            .map(|word| word.wrapping_mul(257).wrapping_add((home as u16 + 1).wrapping_mul(4_099)))
            .collect(),
    )
}

fn sum_of(homes: impl IntoIterator<Item = usize>) -> Words {
    let mut sum = Words::zero(WORDS);
    for home in homes {
        sum.add(&words(home));
    }
    sum
}

/// A group in which some homes send nothing from an exchange on.
struct Group {
    server: Server,
    homes: Vec<Home>,
    /// Places, and the first exchange in which they send nothing.
    silent: Vec<(usize, Exchange)>,
}

impl Group {
    fn new(homes: usize, silent: &[(usize, Exchange)]) -> Self {
        let plan = plan(homes);
        let mut group = Self { server: Server::new(plan.clone()).unwrap(), homes: Vec::new(), silent: silent.to_vec() };
        for (place, id) in plan.homes.clone().iter().enumerate() {
            let (home, message) = Home::join(plan.clone(), id, &mut rng(place as u64)).unwrap();
            group.homes.push(home);
            if group.sends(place, Exchange::Advertise) {
                group.server.advertise(&message).unwrap();
            }
        }
        group
    }

    fn sends(&self, place: usize, exchange: Exchange) -> bool {
        !self.silent.iter().any(|(silent, from)| *silent == place && *from <= exchange)
    }

    fn sending(&self, exchange: Exchange) -> Vec<usize> {
        (0..self.homes.len()).filter(|place| self.sends(*place, exchange)).collect()
    }

    fn dealt(&mut self) -> Result<Vec<ShareKeys>, Ended> {
        let roster = self.server.close_advertise()?;
        let sending = self.sending(Exchange::Share);
        Ok(sending.iter().map(|at| self.homes[*at].share_keys(&roster, &mut rng(100 + *at as u64)).unwrap()).collect())
    }

    fn masked(&mut self) -> Result<Vec<MaskedInput>, Ended> {
        let deliveries = self.server.close_share()?;
        let sending = self.sending(Exchange::Mask);
        let of = |at: usize| deliveries.iter().find(|delivery| usize::from(delivery.to.0) == at).unwrap();
        Ok(sending.iter().map(|at| self.homes[*at].mask(of(*at), words(*at)).unwrap()).collect())
    }

    fn unmasked(&mut self) -> Result<Vec<Unmask>, Ended> {
        let request = self.server.close_mask()?;
        let sending = self.sending(Exchange::Unmask);
        Ok(sending.iter().map(|at| self.homes[*at].unmask(&request).unwrap()).collect())
    }

    /// The whole protocol; each kind of message may be changed on its way.
    fn run_with(
        &mut self,
        change_dealt: impl Fn(&mut ShareKeys),
        change_opened: impl Fn(&mut Unmask),
    ) -> Result<GroupSum, Ended> {
        for mut message in self.dealt()? {
            change_dealt(&mut message);
            self.server.share_keys(message).unwrap();
        }
        for message in self.masked()? {
            self.server.mask(&message).unwrap();
        }
        for mut message in self.unmasked()? {
            change_opened(&mut message);
            self.server.unmask(&message).unwrap();
        }
        self.server.close_unmask()
    }

    fn run(&mut self) -> Result<GroupSum, Ended> {
        self.run_with(|_| {}, |_| {})
    }
}

#[test]
fn the_sum_is_that_of_the_words_for_every_size_of_group() {
    for homes in [GROUP_HOMES_MIN, 5, 8, 12, GROUP_HOMES_MAX] {
        let sum = Group::new(homes, &[]).run().unwrap();
        assert_eq!(sum.words, sum_of(0..homes));
        assert_eq!((sum.homes.len(), sum.wrong_shares), (homes, vec![]));
    }
}

#[test]
fn homes_that_drop_out_in_any_exchange_leave_the_sum_of_the_others() {
    for exchange in [Exchange::Advertise, Exchange::Share, Exchange::Mask] {
        let sum = Group::new(8, &[(2, exchange), (5, exchange)]).run().unwrap();
        assert_eq!(sum.words, sum_of([0, 1, 3, 4, 6, 7]), "{exchange:?}");
    }
    let sum = Group::new(8, &[(2, Exchange::Unmask), (5, Exchange::Unmask)]).run().unwrap();
    assert_eq!(sum.words, sum_of(0..8), "words that were sent stay in the sum");
    let mixed = [(0, Exchange::Advertise), (3, Exchange::Mask), (9, Exchange::Share), (11, Exchange::Unmask)];
    assert_eq!(Group::new(12, &mixed[1..]).run().unwrap().words, sum_of([0, 1, 2, 4, 5, 6, 7, 8, 10, 11]));
    let needed = usize::from(GroupPlan::least_threshold(12));
    let ended = Group::new(12, &mixed).run().unwrap_err();
    assert_eq!(ended, Ended::TooFew { exchange: Exchange::Unmask, found: 8, needed });
}

#[test]
fn below_the_threshold_the_group_ends_with_the_exchange_in_which_it_did() {
    for exchange in [Exchange::Advertise, Exchange::Share, Exchange::Mask, Exchange::Unmask] {
        let silent: Vec<(usize, Exchange)> = (0..3).map(|home| (home, exchange)).collect();
        let ended = Group::new(8, &silent).run().unwrap_err();
        assert_eq!(ended, Ended::TooFew { exchange, found: 5, needed: 6 });
    }
}

/// Whether `bytes` hold eight words of a home without a mask.
fn holds(bytes: &[u8], words: &Words) -> bool {
    let plain: Vec<u8> = words.0[..8].iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.windows(plain.len()).any(|window| window == plain)
}

#[test]
fn nothing_that_the_server_receives_or_holds_contains_the_words_of_a_home() {
    let mut group = Group::new(8, &[(4, Exchange::Mask)]);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for message in group.dealt().unwrap() {
        group.server.share_keys(message).unwrap();
        seen.push(serde_cbor::to_vec(&group.server).unwrap());
    }
    for message in group.masked().unwrap() {
        seen.push(serde_cbor::to_vec(&message).unwrap());
        group.server.mask(&message).unwrap();
        seen.push(serde_cbor::to_vec(&group.server).unwrap());
    }
    for message in group.unmasked().unwrap() {
        seen.push(serde_cbor::to_vec(&message).unwrap());
        group.server.unmask(&message).unwrap();
        seen.push(serde_cbor::to_vec(&group.server).unwrap());
    }
    let sum = group.server.close_unmask().unwrap();
    seen.push(serde_cbor::to_vec(&group.server).unwrap());
    assert_eq!(sum.words, sum_of([0, 1, 2, 3, 5, 6, 7]));
    assert!(holds(&serde_cbor::to_vec(&sum.words).unwrap(), &sum.words), "the search finds what is there");
    for home in 0..8 {
        assert!(seen.iter().all(|bytes| !holds(bytes, &words(home))), "home {home}");
    }
}

#[test]
fn server_and_homes_that_were_written_out_between_two_exchanges_go_on() {
    fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &mut T) {
        *value = serde_cbor::from_slice(&serde_cbor::to_vec(value).unwrap()).unwrap();
    }
    let mut group = Group::new(6, &[(1, Exchange::Mask)]);
    let restart = |group: &mut Group| {
        again(&mut group.server);
        group.homes.iter_mut().for_each(again);
    };
    restart(&mut group);
    for message in group.dealt().unwrap() {
        group.server.share_keys(message).unwrap();
    }
    restart(&mut group);
    for message in group.masked().unwrap() {
        group.server.mask(&message).unwrap();
    }
    restart(&mut group);
    assert_eq!((group.server.open(), group.homes[0].next()), (Exchange::Mask, Exchange::Unmask));
    for message in group.unmasked().unwrap() {
        group.server.unmask(&message).unwrap();
    }
    again(&mut group.server);
    assert_eq!(group.server.close_unmask().unwrap().words, sum_of([0, 2, 3, 4, 5]));
}

#[test]
fn a_home_that_opens_a_wrong_share_is_named_and_the_sum_is_right() {
    let wrong = |message: &mut Unmask| {
        if message.from == Place(2) {
            message.shares[5].share = Secret([1; 32]);
        }
    };
    let sum = Group::new(8, &[]).run_with(|_| {}, wrong).unwrap();
    assert_eq!((sum.words, sum.wrong_shares), (sum_of(0..8), vec![WrongShare { by: Place(2), of: Place(5) }]));
    let three = |message: &mut Unmask| {
        if message.from <= Place(2) {
            message.shares[5].share = Secret([1; 32]);
        }
    };
    let ended = Group::new(8, &[]).run_with(|_| {}, three).unwrap_err();
    assert_eq!(ended, Ended::TooFewShares { dealer: Place(5), found: 5, needed: 6 });
}

#[test]
fn a_home_that_keeps_a_share_back_is_refused_and_the_others_suffice() {
    let mut group = Group::new(8, &[]);
    for message in group.dealt().unwrap() {
        group.server.share_keys(message).unwrap();
    }
    for message in group.masked().unwrap() {
        group.server.mask(&message).unwrap();
    }
    let opened = group.unmasked().unwrap();
    let mut fewer = opened[0].clone();
    fewer.shares.pop();
    let each_once = Refused::Wrong("not one share of each dealer that the home did not accuse");
    assert_eq!(group.server.unmask(&fewer), Err(each_once));
    let mut twice = opened[0].clone();
    twice.shares[1] = twice.shares[0].clone();
    assert_eq!(group.server.unmask(&twice), Err(each_once));
    opened[1..].iter().for_each(|message| group.server.unmask(message).unwrap());
    assert_eq!(group.server.close_unmask().unwrap().words, sum_of(0..8));
}

#[test]
fn an_exchange_is_closed_once_and_in_its_turn() {
    let out_of_turn = |found, open| Some(Ended::OutOfTurn { found, open });
    let mut group = Group::new(8, &[]);
    let early = group.server.close_unmask().err();
    assert_eq!(early, out_of_turn(Exchange::Unmask, Exchange::Advertise));
    let dealt = group.dealt().unwrap();
    let again = group.server.close_advertise().err();
    assert_eq!(again, out_of_turn(Exchange::Advertise, Exchange::Share));
    dealt.into_iter().for_each(|message| group.server.share_keys(message).unwrap());
    let masked = group.masked().unwrap();
    let again = group.server.close_share().err();
    assert_eq!(again, out_of_turn(Exchange::Share, Exchange::Mask), "its sealed shares are gone");
    masked.iter().for_each(|message| group.server.mask(message).unwrap());
    let opened = group.unmasked().unwrap();
    opened.iter().for_each(|message| group.server.unmask(message).unwrap());
    assert_eq!(group.server.close_unmask().unwrap().words, sum_of(0..8));
    let again = group.server.close_unmask().err();
    assert_eq!(again, out_of_turn(Exchange::Unmask, Exchange::Done), "its sum would still be under masks");
}

#[test]
fn shares_that_do_not_open_accuse_their_dealer_and_too_many_end_the_group() {
    let spoilt = |count: usize| {
        move |message: &mut ShareKeys| {
            if message.from == Place(6) {
                message.shares[..count].iter_mut().for_each(|share| share.sealed[3] ^= 1);
            }
        }
    };
    let sum = Group::new(8, &[]).run_with(spoilt(2), |_| {}).unwrap();
    assert_eq!(sum.words, sum_of(0..8), "six homes can still open their share");
    let ended = Group::new(8, &[]).run_with(spoilt(3), |_| {}).unwrap_err();
    assert_eq!(ended, Ended::Accused { dealer: Place(6), by: vec![Place(0), Place(1), Place(2)] });
}

#[test]
fn a_dealer_whose_shares_give_another_secret_is_named() {
    let other_seed = |message: &mut ShareKeys| {
        if message.from == Place(3) {
            message.seed_commitment = [0; 32];
        }
    };
    let ended = Group::new(8, &[]).run_with(other_seed, |_| {}).unwrap_err();
    assert_eq!(ended, Ended::FalseDealer { dealer: Place(3) });
}

#[test]
fn messages_of_another_group_repeated_or_out_of_turn_are_refused_by_the_server() {
    let mut group = Group::new(8, &[]);
    let other = Home::join(GroupPlan { round: 8, ..plan(8) }, &plan(8).homes[1], &mut rng(1)).unwrap().1;
    assert_eq!(group.server.advertise(&other), Err(Refused::OtherGroup));
    let again = Home::join(plan(8), &plan(8).homes[1], &mut rng(1)).unwrap().1;
    assert_eq!(group.server.advertise(&again), Err(Refused::Twice));
    let mut silent = Group::new(8, &[(0, Exchange::Advertise), (1, Exchange::Advertise)]);
    let copied = AdvertiseKeys { keys: again.keys, ..Home::join(plan(8), &plan(8).homes[0], &mut rng(0)).unwrap().1 };
    silent.server.advertise(&again).unwrap();
    assert_eq!(silent.server.advertise(&copied), Err(Refused::Wrong("a key that is not the home's own")));

    let dealt = group.dealt().unwrap();
    let late = Refused::OutOfTurn { found: Exchange::Advertise, open: Exchange::Share };
    assert_eq!(group.server.advertise(&again), Err(late));
    group.server.share_keys(dealt[0].clone()).unwrap();
    assert_eq!(group.server.share_keys(dealt[0].clone()), Err(Refused::Twice));
    let mut short = dealt[1].clone();
    short.shares.pop();
    assert_eq!(group.server.share_keys(short), Err(Refused::Wrong("not one share for each home of the roster")));
    dealt.into_iter().skip(1).for_each(|message| group.server.share_keys(message).unwrap());

    let masked = group.masked().unwrap();
    group.server.mask(&masked[0]).unwrap();
    assert_eq!(group.server.mask(&masked[0]), Err(Refused::Twice));
    let short = MaskedInput { words: Words(vec![0; 3]), ..masked[1].clone() };
    assert_eq!(group.server.mask(&short), Err(Refused::Wrong("another number of words")));
}

#[test]
fn a_home_refuses_what_could_expose_it() {
    let group = Group::new(8, &[]);
    let lower = GroupPlan { threshold: 5, ..plan(8) };
    let refused = Home::join(lower, &plan(8).homes[0], &mut rng(1)).unwrap_err();
    assert_eq!(refused, HomeRefusal::Plan(PlanFault::Threshold { found: 5, least: 6 }));
    let stranger = Home::join(plan(8), &HomeId::new("elsewhere").unwrap(), &mut rng(1)).unwrap_err();
    assert_eq!(stranger, HomeRefusal::NotThisHome);

    let roster = group.server.clone().close_advertise().unwrap();
    let few = Roster { keys: roster.keys[..5].to_vec(), ..roster.clone() };
    let mut one = group.homes[0].clone();
    assert_eq!(one.share_keys(&few, &mut rng(2)), Err(HomeRefusal::TooFew { found: 5, needed: 6 }));
    let mut swapped = roster.clone();
    swapped.keys[0].1 = swapped.keys[1].1;
    let other_keys = HomeRefusal::Wrong("the roster has other keys for this home");
    assert_eq!(one.share_keys(&swapped, &mut rng(2)), Err(other_keys));
    let mut doubled = roster.clone();
    doubled.keys[2].1 = doubled.keys[1].1;
    assert_eq!(one.share_keys(&doubled, &mut rng(2)), Err(HomeRefusal::Wrong("a key is in the roster twice")));
    one.share_keys(&roster, &mut rng(2)).unwrap();
    let repeated = HomeRefusal::OutOfTurn { found: Exchange::Share, expected: Exchange::Mask };
    assert_eq!(one.share_keys(&roster, &mut rng(2)), Err(repeated));
}

#[test]
fn a_home_unmasks_once_and_never_gives_both_secrets_of_another() {
    let mut group = Group::new(8, &[]);
    for message in group.dealt().unwrap() {
        group.server.share_keys(message).unwrap();
    }
    for message in group.masked().unwrap() {
        group.server.mask(&message).unwrap();
    }
    let request = group.server.close_mask().unwrap();
    let home = &mut group.homes[0];
    let both = UnmaskRequest { dropped: vec![Place(3)], ..request.clone() };
    let each_once = HomeRefusal::Wrong("the request does not name each dealer once");
    assert_eq!(home.unmask(&both), Err(each_once));
    let fewer = UnmaskRequest {
        masked: request.masked[..5].to_vec(),
        dropped: request.masked[5..].to_vec(),
        ..request.clone()
    };
    assert_eq!(home.unmask(&fewer), Err(HomeRefusal::TooFew { found: 5, needed: 6 }));
    let elsewhere = UnmaskRequest { group: GroupDigest([0; 32]), ..request.clone() };
    assert_eq!(home.unmask(&elsewhere), Err(HomeRefusal::OtherGroup));
    home.unmask(&request).unwrap();
    let other =
        UnmaskRequest { masked: request.masked[..7].to_vec(), dropped: request.masked[7..].to_vec(), ..request };
    let over = HomeRefusal::OutOfTurn { found: Exchange::Unmask, expected: Exchange::Done };
    assert_eq!(home.unmask(&other), Err(over));
}

#[test]
fn what_is_printed_of_a_home_has_none_of_its_secrets() {
    let (home, _) = Home::join(plan(8), &plan(8).homes[0], &mut rng(1)).unwrap();
    let printed = format!("{home:?}");
    assert_eq!(printed.matches("Secret(…)").count(), 3);
}

#[test]
fn the_masks_of_two_groups_have_nothing_in_common() {
    let masked = |nonce: u8| {
        let mut group = Group::new(4, &[]);
        let plan = GroupPlan { nonce: [nonce; 16], ..plan(4) };
        group.server = Server::new(plan.clone()).unwrap();
        group.homes.clear();
        for (place, id) in plan.homes.iter().enumerate() {
            let (home, message) = Home::join(plan.clone(), id, &mut rng(place as u64)).unwrap();
            group.server.advertise(&message).unwrap();
            group.homes.push(home);
        }
        for message in group.dealt().unwrap() {
            group.server.share_keys(message).unwrap();
        }
        group.masked().unwrap().remove(0).words
    };
    let (one, two) = (masked(1), masked(2));
    let differences: BTreeSet<u16> = one.0.iter().zip(&two.0).map(|(one, two)| one.wrapping_sub(*two)).collect();
    assert!(differences.len() > 60, "the same words and the same keys, but masks of their own");
}
