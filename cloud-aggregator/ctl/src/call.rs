//! Does one call of the API as it was typed, and shows what was answered.

use clap::ArgMatches;
use serde_json::value::RawValue;

use crate::client::{Client, Request};
use crate::document::{Answer, Api, IF_MATCH, Method, Operation, Place, naming};
use crate::failure::{Done, Failure};
use crate::output::{Asked, Form, Item, Printer};
use crate::pages::{Pages, Wanted};
use crate::watch::Watch;
use crate::world::World;
use crate::{confirm, contexts, events, request, wait, watch};

/// Bytes of a key by which a repeated request is known: two never meet.
const KEY_BYTES: usize = 16;

/// Does it.
///
/// # Errors
/// [`Failure`] by what went wrong.
pub async fn run(
    api: &Api,
    operation: &Operation,
    matches: &ArgMatches,
    client: &Client,
    world: &mut World<'_>,
) -> Done {
    let mut request = request::make(operation, matches, world, &fresh)?;
    if let Some(file) = matches.try_get_one::<String>("secret-file").ok().flatten()
        && std::path::Path::new(file).exists()
    {
        // Before the secret is made: it is not to be had twice.
        return Err(Failure::Usage(format!("{file} is there already; name another file")));
    }
    if operation.changes() && !dry_run(operation, &mut request, matches)? {
        let required = operation.arguments.iter().any(|own| own.required && own.name.eq_ignore_ascii_case(IF_MATCH));
        if naming::dangerous(operation) || required {
            let yes =
                matches.try_get_one::<bool>("yes").ok().flatten().copied().unwrap_or(!naming::dangerous(operation));
            confirm::ask(api, operation, &mut request, yes, client, world).await?;
        }
    }
    if operation.answer == Answer::Events {
        let form = Asked::of(matches, Form::Table).form;
        return events::follow(client, &request, form, false, world).await;
    }
    let Some(interval) = watch::interval(matches) else {
        return once(api, operation, &request, matches, client, world).await;
    };
    let mut watch = Watch::new(api, Some(operation), Some(&request), interval);
    loop {
        let mut text = Vec::new();
        let done = once(api, operation, &request, matches, client, &mut world.into_buffer(&mut text)).await;
        match done {
            Ok(()) => watch.show(text, world)?,
            Err(failure) => Watch::bear(failure, world)?,
        }
        watch.wait(client).await;
    }
}

/// Whether nothing is to be done; says so to the aggregator.
fn dry_run(operation: &Operation, request: &mut Request, matches: &ArgMatches) -> Done<bool> {
    let asked = matches.get_flag("dry-run");
    if asked && !operation.dry_run() {
        return Err(Failure::Usage(format!(
            "`{}` has no dry run: the aggregator would do it. Nothing was sent. What it does: {}",
            operation.name(),
            operation.summary
        )));
    }
    if asked {
        request.query.push(("dry_run".to_owned(), "true".to_owned()));
    }
    Ok(asked)
}

async fn once(
    api: &Api,
    operation: &Operation,
    request: &Request,
    matches: &ArgMatches,
    client: &Client,
    world: &mut World<'_>,
) -> Done {
    let asked = Asked::of(matches, Form::Table);
    match (&operation.answer, operation.cursor) {
        (Answer::Page(kind), Some(cursor)) => {
            let mut printer = Printer::new(asked, &operation.noun, kind.as_deref(), &api.schemas);
            let mut wanted = Wanted::of(matches);
            if !operation.takes(Place::Query, "limit") {
                wanted.page = 0;
            }
            let mut pages = Pages::new(client, request.clone(), cursor, &wanted);
            while let Some(items) = pages.more(world).await? {
                if printer.shown() == 0 {
                    printer.around(pages.around(), world)?;
                }
                printer.more(&items, world)?;
            }
            printer.end(world)?;
            if let Some(rest) = pages.rest().filter(|_| watch::interval(matches).is_none()) {
                world.say(&format!("there are more: --all, --limit N, or --after '{rest}'"));
            }
            Ok(())
        }
        (Answer::Text, _) => {
            let answered = client.ask(request, world).await?;
            world.out.write_all(&answered.body)?;
            Ok(())
        }
        (answer, _) => {
            let answered = match client.ask(request, world).await {
                Err(failure) => return Err(also(api, operation, failure, asked, world)?),
                Ok(answered) => answered,
            };
            let kind = match answer {
                Answer::One(kind) | Answer::Page(kind) => kind.as_deref(),
                _ => None,
            };
            if answered.body.is_empty() {
                world.say("done");
            } else {
                let raw: Box<RawValue> = answered.json()?;
                let mut item = Item::read(raw)?;
                let tried = operation.changes() && matches.get_flag("dry-run");
                if let Some(field) = operation.secret.filter(|_| !tried) {
                    item = keep_secret(item, field, matches, world)?;
                }
                let kind = if tried { operation.trial.as_deref() } else { kind };
                Printer::new(asked, &operation.noun, kind, &api.schemas).only(&item, world)?;
            }
            if operation.changes() && matches.get_flag("dry-run") {
                world.say("nothing was done: this was a dry run");
            }
            if answered.status == 202 {
                return wait::accepted(&answered, matches, client, world).await;
            }
            Ok(())
        }
    }
}

/// A refusal that the document knows as an answer is shown like one; it ends the command as a refusal all the same.
fn also(api: &Api, operation: &Operation, failure: Failure, asked: Asked, world: &mut World<'_>) -> Done<Failure> {
    if let Failure::Refused(problem) = &failure
        && let Some((_, kind)) = operation.also.iter().find(|(status, _)| *status == problem.status)
        && let Ok(raw) = RawValue::from_string(problem.body.clone())
    {
        Printer::new(asked, &operation.noun, kind.as_deref(), &api.schemas).only(&Item::read(raw)?, world)?;
        let text = format!("the answer is {}", problem.status);
        return Ok(if failure.code() == 6 { Failure::Unreachable(text) } else { Failure::Strange(text) });
    }
    Ok(failure)
}

/// Writes the secret of an answer to a file, if one is named, and takes it out of what is shown.
fn keep_secret(item: Item, field: &str, matches: &ArgMatches, world: &mut World<'_>) -> Done<Item> {
    let Some(file) = matches.get_one::<String>("secret-file") else {
        world.say("the secret is shown this once; keep it in a file of mode 0600");
        return Ok(item);
    };
    let mut value = item.value;
    let secret = value.as_object_mut().and_then(|fields| fields.remove(field));
    let Some(secret) = secret.as_ref().and_then(|secret| secret.as_str()) else { return Ok(Item::of(value)) };
    if let Err(error) = contexts::write_new(file.as_ref(), format!("{secret}\n").as_bytes()) {
        // It was made, and is not to be had twice.
        world.say(&format!("warning: {error}; the secret is shown instead, keep it"));
        writeln!(world.out, "{secret}")?;
        return Ok(Item::of(value));
    }
    world.say(&format!("the secret is in {file}"));
    Ok(Item::of(value))
}

/// Any request, as it was typed.
///
/// # Errors
/// [`Failure`] by what went wrong.
pub async fn raw(matches: &ArgMatches, client: &Client, world: &mut World<'_>) -> Done {
    let word = matches.get_one::<String>("method").cloned().unwrap_or_default().to_lowercase();
    let method = Method::ALL.into_iter().find(|(name, _)| *name == word).map_or(Method::Get, |(_, method)| method);
    let path = matches.get_one::<String>("path").cloned().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    if !path.starts_with('/') {
        return Err(Failure::Usage(format!("{path:?} is no path: it begins with /, e.g. /api/v1/homes")));
    }
    let mut request = Request::get(path);
    request.method = method;
    request.again = method == Method::Get;
    request.query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for header in matches.get_many::<String>("header").into_iter().flatten() {
        let fault = || Failure::Usage(format!("{header:?} is no header: say NAME: VALUE"));
        let (name, value) = header.split_once(':').ok_or_else(fault)?;
        request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    if let Some(file) = matches.get_one::<String>("body") {
        request.body = Some(request::json_of(file, world)?);
    }
    if method != Method::Get && !matches.get_flag("yes") {
        let operation = anonymous(method, path);
        confirm::ask(crate::api(), &operation, &mut request, false, client, world).await?;
    }
    let answered = client.ask(&request, world).await?;
    match answered.json::<Box<RawValue>>() {
        Ok(json) => writeln!(world.out, "{}", crate::output::indented(json.get(), 0))?,
        Err(_) => world.out.write_all(&answered.body)?,
    }
    Ok(())
}

/// What is known of a call that is only a method and a path.
fn anonymous(method: Method, path: &str) -> Operation {
    Operation {
        noun: "api".to_owned(),
        verb: method.as_str().to_owned(),
        method,
        path: path.to_owned(),
        summary: format!("Sends {} {path}, whatever that does.", method.as_str()),
        description: String::new(),
        arguments: Vec::new(),
        body: true,
        answer: Answer::Nothing,
        trial: None,
        secret: None,
        also: Vec::new(),
        cursor: None,
        accepted: false,
        open: false,
        deprecated: false,
    }
}

/// A key by which the aggregator knows a repeated request again.
fn fresh() -> String {
    let mut bytes = [0_u8; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    hex::encode(bytes)
}

#[cfg(test)]
mod tests;
