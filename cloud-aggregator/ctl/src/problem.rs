//! A refusal as the aggregator tells it (RFC 9457), in sentences.

use std::fmt;

use serde_json::{Map, Value};

/// Fields of a problem that say nothing to a person, or are said elsewhere.
const SAID: [&str; 8] = ["type", "title", "status", "detail", "instance", "remedy", "present", "request_id"];

/// A refusal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The problem's name, e.g. `not-found`; empty where the answer has none.
    pub name: String,
    /// The same for every problem of this name.
    pub title: String,
    /// What is wrong with this request.
    pub detail: String,
    /// What to do about it, where the aggregator says so.
    pub remedy: String,
    /// Where the thing is now, when somebody else changed it.
    pub present: Option<Value>,
    /// By which the aggregator's log names this request.
    pub request_id: String,
    /// Whatever else it says.
    pub more: Map<String, Value>,
    /// The body, where it is JSON and no problem document: such as what an aggregator says that is not able.
    pub body: String,
}

impl Problem {
    /// Reads the body of a refusal; `request_id` is the header's, empty if there was none. What is no problem document, such as
    /// the page of a proxy, becomes one without a name.
    #[must_use]
    pub fn read(status: u16, body: &[u8], request_id: &str) -> Self {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
            let title =
                format!("the answer is {status}, and no problem document: is this the aggregator's own address?");
            return Self { status, title, request_id: request_id.to_owned(), ..Self::default() };
        };
        if !fields.contains_key("title") && !fields.contains_key("detail") {
            let title = format!("the answer is {status}");
            let body = String::from_utf8_lossy(body).into_owned();
            return Self { status, title, more: fields, body, request_id: request_id.to_owned(), ..Self::default() };
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("type").rsplit(':').next().unwrap_or_default().to_owned();
        let instance = text("instance");
        let own = instance.strip_prefix("urn:hearthwatch:request:").map_or_else(|| text("request_id"), str::to_owned);
        Self {
            status,
            name,
            title: text("title"),
            detail: text("detail"),
            remedy: text("remedy"),
            present: fields.get("present").filter(|value| !value.is_null()).cloned(),
            request_id: if own.is_empty() { request_id.to_owned() } else { own },
            more: {
                fields.retain(|name, value| !SAID.contains(&name.as_str()) && !value.is_null());
                fields
            },
            body: String::new(),
        }
    }

    /// What a person can do about it: the aggregator's own word, else what usually helps.
    fn help(&self) -> &str {
        // A remedy is written for whoever sends requests; how a token is named, a command knows better.
        if !self.remedy.is_empty() && self.status != 401 {
            return &self.remedy;
        }
        match (self.status, self.name.as_str()) {
            (401, _) => {
                "name a token's file with --token-file, or a context that has one: `hearthwatch-cloud ctl context list`; or `ctl login`"
            }
            (403, _) => "use a token that may do this: `hearthwatch-cloud ctl tokens list` shows roles and scopes",
            (_, "changed") | (412, _) => "look at it again, and repeat the command if you still want it",
            (429, _) => "wait, and try again",
            (500, _) => "look into the aggregator's log; `hearthwatch-cloud ctl health ready` shows its parts",
            _ => "",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.detail.as_str(), self.title.as_str()) {
            ("", title) => write!(f, "{title}")?,
            (detail, "") => write!(f, "{detail}")?,
            (detail, title) => write!(f, "{detail} ({title})")?,
        }
        if let Some(present) = &self.present {
            let state = present["state"].as_str().unwrap_or("changed");
            write!(f, "\n  it is now: {state}")?;
            if let Some(version) = present["row_version"].as_u64().filter(|version| *version > 0) {
                write!(f, ", row version {version}")?;
            }
        }
        for (name, value) in &self.more {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(f, "\n  {}: {text}", name.replace('_', " "))?;
        }
        if !self.help().is_empty() {
            write!(f, "\n  what to do: {}", self.help())?;
        }
        if !self.request_id.is_empty() {
            write!(f, "\n  request id, for the aggregator's log: {}", self.request_id)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_sentences() {
        let body = br#"{"type":"urn:hearthwatch:problem:changed","title":"Somebody else changed it first","status":409,
            "detail":"the rollout was halted meanwhile","present":{"state":"halted","row_version":4},"field":"reason"}"#;
        let problem = Problem::read(409, body, "0f3a");
        assert_eq!(problem.name, "changed");
        assert_eq!(
            problem.to_string(),
            "the rollout was halted meanwhile (Somebody else changed it first)\n  it is now: halted, row version 4\n  \
             field: reason\n  what to do: look at it again, and repeat the command if you still want it\n  \
             request id, for the aggregator's log: 0f3a"
        );
    }

    #[test]
    fn the_aggregators_own_remedy_comes_first() {
        let body = br#"{"title":"Your role does not allow this","status":403,"detail":"this needs the role admin",
            "remedy":"ask an admin","request_id":"77"}"#;
        let told = Problem::read(403, body, "").to_string();
        assert!(told.contains("\n  what to do: ask an admin\n") && told.ends_with(": 77"), "{told}");
    }

    #[test]
    fn a_proxys_page_is_no_problem_of_the_aggregators() {
        let told = Problem::read(502, b"<html>Bad Gateway</html>", "").to_string();
        assert_eq!(told, "the answer is 502, and no problem document: is this the aggregator's own address?");
    }
}
