//! `login` and `logout`: a session of a person at the identity provider, kept like a token.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, Request};
use crate::contexts::{self, Contexts};
use crate::document::Method;
use crate::failure::{Done, Failure};
use crate::target::{Said, Target};
use crate::world::World;

/// Longest wait between two questions, seconds, whatever the aggregator says.
const WAIT_MAX: u64 = 60;

#[derive(Debug, Deserialize)]
struct Begun {
    device: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum State {
    Done { secret: String, holder: String, role: String },
    Waits { wait: u64 },
}

/// Logs in: shows a code that is entered at the identity provider, waits for it, and keeps the session for the commands after.
///
/// # Errors
/// [`Failure::Usage`] where there is no place for it; [`Failure::Refused`] with the provider's own words; [`Failure::Late`] when
/// nobody entered the code.
pub async fn run(matches: &ArgMatches, said: &Said, timeout: Duration, world: &mut World<'_>) -> Done {
    let (target, file) = place(matches, said, world)?;
    let client =
        Client::new(&Target { token_file: None, ..target.clone() }, timeout, matches.get_flag("verbose"), world)?;
    let begun: Begun = client.ask(&post("/login/device", None), world).await?.json()?;
    let address = begun.verification_uri_complete.as_ref().unwrap_or(&begun.verification_uri);
    world.say(&format!(
        "open {address}\nand enter the code {}\nwaiting until it is entered; Ctrl-C ends",
        begun.user_code
    ));
    let (mut waited, mut wait) = (0, begun.interval.clamp(1, WAIT_MAX));
    let (secret, holder, role) = loop {
        if waited > begun.expires_in {
            return Err(Failure::Late("nobody entered the code in time: run `login` again".to_owned()));
        }
        tokio::time::sleep(Duration::from_secs(wait)).await;
        waited += wait;
        let asked = post("/login/device/token", Some(json!({"device": begun.device})));
        match client.ask(&asked, world).await?.json()? {
            State::Done { secret, holder, role } => break (secret, holder, role),
            State::Waits { wait: next } => wait = next.clamp(1, WAIT_MAX),
        }
    };
    contexts::write_private(&file, secret.as_bytes())?;
    let name = holder.strip_prefix("person:").unwrap_or(&holder);
    world.say(&format!("logged in as {name}, {role}; the session is in {}", file.display()));
    if let Some(context) = &target.context {
        let kept = contexts::place(&|name| (world.environment)(name))?;
        let mut contexts = Contexts::read(&kept)?;
        if let Some(own) = contexts.contexts.get_mut(context) {
            own.token_file = Some(file);
            contexts.write(&kept)?;
        }
    }
    Ok(())
}

/// Logs out: the session ends at the aggregator, and its file goes.
///
/// # Errors
/// As for any call; the file goes even where the session had ended.
pub async fn end(matches: &ArgMatches, said: &Said, timeout: Duration, world: &mut World<'_>) -> Done {
    let target = Target::find(said, &|name| (world.environment)(name))?;
    let file = target
        .token_file
        .clone()
        .ok_or_else(|| Failure::Usage("there is no session to end: `login` begins one".to_owned()))?;
    if !contexts::read_token(&file)?.starts_with("hws_") {
        let told = format!("{} holds a token and no session: `tokens delete NAME` withdraws a token", file.display());
        return Err(Failure::Usage(told));
    }
    let client = Client::new(&target, timeout, matches.get_flag("verbose"), world)?;
    let gone = Request { method: Method::Delete, ..post("/api/v1/session", None) };
    let ended = client.ask(&gone, world).await;
    match ended {
        Ok(_) => {}
        // It had ended by itself.
        Err(Failure::Refused(problem)) if problem.status == 401 => {}
        Err(other) => return Err(other),
    }
    fs::remove_file(&file).map_err(|cause| Failure::File { path: file.clone(), cause })?;
    world.say("logged out");
    Ok(())
}

fn post(path: &str, body: Option<serde_json::Value>) -> Request {
    Request { method: Method::Post, body, again: false, ..Request::get(path) }
}

/// Who is asked, and where the session is kept: a file of the context's own, or the one that is named.
fn place(matches: &ArgMatches, said: &Said, world: &World<'_>) -> Done<(Target, PathBuf)> {
    let target = Target::find(said, &|name| (world.environment)(name))?;
    let named = matches.get_one::<String>("file").map(PathBuf::from);
    let file = match (named, &target.context) {
        (Some(file), _) => file,
        (None, Some(context)) => {
            let kept = contexts::place(&|name| (world.environment)(name))?;
            kept.parent().unwrap_or(Path::new(".")).join("sessions").join(context)
        }
        (None, None) => {
            let told = "say where the session is to be kept: --file FILE; or `context add NAME --url URL` first, then log in to it";
            return Err(Failure::Usage(told.to_owned()));
        }
    };
    Ok((target, file))
}
