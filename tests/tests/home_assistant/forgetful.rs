//! A home without a disk beside a real recorder: what it said outlives its memory.

use hearthwatch_tests::memory::Memory;
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::home::Home;
use crate::{ALARM, IMPOSSIBLE, answered, is};

/// Whether Home Assistant's recorder has written down that the alarm was answered and kept for the fleet.
async fn is_recorded(home: &Home, since: &str) -> Option<()> {
    let mut socket = home.owner.socket().await;
    let ask = json!({"start_time": since, "entity_ids": [ALARM], "include_start_time_state": false,
        "significant_changes_only": false, "minimal_response": false, "no_attributes": false});
    let rows: Value = socket.command("history/history_during_period", ask).await.ok()?;
    socket.close().await;
    let kept = |row: &Value| row["a"]["answer"] == "confirmed" && row["a"]["shared"] == true;
    rows[ALARM].as_array()?.iter().any(kept).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_given_while_the_fleet_is_away_outlives_the_agents_memory_in_the_recorder() {
    let Some(mut home) = Home::new().await else { return };
    // Only an alarm with a full window of before can be announced to a fleet.
    home.remember_hours(72).await;
    let fleet = Fleet::start(&home.path("fleet")).await;
    let memory = Memory::of(fleet.node());
    std::fs::write(home.path("claim"), fleet.reusable_claim()).unwrap();
    std::fs::write(home.path("token"), &home.token).unwrap();
    let local = format!(
        "state = \"none\"\n[home_assistant]\nurl = \"{}\"\ntoken_file = \"token\"\n\
         [home.mqtt]\nhost = \"127.0.0.1\"\nport = {}\n[page]\nlisten = \"off\"\n",
        home.home_assistant.url(),
        home.mosquitto.port
    );
    let config = home.path("edge.toml");
    let away = (hearthwatch_tests::free_address().port(), hearthwatch_tests::free_address().port());
    std::fs::write(&config, format!("{local}{}", fleet.enrolling("claim", Some(away)))).unwrap();

    let begun = jiff::Timestamp::now().to_string();
    home.start_agent(&config);
    home.agent_says("mode: listening to Home Assistant", 0).await;
    home.owner.state_when(ALARM, "off", is("off")).await;
    home.say_temperature(IMPOSSIBLE).await;
    let alarm = home.owner.state_when(ALARM, "on", is("on")).await;
    let id = alarm["attributes"]["alarm_id"].as_str().unwrap().to_owned();
    home.owner.press("button.hearthwatch_real").await;
    home.owner.state_when(ALARM, "confirmed", answered("confirmed")).await;
    home.owner.until("the recorder to know", async |_| is_recorded(&home, &begun).await).await;
    home.say_temperature("-18.0").await;

    // Its outbox goes with the rest of its memory.
    home.agent = None;
    memory.lose().unwrap();
    assert_eq!(fleet.answers(), 0);
    std::fs::write(&config, format!("{local}{}", fleet.enrolling("claim", None))).unwrap();
    let from = home.agent_log().len();
    home.start_agent(&config);
    home.agent_says("alarms are known again from Home Assistant's recorder", from).await;
    home.owner.until("the answer to arrive", async |_| (fleet.answers() == 1).then_some(())).await;

    // It can still be answered otherwise, by its id.
    let other = json!({"alarm_id": id, "verdict": "expected", "by": "Ann"}).to_string();
    home.command(&format!("hearthwatch/{}/command/answer", fleet.node()), &other).await;
    home.owner.until("the other answer to arrive", async |_| (fleet.answers() == 2).then_some(())).await;
    home.stop_agent();
    assert!(!memory.path().exists(), "nothing is left in memory");
    fleet.end().await;
}
