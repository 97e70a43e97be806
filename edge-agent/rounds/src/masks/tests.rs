//! A home among others, against an honest server and against one that is not.

use hearthwatch_masking::{AdvertiseKeys, GroupPlan, MaskedInput, Place, PublicKeys, Roster, Server, Unmask};
use hearthwatch_protocol::round::RoundFile;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

pub(crate) const WORDS: usize = 40;

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub(crate) fn home(place: usize) -> HomeId {
    HomeId::new(format!("home-{place}")).unwrap()
}

fn terms() -> MaskTerms {
    MaskTerms { group: 4, threshold: 0.7, until: 1_800_000_000 }
}

fn delta(place: usize) -> Vec<u8> {
    (0..WORDS).flat_map(|word| ((word * 7 + place * 1_000) as u16).to_le_bytes()).collect()
}

pub(crate) fn request(exchange: MaskExchange, body: &[u8]) -> GroupRequest {
    let (nonce, file) = ([2; 16], RoundFile::of(body));
    GroupRequest { home: home(0), round: 3, nonce, exchange, file, deadline: 1_790_000_900 }
}

fn plan(homes: usize) -> GroupPlan {
    GroupPlan::new(3, 0, [5; 16], (0..homes).map(home).collect(), WORDS as u32).unwrap()
}

/// The first exchange of a group, as a server makes it of what homes sent as their keys.
pub(crate) fn started(plan: &GroupPlan, adverts: &[Vec<u8>]) -> (Server, Vec<u8>) {
    let mut server = Server::new(plan.clone()).unwrap();
    for (place, advert) in adverts.iter().enumerate() {
        let keys: PublicKeys = from_bytes(advert).unwrap();
        let from = Place(place as u8);
        server.advertise(&AdvertiseKeys { group: plan.digest(), from, keys }).unwrap();
    }
    let roster = server.close_advertise().unwrap();
    (server, to_bytes(&GroupStart { plan: plan.clone(), roster }).unwrap())
}

struct Group {
    server: Server,
    homes: Vec<Masks>,
    start: Vec<u8>,
}

fn group(homes: usize) -> Group {
    let begun = (0..homes).map(|place| Masks::begin(&delta(place), &mut rng(place as u64)).unwrap());
    let (homes, adverts): (Vec<Masks>, Vec<Vec<u8>>) = begun.unzip();
    let (server, start) = started(&plan(homes.len()), &adverts);
    Group { server, homes, start }
}

impl Group {
    fn answer(&mut self, place: usize, exchange: MaskExchange, body: &[u8]) -> Result<Vec<u8>, MasksRefusal> {
        // Whatever was written down is what a killed home goes on with.
        let mut again = Masks::from_bytes(&self.homes[place].to_bytes().unwrap()).unwrap();
        let (own, terms, request) = (home(place), terms(), request(exchange, body));
        let asked = Asked { own: &own, terms: &terms, request: &request, body };
        let answer = again.answer(&asked, &mut rng(50 + place as u64));
        self.homes[place] = again;
        answer
    }

    fn deal(&mut self) {
        let start = self.start.clone();
        for place in 0..self.homes.len() {
            let dealt = self.answer(place, MaskExchange::Shares, &start).unwrap();
            self.server.share_keys(from_bytes(&dealt).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_group_of_homes_that_are_killed_between_any_two_exchanges_comes_to_its_sum_and_no_more() {
    let mut group = group(5);
    assert!(group.homes.iter().all(|home| home.sent() == MaskExchange::Keys && home.group_homes().is_none()));
    group.deal();
    assert!(group.homes.iter().all(|home| home.sent() == MaskExchange::Shares && home.group_homes() == Some(5)));
    for (place, delivery) in group.server.close_share().unwrap().into_iter().enumerate().take(4) {
        let masked = group.answer(place, MaskExchange::Masked, &to_bytes(&delivery).unwrap()).unwrap();
        group.server.mask(&from_bytes::<MaskedInput>(&masked).unwrap()).unwrap();
        let kept = group.homes[place].to_bytes().unwrap();
        let plain = &delta(place)[..12];
        assert!(!kept.windows(12).any(|bytes| bytes == plain), "the delta is forgotten once it was sent under masks");
    }
    let unmask = to_bytes(&group.server.close_mask().unwrap()).unwrap();
    for place in 0..4 {
        let opened = group.answer(place, MaskExchange::Opened, &unmask).unwrap();
        group.server.unmask(&from_bytes::<Unmask>(&opened).unwrap()).unwrap();
        assert_eq!(group.homes[place].sent(), MaskExchange::Opened);
    }
    let sum = group.server.close_unmask().unwrap();
    let expected: Vec<u16> = (0..WORDS).map(|word| (word * 7 * 4 + 6_000) as u16).collect();
    assert_eq!(sum.words.0, expected);
}

#[test]
fn a_group_that_is_smaller_or_has_a_lower_threshold_than_the_plan_promised_is_refused() {
    let refused = |change: fn(&mut GroupPlan), terms: MaskTerms| {
        let mut group = group(6);
        let GroupStart { mut plan, mut roster } = from_bytes(&group.start).unwrap();
        change(&mut plan);
        roster = Roster { group: plan.digest(), ..roster };
        let body = to_bytes(&GroupStart { plan, roster }).unwrap();
        let request = request(MaskExchange::Shares, &body);
        let asked = Asked { own: &home(0), terms: &terms, request: &request, body: &body };
        let refusal = group.homes[0].answer(&asked, &mut rng(9)).unwrap_err();
        assert!(refusal.leaves());
        assert_eq!(group.homes[0].sent(), MaskExchange::Keys, "nothing was given away");
        refusal
    };
    let larger = MaskTerms { group: 7, ..terms() };
    assert_eq!(refused(|_| {}, larger), MasksRefusal::Terms("fewer homes"));
    assert_eq!(refused(|plan| plan.threshold = 3, terms()), MasksRefusal::Terms("a lower threshold"));
    let stricter = MaskTerms { threshold: 1.0, ..terms() };
    assert_eq!(refused(|_| {}, stricter), MasksRefusal::Terms("a lower threshold"));
    assert_eq!(refused(|plan| plan.round = 4, terms()), MasksRefusal::Terms("another round"));
    assert_eq!(refused(|plan| plan.words = 39, terms()), MasksRefusal::Terms("another number of values"));
    let stranger = |plan: &mut GroupPlan| {
        plan.homes.remove(0);
    };
    let not_this = MasksRefusal::Home(HomeRefusal::NotThisHome);
    assert_eq!(refused(stranger, MaskTerms { threshold: 0.67, ..terms() }), not_this);
}

#[test]
fn a_second_group_for_the_same_round_and_exchanges_out_of_turn_are_not_answered() {
    let mut group = group(5);
    group.deal();
    let start = group.start.clone();
    assert_eq!(group.answer(0, MaskExchange::Shares, &start), Err(MasksRefusal::Again), "handed out again");
    let mut other = from_bytes::<GroupStart>(&start).unwrap();
    other.plan.nonce = [6; 16];
    other.roster.group = other.plan.digest();
    let other = to_bytes(&other).unwrap();
    let second = MasksRefusal::OutOfTurn { found: MaskExchange::Shares };
    assert_eq!(group.answer(0, MaskExchange::Shares, &other), Err(second.clone()));
    assert!(!second.leaves(), "it goes on in its own group");
    let early = MasksRefusal::OutOfTurn { found: MaskExchange::Opened };
    assert_eq!(group.answer(0, MaskExchange::Opened, b"early"), Err(early));
    let deliveries = group.server.close_share().unwrap();
    let foreign = to_bytes(&deliveries[1]).unwrap();
    assert_eq!(group.answer(0, MaskExchange::Masked, &foreign), Err(HomeRefusal::NotThisHome.into()));
    let own = to_bytes(&deliveries[0]).unwrap();
    assert!(group.answer(0, MaskExchange::Masked, &own).is_ok());
}

#[test]
fn what_is_printed_has_neither_keys_nor_delta() {
    let (masks, _) = Masks::begin(&delta(1), &mut rng(1)).unwrap();
    assert_eq!(format!("{masks:?}"), "Masks { sent: Keys, .. }");
}

#[test]
fn half_a_word_is_no_delta() {
    let refused = Masks::begin(&[1, 2, 3], &mut rng(1)).unwrap_err();
    assert_eq!(refused, MasksRefusal::Terms("what was trained has another form"));
}
