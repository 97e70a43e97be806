//! A client that was given the first root follows every step.

use super::*;

async fn follow(root: &[u8], layout: &Layout) -> Result<tough::Repository, tough::error::Error> {
    let url = |path: PathBuf| url::Url::from_directory_path(path).unwrap();
    tough::RepositoryLoader::new(&root, url(layout.tuf_metadata()), url(layout.tuf_targets()))
        .transport(tough::FilesystemTransport)
        .load()
        .await
}

fn ceremony() -> (tempfile::TempDir, Layout, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    // tough reads the real clock.
    ceremony::hold(&layout, Timestamp::now()).unwrap();
    let first = std::fs::read(layout.tuf_root()).unwrap();
    (dir, layout, first)
}

fn two(layout: &Layout) -> [PathBuf; 2] {
    [layout.root_key(1), layout.root_key(2)]
}

#[tokio::test]
async fn a_home_with_the_first_root_follows_a_renewal_and_the_rotation_of_every_key() {
    let (dir, layout, first) = ceremony();
    let new_key = dir.path().join("root-4.key");
    let lost = hex::encode(&*key_id(&ceremony::load_key(&layout.root_key(3)).unwrap()).unwrap());
    let steps = [
        Step::Renew,
        Step::Timestamp,
        Step::Snapshot,
        Step::Targets,
        Step::Root { lost: lost[..12].to_owned(), new_key: new_key.clone() },
        Step::Renew,
    ];
    for (index, step) in steps.iter().enumerate() {
        let text = take(&layout, step, &two(&layout), Timestamp::now()).unwrap();
        let repository = follow(&first, &layout).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        assert_eq!(repository.root().signed.version.get(), index as u64 + 2, "{text}");
    }
    // The new root key counts like the others, the lost one no more.
    let with_new = [new_key, layout.root_key(1)];
    take(&layout, &Step::Renew, &with_new, Timestamp::now()).unwrap();
    follow(&first, &layout).await.unwrap();
    let with_lost = [layout.root_key(3), layout.root_key(1)];
    let refused = take(&layout, &Step::Renew, &with_lost, Timestamp::now()).unwrap_err();
    assert!(matches!(refused, RotationError::Stranger { version: 8, .. }), "{refused}");
    let transcript = std::fs::read_to_string(layout.ceremony_transcript()).unwrap();
    assert!(transcript.contains("Root version 8") && transcript.contains(&lost), "{transcript}");
}

#[tokio::test]
async fn the_old_keys_sign_nothing_any_more() {
    let (_dir, layout, first) = ceremony();
    let old_timestamp = std::fs::read(layout.tuf_metadata().join("timestamp.json")).unwrap();
    take(&layout, &Step::Timestamp, &two(&layout), Timestamp::now()).unwrap();
    std::fs::write(layout.tuf_metadata().join("timestamp.json"), old_timestamp).unwrap();
    let refused = follow(&first, &layout).await.unwrap_err();
    assert!(matches!(refused, tough::error::Error::VerifyMetadata { role: RoleType::Timestamp, .. }), "{refused:?}");
}

#[tokio::test]
async fn the_signer_goes_on_where_the_rotation_left_it() {
    let (_dir, layout, first) = ceremony();
    take(&layout, &Step::Targets, &two(&layout), Timestamp::now()).unwrap();
    let repository = follow(&first, &layout).await.unwrap();
    let state = state(&layout).unwrap();
    let targets = &repository.targets().signed;
    assert_eq!((state.version, state.sha256), (targets.version.get(), sha256_hex(&canonical(targets).unwrap())));
}

#[test]
fn one_root_key_alone_changes_nothing_and_neither_does_the_same_one_twice() {
    let (_dir, layout, _) = ceremony();
    let one = layout.root_key(1);
    for keys in [vec![one.clone()], vec![one.clone(), one]] {
        let refused = take(&layout, &Step::Renew, &keys, Timestamp::now()).unwrap_err();
        assert!(matches!(refused, RotationError::TooFew { found: 1, needed: 2 }), "{refused}");
    }
    assert!(!layout.tuf_metadata().join("2.root.json").exists());
}

#[test]
fn a_stranger_among_the_root_keys_is_named() {
    let (_dir, layout, _) = ceremony();
    let keys = [layout.root_key(1), layout.targets_key()];
    let refused = take(&layout, &Step::Renew, &keys, Timestamp::now()).unwrap_err();
    assert!(matches!(refused, RotationError::Stranger { version: 1, .. }), "{refused}");
}
