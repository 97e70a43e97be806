//! What the API says of itself: its operations with what each takes and answers, read from the OpenAPI document.
//!
//! Nothing here knows a call of the aggregator: a call that is added to the document is added here.

pub mod naming;
mod schema;

use serde_json::Value;

pub use self::schema::{Kind, Look, Schemas, Shape};

/// Parameters by which a list is asked for its next page, the usual one first.
const CURSORS: [&str; 3] = ["after", "cursor", "page_token"];

/// Header by which a repeated request is told from a second one.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Header by which a change names the version that its caller saw.
pub const IF_MATCH: &str = "if-match";

/// Fields of bodies that are secrets.
const SECRETS: [&str; 6] = ["token", "secret", "password", "passphrase", "claim", "client_secret"];

/// The whole API.
#[derive(Debug)]
pub struct Api {
    /// Every operation, in the order of the document.
    pub operations: Vec<Operation>,
    /// The types that they speak of.
    pub schemas: Schemas,
}

/// How an operation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something, or makes a thing.
    Post,
    /// Puts a whole thing in its place.
    Put,
    /// Changes some fields.
    Patch,
    /// Takes a thing away.
    Delete,
}

impl Method {
    /// All of them, with their names in the document.
    pub const ALL: [(&'static str, Self); 5] = [
        ("get", Self::Get),
        ("post", Self::Post),
        ("put", Self::Put),
        ("patch", Self::Patch),
        ("delete", Self::Delete),
    ];

    /// As HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Where a value stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A segment of the path.
    Path,
    /// After the question mark.
    Query,
    /// A header.
    Header,
    /// A field of the JSON body.
    Body,
}

/// One value that an operation takes.
#[derive(Debug, Clone)]
pub struct Argument {
    /// Its name in the request.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Its name among clap's.
    pub id: String,
    /// `some-name` of `--some-name`; for what stands without a flag, `SOME_NAME`.
    pub flag: String,
    /// `SOME_NAME`, for what a flag takes.
    pub value_name: String,
    /// Whether it is given by its position.
    pub positional: bool,
    /// What it may be.
    pub kind: Kind,
    /// Whether the call is refused without it.
    pub required: bool,
    /// What the document says of it, as one line.
    pub about: String,
    /// Whether it is an old name, and will go.
    pub deprecated: bool,
}

/// What an operation answers when it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing (204).
    Nothing,
    /// One thing of this type (none where the document gives it no name).
    One(Option<String>),
    /// A page of things of this type; `next` says where the next page begins.
    Page(Option<String>),
    /// Events for as long as the connection lasts.
    Events,
    /// Text of another kind.
    Text,
}

/// One call.
#[derive(Debug)]
pub struct Operation {
    /// The kind of thing, e.g. `homes`.
    pub noun: String,
    /// What is done, e.g. `list`.
    pub verb: String,
    /// By which method.
    pub method: Method,
    /// Where, with its parameters in braces.
    pub path: String,
    /// What it does, as one line.
    pub summary: String,
    /// More on that; empty if there is no more.
    pub description: String,
    /// What it takes: path, query, headers, fields of the body.
    pub arguments: Vec<Argument>,
    /// Whether it takes a body.
    pub body: bool,
    /// What it answers.
    pub answer: Answer,
    /// The type of the answer to a dry run.
    pub trial: Option<String>,
    /// The field of the answer that is a secret, and shown once.
    pub secret: Option<&'static str>,
    /// The query parameter for where a page begins, of a list.
    pub cursor: Option<&'static str>,
    /// Statuses besides success by which it answers too, with the type of the answer: an aggregator that is not able says so by 503.
    pub also: Vec<(u16, Option<String>)>,
    /// Whether it may answer that it is accepted, and not done yet (202).
    pub accepted: bool,
    /// Whether no token is needed.
    pub open: bool,
    /// Whether it will go.
    pub deprecated: bool,
}

impl Operation {
    /// Whether it takes this value there.
    #[must_use]
    pub fn takes(&self, place: Place, name: &str) -> bool {
        self.arguments.iter().any(|own| own.place == place && own.name.eq_ignore_ascii_case(name))
    }

    /// Whether it can say what it would do without doing it.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.takes(Place::Query, "dry_run")
    }

    /// Whether it changes anything.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.method != Method::Get
    }

    /// `homes list`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.noun, self.verb)
    }
}

impl Api {
    /// Reads a document.
    ///
    /// # Errors
    /// serde's, where it is no JSON. What a later document says in a way that is not known here is passed over.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        let document: Value = serde_json::from_str(text)?;
        let schemas = Schemas::of(&document);
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (word, method) in Method::ALL {
                if let Some(operation) = item.get(word) {
                    operations.push(read(path, method, item, operation, &schemas));
                }
            }
        }
        naming::make_unique(&mut operations);
        Ok(Self { operations, schemas })
    }

    /// The call of this noun and verb.
    #[must_use]
    pub fn find(&self, noun: &str, verb: &str) -> Option<&Operation> {
        self.operations.iter().find(|own| own.noun == noun && own.verb == verb)
    }

    /// The call of this method and path.
    #[must_use]
    pub fn at(&self, method: Method, path: &str) -> Option<&Operation> {
        self.operations.iter().find(|own| own.method == method && own.path == path)
    }
}

fn read(path: &str, method: Method, item: &Value, operation: &Value, schemas: &Schemas) -> Operation {
    let answer = answer(operation, schemas);
    let naming::Names { noun, verb, positional } = naming::of(method, path, operation["tags"][0].as_str(), &answer);
    let mut arguments = Vec::new();
    let shared = item["parameters"].as_array().into_iter().flatten();
    for parameter in shared.chain(operation["parameters"].as_array().into_iter().flatten()) {
        let parameter = schemas.followed(parameter);
        let place = match parameter["in"].as_str() {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            _ => continue,
        };
        let Some(name) = parameter["name"].as_str() else { continue };
        let required = parameter["required"] == true;
        let about = said(&parameter["description"], &parameter["schema"], schemas);
        let deprecated = parameter["deprecated"] == true;
        arguments.push(argument(place, name, schemas.kind(&parameter["schema"]), required, about, deprecated));
    }
    let body = &schemas.followed(&operation["requestBody"])["content"];
    let body = body.get("application/json").or_else(|| body.as_object()?.values().next());
    let schema = body.map(|content| schemas.followed(&content["schema"]));
    for (name, field) in schema.and_then(|schema| schema["properties"].as_object()).into_iter().flatten() {
        let required = schema.and_then(|schema| schema["required"].as_array());
        let required = required.is_some_and(|names| names.iter().any(|own| own == name));
        let about = said(&field["description"], field, schemas);
        let deprecated = field["deprecated"] == true;
        arguments.push(argument(Place::Body, name, schemas.kind(field), required, about, deprecated));
    }
    for argument in &mut arguments {
        if argument.place == Place::Path && argument.about.is_empty() {
            let one = naming::singular(&noun).unwrap_or(&noun);
            let name = argument.name.replace('_', " ");
            argument.about = if name == one { format!("The {one}'s name") } else { format!("The {one}'s {name}") };
        }
        if argument.place == Place::Path || positional.contains(&argument.name.as_str()) {
            argument.positional = true;
            argument.flag = argument.value_name.clone();
        }
    }
    let cursor = CURSORS.into_iter().find(|name| arguments.iter().any(|own| own.name == *name));
    let (summary, description) = (line(&operation["summary"]), line(&operation["description"]));
    Operation {
        noun,
        verb,
        method,
        path: path.to_owned(),
        summary,
        description,
        arguments,
        body: body.is_some(),
        trial: trial(operation, schemas),
        secret: match (&answer, method) {
            (Answer::One(Some(name)), Method::Post) => {
                let shape = schemas.shape(name);
                ["secret", "token"].into_iter().find(|field| shape.has(field) && shape.look(field) != Look::Inside)
            }
            _ => None,
        },
        cursor: cursor.filter(|_| matches!(answer, Answer::Page(_))),
        answer,
        also: also(operation, schemas),
        accepted: operation["responses"].get("202").is_some(),
        open: operation["security"].as_array().is_some_and(|ways| ways.iter().any(|way| way == &serde_json::json!({}))),
        deprecated: operation["deprecated"] == true,
    }
}

fn argument(place: Place, name: &str, kind: Kind, required: bool, about: String, deprecated: bool) -> Argument {
    let word = match place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
        Place::Body => "body",
    };
    let secret = place == Place::Body && SECRETS.contains(&name) && matches!(kind, Kind::Text { .. });
    let kind = if secret { Kind::Secret } else { kind };
    let plain = name.to_ascii_lowercase().replace('_', "-") + if secret { "-file" } else { "" };
    Argument {
        name: name.to_owned(),
        place,
        id: format!("{word}.{name}"),
        flag: naming::flag(&plain, word),
        value_name: plain.to_ascii_uppercase().replace('-', "_"),
        positional: false,
        kind,
        required,
        about,
        deprecated,
    }
}

fn answer(operation: &Value, schemas: &Schemas) -> Answer {
    let good: Vec<_> = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2'))
        .collect();
    // Where doing it answers by another status, 200 is for a dry run.
    let others = good.iter().any(|(status, _)| *status != "200") && takes_dry_run(operation);
    let good = good.into_iter().filter(|(status, _)| !others || *status != "200");
    let mut answer = Answer::Nothing;
    for (_, response) in good {
        let contents = schemas.followed(response)["content"].as_object().into_iter().flatten();
        for (kind, content) in contents {
            if kind == "text/event-stream" {
                return Answer::Events;
            }
            if answer != Answer::Nothing {
                continue;
            }
            answer = if !kind.ends_with("json") {
                Answer::Text
            } else {
                let schema = schemas.followed(&content["schema"]);
                match schema["properties"].get("items") {
                    Some(items) if schema["properties"].get("next").is_some() => {
                        Answer::Page(Schemas::name(&items["items"]))
                    }
                    _ => Answer::One(Schemas::name(&content["schema"])),
                }
            };
        }
    }
    answer
}

fn takes_dry_run(operation: &Value) -> bool {
    operation["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["name"] == "dry_run")
}

/// The type by which a dry run is answered: the other one of the answer's, or that of 200.
fn trial(operation: &Value, schemas: &Schemas) -> Option<String> {
    let schema = &schemas.followed(&operation["responses"]["200"])["content"]["application/json"]["schema"];
    let choice = schema["oneOf"].as_array().and_then(|all| all.last());
    Schemas::name(choice.unwrap_or(schema)).filter(|_| takes_dry_run(operation))
}

fn also(operation: &Value, schemas: &Schemas) -> Vec<(u16, Option<String>)> {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let answers = responses.filter_map(|(status, response)| {
        let status: u16 = status.parse().ok().filter(|status| *status >= 400)?;
        let content = schemas.followed(response)["content"].get("application/json")?;
        Some((status, Schemas::name(&content["schema"])))
    });
    answers.collect()
}

/// What is said of a value: at its place, else at its type.
fn said(own: &Value, schema: &Value, schemas: &Schemas) -> String {
    // Of what may be missing, the words stand beside the reference.
    let choice = ["oneOf", "anyOf"].iter().filter_map(|word| schema[*word].as_array()).flatten();
    let beside = choice.map(|one| line(&one["description"])).find(|text| !text.is_empty());
    let own = Some(line(own)).filter(|text| !text.is_empty()).or(beside).unwrap_or_default();
    if own.is_empty() { line(&schemas.followed(schema)["description"]) } else { own }
}

/// A text as one line.
fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
