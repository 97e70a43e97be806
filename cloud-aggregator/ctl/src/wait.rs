//! Waits for what takes a while: a run, a rollout, whatever was accepted and not done yet.

use std::time::Duration;

use clap::ArgMatches;
use jiff::SignedDuration;
use serde_json::Value;

use crate::client::{Answered, Client, Request};
use crate::explain::Facts;
use crate::failure::{Done, Failure};
use crate::output::words;
use crate::world::World;

/// Time between two looks: a run takes minutes, a rollout days.
const LOOK: Duration = Duration::from_secs(2);

/// States of what has not ended.
const GOING_ON: [&str; 8] = ["queued", "accepted", "pending", "waiting", "running", "paused", "in_progress", "started"];

/// States in which something ended otherwise than it was meant to.
const BAD: [&str; 8] = ["failed", "interrupted", "refused", "cancelled", "canceled", "rejected", "error", "expired"];

/// What became of what is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    GoesOn,
    /// It ended as it was meant to.
    Good,
    /// It ended otherwise.
    Bad,
}

/// Judges a state; `wanted` are the states that count as success, empty for all that are not bad.
#[must_use]
pub fn judge(state: &str, wanted: &[String]) -> Outcome {
    if wanted.iter().any(|own| own == state) {
        Outcome::Good
    } else if GOING_ON.contains(&state) {
        Outcome::GoesOn
    } else if wanted.is_empty() && !BAD.contains(&state) {
        Outcome::Good
    } else {
        Outcome::Bad
    }
}

/// `wait run ID`, `wait rollout VERSION`.
///
/// # Errors
/// [`Failure::Failed`] where it ended otherwise, [`Failure::Late`] where it did not end in time, and what asking brings.
pub async fn run(what: &str, matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let within = within(matches, "within")?;
    let id = matches.get_one::<String>("id").cloned().unwrap_or_default();
    let (list, key) = if what == "run" { ("runs", "id") } else { ("rollouts", "model_version") };
    let id = Facts::new(client).latest(list, key, &id, world).await?;
    let usual: &[&str] = if what == "run" { &["promoted", "held"] } else { &["complete"] };
    let said = matches.get_many::<String>("for").into_iter().flatten().cloned().collect::<Vec<_>>();
    let wanted = if said.is_empty() { usual.iter().map(|word| (*word).to_owned()).collect() } else { said };
    let path = format!("/api/v1/{list}/{}", crate::explain::encoded(&id));
    until(&format!("{what} {id}"), &path, &wanted, within, client, world).await
}

/// After an answer of 202: says where it can be watched, and watches if `--wait` says so.
///
/// # Errors
/// As [`run`].
pub async fn accepted(answered: &Answered, matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let place = answered.header("location").to_owned();
    // A whole address is that of this aggregator too, or of a proxy in front of it.
    let path = match place.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]).to_owned(),
        None => place,
    };
    let asked = matches.try_get_one::<String>("wait").ok().flatten().is_some();
    if path.is_empty() || !asked {
        let how = if path.is_empty() {
            String::new()
        } else {
            format!(": `hearthwatch-cloud ctl api GET {path}` tells how it stands")
        };
        world.say(&format!("accepted, and not done yet{how}; --wait waits for it"));
        return Ok(());
    }
    until("it", &path, &[], within(matches, "wait")?, client, world).await
}

fn within(matches: &ArgMatches, id: &str) -> Done<Duration> {
    let text = matches.get_one::<String>(id).map_or("1h", String::as_str);
    let read: Option<SignedDuration> = text.parse().ok();
    let fault = || Failure::Usage(format!("--{id} {text:?} is no time: say e.g. 90s, 30m or 2h"));
    read.and_then(|time| Duration::try_from(time).ok()).filter(|time| !time.is_zero()).ok_or_else(fault)
}

async fn until(
    what: &str,
    path: &str,
    wanted: &[String],
    within: Duration,
    client: &Client,
    world: &mut World<'_>,
) -> Done {
    let end = tokio::time::Instant::now() + within;
    let mut told = String::new();
    loop {
        let looked = client.ask(&Request::get(path), world).await;
        let thing: Value = match looked {
            Ok(answered) => answered.json()?,
            // It may be restarting; the time limit is the end of that too.
            Err(failure) if failure.code() == 6 => Value::Null,
            Err(failure) => return Err(failure),
        };
        let inner = if thing["rollout"].is_object() { &thing["rollout"] } else { &thing };
        let state = inner["state"].as_str().unwrap_or("unreachable").to_owned();
        if state != told {
            let at = words::local((world.now)().as_second(), &world.zone);
            world.say(&format!("{at}  {what}: {state}"));
            told.clone_from(&state);
        }
        match judge(&state, wanted) {
            Outcome::Good => {
                writeln!(world.out, "{state}")?;
                return Ok(());
            }
            Outcome::Bad if state != "unreachable" => {
                let why = ["failure", "reason"].iter().find_map(|name| inner[*name].as_str()).unwrap_or_default();
                let why = if why.is_empty() { String::new() } else { format!(": {}", words::clean(why)) };
                return Err(Failure::Failed(format!("{what} ended {state}{why}")));
            }
            _ => {}
        }
        if tokio::time::Instant::now() + LOOK > end {
            let text = words::duration(i64::try_from(within.as_secs()).unwrap_or(i64::MAX));
            return Err(Failure::Late(format!(
                "{what} is {state} after {text}; it goes on, wait again with a longer time"
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_an_end_or_not() {
        let wanted = ["promoted".to_owned(), "held".to_owned()];
        assert_eq!(judge("running", &wanted), Outcome::GoesOn);
        assert_eq!(judge("held", &wanted), Outcome::Good);
        assert_eq!(judge("failed", &wanted), Outcome::Bad);
        assert_eq!(judge("superseded", &["complete".to_owned()]), Outcome::Bad);
        assert_eq!((judge("done", &[]), judge("interrupted", &[])), (Outcome::Good, Outcome::Bad));
        assert_eq!(judge("paused", &["paused".to_owned()]), Outcome::Good, "what is asked for counts");
    }
}
