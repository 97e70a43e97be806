//! The agent in its containers: the app beside a double of the Supervisor, and the plain image.

use std::process::Command;

use hearthwatch_tests::program;

use crate::home::Home;
use crate::image::Images;
use crate::instance::Process;
use crate::{ALARM, EVENT, IMPOSSIBLE, answered, is, supervisor};

/// Where the app's page listens; ingress asks for this port.
const PAGE: &str = "http://127.0.0.1:8099";

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_image_finds_broker_and_home_assistant_by_itself_and_keeps_its_memory_in_its_own_folder() {
    let Some(images) = Images::new() else { return };
    let Some(mut home) = Home::new().await else { return };
    let image = images.build_app(&program("hearthwatch-edge"));
    let supervisor = supervisor::start(home.mosquitto.port, &home.home_assistant.url(), &home.token).await;
    let data = images.folder("data");
    // The form as the Supervisor keeps it when nobody has touched it.
    std::fs::write(data.join("options.json"), r#"{"alarms_a_week": 1.0, "sharing": "off", "exclude": []}"#).unwrap();
    let volume = format!("{}:/data", data.display());
    let (token, address) =
        (format!("SUPERVISOR_TOKEN={}", supervisor::TOKEN), format!("HEARTHWATCH_SUPERVISOR={supervisor}"));

    let start = |home: &Home| {
        let mut command = images.run(&image, &["--volume", &volume, "--env", &token, "--env", &address]);
        command.args(["/usr/local/bin/hearthwatch-edge", "run"]);
        Process::start_logged(&mut command, &home.path("agent.log"))
    };
    home.agent = Some(start(&home));
    home.agent_says("mode: listening to Home Assistant", 0).await;
    home.owner.state_when(ALARM, "off", is("off")).await;
    home.say_temperature(IMPOSSIBLE).await;
    let alarm = home.owner.state_when(ALARM, "on", is("on")).await;
    let id = alarm["attributes"]["alarm_id"].clone();
    home.owner.state_when(EVENT, "raised", |state| state["attributes"]["event_type"] == "raised").await;
    home.owner.press("button.hearthwatch_expected").await;
    home.owner.state_when(ALARM, "expected", answered("expected")).await;

    // The watchdog's question, and the door that lets the Supervisor alone in.
    assert_eq!(reqwest::get(format!("{PAGE}/healthz")).await.unwrap().status(), 200);
    assert_eq!(reqwest::get(PAGE).await.unwrap().status(), reqwest::StatusCode::FORBIDDEN);

    // Another container on the same folder goes on where this one was ended.
    let from = home.agent_log().len();
    home.agent = None;
    home.owner.state_when(ALARM, "unavailable", is("unavailable")).await;
    home.agent = Some(start(&home));
    home.agent_says("mode: listening to Home Assistant", from).await;
    let same = |state: &serde_json::Value| state["attributes"]["alarm_id"] == id;
    let alarm = home.owner.state_when(ALARM, "there again, the same", same).await;
    assert_eq!(alarm["attributes"]["answer"], "expected");
    home.agent = None;
}

#[test]
fn the_plain_image_runs_its_program_as_a_user_who_owns_its_volume_and_nothing_else() {
    let Some(images) = Images::new() else { return };
    let image = images.build_plain(&program("hearthwatch-edge"));
    let version = images.say(&image, &["/usr/local/bin/hearthwatch-edge", "--version"]);
    assert_eq!(version, concat!("hearthwatch-edge ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(images.say(&image, &["id", "--user", "--name"]), "hearthwatch\n");
    assert_eq!(images.say(&image, &["stat", "--format", "%U %a", "/data"]), "hearthwatch 700\n");
    let writable = "find / -xdev -writable -not -type l -not -path '/proc/*' -not -path '/dev/*' -not -path '/sys/*' 2>/dev/null || true";
    let writable = images.say(&image, &["sh", "-c", writable]);
    let strangers: Vec<&str> =
        writable.lines().filter(|path| !["/data", "/tmp", "/var/tmp", "/run/lock"].contains(path)).collect();
    assert_eq!(strangers, Vec::<&str>::new());
    // A whole agent's configuration is refused in the agent's own words: the program and what it links to are there.
    let run = ["/usr/local/bin/hearthwatch-edge", "run", "--config", "/data/edge.toml"];
    let done = images.run(&image, &[]).args(run).output().unwrap();
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(words.contains("/data/edge.toml"), "{words}");
}

#[test]
fn the_apps_apparmor_profile_compiles() {
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../edge-agent/home-assistant/apps/hearthwatch/apparmor.txt");
    let Ok(done) = Command::new("apparmor_parser").args(["--skip-kernel-load", "--skip-cache", profile]).output()
    else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "apparmor_parser is not installed");
        eprintln!("\n!!! SKIPPED loudly: no apparmor_parser, so the profile is NOT compiled !!!\n");
        return;
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
