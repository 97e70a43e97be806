//! What is done to the programs when an incident begins, and when it is over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::sqlite::SqliteStore;
use hearthwatch_store::{RunRow, RunState, RunTrigger, Store as _};
use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use super::bad_model::blinded;
use super::fleet::Fleet;
use super::incidents::{Incident, IncidentKind};
use super::operator::Operator;
use crate::home_assistant::Sensor;

/// The version that Home Assistant is upgraded to.
const NEXT_VERSION: &str = "2026.12.0";

/// A class that no recorded home has, and its unit.
const NEW_CLASS: (&str, &str) = ("pm25", "µg/m³");

/// Longest that a retraining may take, in real time.
const TRAINING_MAX: Duration = Duration::from_secs(1_200);
/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What an incident has struck, until it is over.
#[derive(Debug, Clone)]
pub struct Struck {
    /// The incident.
    pub incident: Incident,
    /// When it is over, Unix seconds.
    pub until: i64,
    /// Places of the homes that it concerns.
    pub homes: Vec<usize>,
}

/// The homes that an incident concerns: drawn by the operation's seed.
#[must_use]
pub fn choose(incident: &Incident, homes: usize, seed: u64) -> Vec<usize> {
    let all: Vec<usize> = (0..homes).collect();
    let Some(count) = incident.homes else { return all };
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (incident.number as u64) << 32);
    let mut chosen: Vec<usize> = all.sample(&mut rng, count).copied().collect();
    chosen.sort_unstable();
    chosen
}

/// Begins an incident at `now`.
///
/// # Errors
/// A program or file that does not do what it should: the operation cannot go on.
pub async fn begin(struck: &Struck, fleet: &mut Fleet, operator: &Operator, now: i64) -> anyhow::Result<String> {
    let names: Vec<&str> = struck.homes.iter().map(|place| fleet.homes[*place].name.as_str()).collect();
    let names = names.join(", ");
    let incident = &struck.incident;
    match incident.kind {
        IncidentKind::Release => release(operator).await,
        IncidentKind::BadModel => bad_model(fleet, operator, now).await,
        IncidentKind::PoisonedHomes => {
            struck.homes.iter().for_each(|place| fleet.homes[*place].hostile = true);
            Ok(format!("residents of {names} answer every alarm, and the opposite of the truth"))
        }
        IncidentKind::BrokerDown => {
            fleet.broker.kill();
            Ok("the broker was killed".to_owned())
        }
        IncidentKind::SignerDown => {
            fleet.signer.kill();
            Ok("the signer was killed".to_owned())
        }
        IncidentKind::AggregatorKilled => {
            fleet.aggregator.kill();
            if incident.lasts == 0 {
                fleet.aggregator.start()?;
                fleet.aggregator_answers().await?;
                return Ok("the aggregator was killed and started again at once".to_owned());
            }
            Ok("the aggregator was killed".to_owned())
        }
        IncidentKind::LeaseEnds => {
            for place in &struck.homes {
                fleet.homes[*place].lose_disk()?;
            }
            for place in &struck.homes {
                let home = &mut fleet.homes[*place];
                home.enrol()?;
                home.start()?;
            }
            Ok(format!("{} agents lost their disks, enrolled again and were started", struck.homes.len()))
        }
        IncidentKind::CertificateEnded => {
            for place in &struck.homes {
                fleet.homes[*place].take_certificate(1)?;
            }
            Ok(format!("{names} got certificates of one day and were switched off"))
        }
        IncidentKind::HomeAssistantUpgraded => {
            struck.homes.iter().for_each(|place| fleet.homes[*place].stop_home_assistant());
            Ok(format!("Home Assistant of {names} was stopped"))
        }
        IncidentKind::ClockAhead => {
            for place in &struck.homes {
                fleet.homes[*place].set_clock_ahead(now, incident.hours * 3_600)?;
            }
            Ok(format!("the clocks of {names} were set {} hours ahead, and their agents started again", incident.hours))
        }
        IncidentKind::DiskFull => {
            fleet.fill_disk().await?;
            Ok("no file of the aggregator can grow".to_owned())
        }
        IncidentKind::SeasonDrift => {
            for place in &struck.homes {
                drift(fleet, *place, now, struck.until, incident.percent / 100.0);
            }
            Ok(format!("what {names} measure rises by {} % until it is over, and stays", incident.percent))
        }
        IncidentKind::NewDeviceClass => {
            for place in &struck.homes {
                add_sensor(fleet, *place);
            }
            Ok(format!("{names} got a sensor of class {}", NEW_CLASS.0))
        }
    }
}

/// Mends an incident whose time is over.
///
/// # Errors
/// As [`begin`].
pub async fn end(struck: &Struck, fleet: &mut Fleet, now: i64) -> anyhow::Result<String> {
    match struck.incident.kind {
        IncidentKind::PoisonedHomes => {
            struck.homes.iter().for_each(|place| fleet.homes[*place].hostile = false);
            Ok("the residents answer as they did before".to_owned())
        }
        IncidentKind::BrokerDown => {
            fleet.broker.start()?;
            Ok("the broker was started".to_owned())
        }
        IncidentKind::SignerDown => {
            fleet.signer.start()?;
            Ok("the signer was started".to_owned())
        }
        IncidentKind::AggregatorKilled | IncidentKind::DiskFull => {
            fleet.aggregator.end();
            fleet.aggregator.start()?;
            fleet.aggregator_answers().await?;
            Ok("the aggregator was started".to_owned())
        }
        IncidentKind::CertificateEnded => {
            for place in &struck.homes {
                fleet.homes[*place].start()?;
            }
            Ok("the homes were switched on; their certificates have ended".to_owned())
        }
        IncidentKind::HomeAssistantUpgraded => {
            struck.homes.iter().for_each(|place| fleet.homes[*place].start_home_assistant(NEXT_VERSION));
            Ok(format!("Home Assistant came back as {NEXT_VERSION}"))
        }
        IncidentKind::ClockAhead => {
            for place in &struck.homes {
                fleet.homes[*place].set_clock_ahead(now, 0)?;
            }
            Ok("the clocks were set right, and the agents started again".to_owned())
        }
        IncidentKind::SeasonDrift => Ok("the season has changed".to_owned()),
        IncidentKind::Release | IncidentKind::BadModel | IncidentKind::LeaseEnds | IncidentKind::NewDeviceClass => {
            Ok(String::new())
        }
    }
}

/// A retraining by hand, waited for while the calendar stands still.
async fn release(operator: &Operator) -> anyhow::Result<String> {
    let asked = operator.post("/api/v1/runs", None).await?;
    let id = asked["id"].as_str().context("the id of the request for a retraining")?.to_owned();
    let begun = Instant::now();
    let ended = loop {
        let row = operator.get(&format!("/api/v1/run-requests/{id}")).await?;
        if !matches!(row["state"].as_str(), Some("queued" | "running")) {
            break row;
        }
        ensure!(begun.elapsed() < TRAINING_MAX, "a retraining has not ended after {} s", TRAINING_MAX.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let Some(run) = ended["run"].as_str() else {
        return Ok(format!("an operator asked for a retraining, which came to nothing: {}", ended["reason"]));
    };
    let row = operator.get(&format!("/api/v1/runs/{run}")).await?;
    if row["state"] == "promoted" {
        return Ok("an operator asked for a retraining, and the gate promoted what came of it".to_owned());
    }
    operator.post(&format!("/api/v1/runs/{run}/promote"), Some("to see a release go out")).await?;
    Ok("an operator asked for a retraining, and released what came of it against the gate's advice".to_owned())
}

/// Somebody trained a model elsewhere, by mistake one that sees nothing, and releases it against the gate's advice.
async fn bad_model(fleet: &Fleet, operator: &Operator, now: i64) -> anyhow::Result<String> {
    let (database, data) = (fleet.database(), fleet.data());
    let run = tokio::task::spawn_blocking(move || -> anyhow::Result<Option<String>> {
        let (store, artifacts) = (SqliteStore::open(&database)?, ArtifactStore::new(&data));
        let champion = store.champion()?;
        // With the report of an honest run: it is not about this model, and nobody reads it.
        let honest = store.runs(0)?.into_iter().find(|run| run.challenger.is_some() && run.report.is_some());
        let Some(RunRow { challenger: Some(candidate), snapshot, config, report, .. }) = honest else {
            return Ok(None);
        };
        let like = champion.as_ref().map_or(candidate, |model| model.sha256.clone());
        let sha256 = artifacts.put_model(&blinded(&artifacts.model(&like)?)?)?;
        let id = format!("{}{}", &sha256[..32], &snapshot[..32.min(snapshot.len())]);
        store.put_run(&RunRow {
            id: id.clone(),
            snapshot,
            trigger: RunTrigger::Hand,
            config,
            champion: champion.map(|model| model.version),
            state: RunState::Held,
            started_at: now,
            ended_at: Some(now),
            challenger: Some(sha256),
            report,
            failure: None,
        })?;
        Ok(Some(id))
    });
    let Some(run) = run.await.context("making a bad model")?? else {
        return Ok("nothing was released: no run has made a model yet that could be spoiled".to_owned());
    };
    let released =
        operator.post(&format!("/api/v1/runs/{run}/promote"), Some("tried out on one home, looked good")).await?;
    let version = released["model_version"].as_u64().context("the version of the model that was released")?;
    ensure!(ModelVersion(version) > ModelVersion::ROUTINE, "a release without a version");
    Ok(format!("an operator released a model that sees nothing, version {version}, against the gate's advice"))
}

/// What is still to come rises to `1 + more` times as much from `from` to `until`, and stays there.
fn drift(fleet: &mut Fleet, place: usize, from: i64, until: i64, more: f64) {
    let length = (until - from).max(1) as f64;
    fleet.homes[place].sensors.change_course(|home, next| {
        for reading in &mut home.readings[next..] {
            let share = ((reading.at - from) as f64 / length).clamp(0.0, 1.0);
            if let hearthwatch_detector::reading::Value::Number(number) = &mut reading.value {
                *number = (*number * (1.0 + more * share) * 1e3).round() / 1e3;
            }
        }
    });
}

/// A new sensor repeats the readings of the home's first that has numbers, in its own class and unit.
fn add_sensor(fleet: &mut Fleet, place: usize) {
    let home = &mut fleet.homes[place];
    let Some(like) = home.sensors.sensors().into_iter().find(|sensor| sensor.state.parse::<f64>().is_ok()) else {
        return;
    };
    let entity_id = format!("sensor.new_{}", NEW_CLASS.0);
    let (device_class, unit) = (NEW_CLASS.0, NEW_CLASS.1.to_owned());
    home.home_assistant.add(Sensor { entity_id: entity_id.clone(), device_class, unit, state: like.state });
    home.copies.push((entity_id, like.entity_id));
}
