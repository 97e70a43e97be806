//! The repository on a server that knows nothing but files: what `mirror` writes is all that an agent needs.

use std::path::Path;
use std::sync::Arc;

use hearthwatch_detector::detector::Model;
use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_edge_update::{ModelProof, Policy, Trigger, Updater, UpdaterConfig, Watching};
use hearthwatch_emulator::demo::Stage;
use hearthwatch_mirror::serve_files;
use hearthwatch_protocol::messages::UpdateResult;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_provision::{Layout, mirror};
use hearthwatch_tests::learner::{Given, shipped};
use hearthwatch_tests::program;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use url::Url;

fn updater(url: &Url, authority: &Path, layout: &Layout, directory: &Path) -> Updater<ModelProof> {
    let config = UpdaterConfig {
        url: url.clone(),
        ca: Some(authority.to_owned()),
        root: std::fs::read(layout.tuf_root()).unwrap(),
        directory: directory.to_owned(),
        director: None,
        watching: Watching { shadow_seconds: 0, probation_seconds: 0 },
        policy: Policy::default(),
    };
    let now = jiff::Timestamp::now().as_second();
    Updater::boot(config, ModelProof, Arc::new(Model::baseline()), ModelVersion(0), now).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_takes_a_release_from_a_mirror_on_a_server_of_plain_files() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let home = HomeId::new("home-7").unwrap();
    let now = jiff::Timestamp::now().as_second();
    let emulator = program("hearthwatch-emulator");
    let homes = std::slice::from_ref(&home);
    let stage = Stage::build(&emulator, folder.path(), homes, Arc::new(Given(Some(shipped()))), 1, now).await.unwrap();
    stage.aggregator.retrain_now().await.unwrap();
    let released = stage.aggregator.state().store.champion().unwrap().expect("released").version;
    let (layout, copy) = (stage.layout.clone(), folder.path().join("mirror"));
    // The fleet itself is gone: what follows comes from the copy alone.
    stage.strike().await;
    // The stage keeps its repository elsewhere than an installation does.
    let repository = layout.tuf_metadata().parent().unwrap().to_owned();
    std::fs::remove_dir_all(&repository).unwrap();
    std::fs::rename(folder.path().join("repository"), &repository).unwrap();
    mirror::copy(&layout, &copy).unwrap();

    let authority = folder.path().join("mirror.crt");
    let url = serve_files(copy.clone(), &authority, None).await;
    let (mut rng, windows) = (SmallRng::seed_from_u64(7), TrialWindows::default());
    let mut agent = updater(&url, &authority, &layout, &folder.path().join("agent"));
    let step = agent.run(Trigger::Notice(released), &windows, now, &mut rng).await;
    let results: Vec<_> = step.outcomes.into_iter().map(|outcome| (outcome.model_version, outcome.result)).collect();
    let seen: Vec<_> = agent.counts().iter().collect();
    assert_eq!(results, [(released, UpdateResult::Installed)], "{seen:?}");
    assert_eq!((agent.installed(), step.model.map(|(version, _)| version)), (released, Some(released)));

    // A mirror that somebody edited is a server like any other: nothing is taken from it.
    let artifact = std::fs::read_dir(copy.join("targets")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&artifact).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&artifact, bytes).unwrap();
    let mut other = updater(&url, &authority, &layout, &folder.path().join("other"));
    let step = other.run(Trigger::Notice(released), &windows, now, &mut rng).await;
    assert!(step.model.is_none() && other.installed() == ModelVersion(0), "{:?}", step.outcomes);
    assert_eq!(other.counts().get("refused", "tampered"), 1);
}
