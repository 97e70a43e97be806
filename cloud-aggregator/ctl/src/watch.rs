//! Shows a thing again and again: at an interval, or when an event of the aggregator's tells of a change.

use std::time::Duration;

use clap::ArgMatches;

use crate::client::{Client, Request};
use crate::document::{Answer, Api, Method, Operation};
use crate::events::Parser;
use crate::failure::{Done, Failure};
use crate::output::words;
use crate::world::World;

/// Longest time without a look while an event stream is followed: an event may get lost with its connection.
const LONGEST: Duration = Duration::from_secs(60);

/// Time in which events that come together are one.
const BURST: Duration = Duration::from_millis(500);

/// Clears a terminal, and begins at its top.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// The interval that was asked for; none if it is to be shown once.
#[must_use]
pub fn interval(matches: &ArgMatches) -> Option<Duration> {
    matches.try_get_one::<u64>("watch").ok().flatten().map(|seconds| Duration::from_secs(*seconds))
}

/// What tells of a change.
pub struct Watch {
    interval: Duration,
    events: Option<Request>,
    stream: Option<reqwest::Response>,
    shown: Vec<u8>,
}

impl Watch {
    /// Looks every `interval`, or when an event comes where there is a stream beside what `operation` reads.
    #[must_use]
    pub fn new(api: &Api, operation: Option<&Operation>, request: Option<&Request>, interval: Duration) -> Self {
        let stream = operation.and_then(|own| api.at(Method::Get, &format!("{}/events", own.path)));
        let stream = stream.filter(|own| own.answer == Answer::Events);
        let events = stream.and(request).map(|request| Request::get(format!("{}/events", request.path)));
        Self { interval, events, stream: None, shown: Vec::new() }
    }

    /// Shows what was rendered: on a terminal in place of what was there, else below it, if it is another.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn show(&mut self, text: Vec<u8>, world: &mut World<'_>) -> Done {
        if world.terminal.out {
            let at = words::local((world.now)().as_second(), &world.zone);
            let how = if self.events.is_some() { "at every event" } else { "at an interval" };
            write!(world.out, "{CLEAR}{at}, shown again {how}; Ctrl-C ends it\n\n")?;
            world.out.write_all(&text)?;
        } else if text != self.shown {
            if !self.shown.is_empty() {
                writeln!(world.out)?;
            }
            world.out.write_all(&text)?;
            self.shown = text;
        }
        world.out.flush()?;
        Ok(())
    }

    /// What goes wrong while it is watched: an aggregator that is away comes back.
    ///
    /// # Errors
    /// Whatever does not pass by itself.
    pub fn bear(failure: Failure, world: &mut World<'_>) -> Done {
        if failure.code() == 6 {
            world.say(&format!("{failure}; still trying"));
            return Ok(());
        }
        Err(failure)
    }

    /// Until it is time to look again.
    pub async fn wait(&mut self, client: &Client) {
        let Some(events) = &self.events else { return tokio::time::sleep(self.interval).await };
        if self.stream.is_none() {
            self.stream = client.stream(events, "").await.ok();
        }
        let Some(stream) = &mut self.stream else { return tokio::time::sleep(self.interval).await };
        let mut parser = Parser::default();
        let broken = std::cell::Cell::new(false);
        let come = async {
            loop {
                match stream.chunk().await {
                    Ok(Some(bytes)) if parser.push(&bytes).is_ok_and(|events| events.is_empty()) => {}
                    // Events come in bursts: one look is enough for all of them.
                    Ok(Some(_)) => return tokio::time::sleep(BURST).await,
                    Ok(None) | Err(_) => return broken.set(true),
                }
            }
        };
        let _ = tokio::time::timeout(LONGEST, come).await;
        if broken.get() {
            self.stream = None;
            tokio::time::sleep(self.interval).await;
        }
    }
}
