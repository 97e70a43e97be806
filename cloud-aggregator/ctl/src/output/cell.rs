//! One value as it stands in a table or a listing.

use console::{Color, style};
use serde_json::Value;

use super::words;
use crate::document::Look;
use crate::world::World;

/// Characters of a hash that tell it apart in a table.
const HASH: usize = 12;

/// A value that can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// As text, without control characters.
    pub text: String,
    /// Whether it stands at the right: numbers that are compared.
    pub right: bool,
    /// Its colour, where it says whether all is well.
    pub colour: Option<Color>,
}

impl Cell {
    /// Its text in its colour, where colours are shown.
    #[must_use]
    pub fn painted(&self, text: &str, colours: bool) -> String {
        match self.colour.filter(|_| colours) {
            Some(colour) => style(text).fg(colour).force_styling(true).to_string(),
            None => text.to_owned(),
        }
    }
}

/// The cell for a value of the field `path`.
#[must_use]
pub fn of(value: &Value, look: Look, path: &str, world: &World<'_>) -> Cell {
    let name = path.rsplit('.').next().unwrap_or(path);
    let number = value.as_i64();
    let text = match (value, look) {
        (Value::Null, _) => "-".to_owned(),
        (_, Look::Time) if number.is_some() => {
            words::time(number.unwrap_or_default(), (world.now)().as_second(), &world.zone)
        }
        (_, Look::Count) if number.is_some() => words::count(number.unwrap_or_default()),
        (Value::Number(number), Look::Figure) => words::figure(number.as_f64().unwrap_or_default()),
        (Value::Number(own), Look::Plain) if own.is_f64() => words::figure(own.as_f64().unwrap_or_default()),
        (Value::Bool(yes), _) => if *yes { "yes" } else { "no" }.to_owned(),
        (Value::String(text), Look::Hash) if text.len() > HASH && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            text[..HASH].to_owned()
        }
        (Value::String(text), _) if text.is_empty() => "-".to_owned(),
        (Value::String(text), _) => words::clean(text),
        (Value::Array(all), _) if all.iter().all(|one| !one.is_object() && !one.is_array()) => {
            words::clean(&all.iter().map(plain).collect::<Vec<_>>().join(","))
        }
        (Value::Array(all), _) => words::many(all.len().try_into().unwrap_or(i64::MAX), "item"),
        (Value::Object(fields), _) => words::many(fields.len().try_into().unwrap_or(i64::MAX), "field"),
        (other, _) => words::clean(&other.to_string()),
    };
    Cell { text, right: matches!(look, Look::Count | Look::Figure), colour: colour(name, value) }
}

/// A time where there is little room: the distance from now.
#[must_use]
pub fn short_time(value: &Value, world: &World<'_>) -> Cell {
    let now = (world.now)().as_second();
    let text = value.as_i64().map_or_else(|| "-".to_owned(), |at| words::relative(at, now));
    Cell { text, right: false, colour: None }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Good is green, waiting is yellow, bad is red; only of fields that tell a state.
fn colour(name: &str, value: &Value) -> Option<Color> {
    if !matches!(name, "state" | "severity" | "status" | "outcome" | "verdict" | "result" | "stage" | "end" | "online")
    {
        return None;
    }
    if let Value::Bool(yes) = value {
        return Some(if *yes { Color::Green } else { Color::Yellow });
    }
    Some(match value.as_str()? {
        "able" | "online" | "promoted" | "complete" | "champion" | "done" | "trusted" | "attested" | "installed"
        | "taken" | "lifted" => Color::Green,
        "held" | "offline" | "never_seen" | "warning" | "paused" | "queued" | "running" | "doubted" | "late"
        | "behind" | "awaiting_signature" | "unproven" | "restarting" | "silent" | "straggling" | "interrupted"
        | "declined" => Color::Yellow,
        "failed" | "revoked" | "critical" | "halted" | "rolled_back" | "dead" | "unable" | "stuck" | "refused"
        | "differs" | "left_out" | "withdrawn" => Color::Red,
        _ => return None,
    })
}
