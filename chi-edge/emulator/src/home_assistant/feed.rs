//! `feed`: a recorded home's readings as states of a real Home Assistant, in real time, until it is stopped.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use url::Url;

use super::play::{SLEEP_MAX, choose, on_the_calendar, read_token, stopped};
use super::recorded::RecordedSensors;
use super::server::Sensor;

/// Longest that Home Assistant may take for one state.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether Home Assistant still knows the sensors.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two tries while Home Assistant does not answer.
const AGAIN: Duration = Duration::from_secs(5);

/// Which home, and which Home Assistant.
#[derive(Debug, Args)]
pub struct FeedArguments {
    /// Number of the recorded home, from 1; numbers beyond the last begin again with the first.
    #[arg(long, env = "HEARTHWATCH_EMULATOR_HOME", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    home: u32,
    /// Address of Home Assistant.
    #[arg(long, env = "HEARTHWATCH_EMULATOR_FEED", default_value = "http://127.0.0.1:8123", value_name = "URL")]
    url: Url,
    /// File with a long-lived access token of an administrator: Home Assistant lets nobody else set states.
    #[arg(long, env = "HEARTHWATCH_EMULATOR_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Feeds the home until the process is stopped.
///
/// # Errors
/// No recording is long enough, or Home Assistant refuses the token.
pub fn feed(arguments: &FeedArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    runtime.block_on(async {
        tokio::select! {
            ended = run(arguments) => ended,
            stopped = stopped() => stopped,
        }
    })
}

async fn run(arguments: &FeedArguments) -> anyhow::Result<()> {
    let token = read_token(&arguments.token_file)?;
    let now = Timestamp::now().as_second();
    let home = on_the_calendar(&choose(arguments.home, arguments.data.as_deref())?, now);
    let (name, mut recorded) = (home.full_name(), RecordedSensors::new(home, now));
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let line = Line { http, url: arguments.url.clone(), token };
    let mut sensors = recorded.sensors();
    println!("{name}: {} sensors to {}", sensors.len(), arguments.url);
    line.set_all(&sensors).await?;
    let mut looked = Instant::now();
    while let Some(at) = recorded.next_at() {
        let wait = u64::try_from(at - Timestamp::now().as_second()).unwrap_or(0);
        if wait > 0 {
            tokio::time::sleep(Duration::from_secs(wait).min(SLEEP_MAX)).await;
        }
        let mut is_new = false;
        for (entity_id, state, _) in recorded.happened(Timestamp::now().as_second()) {
            if let Some(sensor) = sensors.iter_mut().find(|sensor| sensor.entity_id == entity_id) {
                sensor.state = state;
                is_new |= line.set(sensor).await?;
            }
        }
        // A state that is set again as it is changes nothing; one that is new was forgotten.
        if let Some(first) = sensors.first().filter(|_| looked.elapsed() >= LOOK_EVERY) {
            looked = Instant::now();
            is_new |= line.set(first).await?;
        }
        if is_new {
            println!("{} was started again, and knows no sensor: all are set anew", arguments.url);
            line.set_all(&sensors).await?;
        }
    }
    bail!("the recording of {name} has ended: start again, and it begins anew")
}

struct Line {
    http: reqwest::Client,
    url: Url,
    token: String,
}

impl Line {
    async fn set_all(&self, sensors: &[Sensor]) -> anyhow::Result<()> {
        for sensor in sensors {
            self.set(sensor).await?;
        }
        Ok(())
    }

    /// Sets a state; waits as long as Home Assistant is away. Whether it did not know the sensor.
    async fn set(&self, sensor: &Sensor) -> anyhow::Result<bool> {
        let place =
            self.url.join(&format!("api/states/{}", sensor.entity_id)).context("the address of Home Assistant")?;
        let body = json!({"state": sensor.state, "attributes": attributes(sensor)}).to_string();
        let mut is_away = false;
        loop {
            let request =
                self.http.post(place.clone()).bearer_auth(&self.token).header("content-type", "application/json");
            match request.body(body.clone()).send().await.map(|answer| answer.status()) {
                Ok(StatusCode::UNAUTHORIZED) => bail!(
                    "{} refuses the token: make a long-lived access token of an administrator, on the administrator's profile page",
                    self.url
                ),
                Ok(status) if status.is_success() => {
                    if is_away {
                        eprintln!("{} takes states again", self.url);
                    }
                    return Ok(status == StatusCode::CREATED);
                }
                Ok(status) if status.is_client_error() => {
                    bail!("{} does not take {}: {status}", self.url, sensor.entity_id)
                }
                Ok(_) | Err(_) if is_away => {}
                Ok(status) => eprintln!("{} answers {status}: it is asked again until it takes the state", self.url),
                Err(error) => eprintln!("{} does not answer ({error}): it is asked again until it does", self.url),
            }
            is_away = true;
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// What Home Assistant's integrations say of such a sensor.
fn attributes(sensor: &Sensor) -> Value {
    let mut attributes = Map::new();
    attributes.insert("device_class".to_owned(), sensor.device_class.into());
    attributes.insert("friendly_name".to_owned(), sensor.entity_id.replace(['.', '_'], " ").into());
    if !sensor.unit.is_empty() {
        attributes.insert("unit_of_measurement".to_owned(), sensor.unit.clone().into());
        let counts_up = matches!(sensor.device_class, "energy" | "gas" | "water");
        attributes.insert("state_class".to_owned(), if counts_up { "total_increasing" } else { "measurement" }.into());
    }
    attributes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_counts_up_and_a_switch_has_no_unit() {
        let sensor = |entity_id: &str, device_class, unit: &str| Sensor {
            entity_id: entity_id.to_owned(),
            device_class,
            unit: unit.to_owned(),
            state: "1".to_owned(),
        };
        assert_eq!(
            attributes(&sensor("sensor.total_energy", "energy", "kWh")),
            json!({"device_class": "energy", "friendly_name": "sensor total energy", "unit_of_measurement": "kWh",
                "state_class": "total_increasing"})
        );
        assert_eq!(
            attributes(&sensor("binary_sensor.door", "door", "")),
            json!({"device_class": "door", "friendly_name": "binary sensor door"})
        );
    }
}
