//! An agent starts with nobody around it, says so, and stops in time.

use std::path::Path;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Agent, DRAIN, StartError};
use crate::config::Config;

fn lonely(dir: &Path) -> Config {
    std::fs::write(dir.join("token"), "token").unwrap();
    // Port 1 of this machine: nobody listens there.
    let text = "state = \"state\"\n[home_assistant]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"token\"\n\
                [home.mqtt]\nhost = \"127.0.0.1\"\nport = 1\n[page]\nlisten = \"127.0.0.1:0\"\n";
    Config::parse(text, &dir.join("edge.toml")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_nobody_around_starts_and_drains_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let agent = Agent::start(&lonely(dir.path()), None, mpsc::channel(1).0, stop.clone()).await.unwrap();
    stop.cancel();
    tokio::time::timeout(DRAIN, agent.join()).await.expect("drained within the bound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_state_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let _first = Agent::start(&lonely(dir.path()), None, mpsc::channel(1).0, stop.clone()).await.unwrap();
    let second = Agent::start(&lonely(dir.path()), None, mpsc::channel(1).0, stop).await;
    assert!(matches!(second.err(), Some(StartError::State(_))));
}
