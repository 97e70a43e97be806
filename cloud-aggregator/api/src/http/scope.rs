//! Scopes: what a token may do of what its role may, as `noun:verb`.
//!
//! The noun is the first word of a call's path, the verb its last if the call is an action (`homes:revoke`), else what the method
//! does: `read`, `create`, `set`, `delete`. `*` stands for any, `write` for every verb but `read`. The pages are `pages:read`.

use std::fmt;
use std::str::FromStr;

use axum::http::Method;

/// Most scopes of a token: there are some 70 calls, and `*`.
pub const SCOPES_MAX: usize = 32;

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    noun: String,
    verb: String,
}

impl Scope {
    /// Whether whoever holds this may make a call of that scope.
    #[must_use]
    pub fn allows(&self, call: &Self) -> bool {
        let noun = self.noun == "*" || self.noun == call.noun;
        let verb = match self.verb.as_str() {
            "*" => true,
            "write" => call.verb != "read",
            verb => verb == call.verb,
        };
        noun && verb
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |word: &str| {
            word == "*" || ((1..=32).contains(&word.len()) && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'-'))
        };
        match text.split_once(':') {
            Some((noun, verb)) if word(noun) && word(verb) => Ok(Self { noun: noun.to_owned(), verb: verb.to_owned() }),
            _ => Err(format!("{text:?} is no scope: NOUN:VERB, e.g. homes:read, rollouts:halt, runs:write, *:read")),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.noun, self.verb)
    }
}

/// The scope of a call, by its path (as a pattern) and its method.
#[must_use]
pub fn of(path: &str, method: &Method) -> Scope {
    let Some(rest) = path.strip_prefix("/api/v1/") else {
        return Scope { noun: "pages".to_owned(), verb: "read".to_owned() };
    };
    let mut words = rest.split('/');
    let noun = words.next().unwrap_or_default().to_owned();
    let action = words.next_back().filter(|word| !word.starts_with('{'));
    let verb = match (method, action) {
        (&Method::GET | &Method::HEAD, _) => "read",
        (&Method::POST, Some(action)) => action,
        (&Method::POST, None) => "create",
        (&Method::DELETE, _) => "delete",
        _ => "set",
    };
    Scope { noun, verb: verb.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_a_noun_and_a_verb() {
        let scope = |path, method| of(path, &method).to_string();
        assert_eq!(scope("/api/v1/homes", Method::GET), "homes:read");
        assert_eq!(scope("/api/v1/homes/{home}/lineage", Method::GET), "homes:read");
        assert_eq!(scope("/api/v1/homes/{home}/revoke", Method::POST), "homes:revoke");
        assert_eq!(scope("/api/v1/homes/{home}/tags", Method::PUT), "homes:set");
        assert_eq!(scope("/api/v1/tokens", Method::POST), "tokens:create");
        assert_eq!(scope("/api/v1/tokens/{name}", Method::DELETE), "tokens:delete");
        assert_eq!(scope("/api/v1/releases/rollback", Method::POST), "releases:rollback");
        assert_eq!(scope("/rollouts/{version}", Method::GET), "pages:read");
    }

    #[test]
    fn a_star_stands_for_any_and_write_for_whatever_changes_something() {
        let allows = |held: &str, call: &str| held.parse::<Scope>().unwrap().allows(&call.parse().unwrap());
        assert!(allows("homes:read", "homes:read") && !allows("homes:read", "runs:read"));
        assert!(allows("*:read", "runs:read") && !allows("*:read", "runs:create"));
        assert!(allows("rollouts:write", "rollouts:halt") && !allows("rollouts:write", "rollouts:read"));
        assert!(allows("rollouts:*", "rollouts:read") && allows("*:*", "tokens:delete"));
    }

    #[test]
    fn what_is_no_scope_is_told() {
        let told = "\"homes\" is no scope: NOUN:VERB, e.g. homes:read, rollouts:halt, runs:write, *:read";
        assert_eq!("homes".parse::<Scope>(), Err(told.to_owned()));
        assert!("Homes:read".parse::<Scope>().is_err() && ":read".parse::<Scope>().is_err());
    }
}
