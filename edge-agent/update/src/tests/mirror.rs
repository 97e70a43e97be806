//! A mirror over real HTTPS that goes out of date after an installation, and is repaired.

use std::path::Path;
use std::sync::Arc;

use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_mirror::serve_files;
use hearthwatch_mirror::{Ends, TestRepository};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateOutcome;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::updates::{self, Words};
use crate::{MirrorFault, Step, Trigger, Updater, UpdaterConfig};

struct Home {
    repository: TestRepository,
    config: UpdaterConfig,
    updater: Updater<Words>,
    rng: SmallRng,
    now: i64,
}

impl Home {
    async fn new() -> Self {
        let repository = TestRepository::new().await;
        let ca = repository.directory.path().join("ca.crt");
        let url = serve_files(repository.directory.path().join("repository"), &ca, None).await;
        let config = UpdaterConfig { ca: Some(ca), ..updates::config(&repository, url) };
        let now = Timestamp::now().as_second();
        let updater = boot(&config, now).0;
        Self { repository, config, updater, rng: SmallRng::seed_from_u64(7), now }
    }

    async fn on(&mut self, trigger: Trigger) -> Vec<UpdateOutcome> {
        let step = self.updater.run(trigger, &TrialWindows::default(), self.now, &mut self.rng).await;
        self.updater.reported();
        step.outcomes
    }

    /// The timer is due, again and again.
    async fn several_ticks(&mut self) -> Vec<UpdateOutcome> {
        let mut outcomes = Vec::new();
        for _ in 0..4 {
            self.now += 1;
            outcomes.extend(self.on(Trigger::Timer).await);
        }
        outcomes
    }
}

fn boot(config: &UpdaterConfig, now: i64) -> (Updater<Words>, Step<String>) {
    Updater::boot(config.clone(), Words, Arc::new("own".to_owned()), ModelVersion(0), now).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_mirror_that_expires_after_an_installation_is_told_here_and_held_against_no_release() {
    let mut home = Home::new().await;
    home.repository.publish(1, &[(1, "one")]).await;
    let installed = home.on(Trigger::Notice(ModelVersion(1))).await;
    assert_eq!(installed, [UpdateOutcome::installed(ModelVersion(1), home.now)], "{:?}", home.updater.counts());

    let expired = Ends { timestamp: -5, ..Ends::default() };
    home.repository.publish_ending(2, &[(1, "one")], expired).await;
    let began = home.now + 1;
    assert_eq!(home.several_ticks().await, [], "what is installed and well stays as it was reported");
    let cause = "timestamp metadata is expired".to_owned();
    assert_eq!(home.updater.mirror_fault(), Some(&MirrorFault { since: began, cause }));
    assert_eq!((home.updater.installed(), home.updater.counts().get("mirror", "fault")), (ModelVersion(1), 1));
    // The notice is retained: it comes again with each connection, and after each start.
    let (updater, step) = boot(&home.config, home.now);
    home.updater = updater;
    assert_eq!((step.outcomes, home.on(Trigger::Notice(ModelVersion(1))).await), (vec![], vec![]));
    assert_eq!(home.several_ticks().await, []);

    home.repository.publish(3, &[(1, "one"), (2, "two")]).await;
    let installed = home.on(Trigger::Timer).await;
    assert_eq!(
        installed,
        [UpdateOutcome::installed(ModelVersion(2), home.now)],
        "repaired, and nobody had to do anything here"
    );
    assert_eq!((home.updater.mirror_fault(), home.updater.counts().get("mirror", "repaired")), (None, 1));
}

#[tokio::test]
async fn a_mirror_that_falls_back_after_an_installation_is_told_here_and_held_against_no_release() {
    let mut home = Home::new().await;
    home.repository.publish(1, &[(1, "one")]).await;
    let (metadata, old) = (home.repository.path("metadata"), home.repository.directory.path().join("old"));
    copy(&metadata, &old);
    home.repository.publish(2, &[(1, "one"), (2, "two")]).await;
    let installed = home.on(Trigger::Notice(ModelVersion(2))).await;
    assert_eq!(installed, [UpdateOutcome::installed(ModelVersion(2), home.now)]);

    let new = home.repository.directory.path().join("new");
    copy(&metadata, &new);
    copy(&old, &metadata);
    let began = home.now + 1;
    assert_eq!(home.several_ticks().await, []);
    let cause = "timestamp metadata was rolled back from version 2 to 1".to_owned();
    assert_eq!(home.updater.mirror_fault(), Some(&MirrorFault { since: began, cause }));
    assert_eq!(home.updater.installed(), ModelVersion(2));

    copy(&new, &metadata);
    assert_eq!(home.several_ticks().await, []);
    assert_eq!(home.updater.mirror_fault(), None);
}
