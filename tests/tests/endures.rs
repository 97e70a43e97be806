//! What Home Assistant does to an agent that it does not mean: bursts, lines that are cut. No false alarm, no verdict lost.
//!
//! The agent and mosquitto are real, Home Assistant is a stand-in: the real one takes a thousand changes a second at most.

use hearthwatch_emulator::home_assistant::Sensor;
use hearthwatch_tests::guest::Guest;
use hearthwatch_tests::program;
use serde_json::Value;

const SENSORS: usize = 200;
/// Ten thousand changes.
const ROUNDS: usize = 50;
/// What a burst may leave behind: the agent's buffers, once.
const GROWTH_MB: f64 = 8.0;

fn name(number: usize) -> String {
    format!("sensor.thermometer_{number:03}")
}

async fn guest() -> Option<Guest> {
    let has = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().any(|path| std::path::Path::new(path).exists());
    if !has {
        assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
        eprintln!("skipped: mosquitto is not installed");
        return None;
    }
    let sensor = |number| Sensor {
        entity_id: name(number),
        device_class: "temperature",
        unit: "°C".to_owned(),
        state: "20.0".to_owned(),
    };
    let nothing = Box::new(|_: &str, _, _| Vec::new());
    Some(Guest::start(&program("hearthwatch-edge"), (0..SENSORS).map(sensor).collect(), nothing).await.unwrap())
}

/// Breaks a sensor; the id of the alarm that comes of it.
async fn broken(guest: &mut Guest, number: usize) -> String {
    guest.double.say([(name(number).as_str(), "5000".to_owned())]);
    let about = |text: &str| {
        let attributes: Value = serde_json::from_str(text).unwrap();
        (attributes["watched_entity"] == name(number).as_str())
            .then(|| attributes["alarm_id"].as_str().unwrap().to_owned())
    };
    guest.line.wait_for_some("alarm/attributes", about).await.unwrap()
}

fn burst(guest: &Guest, rounds: std::ops::Range<usize>) {
    for round in rounds {
        // Those that broke say nothing more.
        for number in 2..SENSORS {
            guest.double.say([(name(number).as_str(), format!("{}.{}", 20 + round % 2, number % 10))]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_in_a_burst_raise_nothing_and_lose_no_answer() {
    let Some(mut guest) = guest().await else { return };
    let id = broken(&mut guest, 0).await;
    let memory = guest.allocated_mb().unwrap();
    burst(&guest, 0..ROUNDS / 2);
    guest.line.say("answer", &format!("{{\"alarm_id\":\"{id}\",\"verdict\":\"confirmed\"}}")).await.unwrap();
    burst(&guest, ROUNDS / 2..ROUNDS + 1);
    let confirmed = |text: &str| text.contains(&id) && text.contains("\"answer\":\"confirmed\"");
    guest.line.wait_for("alarm/attributes", confirmed).await.unwrap();
    // It still hears, and nothing of the burst was an alarm.
    broken(&mut guest, 1).await;
    let said = |text: &str| serde_json::from_str::<Value>(text).unwrap()["said"] == 2;
    guest.line.wait_for("false_alarms/attributes", said).await.unwrap();
    // What it allocated: pages of the program's file come and go as the system likes.
    let grown = guest.allocated_mb().unwrap() - memory;
    assert!(grown < GROWTH_MB, "memory has grown by {grown:.1} MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_cut_in_the_middle_of_a_burst_raises_nothing_and_the_alarm_goes_on() {
    let Some(mut guest) = guest().await else { return };
    let id = broken(&mut guest, 0).await;
    burst(&guest, 0..5);
    guest.double.hang_up(true);
    guest.line.wait_for("mode", |mode| mode.starts_with("Home Assistant is away")).await.unwrap();
    burst(&guest, 5..10);
    guest.line.say("answer", &format!("{{\"alarm_id\":\"{id}\",\"verdict\":\"confirmed\"}}")).await.unwrap();
    guest.double.come_back();
    guest.listens().await.unwrap();
    broken(&mut guest, 1).await;
    let counts = |text: &str| {
        let counts: Value = serde_json::from_str(text).unwrap();
        (counts["said"] == 2).then(|| counts["confirmed"].clone())
    };
    assert_eq!(guest.line.wait_for_some("false_alarms/attributes", counts).await.unwrap(), 1);
}
