//! `context`: which aggregators there are, and which one is in use.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::json;

use crate::api;
use crate::contexts::{self, Context, Contexts};
use crate::failure::{Done, Failure};
use crate::output::{Asked, Form, Item, Printer};
use crate::target::{Said, Target};
use crate::world::World;

/// Does it.
///
/// # Errors
/// [`Failure::Context`] or [`Failure::Usage`].
pub fn run(matches: &ArgMatches, said: &Said, world: &mut World<'_>) -> Done {
    let Some((verb, leaf)) = matches.subcommand() else { return Ok(()) };
    let file = contexts::place(&|name| (world.environment)(name))?;
    let name = || leaf.get_one::<String>("name").cloned().unwrap_or_default();
    let mut kept = Contexts::read(&file)?;
    match verb {
        "add" => {
            let context = made(said)?;
            let url = context.url.clone();
            kept.add(&name(), context)?;
            kept.write(&file)?;
            let used = if kept.current.as_deref() == Some(&name()) { ", and in use" } else { "" };
            world.say(&format!("the context {} ({url}) is in {}{used}", name(), file.display()));
        }
        "use" => {
            kept.put_in_use(&name())?;
            kept.write(&file)?;
            world.say(&format!("{} is in use", name()));
        }
        "remove" => {
            kept.remove(&name())?;
            kept.write(&file)?;
            world.say(&format!("{} is removed; its token's file stays", name()));
        }
        "list" => list(&kept, leaf, world)?,
        _ => {
            let named = leaf.get_one::<String>("name").cloned();
            let said = Said { context: named.or_else(|| said.context.clone()), ..said.clone() };
            show(&Target::find(&said, &|name| (world.environment)(name))?, world)?;
        }
    }
    Ok(())
}

/// A context of what the flags say; files are named from the root on, so that they are found from anywhere.
fn made(said: &Said) -> Done<Context> {
    if said.url.is_none() && said.config.is_none() {
        return Err(Failure::Usage(
            "a context needs an address: --url https://HOST:PORT, or --config FILE of the aggregator on this machine"
                .to_owned(),
        ));
    }
    let target = Target::find(said, &|_| None)?;
    let whole = |path: Option<PathBuf>| match path {
        None => Ok(None),
        Some(path) if path == Path::new("-") => Err(Failure::Usage(
            "a context names a file with a token; standard input is not there the next time".to_owned(),
        )),
        Some(path) => path.canonicalize().map(Some).map_err(|cause| Failure::File { path, cause }),
    };
    let (token_file, ca_file) = (whole(target.token_file)?, whole(target.ca_file)?);
    if let Some(path) = &token_file {
        contexts::read_token(path)?;
    }
    Ok(Context { url: target.url.to_string(), token_file, ca_file })
}

fn list(kept: &Contexts, matches: &ArgMatches, world: &mut World<'_>) -> Done {
    let item = |(name, context): (&String, &Context)| {
        Item::of(json!({
            "name": name, "in_use": kept.current.as_ref() == Some(name), "url": context.url,
            "token_file": context.token_file, "ca_file": context.ca_file,
        }))
    };
    let items: Vec<Item> = kept.contexts.iter().map(item).collect();
    let mut asked = Asked::of(matches, Form::Table);
    if asked.columns.is_empty() && asked.form.is_for_people() {
        asked.columns = ["name", "in_use", "url", "token_file"].map(str::to_owned).to_vec();
    }
    let mut printer = Printer::new(asked, "contexts", None, &api().schemas);
    printer.more(&items, world)?;
    printer.end(world)
}

fn show(target: &Target, world: &mut World<'_>) -> Done {
    let state = |path: &Option<PathBuf>, read: &dyn Fn(&Path) -> Result<(), String>| match path {
        None => "none".to_owned(),
        Some(path) if path == Path::new("-") => "standard input".to_owned(),
        Some(path) => match read(path) {
            Ok(()) => format!("{} (can be read)", path.display()),
            Err(why) => format!("{} (NOT USABLE: {why})", path.display()),
        },
    };
    let token =
        state(&target.token_file, &|path| contexts::read_token(path).map(drop).map_err(|error| error.to_string()));
    let authority = state(&target.ca_file, &|path| std::fs::read(path).map(drop).map_err(|error| error.to_string()));
    let authority = if target.ca_file.is_none() { "those of this machine".to_owned() } else { authority };
    writeln!(
        world.out,
        "context      {}",
        target.context.as_deref().unwrap_or("none: named by flags or the environment")
    )?;
    writeln!(world.out, "address      {}", target.url)?;
    writeln!(world.out, "token        {token}")?;
    writeln!(world.out, "authorities  {authority}")?;
    Ok(())
}
