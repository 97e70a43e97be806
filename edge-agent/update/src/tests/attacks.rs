//! One attack, one reason.

use hearthwatch_mirror::{Ends, TestRepository, edit};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;

use super::client::Client;
use crate::trust::{TrustError, forget_time};

fn expired(role: &str) -> TrustError {
    TrustError::Expired { role: role.to_owned() }
}

fn rolled_back(role: &str, had: u64, offered: u64) -> TrustError {
    TrustError::RolledBack { role: role.to_owned(), had, offered }
}

async fn published(version: u64, models: &[(u64, &str)]) -> TestRepository {
    let repository = TestRepository::new().await;
    repository.publish(version, models).await;
    repository
}

/// What becomes of the newest model that is offered.
async fn fetch_newest(repository: &TestRepository) -> Result<Vec<u8>, TrustError> {
    let verified = repository.refresh().await.unwrap();
    let offer = verified.newest().unwrap().unwrap();
    verified.fetch(&offer).await
}

/// Refused for a signature of this role.
fn assert_signature(error: &TrustError, of: &str) {
    assert!(matches!(error, TrustError::Signature { role, .. } if role == of), "{error:?}");
}

#[tokio::test]
async fn an_honest_repository_offers_its_newest_model_and_its_bytes() {
    let repository = published(1, &[(1, "one"), (2, "two")]).await;
    let verified = repository.refresh().await.unwrap();
    let offer = verified.newest().unwrap().unwrap();
    assert_eq!((offer.version, offer.target.as_str(), offer.length), (ModelVersion(2), "model-2.safetensors", 3));
    assert_eq!(verified.fetch(&offer).await.unwrap(), b"two");
}

#[tokio::test]
async fn a_repository_without_models_offers_nothing() {
    let repository = published(1, &[]).await;
    assert_eq!(repository.refresh().await.unwrap().newest().unwrap(), None);
}

#[tokio::test]
async fn a_target_with_a_flipped_byte_is_tampered() {
    let repository = published(1, &[(2, "two")]).await;
    let file = repository.target("model-2.safetensors");
    std::fs::write(&file, "twp").unwrap();
    let what = file.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(fetch_newest(&repository).await.unwrap_err(), TrustError::Tampered { what });
}

#[tokio::test]
async fn a_target_with_more_bytes_than_signed_is_too_large() {
    let repository = published(1, &[(2, "two")]).await;
    std::fs::write(repository.target("model-2.safetensors"), vec![b't'; 1 << 20]).unwrap();
    let error = TrustError::TooLarge { what: "targets.json".to_owned(), max: 3 };
    assert_eq!(fetch_newest(&repository).await.unwrap_err(), error);
}

#[tokio::test]
async fn an_offer_larger_than_any_artifact_is_not_even_asked_for() {
    let repository = TestRepository::new().await;
    let large = "x".repeat(usize::try_from(ARTIFACT_BYTES_MAX).unwrap() + 1);
    repository.publish(1, &[(2, large.as_str())]).await;
    let error = TrustError::TooLarge { what: "model-2.safetensors".to_owned(), max: ARTIFACT_BYTES_MAX };
    assert_eq!(repository.refresh().await.unwrap().newest(), Err(error));
}

#[tokio::test]
async fn a_target_whose_name_and_signed_version_disagree_is_no_offer() {
    let repository = TestRepository::new().await;
    let models = [("model-9.safetensors".to_owned(), 2, "two"), ("other.bin".to_owned(), 8, "eight")];
    repository.publish_named(1, &models, Ends::default()).await;
    assert_eq!(repository.refresh().await.unwrap().newest().unwrap(), None);
}

#[tokio::test]
async fn expired_metadata_is_refused_whoever_signed_it() {
    for (role, ends) in [
        ("timestamp", Ends { timestamp: -10, ..Ends::default() }),
        ("snapshot", Ends { snapshot: -10, ..Ends::default() }),
        ("targets", Ends { targets: -10, ..Ends::default() }),
        ("root", Ends { root: -10, ..Ends::default() }),
    ] {
        let repository = TestRepository::ending(ends).await;
        repository.publish_ending(1, &[(1, "one")], ends).await;
        assert_eq!(repository.refresh().await.unwrap_err(), expired(role));
    }
}

#[tokio::test]
async fn an_older_timestamp_than_the_one_seen_is_a_roll_back() {
    let repository = published(1, &[(1, "one")]).await;
    let old = std::fs::read(repository.metadata("timestamp.json")).unwrap();
    repository.publish(2, &[(2, "two")]).await;
    repository.refresh().await.unwrap();
    std::fs::write(repository.metadata("timestamp.json"), old).unwrap();
    assert_eq!(repository.refresh().await.unwrap_err(), rolled_back("timestamp", 2, 1));
}

#[tokio::test]
async fn a_new_timestamp_for_an_older_snapshot_is_a_roll_back() {
    let repository = published(5, &[(1, "one")]).await;
    repository.refresh().await.unwrap();
    // Whoever holds the online keys tries to bring back the past under a new timestamp.
    repository.publish(4, &[(1, "one")]).await;
    assert_eq!(repository.refresh().await.unwrap_err(), rolled_back("timestamp", 5, 4));
}

#[tokio::test]
async fn a_snapshot_that_is_not_the_one_the_timestamp_names_is_tampered() {
    let repository = published(1, &[(1, "one")]).await;
    repository.publish(2, &[(2, "two")]).await;
    std::fs::copy(repository.metadata("1.snapshot.json"), repository.metadata("2.snapshot.json")).unwrap();
    let error = TrustError::Tampered { what: "2.snapshot.json".to_owned() };
    assert_eq!(repository.refresh().await.unwrap_err(), error);
}

#[tokio::test]
async fn an_edited_timestamp_has_no_valid_signature() {
    let repository = published(1, &[(1, "one")]).await;
    edit(&repository.metadata("timestamp.json"), "\"version\": 1", "\"version\": 7");
    let error = repository.refresh().await.unwrap_err();
    assert_signature(&error, "timestamp");
    assert_eq!(error.reason(), "bad_signature");
}

#[tokio::test]
async fn metadata_signed_by_strangers_has_no_valid_signature() {
    let (ours, theirs) = (TestRepository::new().await, TestRepository::new().await);
    theirs.publish(1, &[(9, "nine")]).await;
    ours.publish(1, &[(1, "one")]).await;
    for file in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        std::fs::copy(theirs.metadata(file), ours.metadata(file)).unwrap();
    }
    assert_signature(&ours.refresh().await.unwrap_err(), "timestamp");
}

#[tokio::test]
async fn a_next_root_that_the_pinned_one_did_not_sign_has_no_valid_signature() {
    let (ours, theirs) = (TestRepository::new().await, TestRepository::new().await);
    ours.publish(1, &[(1, "one")]).await;
    std::fs::write(ours.metadata("2.root.json"), &theirs.root).unwrap();
    assert_signature(&ours.refresh().await.unwrap_err(), "root");
}

#[tokio::test]
async fn metadata_that_is_no_metadata_is_malformed() {
    let repository = published(1, &[(1, "one")]).await;
    std::fs::write(repository.metadata("timestamp.json"), "<html>404</html>").unwrap();
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(&error, TrustError::Malformed { role, .. } if role == "timestamp"), "{error:?}");
}

#[tokio::test]
async fn endless_metadata_is_cut_off() {
    let repository = published(1, &[(1, "one")]).await;
    std::fs::write(repository.metadata("timestamp.json"), vec![b' '; 20 * 1024]).unwrap();
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TrustError::TooLarge { max: 16_384, .. }), "{error:?}");
}

#[tokio::test]
async fn a_missing_file_is_a_matter_of_the_server_and_not_of_trust() {
    let repository = TestRepository::new().await;
    let error = repository.refresh().await.unwrap_err();
    assert_eq!(error, TrustError::Missing("timestamp.json".to_owned()));
    assert!(!error.is_refusal());
}

#[tokio::test]
async fn a_root_that_is_no_root_is_named_as_the_pinned_one() {
    let mut repository = published(1, &[(1, "one")]).await;
    repository.root = b"{}".to_vec();
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TrustError::PinnedRoot(_)), "{error:?}");
}

#[tokio::test]
async fn a_clock_that_was_never_set_judges_and_remembers_nothing() {
    let repository = published(1, &[(1, "one")]).await;
    let trust = repository.trust();
    let partial = repository.directory.path().join("partial");
    let transport = crate::fetch::UpdateTransport::new(None, trust.targets.clone(), partial, Default::default());
    assert_eq!(trust.refresh(transport, 0).await.unwrap_err(), TrustError::ClockNotSet);
    assert!(!trust.directory.exists());
}

#[tokio::test]
async fn after_a_clock_that_ran_ahead_the_time_can_be_forgotten_but_not_the_versions() {
    let repository = published(1, &[(1, "one")]).await;
    let old = std::fs::read(repository.metadata("timestamp.json")).unwrap();
    repository.publish(2, &[(2, "two")]).await;
    repository.refresh().await.unwrap();
    let known = repository.trust().directory.join("latest_known_time.json");
    std::fs::write(known, "\"2099-01-01T00:00:00Z\"").unwrap();
    let error = repository.refresh().await.unwrap_err();
    assert!(matches!(error, TrustError::ClockSteppedBack(_)), "{error:?}");
    forget_time(&repository.trust().directory).unwrap();
    repository.refresh().await.unwrap();
    std::fs::write(repository.metadata("timestamp.json"), old).unwrap();
    assert_eq!(repository.refresh().await.unwrap_err(), rolled_back("timestamp", 2, 1));
}
