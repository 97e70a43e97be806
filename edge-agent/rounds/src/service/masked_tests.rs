//! A masked round as a home lives it: killed between exchanges, among others whose server is honest or is not.

use std::sync::atomic::Ordering;

use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_masking::{
    AdvertiseKeys, GroupPlan, GroupStart, MaskedInput, Place, PublicKeys, Roster, Server, ShareKeys, Unmask,
    from_bytes, to_bytes,
};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::RoundState as Receipt;
use hearthwatch_protocol::round::{
    DeclineReason, GroupRequest, MaskExchange, MaskTerms, MaskedTrainWork, RoundFile, RoundPlan, RoundResult, RoundWork,
};
use hearthwatch_protocol::statement::Statement as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::tests::{NOW, PATIENCE, World};
use super::*;
use crate::ledger::Outcome;
use crate::masks::Asked;
use crate::masks::Masks;

/// Leaves forty words, of which each is 1.
const TRAINS: &str = r#"out=$(sed 's/.*"out":"\([^"]*\)".*/\1/'); for n in 1 2 3 4 5 6 7 8; do printf '\001\000\001\000\001\000\001\000\001\000'; done > "$out/body"
echo '{"done":{"entities":2,"days":28,"norm":2.5,"sent_norm":1.0,"noise":0.0,"seconds":1.5,"peak_kib":9}}'"#;
const WORDS: u32 = 40;
/// Homes of the group besides the one that is looked at.
const OTHERS: [&str; 4] = ["home-1", "home-2", "home-3", "home-4"];
const OWN: Place = Place(4);
const UNTIL: i64 = NOW + 100_000;

fn masked(world: &World) -> RoundPlan {
    let plan = world.plan(3);
    let RoundWork::Train(train) = plan.work else { panic!("other work") };
    let masks = MaskTerms { group: 4, threshold: 0.7, until: UNTIL };
    RoundPlan { work: RoundWork::MaskedTrain(MaskedTrainWork { train, masks }), ..plan }
}

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// The server and the other homes of the group.
struct Group {
    server: Server,
    others: Vec<Masks>,
    terms: MaskTerms,
}

impl Group {
    /// With the body of the first request.
    fn of(advert: &[u8]) -> (Self, Vec<u8>) {
        let homes = OTHERS.iter().chain(&["home-7"]).map(|name| HomeId::new(*name).unwrap()).collect();
        let plan = GroupPlan::new(3, 0, [5; 16], homes, WORDS).unwrap();
        let delta: Vec<u8> = [2, 0].repeat(WORDS as usize);
        let begun = (0..4).map(|seed| Masks::begin(&delta, &mut rng(seed)).unwrap());
        let (others, mut adverts): (Vec<Masks>, Vec<Vec<u8>>) = begun.unzip();
        adverts.push(advert.to_vec());
        let mut server = Server::new(plan.clone()).unwrap();
        for (from, advert) in (0..).map(Place).zip(&adverts) {
            let keys: PublicKeys = from_bytes(advert).unwrap();
            server.advertise(&AdvertiseKeys { group: plan.digest(), from, keys }).unwrap();
        }
        let roster = server.close_advertise().unwrap();
        let terms = MaskTerms { group: 4, threshold: 0.7, until: UNTIL };
        (Self { server, others, terms }, to_bytes(&GroupStart { plan, roster }).unwrap())
    }

    fn answers(&mut self, exchange: MaskExchange, body: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
        let one = |(at, home): (usize, &mut Masks)| {
            let (own, body) = (HomeId::new(OTHERS[at]).unwrap(), body(at));
            let request = request(exchange, &body);
            let asked = Asked { own: &own, terms: &self.terms, request: &request, body: &body };
            home.answer(&asked, &mut rng(60 + at as u64)).unwrap()
        };
        self.others.iter_mut().enumerate().map(one).collect()
    }
}

fn request(exchange: MaskExchange, body: &[u8]) -> GroupRequest {
    let home = HomeId::new("home-7").unwrap();
    GroupRequest { home, round: 3, nonce: [2; 16], exchange, file: RoundFile::of(body), deadline: NOW + 90_000 }
}

fn ask(world: &World, exchange: MaskExchange, body: &[u8]) {
    let signed = request(exchange, body).sign(&world.director).unwrap();
    world.request.send_replace(Some(RoundRequest { signed, body: body.to_vec() }));
}

/// The home's answer of this exchange.
async fn answered(world: &mut World, exchange: MaskExchange) -> Vec<u8> {
    let of = |result: &RoundResult| matches!(result, RoundResult::Masks(answer) if answer.exchange == exchange);
    loop {
        let (answer, body) = world.answer().await;
        if of(&answer.result) {
            assert_eq!(answer.result.file(), Some(&RoundFile::of(&body)));
            return body;
        }
        tokio::time::timeout(PATIENCE, world.delivery.changed()).await.expect("another answer").unwrap();
    }
}

async fn received(world: &mut World, exchange: MaskExchange) {
    world.say(3, Receipt::Received(exchange));
    world.does(Doing::Waiting(Waits::Group, UNTIL)).await;
    assert_eq!(world.delivery.borrow().clone(), None, "nothing is sent until the next request");
}

/// Waits until the newest round has ended so, as the ledger has it.
async fn ends(world: &World, outcome: Outcome) {
    let wait = async {
        while world.newest().outcome != outcome {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it ends");
}

/// What the files of the home's memory hold.
fn kept(world: &World) -> Vec<u8> {
    let wal = world.parts.state.with_extension("sqlite-wal");
    [&world.parts.state, &wal].into_iter().filter_map(|file| std::fs::read(file).ok()).flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_round_goes_on_across_kills_and_nothing_secret_is_left_of_it() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.ask(&masked(&world));
    let advert = answered(&mut world, MaskExchange::Keys).await;
    let delta = [1, 0].repeat(20);
    let holds = |bytes: &[u8]| bytes.windows(delta.len()).any(|window| window == delta);
    assert!(holds(&kept(&world)), "the delta is kept until it is under masks");
    world.kill().await;
    world.start();
    assert_eq!(answered(&mut world, MaskExchange::Keys).await, advert, "the same keys");
    received(&mut world, MaskExchange::Keys).await;
    let (mut group, start) = Group::of(&advert);
    world.kill().await;
    world.start();
    // What the broker kept for the home comes again at each connection.
    ask(&world, MaskExchange::Shares, &start);
    let dealt = answered(&mut world, MaskExchange::Shares).await;
    world.kill().await;
    world.start();
    ask(&world, MaskExchange::Shares, &start);
    assert_eq!(answered(&mut world, MaskExchange::Shares).await, dealt, "shares are dealt once");
    received(&mut world, MaskExchange::Shares).await;
    assert_eq!(world.newest().masked, Some(5));
    for body in group.answers(MaskExchange::Shares, |_| start.clone()).iter().chain([&dealt]) {
        group.server.share_keys(from_bytes::<ShareKeys>(body).unwrap()).unwrap();
    }
    let deliveries: Vec<Vec<u8>> =
        group.server.close_share().unwrap().iter().map(|one| to_bytes(one).unwrap()).collect();
    ask(&world, MaskExchange::Masked, &deliveries[4]);
    let sent = answered(&mut world, MaskExchange::Masked).await;
    let words: MaskedInput = from_bytes(&sent).unwrap();
    assert_ne!(words.words.0, [1; WORDS as usize]);
    received(&mut world, MaskExchange::Masked).await;
    for body in group.answers(MaskExchange::Masked, |at| deliveries[at].clone()).iter().chain([&sent]) {
        group.server.mask(&from_bytes(body).unwrap()).unwrap();
    }
    let unmask = to_bytes(&group.server.close_mask().unwrap()).unwrap();
    ask(&world, MaskExchange::Opened, &unmask);
    let opened: Unmask = from_bytes(&answered(&mut world, MaskExchange::Opened).await).unwrap();
    assert_eq!((opened.from, opened.shares.len()), (OWN, 5));
    let others = group.answers(MaskExchange::Opened, |_| unmask.clone());
    for opened in others.iter().map(|body| from_bytes(body).unwrap()).chain([opened]) {
        group.server.unmask(&opened).unwrap();
    }
    assert_eq!(group.server.close_unmask().unwrap().words.0, [9; WORDS as usize]);
    world.say(3, Receipt::Taken);
    world.does(Doing::Idle).await;
    let entry = world.newest();
    assert_eq!((entry.outcome, entry.masked, entry.picture), (Outcome::Taken, Some(5), None));
    assert!(entry.bytes > sent.len() && entry.figures.is_some());
    let kept = kept(&world);
    assert!(!holds(&kept), "the delta is gone");
    let seed_of_other = &dealt[dealt.len() - 40..];
    assert!(!kept.windows(40).any(|bytes| bytes == seed_of_other), "and so is what was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_could_expose_the_home_is_declined_and_its_keys_are_forgotten() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.ask(&masked(&world));
    let advert = answered(&mut world, MaskExchange::Keys).await;
    received(&mut world, MaskExchange::Keys).await;
    let (_, start) = Group::of(&advert);
    let GroupStart { mut plan, roster } = from_bytes(&start).unwrap();
    plan.threshold = 2;
    let roster = Roster { group: plan.digest(), ..roster };
    ask(&world, MaskExchange::Shares, &to_bytes(&GroupStart { plan, roster }).unwrap());
    let declines = |delivery: &Option<hearthwatch_edge_cloud::uplink::RoundDelivery>| delivery.is_some();
    tokio::time::timeout(PATIENCE, world.delivery.wait_for(declines)).await.expect("an answer").unwrap();
    assert_eq!(world.answer().await.0.result, RoundResult::Declined(DeclineReason::Group));
    world.say(3, Receipt::Taken);
    world.does(Doing::Idle).await;
    let entry = world.newest();
    assert_eq!(entry.outcome, Outcome::Declined);
    assert_eq!(entry.reason, "group: the group is not what the plan promised: a lower threshold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_group_and_a_request_of_somebody_else_are_refused_and_the_home_goes_on_in_its_own() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.ask(&masked(&world));
    let advert = answered(&mut world, MaskExchange::Keys).await;
    received(&mut world, MaskExchange::Keys).await;
    let (_, start) = Group::of(&advert);
    let body = request(MaskExchange::Shares, &start);
    let stranger = RoundRequest { signed: body.sign(&super::tests::other_director()).unwrap(), body: start.clone() };
    world.request.send_replace(Some(stranger));
    assert_eq!(world.refused().await.word, "request");
    ask(&world, MaskExchange::Shares, &start);
    answered(&mut world, MaskExchange::Shares).await;
    received(&mut world, MaskExchange::Shares).await;
    let GroupStart { mut plan, roster } = from_bytes(&start).unwrap();
    plan.nonce = [6; 16];
    let roster = Roster { group: plan.digest(), ..roster };
    ask(&world, MaskExchange::Shares, &to_bytes(&GroupStart { plan, roster }).unwrap());
    let second = "a request of the exchange Shares came out of turn: ignored";
    let refused = |view: &RoundsView| view.refused.as_ref().is_some_and(|refused| refused.detail == second);
    tokio::time::timeout(PATIENCE, world.view().wait_for(refused)).await.expect("it is refused").unwrap();
    assert_eq!(world.delivery.borrow().clone(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_whose_group_comes_to_no_end_gives_up_at_the_end_that_the_plan_names_and_consent_ends_it_at_once() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.ask(&masked(&world));
    answered(&mut world, MaskExchange::Keys).await;
    received(&mut world, MaskExchange::Keys).await;
    world.clock.store(UNTIL, Ordering::SeqCst);
    // Anything that comes makes it look at the clock.
    world.receipt.send_replace(None);
    ends(&world, Outcome::Missed).await;
    assert_eq!(world.newest().reason, "its group came to no end in time");

    world.clock.store(NOW, Ordering::SeqCst);
    world.ask(&RoundPlan { round: 4, ..masked(&world) });
    answered(&mut world, MaskExchange::Keys).await;
    world.say(4, Receipt::Received(MaskExchange::Keys));
    world.does(Doing::Waiting(Waits::Group, UNTIL)).await;
    world.sharing.send_replace(SharingLevel::Off);
    ends(&world, Outcome::Withdrawn).await;
    // The log of the database is emptied after the entry was written.
    let delta = [1, 0].repeat(20);
    let forgets = async {
        while kept(&world).windows(delta.len()).any(|bytes| bytes == delta) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, forgets).await.expect("its delta is gone with it");
}
