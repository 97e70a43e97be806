//! Which columns a table has.

use serde_json::Value;

use super::{Item, entries};
use crate::document::naming;
use crate::document::{Look, Shape};

/// Columns of a type that is not in the table below: what fits a usual terminal.
const COLUMNS_MAX: usize = 7;

/// The usual columns of each type: `HEADING=field`, or the field alone. Whatever else there is, `--output wide` shows.
const TABLES: [(&str, &[&str]); 20] = [
    ("AlertView", &["severity", "name", "subject", "since", "summary"]),
    ("AttestationView", &["home", "state", "ordered", "proven=runs"]),
    ("AuditView", &["index", "at", "actor", "action", "subject", "reason=detail.reason"]),
    ("ClaimView", &["home", "state", "issued_at", "expires_at", "used_at", "reusable"]),
    ("DatasetView", &["id", "created_at", "rows", "homes", "watermark"]),
    ("ExclusionView", &["home", "at", "by", "reason", "lifted_at", "lifted_by"]),
    (
        "FeedbackView",
        &["home", "sequence", "verdict", "origin", "class=device_class", "model=model_version", "received_at"],
    ),
    (
        "HomeView",
        &[
            "home",
            "state",
            "online=agent.online",
            "model=agent.model_version",
            "entities=agent.entities",
            "records",
            "heard=agent.heard_at",
            "tags",
            "revoked_at",
        ],
    ),
    ("ModelView", &["version", "state", "again", "created_at", "run", "length"]),
    ("OutcomeView", &["home", "result", "stage", "reason", "back_to", "received_at"]),
    ("PartBody", &["part", "grade", "state", "since"]),
    ("QuarantineView", &["id", "at", "home", "reason", "sequence", "settled", "detail"]),
    ("ReleaseView", &["model=model_version", "released_at", "by", "length", "target"]),
    ("RolloutView", &["model=model_version", "state", "started_at", "ended_at", "forced", "previous", "reason"]),
    ("RoundHomeView", &["home", "duty", "state", "reason", "norm", "similarity", "at"]),
    ("RoundView", &["number", "stage", "outcome", "opened_at", "ended_at", "reason"]),
    ("RunRequestView", &["id", "state", "trigger", "by", "asked_at", "run", "reason"]),
    ("RunView", &["id", "state", "trigger", "champion", "started_at", "ended_at", "failure"]),
    ("StandingView", &["home", "verdict", "suspicion", "rounds", "left_out", "copied", "alike"]),
    ("TokenView", &["name", "role", "created_at", "expires_at", "revoked_at"]),
];

/// Fields that name a thing, the surest first.
const KEYS: [&str; 8] = ["id", "name", "version", "model_version", "number", "home", "index", "part"];

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What stands above it.
    pub heading: String,
    /// Its field; `thing.field` is inside.
    pub path: String,
}

impl Column {
    /// One from `HEADING=field` or `field`.
    #[must_use]
    pub fn new(spec: &str) -> Self {
        let (heading, path) = match spec.split_once('=') {
            Some((heading, path)) => (heading, path),
            None => (spec.strip_suffix("_at").filter(|rest| !rest.is_empty()).unwrap_or(spec), spec),
        };
        Self { heading: heading.replace(['_', '.'], " ").to_uppercase(), path: path.to_owned() }
    }

    /// Its value in a thing.
    #[must_use]
    pub fn of<'a>(&self, thing: &'a Value) -> &'a Value {
        self.path.split('.').fold(thing, |value, name| &value[name])
    }
}

/// The columns of a type: those asked for, else the usual ones, or all that are no things inside. None for a type that is not known.
#[must_use]
pub fn choose(kind: &str, shape: &Shape, asked: &[String], all: bool) -> Vec<Column> {
    if !asked.is_empty() {
        return asked.iter().map(|spec| Column::new(spec)).collect();
    }
    let usual = TABLES.iter().find(|(own, _)| *own == kind).map(|(_, specs)| *specs);
    // A field that the document does not have is not there.
    let known = |column: &Column| {
        let first = column.path.split('.').next().unwrap_or_default();
        shape.fields.is_empty() || shape.has(first)
    };
    let columns = usual.into_iter().flatten().map(|spec| Column::new(spec));
    let mut columns: Vec<Column> = columns.filter(known).collect();
    // The state of a home says more than whether it is online, where there is one.
    if shape.has("state") {
        columns.retain(|column| column.path != "agent.online");
    }
    if columns.is_empty() || all {
        let mut rest: Vec<_> =
            shape.fields.iter().filter(|(path, look)| *look != Look::Inside && !path.contains("[]")).collect();
        // What names the thing comes first, then where it stands; hashes are for `wide`.
        rest.sort_by_key(|(path, _)| {
            KEYS.iter().position(|key| key == path).unwrap_or(if path == "state" { KEYS.len() } else { KEYS.len() + 1 })
        });
        for (path, look) in rest {
            let known = columns.iter().any(|own| own.path == *path);
            if !known && (all || (columns.len() < COLUMNS_MAX && *look != Look::Hash)) {
                columns.push(Column::new(path));
            }
        }
    }
    columns
}

/// Columns of what the document gives no type: its own fields.
#[must_use]
pub fn of_item(item: &Item) -> Vec<Column> {
    let fields = entries(item.raw.get()).unwrap_or_default();
    let plain = |(name, raw): &(String, Box<serde_json::value::RawValue>)| {
        (!raw.get().starts_with(['{', '['])).then(|| Column::new(name))
    };
    fields.iter().filter_map(plain).take(COLUMNS_MAX).collect()
}

/// `home/home-1`.
#[must_use]
pub fn name(noun: &str, thing: &Value) -> String {
    let one = naming::singular(noun).unwrap_or(noun);
    // What is shown with its surroundings, such as a rollout with its tests, has its name one level further in.
    let thing = if thing[one].is_object() { &thing[one] } else { thing };
    // A thing that is named after its noun, such as a home, before an id of something else.
    let own = [one].into_iter().chain(KEYS).map(|key| &thing[key]).find(|value| value.is_string() || value.is_number());
    let key = match own {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    };
    format!("{one}/{}", super::words::clean(&key))
}
