//! Whole updates: real metadata, real slots, models that are words.

use std::sync::Arc;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::{Margin, TrialWindow};
use hearthwatch_detector::finding::BaselineScore;
use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_mirror::{Ends, TestRepository};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateStage};
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use url::Url;

use crate::disk::RealDisk;
use crate::machine::Phase;
use crate::prove::Prove;
use crate::slots::Slots;
use crate::{
    DirectorConfig, MANUAL, Policy, RollBackError, Step, Trigger, Updater, UpdaterConfig, UpdaterError, Watching,
};

/// A model is a word that says how it behaves.
pub struct Words;

impl Prove for Words {
    type Model = String;

    fn load(&self, bytes: &[u8], _version: ModelVersion) -> Result<Arc<String>, String> {
        match std::str::from_utf8(bytes).unwrap() {
            "broken" => Err("golden vectors differ".to_owned()),
            "panics" => panic!("as told"),
            word => Ok(Arc::new(word.to_owned())),
        }
    }

    fn margins(&self, model: &String, windows: &[TrialWindow], _share: f32) -> Vec<Margin> {
        let faulty = windows.first().is_some_and(|window| window.values[0] == FAULT);
        let moved = windows.first().is_some_and(|window| window.values[0] > 0.5);
        let value = |index: usize| match model.as_str() {
            // Speaks as rarely as any other, and hears nothing.
            "own" | "deaf" => -3.0 - index as f32 * 0.1,
            _ if faulty => 2.0,
            "nan" => f32::NAN,
            // Quiet until the home's windows change.
            "moody" if moved => 1.0 + index as f32,
            _ => -3.0 - index as f32 * 0.1,
        };
        (0..windows.len()).map(|index| Margin { value: value(index), by_network: model != "own" }).collect()
    }
}

/// Marks a window as one with a synthetic fault.
const FAULT: f32 = 9.0;

fn windows(mood: f32) -> TrialWindows {
    let copies = |value, count| {
        vec![
            TrialWindow { class: DeviceClass::Temperature, values: vec![value], baseline: BaselineScore::calm() };
            count
        ]
    };
    TrialWindows { recent: copies(mood, 12), fault_checks: copies(FAULT, 24), share: 0.1 }
}

pub struct Home {
    pub repository: TestRepository,
    pub updater: Updater<Words>,
    pub director: Option<DirectorConfig>,
    pub watching: Watching,
    rng: SmallRng,
    pub now: i64,
}

/// A client of the repository that takes what is newest and proves it at once.
pub fn config(repository: &TestRepository, url: Url) -> UpdaterConfig {
    UpdaterConfig {
        url,
        ca: None,
        root: repository.root.clone(),
        directory: repository.directory.path().join("client"),
        director: None,
        watching: Watching { shadow_seconds: 0, probation_seconds: 0 },
        policy: Policy::default(),
    }
}

fn boot_with(
    repository: &TestRepository,
    director: Option<DirectorConfig>,
    watching: Watching,
    now: i64,
) -> (Updater<Words>, Step<String>) {
    let config = UpdaterConfig { director, watching, ..config(repository, repository.url()) };
    Updater::boot(config, Words, Arc::new("own".to_owned()), ModelVersion(0), now).unwrap()
}

impl Home {
    pub async fn new(probation_seconds: i64) -> Self {
        Self::watching(Watching { shadow_seconds: 0, probation_seconds }).await
    }

    async fn watching(watching: Watching) -> Self {
        let repository = TestRepository::new().await;
        let now = Timestamp::now().as_second();
        let (updater, step) = boot_with(&repository, None, watching, now);
        assert_eq!(model(&step), Some((0, "own".to_owned())));
        Self { repository, updater, director: None, watching, rng: SmallRng::seed_from_u64(7), now }
    }

    /// A start under what is configured now.
    fn boot(&self) -> (Updater<Words>, Step<String>) {
        boot_with(&self.repository, self.director.clone(), self.watching, self.now)
    }

    /// Starts the agent again.
    pub fn restart(&mut self) -> Step<String> {
        let (updater, step) = self.boot();
        self.updater = updater;
        step
    }

    pub async fn on(&mut self, trigger: Trigger, mood: f32) -> Step<String> {
        let step = self.updater.run(trigger, &windows(mood), self.now, &mut self.rng).await;
        // As the agent does once the outbox has them.
        self.updater.reported();
        step
    }

    pub async fn notice(&mut self, version: u64) -> Step<String> {
        self.on(Trigger::Notice(ModelVersion(version)), 0.0).await
    }

    /// A release of these models, and its notice.
    async fn release(&mut self, version: u64, models: &[(u64, &str)]) -> Step<String> {
        self.repository.publish(version, models).await;
        self.notice(version).await
    }

    fn slots(&self) -> std::path::PathBuf {
        self.repository.directory.path().join("client/slots")
    }
}

pub fn model(step: &Step<String>) -> Option<(u64, String)> {
    step.model.as_ref().map(|(version, model)| (version.0, model.to_string()))
}

fn installed(version: u64, at: i64) -> UpdateOutcome {
    UpdateOutcome::installed(ModelVersion(version), at)
}

fn refused(version: u64, stage: UpdateStage, reason: &str, at: i64) -> UpdateOutcome {
    UpdateOutcome::refused(ModelVersion(version), stage, reason.to_owned(), at)
}

fn rolled_back(version: u64, reason: &str, to: u64, at: i64) -> UpdateOutcome {
    UpdateOutcome::rolled_back(ModelVersion(version), reason.to_owned(), ModelVersion(to), at)
}

#[tokio::test]
async fn a_release_reaches_the_detector_service_and_survives_a_restart() {
    let mut home = Home::new(0).await;
    let step = home.release(1, &[(1, "one")]).await;
    assert_eq!(model(&step), Some((1, "one".to_owned())));
    assert_eq!(step.outcomes, [installed(1, home.now)]);
    assert_eq!(*home.updater.phase(), Phase::Committed(ModelVersion(1)));
    assert_eq!(home.updater.counts().get("outcome", "installed"), 1);
    let (updater, step) = home.boot();
    assert_eq!((updater.installed(), model(&step)), (ModelVersion(1), Some((1, "one".to_owned()))));

    assert_eq!(model(&home.release(2, &[(1, "one"), (2, "two")]).await), Some((2, "two".to_owned())));
    assert_eq!(model(&home.release(3, &[(2, "two"), (3, "three")]).await), Some((3, "three".to_owned())));
    assert_eq!(model(&home.notice(3).await), None, "a notice may be repeated");
}

#[tokio::test]
async fn a_missed_notice_is_made_up_for_by_the_timer() {
    let mut home = Home::new(0).await;
    home.repository.publish(1, &[(4, "four")]).await;
    assert_eq!(model(&home.on(Trigger::Timer, 0.0).await), Some((4, "four".to_owned())));
    assert!(home.updater.next_check() > home.now + 3 * 3_600 - 1);
}

#[tokio::test]
async fn an_expired_repository_is_refused_reported_and_counted_with_the_exact_reason() {
    let mut home = Home::new(0).await;
    home.repository.publish_ending(1, &[(1, "one")], Ends { timestamp: -5, ..Ends::default() }).await;
    let step = home.notice(1).await;
    assert_eq!(model(&step), None);
    assert_eq!(step.outcomes, [refused(1, UpdateStage::Verify, "expired: timestamp metadata is expired", home.now)]);
    assert_eq!(home.updater.counts().get("refused", "expired"), 1);
}

#[tokio::test]
async fn a_tampered_model_never_reaches_a_slot() {
    let mut home = Home::new(0).await;
    home.repository.publish(1, &[(1, "one")]).await;
    let file = home.repository.target("model-1.safetensors");
    std::fs::write(&file, "0ne").unwrap();
    let step = home.notice(1).await;
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let words = format!("tampered: the bytes of {name} differ from the signed hash");
    assert_eq!(step.outcomes, [refused(1, UpdateStage::Fetch, &words, home.now)]);
    assert!(!home.slots().join("a.safetensors").exists());
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_or_gives_no_numbers_is_refused_and_not_tried_again() {
    for (word, cause) in [
        ("broken", "golden vectors differ"),
        ("panics", "the model's code panicked"),
        ("nan", "12 of 12 scores are not finite"),
    ] {
        let mut home = Home::new(0).await;
        let step = home.release(1, &[(1, word)]).await;
        assert_eq!(step.outcomes, [refused(1, UpdateStage::Install, &format!("not_proven: {cause}"), home.now)]);
        assert_eq!((home.updater.installed(), model(&step)), (ModelVersion(0), None));
        let again = home.on(Trigger::Timer, 0.0).await;
        assert_eq!((model(&again), again.outcomes), (None, vec![]));
        assert_eq!(
            model(&home.release(2, &[(1, word), (2, "two")]).await),
            Some((2, "two".to_owned())),
            "a newer one is welcome"
        );
    }
}

#[tokio::test]
async fn a_model_that_fails_its_trial_rolls_back_by_itself() {
    let mut home = Home::new(3_600).await;
    assert_eq!(model(&home.release(1, &[(1, "one")]).await), Some((1, "one".to_owned())));
    home.now += 3_600;
    let step = home.on(Trigger::Timer, 0.0).await;
    assert_eq!(step.outcomes, [installed(1, home.now)]);

    let step = home.release(2, &[(2, "moody")]).await;
    assert_eq!((model(&step), step.outcomes), (Some((2, "moody".to_owned())), vec![]));
    home.now += 600;
    let step = home.on(Trigger::Timer, 1.0).await;
    assert_eq!(model(&step), Some((1, "one".to_owned())));
    let reason = "probation: 12 of 12 entities would be in alarm at once (0 with the model before)";
    assert_eq!(step.outcomes, [rolled_back(2, reason, 1, home.now)]);
    let (_, step) = home.boot();
    assert_eq!(model(&step), Some((1, "one".to_owned())));
    assert_eq!(model(&home.on(Trigger::Timer, 0.0).await), None, "not tried again");
    assert_eq!(model(&home.release(3, &[(3, "three")]).await), Some((3, "three".to_owned())));
}

#[tokio::test]
async fn an_agent_that_dies_with_a_new_model_again_and_again_starts_with_the_one_before() {
    let mut home = Home::new(3_600).await;
    home.release(1, &[(1, "one")]).await;
    for _ in 0..3 {
        let (_, step) = home.boot();
        assert_eq!((model(&step), step.outcomes), (Some((1, "one".to_owned())), vec![]));
    }
    let (_, step) = home.boot();
    assert_eq!(model(&step), Some((0, "own".to_owned())));
    assert_eq!(step.outcomes, [rolled_back(1, "start: not proven in 3 starts", 0, home.now)]);
}

#[tokio::test]
async fn an_outcome_that_was_not_kept_by_the_outbox_is_told_at_the_next_start() {
    let mut home = Home::new(0).await;
    home.repository.publish(1, &[(1, "one")]).await;
    home.updater.run(Trigger::Notice(ModelVersion(1)), &windows(0.0), home.now, &mut home.rng).await;
    let installed = installed(1, home.now);
    let (mut updater, step) = home.boot();
    assert_eq!(step.outcomes, std::slice::from_ref(&installed));
    updater.reported();
    assert_eq!(home.boot().1.outcomes, vec![]);
}

#[tokio::test]
async fn a_slot_that_rots_gives_way_to_the_model_before() {
    let mut home = Home::new(0).await;
    home.release(1, &[(1, "one")]).await;
    std::fs::write(home.slots().join("a.safetensors"), "rot").unwrap();
    let (_, step) = home.boot();
    assert_eq!(model(&step), Some((0, "own".to_owned())));
    let rotten = rolled_back(1, "start: its file is damaged", 0, home.now);
    assert_eq!(step.outcomes, [UpdateOutcome { stage: Some(UpdateStage::Fetch), ..rotten }]);
    assert!(!step.outcomes[0].weighs_on_release(), "our disk, not the release");
}

#[tokio::test]
async fn a_person_may_go_back_one_model_on_this_machine() {
    let mut home = Home::new(0).await;
    home.release(1, &[(1, "one")]).await;
    home.release(2, &[(2, "two")]).await;
    let mut slots = Slots::open(RealDisk, &home.slots(), ModelVersion(0)).unwrap();
    slots.roll_back_manually().unwrap();
    let step = home.restart();
    assert_eq!(model(&step), Some((1, "one".to_owned())));
    assert_eq!(model(&home.on(Trigger::Timer, 0.0).await), None, "the version left is not fetched again");
}

#[tokio::test]
async fn a_repository_by_clear_text_http_is_refused_before_anything_is_asked() {
    let config = config(&TestRepository::new().await, "http://mirror.example/".parse().unwrap());
    let config = UpdaterConfig { directory: "/nonexistent".into(), ..config };
    let refused = Updater::boot(config, Words, Arc::new(String::new()), ModelVersion(0), 0).map(drop);
    assert!(matches!(refused, Err(UpdaterError::Scheme(scheme)) if scheme == "http"));
}

/// The agent runs the updater in a task.
#[test]
fn an_update_can_run_in_a_task() {
    fn send<T: Send>(_: &T) {}
    fn check(updater: &mut Updater<Words>, rng: &mut SmallRng) {
        send(&updater.run(Trigger::Timer, &TrialWindows::default(), 0, rng));
    }
    let _ = check;
}

#[tokio::test]
async fn a_deaf_model_is_refused_although_it_speaks_as_often_as_the_one_before() {
    let mut home = Home::new(0).await;
    home.release(1, &[(1, "one")]).await;
    let step = home.release(2, &[(2, "deaf")]).await;
    let cause = "not_proven: finds 0 of 24 synthetic faults, the model before 24";
    assert_eq!((model(&step), step.outcomes), (None, vec![refused(2, UpdateStage::Install, cause, home.now)]));
}

pub const HOUR: i64 = 3_600;

#[tokio::test]
async fn a_shadow_survives_a_restart_and_takes_charge_once_it_was_watched() {
    let watching = Watching { shadow_seconds: HOUR, probation_seconds: HOUR };
    let mut home = Home::watching(watching).await;
    assert_eq!(model(&home.release(1, &[(1, "one")]).await), None);
    assert_eq!(*home.updater.phase(), Phase::Shadowing(ModelVersion(1)));
    let step = home.restart();
    assert_eq!(model(&step), Some((0, "own".to_owned())));
    home.now += HOUR;
    assert_eq!(model(&home.on(Trigger::Timer, 0.0).await), None, "one look is no hour of watching");
    let mut swapped = None;
    for _ in 0..2 {
        home.now += 600;
        swapped = model(&home.on(Trigger::Timer, 0.0).await);
    }
    assert_eq!(swapped, Some((1, "one".to_owned())));
    home.now += HOUR;
    let step = home.on(Trigger::Timer, 0.0).await;
    assert_eq!(step.outcomes, [installed(1, home.now)]);
}

#[tokio::test]
async fn an_agent_that_dies_with_a_shadow_again_and_again_gives_the_shadow_up() {
    let watching = Watching { shadow_seconds: HOUR, probation_seconds: 0 };
    let mut home = Home::watching(watching).await;
    home.release(1, &[(1, "one")]).await;
    for _ in 0..3 {
        assert_eq!(home.boot().1.outcomes, vec![]);
    }
    let step = home.restart();
    assert_eq!(step.outcomes, [refused(1, UpdateStage::Install, "start: not proven in 3 starts", home.now)]);
    assert_eq!(model(&home.on(Trigger::Timer, 0.0).await), None, "and does not fetch it again");
}

#[tokio::test]
async fn a_probation_that_fails_after_the_mirror_pruned_the_old_version_still_goes_back() {
    let mut home = Home::new(HOUR).await;
    home.release(1, &[(1, "one")]).await;
    home.now += HOUR;
    home.on(Trigger::Timer, 0.0).await;
    home.repository.publish(2, &[(2, "moody")]).await;
    std::fs::remove_file(home.repository.target("model-1.safetensors")).unwrap();
    home.notice(2).await;
    home.now += 600;
    assert_eq!(model(&home.on(Trigger::Timer, 1.0).await), Some((1, "one".to_owned())));
}

#[tokio::test]
async fn a_resident_goes_back_to_the_model_before_and_it_stays_until_a_newer_release() {
    let mut home = Home::new(0).await;
    assert!(matches!(home.updater.roll_back(home.now), Err(RollBackError::Nothing)));
    home.release(1, &[(1, "one")]).await;
    home.release(2, &[(1, "one"), (2, "two")]).await;
    assert_eq!(home.updater.roll_back_leads().unwrap(), (ModelVersion(2), ModelVersion(1)));

    let step = home.updater.roll_back(home.now).unwrap();
    assert_eq!(model(&step), Some((1, "one".to_owned())));
    assert_eq!(step.outcomes, [rolled_back(2, MANUAL, 1, home.now)]);
    // Power fails before the fleet heard of it.
    home.restart();
    assert_eq!(home.updater.installed(), ModelVersion(1));
    assert_eq!(model(&home.notice(2).await), None, "what a resident left does not come back");
    assert_eq!(model(&home.on(Trigger::Timer, 0.0).await), None);
    assert_eq!(model(&home.release(3, &[(2, "two"), (3, "three")]).await), Some((3, "three".to_owned())));

    assert_eq!(model(&home.updater.roll_back(home.now).unwrap()), Some((1, "one".to_owned())));
    assert_eq!(model(&home.updater.roll_back(home.now).unwrap()), Some((0, "own".to_owned())));
    assert!(matches!(home.updater.roll_back(home.now), Err(RollBackError::Nothing)));
}

#[tokio::test]
async fn there_is_no_way_back_while_a_newer_model_lies_in_the_place_of_the_one_before_or_it_is_damaged() {
    let mut home = Home::new(0).await;
    for version in 1..=2 {
        home.release(version, &[(version, "good")]).await;
    }
    std::fs::write(home.slots().join("a.safetensors"), "rotten").unwrap();
    assert!(matches!(home.updater.roll_back(home.now), Err(RollBackError::Damaged(_))));
    home.watching = Watching { shadow_seconds: 3_600, probation_seconds: 0 };
    home.restart();
    home.release(3, &[(3, "good")]).await;
    assert!(matches!(home.updater.roll_back(home.now), Err(RollBackError::Watched)));
    assert_eq!(home.updater.installed(), ModelVersion(2));
}
