//! Asks whether it is meant, before what cannot be taken back.

use serde_json::Value;

use crate::client::{Client, Request};
use crate::document::{Api, IF_MATCH, Method, Operation, Place};
use crate::failure::{Done, Failure};
use crate::output::words;
use crate::world::World;

/// The fields of a thing that say where it stands, for the question.
const TELLING: [&str; 10] =
    ["state", "stage", "outcome", "verdict", "role", "online", "reason", "model_version", "records", "revoked_at"];

/// Asks, unless `yes` says that it is meant. What is asked about is looked at first; where the call can name the version that was seen, it will,
/// so that a thing that somebody else changed meanwhile is left alone.
///
/// # Errors
/// [`Failure::Usage`] where the answer is no, or nobody is there to ask.
pub async fn ask(
    api: &Api,
    operation: &Operation,
    request: &mut Request,
    yes: bool,
    client: &Client,
    world: &mut World<'_>,
) -> Done {
    let name = operation.name();
    if !yes && !world.terminal.input {
        return Err(Failure::Usage(format!(
            "`{name}` asks whether it is meant, and there is no terminal to ask on: nothing was done. Add --yes if it is meant. \
             What it does: {}",
            operation.summary
        )));
    }
    let named = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(IF_MATCH));
    let wanted = operation.takes(Place::Header, IF_MATCH) && !named;
    let required = operation.arguments.iter().any(|own| own.required && own.name.eq_ignore_ascii_case(IF_MATCH));
    // Without a question nothing was seen that a version could stand for, unless the call takes none without.
    let wanted = wanted && (required || !yes);
    let seen = match thing(api, operation, request).filter(|_| wanted || !yes) {
        Some(look) => Some(client.ask(&look, world).await?),
        None => None,
    };
    if let Some(tag) = seen.as_ref().map(|seen| seen.header("etag")).filter(|tag| wanted && !tag.is_empty()) {
        request.headers.push((IF_MATCH.to_owned(), tag.to_owned()));
    }
    if yes {
        return Ok(());
    }
    let present = seen.and_then(|seen| seen.json::<Value>().ok()).unwrap_or_default();
    let question = question(operation, request, &present, world);
    write!(world.err, "{question}")?;
    world.err.flush()?;
    let mut line = String::new();
    world.input.read_line(&mut line)?;
    match line.trim().to_lowercase().as_str() {
        "yes" | "y" => Ok(()),
        _ => Err(Failure::Usage(format!("`{name}` was not confirmed: nothing was done"))),
    }
}

/// The request for the thing that an operation is about, as it is now.
fn thing(api: &Api, operation: &Operation, request: &Request) -> Option<Request> {
    let (end, _) = operation.path.match_indices('}').next_back()?;
    let item = &operation.path[..=end];
    api.at(Method::Get, item)?;
    let segments = item.split('/').count();
    let path = request.path.split('/').take(segments).collect::<Vec<_>>().join("/");
    Some(Request::get(path))
}

/// What is asked.
fn question(operation: &Operation, request: &Request, present: &Value, world: &World<'_>) -> String {
    let mut text = format!("{}\n  {} {}\n", operation.summary, request.method.as_str(), request.path);
    if let Some(fields) = request.body.as_ref().and_then(Value::as_object) {
        for (name, value) in fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("  {}: {}\n", name.replace('_', " "), words::clean(&value)));
        }
    }
    // What is shown with its surroundings (a rollout with its tests) has its own fields one level further in.
    let inner = present.as_object().and_then(|fields| fields.values().find(|value| value["state"].is_string()));
    let thing = if present["state"].is_string() { present } else { inner.unwrap_or(present) };
    let told: Vec<String> = TELLING
        .iter()
        .filter_map(|name| {
            let value = &thing[*name];
            let text = match value {
                Value::Null => return None,
                Value::String(text) if text.is_empty() => return None,
                Value::String(text) => words::clean(text),
                Value::Number(number) if name.ends_with("_at") => {
                    words::time(number.as_i64().unwrap_or_default(), (world.now)().as_second(), &world.zone)
                }
                other => other.to_string(),
            };
            Some(format!("{} {text}", name.replace('_', " ")))
        })
        .collect();
    if !told.is_empty() {
        text.push_str(&format!("  now: {}\n", told.join(", ")));
    }
    text.push_str("Type yes to do it: ");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api;
    use crate::testing;

    #[test]
    fn the_question_says_what_happens_and_where_the_thing_stands() {
        let halt = api().find("rollouts", "halt").unwrap();
        let mut request = Request::get("/api/v1/rollouts/7/halt");
        request.method = Method::Post;
        request.body = Some(json!({"reason": "more dismissals"}));
        assert_eq!(thing(api(), halt, &request).unwrap().path, "/api/v1/rollouts/7");
        let present = json!({"rollout": {"state": "running", "reason": "", "model_version": 7}, "assigned": 3});
        let asked = testing::in_a_world("", |world| question(halt, &request, &present, world));
        assert_eq!(
            asked,
            "Stops a rollout for good; homes that have the release keep it. Needs operator.\n  POST /api/v1/rollouts/7/halt\n  \
             reason: more dismissals\n  now: state running, model version 7\nType yes to do it: "
        );
    }
}
