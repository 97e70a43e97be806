//! `explain`: a decision of the system in words, with the figures that it rests on.
//!
//! Each explanation is made by a pure function of what the API says; what is asked for is gathered by [`Facts`].

mod facts;
mod gate;
#[cfg(test)]
mod golden_tests;
mod home;
mod model;
mod rollout;
mod run;
mod story;

use clap::ArgMatches;
use serde_json::json;

pub use self::facts::{Facts, encoded};
pub(crate) use self::story::Story;
use crate::client::Client;
use crate::failure::Done;
use crate::output::indented;
use crate::world::World;

/// Does it.
///
/// # Errors
/// What asking brings.
pub async fn run(what: &str, matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let id = matches.get_one::<String>("id").cloned().unwrap_or_default();
    let facts = Facts::new(client);
    let (story, evidence) = match what {
        "run" => run::gather(&facts, &id, world).await?,
        "rollout" => rollout::gather(&facts, &id, world).await?,
        "home" => home::gather(&facts, &id, world).await?,
        "model" => model::gather(&facts, &id, world).await?,
        _ => model::gather_release(&facts, &id, world).await?,
    };
    if matches.get_flag("json") {
        let whole = json!({"explanation": story.lines(), "evidence": evidence});
        writeln!(world.out, "{}", indented(&whole.to_string(), 0))?;
    } else {
        let text = story.text(world.terminal);
        write!(world.out, "{text}")?;
    }
    Ok(())
}
