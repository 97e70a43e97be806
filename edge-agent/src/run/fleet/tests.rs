//! UpdateRequests and stopping while a download stands still.

use std::time::Duration;

use hearthwatch_edge_detection::fixtures;
use hearthwatch_edge_detection::service::{self, DetectorParts, DetectorService};
use hearthwatch_edge_store::history::History;
use hearthwatch_edge_update::disk::RealDisk;
use hearthwatch_edge_update::slots::Slots;
use hearthwatch_edge_update::{AnsweredRequest, Policy, RequestOutcome, UpdateRequest, Watching};
use hearthwatch_mirror::TestRepository;
use hearthwatch_mirror::{Stall, serve_files};
use tokio::task::JoinHandle;

use super::*;
use crate::config::UpdatesConfig;

/// Far beyond what anything here takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(120);
/// In charge when a test begins.
const INSTALLED: ModelVersion = ModelVersion(2);

/// A home in which model 2 is in charge, and a mirror that offers model 3.
struct Home {
    repository: TestRepository,
    cloud: CloudConfig,
    stall: Stall,
    requests: UpdateRequests,
}

/// A running fleet's side of it.
struct Running {
    stop: CancellationToken,
    updates: watch::Receiver<UpdateView>,
    task: JoinHandle<()>,
    _state: StateDirectory,
}

impl Home {
    async fn new() -> Self {
        let repository = TestRepository::new().await;
        repository.publish(1, &[(3, "never read to its end")]).await;
        let path = |name: &str| repository.directory.path().join(name);
        let stall = Stall::default();
        let url = serve_files(path("repository"), &path("ca.crt"), Some(stall.clone())).await;
        let updates = UpdatesConfig {
            url,
            ca_file: Some(path("ca.crt")),
            root_file: path("root.json"),
            director_file: None,
            policy: Policy::default(),
            watching: Watching { shadow_seconds: 0, probation_seconds: 0 },
        };
        let home = HomeId::new("home-7").unwrap();
        let cloud = CloudConfig {
            home,
            sharing: SharingLevel::Off,
            renew_url: None,
            mqtt: None,
            updates: Some(updates),
            enrolment: None,
        };
        let slots = path("state").join(UPDATE_FOLDER).join("slots");
        let mut slots = Slots::open(RealDisk, &slots, ModelVersion(SHIPPED_VERSION)).unwrap();
        let network =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../model/shipped/network.safetensors")).unwrap();
        slots.stage(INSTALLED, &network, 0, false).unwrap();
        slots.swap(0, 0).unwrap();
        slots.commit().unwrap();
        let requests = UpdateRequests::open(&path("state").join("wishes.json")).unwrap();
        Self { repository, cloud, stall, requests }
    }

    fn start(&self) -> Running {
        let state = StateDirectory::take(&self.repository.directory.path().join("state")).unwrap();
        let joined = CancellationToken::new();
        joined.cancel();
        let mut fleet = Fleet::start(Some(&self.cloud), &state, 7, &joined).unwrap();
        let (view, view_seen) = watch::channel(HomeView::default());
        let history = History::open(&state.file(HISTORY_FILE)).unwrap();
        let parts = DetectorParts { model_version: fleet.model_version, ..fixtures::parts(history) };
        let (detection, _) =
            service::start(DetectorService::new(parts, view, tokio::sync::mpsc::channel(16).0).unwrap()).unwrap();
        let (updates, updates_seen) = watch::channel(UpdateView::default());
        let stop = CancellationToken::new();
        let (requests, ends) = (self.requests.clone(), stop.clone());
        let task = tokio::spawn(async move { fleet.serve(detection, view_seen, updates, requests, ends).await });
        Running { stop, updates: updates_seen, task, _state: state }
    }

    async fn until_the_download_stands_still(&self) {
        tokio::time::timeout(PATIENCE, self.stall.stands_still.notified()).await.expect("a download begins");
    }

    fn installed(&self) -> ModelVersion {
        let slots = self.repository.directory.path().join("state").join(UPDATE_FOLDER).join("slots");
        Slots::open(RealDisk, &slots, ModelVersion(SHIPPED_VERSION)).unwrap().installed()
    }
}

impl Running {
    async fn answered(&mut self) -> AnsweredRequest {
        let answered = self.updates.wait_for(|view| view.answered.is_some() && view.pending.is_none());
        tokio::time::timeout(PATIENCE, answered).await.expect("an answer").unwrap().answered.clone().unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_back_wished_while_a_download_stands_still_is_done_afterwards() {
    let home = Home::new().await;
    let mut running = home.start();
    home.until_the_download_stands_still().await;
    home.requests.submit(UpdateRequest::RollBack, unix_now()).unwrap();
    home.stall.let_go.cancel();
    let answered = running.answered().await;
    assert_eq!((answered.asked.version, answered.answer), (Some(INSTALLED), RequestOutcome::Done));
    running.stop().await;
    assert_eq!(home.installed(), ModelVersion(SHIPPED_VERSION));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_stops_in_the_middle_of_a_download_and_its_next_start_does_what_was_wished() {
    let home = Home::new().await;
    let running = home.start();
    home.until_the_download_stands_still().await;
    home.requests.submit(UpdateRequest::RollBack, unix_now()).unwrap();
    // Nobody lets the download go: it would stand still for longer than this test waits.
    running.stop().await;
    assert_eq!((home.installed(), home.requests.answered()), (INSTALLED, None));
    let mut running = home.start();
    assert_eq!(running.answered().await.answer, RequestOutcome::Done);
    running.stop().await;
    assert_eq!(home.installed(), ModelVersion(SHIPPED_VERSION));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_back_that_was_done_before_a_power_cut_is_answered_and_not_done_twice() {
    let home = Home::new().await;
    home.requests.submit(UpdateRequest::RollBack, unix_now()).unwrap();
    home.requests.take_up(1, ModelVersion(9)).unwrap();
    let mut running = home.start();
    assert_eq!(running.answered().await.answer, RequestOutcome::Done);
    running.stop().await;
    assert_eq!(home.installed(), INSTALLED, "it was model 9 that was to be left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_back_that_leads_nowhere_is_refused_with_its_reason() {
    let home = Home::new().await;
    for reason in [None, Some("there is no model before this one")] {
        home.requests.submit(UpdateRequest::RollBack, unix_now()).unwrap();
        let mut running = home.start();
        let answer =
            reason.map_or(RequestOutcome::Done, |reason| RequestOutcome::Refused { reason: reason.to_owned() });
        let of_this = |view: &UpdateView| {
            view.pending.is_none() && view.answered.as_ref().is_some_and(|seen| seen.answer == answer)
        };
        tokio::time::timeout(PATIENCE, running.updates.wait_for(of_this)).await.expect("an answer").unwrap();
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_install_waits_for_the_mirror_and_is_refused_where_updates_are_paused() {
    let mut home = Home::new().await;
    home.requests.submit(UpdateRequest::Install, unix_now()).unwrap();
    let running = home.start();
    home.until_the_download_stands_still().await;
    running.stop().await;
    assert_eq!(home.requests.pending().map(|request| request.request), Some(UpdateRequest::Install), "it stays open");
    if let Some(updates) = &mut home.cloud.updates {
        updates.policy.install = hearthwatch_edge_update::Install::Paused;
    }
    let mut running = home.start();
    let reason = "updates are paused in the configuration".to_owned();
    assert_eq!(running.answered().await.answer, RequestOutcome::Refused { reason });
    running.stop().await;
}
