//! Rounds as a home lives them, with a real server of models and a program that trains in name only.

use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::signature::Ed25519KeyPair;
use hearthwatch_edge_cloud::uplink::RoundDelivery;
use hearthwatch_edge_detection::fixtures;
use hearthwatch_edge_detection::service::{self, DetectorService, EntityReadiness, LEARNING_DAYS, Readiness};
use hearthwatch_edge_store::history::History;
use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_mirror::{TestRepository, serve_files};
use hearthwatch_protocol::messages::{RoundReceipt, RoundRefusal, RoundState as Receipt};
use hearthwatch_protocol::round::{
    DeclineReason, RoundAnswer, RoundFile, RoundPlan, RoundResult, RoundWork, SignedRoundOffer, TrainRecipe, TrainWork,
};
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::Statement as _;
use tokio::task::JoinHandle;

use super::*;
use crate::conditions::{Hours, Limits};
use crate::ledger::{Outcome, RoundEntry};
use crate::scripts;
use crate::view::RefusedPlan;

/// Far beyond what anything here takes; only a failure waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const NOW: i64 = 1_790_000_000;
const MODEL: &[u8] = b"weights";

/// Finds the folder in its job, and leaves a body there.
const TRAINS: &str = r#"out=$(sed 's/.*"out":"\([^"]*\)".*/\1/'); head -c 30000 /dev/zero > "$out/body"
echo '{"done":{"entities":2,"days":28,"norm":2.5,"sent_norm":1.0,"noise":0.0,"seconds":1.5,"peak_kib":9}}'"#;
const HANGS: &str = "exec sleep 600";

/// Of another fleet.
pub(super) fn other_director() -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap()))
}

/// A home in which so many sensors are learnt.
fn learnt(sensors: usize) -> HomeView {
    let entity = |number| EntityReadiness {
        entity_id: format!("sensor.made_{number}"),
        name: String::new(),
        days: LEARNING_DAYS,
        watching: Vec::new(),
    };
    let readiness = Arc::new(Readiness { entities: (0..sensors).map(entity).collect() });
    HomeView { readiness, ..HomeView::default() }
}

/// A home, and the fleet's ends of its channels.
pub(super) struct World {
    repository: TestRepository,
    pub(super) parts: RoundsParts,
    pub(super) director: SigningKey,
    key: SigningKey,
    pub(super) clock: Arc<AtomicI64>,
    pub(super) sharing: watch::Sender<SharingLevel>,
    plan: watch::Sender<Option<SignedRoundPlan>>,
    pub(super) receipt: watch::Sender<Option<RoundReceipt>>,
    pub(super) request: watch::Sender<Option<RoundRequest>>,
    left: watch::Sender<u64>,
    offer: watch::Receiver<Option<SignedRoundOffer>>,
    pub(super) delivery: watch::Receiver<Option<RoundDelivery>>,
    view: watch::Receiver<RoundsView>,
    home: watch::Sender<HomeView>,
    running: Option<(CancellationToken, JoinHandle<Result<(), RoundsError>>)>,
}

impl World {
    pub(super) async fn new(level: SharingLevel, script: &str) -> Self {
        let repository = TestRepository::new().await;
        let path = |name: &str| repository.directory.path().join(name);
        let rounds = path("repository").join("rounds");
        std::fs::create_dir_all(&rounds).unwrap();
        std::fs::write(fetch::place_of(&rounds, &RoundFile::of(MODEL)), MODEL).unwrap();
        let url = serve_files(path("repository"), &path("ca.crt"), None).await;
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(path("agent.key"), key.serialize_pem()).unwrap();
        let director = SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()));
        let history = History::open(&path("history.sqlite")).unwrap();
        let (home, home_seen) = watch::channel(learnt(1));
        let detection = DetectorService::new(
            fixtures::parts(history),
            watch::channel(HomeView::default()).0,
            tokio::sync::mpsc::channel(16).0,
        )
        .unwrap();
        let (detection, _) = service::start(detection).unwrap();
        let (sharing, sharing_seen) = watch::channel(level);
        let ((plan, plan_seen), (receipt, receipt_seen)) = (watch::channel(None), watch::channel(None));
        let ((left, left_seen), (offer, offered)) = (watch::channel(0), watch::channel(None));
        let (request, request_seen) = watch::channel(None);
        let ((delivery, delivered), (show, view)) = (watch::channel(None), watch::channel(RoundsView::default()));
        let channels = RoundChannels {
            sharing: sharing_seen,
            plan: plan_seen,
            receipt: receipt_seen,
            request: request_seen,
            left: left_seen,
            offer,
            delivery,
        };
        let clock = Arc::new(AtomicI64::new(NOW));
        let time = Arc::clone(&clock);
        let limits = Limits { hours: Hours::Always, ..Limits::default() };
        let program = path("train");
        scripts::write(&program, script);
        let parts = RoundsParts {
            home: HomeId::new("home-7").unwrap(),
            config: RoundsConfig { program: Some(program), limits, ..RoundsConfig::default() },
            directors: vec![director.public()],
            key_file: path("agent.key"),
            repository: url,
            ca_file: Some(path("ca.crt")),
            history: path("history.sqlite"),
            state: path("rounds.sqlite"),
            folder: path("rounds"),
            channels,
            detection,
            view: home_seen,
            show,
            clock: Arc::new(move || time.load(Ordering::SeqCst)),
            seed: 7,
            system: path("no-sensors"),
            rest_seconds: 0,
        };
        let key = SigningKey::from_pkcs8(&key.serialize_der()).unwrap();
        let mut world = Self {
            repository,
            parts,
            director,
            key,
            clock,
            sharing,
            plan,
            receipt,
            request,
            left,
            offer: offered,
            delivery: delivered,
            view,
            home,
            running: None,
        };
        world.start();
        world
    }

    pub(super) fn start(&mut self) {
        let stop = CancellationToken::new();
        self.running = Some((stop.clone(), tokio::spawn(run(self.parts.clone(), stop))));
    }

    /// As the system does it: nothing is put in order.
    pub(super) async fn kill(&mut self) {
        let (_, task) = self.running.take().unwrap();
        task.abort();
        let _ = task.await;
        // What was handed to the uplink is gone with the process.
        self.parts.channels.delivery.send_replace(None);
    }

    pub(super) async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.cancel();
        tokio::time::timeout(PATIENCE, task).await.expect("it ends").unwrap().unwrap();
        self.parts.channels.delivery.send_replace(None);
    }

    pub(super) fn program(&self, script: &str) {
        scripts::write(self.parts.config.program.as_deref().unwrap(), script);
    }

    pub(super) fn plan(&self, round: u64) -> RoundPlan {
        RoundPlan {
            home: self.parts.home.clone(),
            round,
            work: RoundWork::Train(TrainWork {
                base: RoundFile::of(MODEL),
                recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 7 },
                clip: 1.0,
                noise: 0.0,
                server_noise: 0.0,
            }),
            cohort: 12,
            least: 6,
            opens_at: NOW,
            deadline: NOW + 86_400,
            nonce: [2; 16],
        }
    }

    pub(super) fn ask(&self, plan: &RoundPlan) {
        self.plan.send_replace(Some(plan.sign(&self.director).unwrap()));
    }

    pub(super) fn say(&self, round: u64, state: Receipt) {
        self.receipt.send_replace(Some(RoundReceipt { round, state }));
    }

    /// Whether the home is willing, by the newest offer after it has said so.
    pub(super) async fn offers(&mut self, willing: bool) {
        let public = self.key.public();
        let says = |offer: &Option<SignedRoundOffer>| {
            offer.as_ref().is_some_and(|offer| offer.read(std::slice::from_ref(&public)).unwrap().willing == willing)
        };
        tokio::time::timeout(PATIENCE, self.offer.wait_for(says)).await.expect("an offer").unwrap();
    }

    /// The answer on its way, verified, and its body.
    pub(super) async fn answer(&mut self) -> (RoundAnswer, Vec<u8>) {
        let delivered = tokio::time::timeout(PATIENCE, self.delivery.wait_for(Option::is_some)).await;
        let parts = delivered.expect("an answer").unwrap().as_ref().unwrap().parts.clone();
        let body = parts.iter().flat_map(|part| part.bytes.clone()).collect();
        (parts[0].answer.read_of(&self.parts.home, &[self.key.public()]).unwrap(), body)
    }

    pub(super) async fn refused(&mut self) -> RefusedPlan {
        let refused = tokio::time::timeout(PATIENCE, self.view.wait_for(|view| view.refused.is_some())).await;
        refused.expect("a refusal").unwrap().refused.clone().unwrap()
    }

    pub(super) async fn does(&mut self, doing: Doing) {
        tokio::time::timeout(PATIENCE, self.view.wait_for(|view| view.doing == doing)).await.expect("it does").unwrap();
    }

    pub(super) fn view(&mut self) -> &mut watch::Receiver<RoundsView> {
        &mut self.view
    }

    pub(super) fn newest(&self) -> RoundEntry {
        RoundState::read_ledger(&self.parts.state, 1).unwrap().remove(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_learns_trains_sends_in_parts_and_forgets_what_was_taken() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.offers(true).await;
    world.ask(&world.plan(3));
    let (answer, body) = world.answer().await;
    assert_eq!((answer.round, answer.nonce, answer.result), (3, [2; 16], RoundResult::Delta(RoundFile::of(&body))));
    assert_eq!(body, [0; 30_000]);
    world.left.send_replace(1);
    world.say(3, Receipt::Wanted(1));
    let stored = |delivery: &Option<RoundDelivery>| delivery.as_ref().is_some_and(|delivery| delivery.stored == 1);
    tokio::time::timeout(PATIENCE, world.delivery.wait_for(stored)).await.expect("it goes on").unwrap();
    world.say(3, Receipt::Taken);
    world.does(Doing::Idle).await;
    let entry = world.newest();
    assert_eq!((entry.outcome, entry.bytes, entry.figures.unwrap().norm), (Outcome::Taken, 30_000, 2.5));
    assert_eq!((entry.planned_at, entry.sent_at, entry.ended_at), (NOW, Some(NOW), Some(NOW)));
    assert_eq!(entry.picture.unwrap().0.iter().sum::<u32>(), 30_000);
    assert_eq!((world.delivery.borrow().clone(), world.parts.folder.exists()), (None, false));
    // Brokers hand a retained plan out again.
    world.ask(&world.plan(3));
    world.stop().await;
    assert_eq!((world.newest().outcome, world.delivery.borrow().clone()), (Outcome::Taken, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_shares_something_else_says_nothing_and_follows_no_plan() {
    for level in [SharingLevel::Off, SharingLevel::Verdicts, SharingLevel::Windows] {
        let mut world = World::new(level, TRAINS).await;
        world.ask(&world.plan(3));
        world.stop().await;
        assert_eq!((world.offer.borrow().clone(), world.delivery.borrow().clone()), (None, None));
        assert!(!world.parts.state.exists(), "nothing is even made");
        // A file without an offer: the home was killed in the moment of its first choice.
        drop(RoundState::open(&world.parts.state).unwrap());
        world.start();
        assert_eq!(world.refused().await.word, "no_consent");
        assert_eq!(RoundState::read_ledger(&world.parts.state, 9).unwrap(), []);
        world.sharing.send_replace(SharingLevel::Learning);
        world.offers(true).await;
        world.ask(&world.plan(4));
        assert_eq!(world.answer().await.0.round, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_training_costs_one_try_a_second_ends_the_round_and_a_stop_costs_none() {
    let mut world = World::new(SharingLevel::Learning, HANGS).await;
    world.ask(&world.plan(3));
    world.does(Doing::Training).await;
    world.stop().await;
    world.start();
    for tries in 1..=2 {
        until_begun(&world, tries).await;
        world.kill().await;
        world.start();
    }
    assert_eq!(world.answer().await.0.result, RoundResult::Declined(DeclineReason::Crashed));
    world.say(3, Receipt::Taken);
    world.does(Doing::Idle).await;
    let entry = world.newest();
    assert_eq!((entry.outcome, entry.reason.as_str()), (Outcome::Declined, "crashed"));
    world.program(TRAINS);
    world.ask(&world.plan(4));
    assert!(matches!(world.answer().await.0.result, RoundResult::Delta(_)), "the next round is as good as any");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_start_a_round_waits_until_the_sensors_history_is_read() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.home.send_replace(learnt(0));
    world.ask(&world.plan(3));
    let again_at = NOW + crate::machine::LOOK_AGAIN_SECONDS;
    world.does(Doing::Waiting(Waits::Fit(Unfit::Learning), again_at)).await;
    world.home.send_replace(learnt(2));
    assert!(matches!(world.answer().await.0.result, RoundResult::Delta(_)));
}

/// Waits until the run that goes on is written down as the home's `tries`-th: the kill then comes in the middle of it.
async fn until_begun(world: &World, tries: u8) {
    let mut state = RoundState::open(&world.parts.state).unwrap();
    let wait = async {
        let stage = Some(Stage::Planned { begun: tries });
        while state.work(&world.parts.home, &world.parts.directors, NOW).unwrap().map(|work| work.stage) != stage {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it begins");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_before_a_kill_is_sent_after_it_and_nothing_else() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.ask(&world.plan(3));
    let before = world.answer().await;
    world.say(3, Receipt::Wanted(2));
    let stored = |delivery: &Option<RoundDelivery>| delivery.as_ref().is_some_and(|delivery| delivery.stored == 2);
    tokio::time::timeout(PATIENCE, world.delivery.wait_for(stored)).await.expect("it goes on").unwrap();
    world.kill().await;
    world.program("exit 1");
    world.start();
    assert_eq!(world.answer().await, before);
    assert!(stored(&world.delivery.borrow().clone()), "the aggregator has two parts already");
    // It was restarted, and has lost them.
    world.say(3, Receipt::Wanted(0));
    let again = |delivery: &Option<RoundDelivery>| delivery.as_ref().is_some_and(|delivery| delivery.stored == 0);
    tokio::time::timeout(PATIENCE, world.delivery.wait_for(again)).await.expect("from the first").unwrap();
    world.say(3, Receipt::Refused(RoundRefusal::Norm));
    world.does(Doing::Idle).await;
    assert_eq!((world.newest().outcome, world.newest().reason.as_str()), (Outcome::Refused, "norm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_which_training_fails_is_told_to_the_fleet_in_a_word() {
    let mut world = World::new(SharingLevel::Learning, "exit 0").await;
    let declines = |reason: &str| format!(r#"echo '{{"declined":{{"reason":"{reason}","detail":"why"}}}}'"#);
    let reasons = ["history_too_short", "model_unavailable", "too_slow", "out_of_memory", "disk", "diverged"];
    let mut cases: Vec<(String, DeclineReason)> =
        reasons.iter().map(|reason| (declines(reason), reason.parse().unwrap())).collect();
    for crash in ["kill -9 $$", "exit 101", "echo NaN", TRAINS.split_once(';').unwrap().0, "echo '{\"done\":{}}'"] {
        cases.push((crash.to_owned(), DeclineReason::Crashed));
    }
    for (round, (script, reason)) in (1..).zip(cases) {
        world.program(&script);
        world.ask(&world.plan(round));
        assert_eq!(world.answer().await.0.result, RoundResult::Declined(reason), "{script}");
        world.say(round, Receipt::Taken);
        tokio::time::timeout(PATIENCE, world.delivery.wait_for(Option::is_none)).await.expect("it ends").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_are_other_bytes_are_never_trained_on() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    let rounds = world.repository.directory.path().join("repository/rounds");
    std::fs::write(fetch::place_of(&rounds, &RoundFile::of(MODEL)), b"poisons").unwrap();
    world.ask(&world.plan(3));
    let waits = |view: &RoundsView| matches!(view.doing, Doing::Waiting(Waits::Models, _));
    tokio::time::timeout(PATIENCE, world.view.wait_for(waits)).await.expect("it waits").unwrap();
    world.clock.store(NOW + 86_400 - 5, Ordering::SeqCst);
    world.sharing.send_replace(SharingLevel::Learning);
    assert_eq!(world.answer().await.0.result, RoundResult::Declined(DeclineReason::ModelUnavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_that_is_taken_back_ends_a_run_and_the_fleet_is_told() {
    let mut world = World::new(SharingLevel::Learning, HANGS).await;
    world.offers(true).await;
    world.ask(&world.plan(3));
    world.does(Doing::Training).await;
    world.sharing.send_replace(SharingLevel::Off);
    assert_eq!(world.answer().await.0.result, RoundResult::Declined(DeclineReason::NoConsent));
    world.offers(false).await;
    assert_eq!(world.newest().outcome, Outcome::Declined);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_that_is_taken_back_deletes_what_waits_to_be_sent() {
    let mut world = World::new(SharingLevel::Learning, &TRAINS.replace("/dev/zero", "/dev/urandom")).await;
    world.ask(&world.plan(3));
    let (_, body) = world.answer().await;
    world.sharing.send_replace(SharingLevel::Verdicts);
    tokio::time::timeout(PATIENCE, world.delivery.wait_for(Option::is_none)).await.expect("nothing waits").unwrap();
    world.offers(false).await;
    // First nothing is sent any more, then the files go.
    let folder = world.parts.folder.clone();
    let emptied = async {
        while folder.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("the folder is gone");
    world.stop().await;
    assert_eq!(world.newest().outcome, Outcome::Withdrawn);
    let piece = &body[10_000..10_032];
    for file in [world.parts.state.clone(), world.parts.state.with_extension("sqlite-wal")] {
        let bytes = std::fs::read(file).unwrap_or_default();
        assert!(!bytes.windows(piece.len()).any(|window| window == piece));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_followed_is_refused_in_a_word() {
    let mut world = World::new(SharingLevel::Learning, TRAINS).await;
    world.ask(&world.plan(5));
    world.answer().await;
    world.say(5, Receipt::Taken);
    world.does(Doing::Idle).await;
    // The one that was followed, from the broker again and after its end.
    world.stop().await;
    world.clock.store(NOW + 86_400, Ordering::SeqCst);
    world.parts.show.send_replace(RoundsView::default());
    world.start();
    world.does(Doing::Idle).await;
    world.clock.store(NOW, Ordering::SeqCst);
    assert_eq!(world.view.borrow().refused, None);
    let ended = RoundPlan { round: 6, deadline: NOW, opens_at: NOW - 9, ..world.plan(6) };
    let far = RoundPlan { opens_at: NOW + 90_000, deadline: NOW + 99_000, ..world.plan(7) };
    let reused = RoundPlan { nonce: [9; 16], ..world.plan(5) };
    let foreign = RoundPlan { home: HomeId::new("home-8").unwrap(), ..world.plan(8) };
    let cases = [(world.plan(4), "older_round"), (reused, "round_reused"), (ended, "expired"), (foreign, "signature")];
    for (plan, word) in cases.into_iter().chain([(far.clone(), "clock")]) {
        world.parts.show.send_modify(|view| view.refused = None);
        world.ask(&plan);
        assert_eq!(world.refused().await.word, word);
    }
    // The clock is set right.
    world.clock.store(NOW + 90_001, Ordering::SeqCst);
    world.sharing.send_replace(SharingLevel::Learning);
    assert_eq!(world.answer().await.0.round, 7);
}
