//! A request from what was typed.

use std::io::Read as _;

use clap::ArgMatches;
use serde_json::{Map, Value, json};

use crate::client::Request;
use crate::document::{Argument, IDEMPOTENCY_KEY, Kind, Operation, Place};
use crate::failure::{Done, Failure};
use crate::world::World;

/// Largest body that is read from a file: the API takes 16 KiB.
const BODY_MAX: u64 = 1 << 20;

/// The request for this operation. `fresh` makes a key by which the aggregator knows a repeated request again.
///
/// # Errors
/// [`Failure::Usage`] for a value that cannot be sent, or one that is missing; [`Failure::File`].
pub fn make(
    operation: &Operation,
    matches: &ArgMatches,
    world: &mut World<'_>,
    fresh: &dyn Fn() -> String,
) -> Done<Request> {
    let mut request = Request::get(operation.path.clone());
    request.method = operation.method;
    request.again = !operation.changes();
    let mut body = match whole(operation, matches, world)? {
        Some(value) => value,
        None => json!({}),
    };
    for argument in &operation.arguments {
        // What a list takes for its pages is said elsewhere.
        if matches.try_contains_id(&argument.id).is_err() {
            continue;
        }
        for value in values(argument, matches, world)? {
            match argument.place {
                Place::Path => {
                    let segment = segment(&plain(&value), argument)?;
                    request.path = request.path.replace(&format!("{{{}}}", argument.name), &segment);
                }
                Place::Query => request.query.push((argument.name.clone(), plain(&value))),
                Place::Header => request.headers.push((argument.name.clone(), plain(&value))),
                Place::Body => put(&mut body, argument, value)?,
            }
        }
    }
    if operation.body {
        for argument in operation.arguments.iter().filter(|own| own.place == Place::Body && own.required) {
            if body.get(&argument.name).is_none() {
                let flag = if argument.positional { argument.flag.clone() } else { format!("--{}", argument.flag) };
                return Err(Failure::Usage(format!("{flag} is missing: {}", argument.about)));
            }
        }
        request.body = Some(body);
    }
    if operation.takes(Place::Header, IDEMPOTENCY_KEY) {
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY)) {
            request.headers.push((IDEMPOTENCY_KEY.to_owned(), fresh()));
        }
        request.again = true;
    }
    Ok(request)
}

/// The body of `--body`, if there is one.
fn whole(operation: &Operation, matches: &ArgMatches, world: &mut World<'_>) -> Done<Option<Value>> {
    if !operation.body {
        return Ok(None);
    }
    matches.get_one::<String>("body").map(|file| json_of(file, world)).transpose()
}

/// The JSON in a file.
///
/// # Errors
/// [`Failure::File`], or [`Failure::Usage`] if it is none.
pub fn json_of(file: &str, world: &mut World<'_>) -> Done<Value> {
    let text = text_of(file, world)?;
    serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("{file} is no JSON: {error}")))
}

fn text_of(file: &str, world: &mut World<'_>) -> Done<String> {
    let mut text = String::new();
    let fault = |cause| Failure::File { path: file.into(), cause };
    let read = if file == "-" {
        world.input.take(BODY_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(BODY_MAX + 1).read_to_string(&mut text))
    };
    let size = read.map_err(fault)?;
    if size as u64 > BODY_MAX {
        return Err(Failure::Usage(format!("{file} is larger than {BODY_MAX} bytes, which no call takes")));
    }
    Ok(text)
}

/// What was given for an argument: none, one, or several values.
fn values(argument: &Argument, matches: &ArgMatches, world: &mut World<'_>) -> Done<Vec<Value>> {
    let id = argument.id.as_str();
    let text = || matches.get_one::<String>(id).cloned();
    let one = match &argument.kind {
        Kind::Integer { .. } => matches.get_one::<i64>(id).map(|value| json!(value)),
        Kind::Number => matches.get_one::<f64>(id).map(|value| json!(value)),
        Kind::Boolean => matches.get_one::<bool>(id).map(|value| json!(value)),
        Kind::Word(_) | Kind::Text { long: false } => text().map(Value::String),
        Kind::Text { long: true } => match text() {
            Some(given) => Some(Value::String(from_file(&given, world)?)),
            None => None,
        },
        Kind::Secret => match text() {
            Some(file) => Some(Value::String(text_of(&file, world)?.trim().to_owned())),
            None => None,
        },
        Kind::Json => match text() {
            Some(given) => {
                let given = from_file(&given, world)?;
                let read = serde_json::from_str(&given);
                let fault = |error| Failure::Usage(format!("--{} is to be JSON: {error}", argument.flag));
                Some(read.map_err(fault)?)
            }
            None => None,
        },
        Kind::List(kind) => return Ok(several(kind, id, matches)),
    };
    Ok(one.into_iter().collect())
}

fn several(kind: &Kind, id: &str, matches: &ArgMatches) -> Vec<Value> {
    match kind {
        Kind::Integer { .. } => matches.get_many::<i64>(id).into_iter().flatten().map(|value| json!(value)).collect(),
        Kind::Number => matches.get_many::<f64>(id).into_iter().flatten().map(|value| json!(value)).collect(),
        Kind::Boolean => matches.get_many::<bool>(id).into_iter().flatten().map(|value| json!(value)).collect(),
        _ => matches.get_many::<String>(id).into_iter().flatten().map(|value| json!(value)).collect(),
    }
}

fn from_file(given: &str, world: &mut World<'_>) -> Done<String> {
    match given.strip_prefix('@') {
        Some(file) => text_of(file, world),
        None => Ok(given.to_owned()),
    }
}

fn put(body: &mut Value, argument: &Argument, value: Value) -> Done {
    let fault = || Failure::Usage(format!("--{} sets a field, and --body is no object", argument.flag));
    let fields: &mut Map<String, Value> = body.as_object_mut().ok_or_else(fault)?;
    match (&argument.kind, fields.get_mut(&argument.name)) {
        (Kind::List(_), Some(Value::Array(all))) if !all.is_empty() => all.push(value),
        (Kind::List(_), _) => drop(fields.insert(argument.name.clone(), json!([value]))),
        _ => drop(fields.insert(argument.name.clone(), value)),
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value as a segment of a path. A dot or two would name another place.
fn segment(text: &str, argument: &Argument) -> Done<String> {
    if matches!(text, "" | "." | "..") {
        return Err(Failure::Usage(format!("{text:?} cannot be {}", argument.flag)));
    }
    let mut path = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;
    use crate::api;
    use crate::commands::augment;
    use crate::document::{Api, Method};
    use crate::testing;

    fn asked(api: &'static Api, line: &str) -> Done<Request> {
        let matches = augment(Command::new("ctl"), api).try_get_matches_from(line.split(' ')).unwrap();
        let (noun, matches) = matches.subcommand().unwrap();
        let (verb, matches) = matches.subcommand().unwrap();
        let operation = api.find(noun, verb).unwrap();
        testing::in_a_world("", |world| make(operation, matches, world, &|| "a-key".to_owned()))
    }

    #[test]
    fn flags_become_path_query_and_body() {
        let halt = asked(api(), "ctl rollouts halt 7 --reason bad").unwrap();
        assert_eq!((halt.method, halt.path.as_str()), (Method::Post, "/api/v1/rollouts/7/halt"));
        assert_eq!(halt.body, Some(json!({"reason": "bad"})));
        let list = asked(api(), "ctl feedback list --home home-1 --all").unwrap();
        assert_eq!(list.query, [("home".to_owned(), "home-1".to_owned())]);
        let add = asked(api(), "ctl tokens add kim --role viewer --days 3").unwrap();
        assert_eq!(add.body, Some(json!({"name": "kim", "role": "viewer", "days": 3})));
    }

    #[test]
    fn a_name_cannot_lead_to_another_place() {
        let got = asked(api(), "ctl runs get a/b?c").unwrap();
        assert_eq!(got.path, "/api/v1/runs/a%2Fb%3Fc");
        assert_eq!(asked(api(), "ctl runs get ..").unwrap_err().to_string(), "\"..\" cannot be ID");
    }

    #[test]
    fn a_field_that_is_missing_is_named_before_anything_is_sent() {
        let error = asked(api(), "ctl rollouts halt 7").unwrap_err();
        assert_eq!(error.to_string(), "--reason is missing: One line for those who read the audit log later.");
        assert_eq!(error.code(), 2);
    }

    #[test]
    fn a_request_that_carries_a_key_may_be_sent_again() {
        let text: &str = r#"{"paths": {"/api/v1/things": {"post": {
            "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
                           {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}],
            "requestBody": {"content": {"application/json": {"schema": {"type": "object",
                "properties": {"many": {"type": "array", "items": {"type": "integer"}}, "open": {"type": "boolean"}}}}}},
            "responses": {"204": {}}}}}}"#;
        let later: &'static Api = Box::leak(Box::new(Api::read(text).unwrap()));
        let made = asked(later, "ctl things create --many 1 --many 2 --open --tag a --tag b").unwrap();
        assert_eq!(made.headers, [("idempotency-key".to_owned(), "a-key".to_owned())]);
        assert_eq!(made.body, Some(json!({"many": [1, 2], "open": true})));
        let tag = |value: &str| ("tag".to_owned(), value.to_owned());
        assert_eq!(made.query, [tag("a"), tag("b")]);
        assert!(made.again);
        let own = asked(later, "ctl things create --idempotency-key mine").unwrap();
        assert_eq!(own.headers, [("Idempotency-Key".to_owned(), "mine".to_owned())]);
        let plain: &'static Api = Box::leak(Box::new(Api::read(&text.replace("Idempotency-Key", "Other")).unwrap()));
        assert!(!asked(plain, "ctl things create").unwrap().again, "without a key it would be done twice");
    }
}
