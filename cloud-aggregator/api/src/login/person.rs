//! Who somebody is, from the claims of a verified token. Pure.

use hearthwatch_store::Role;
use serde_json::{Map, Value};

use super::config::LoginConfig;

/// Longest name that is kept, in characters.
const NAME_MAX: usize = 64;

/// Most groups that are looked at: directories with thousands of groups send some hundred.
const GROUPS_MAX: usize = 1000;

/// Somebody whom the provider knows and who may do something here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// As in the audit log.
    pub name: String,
    /// Issuer and subject: the same person for ever, whatever the name.
    pub subject: String,
    /// The highest role of the person's groups.
    pub role: Role,
}

/// Why somebody whom the provider knows may do nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PersonError {
    /// The token says nobody's name.
    #[error("the provider sent no {0:?} for you: set `name_claim` in [http.login] to a claim that it sends")]
    NoName(String),
    /// A name that would break a line of a log.
    #[error("the provider's {0:?} for you cannot stand in a log: 1 to {NAME_MAX} visible characters")]
    Name(String),
    /// None of the groups has a role.
    #[error(
        "you are known to the provider as {name}, but none of your groups may do anything here; an admin names groups in [http.login]"
    )]
    NoRole {
        /// Who it is.
        name: String,
    },
}

/// Who the claims are about.
///
/// # Errors
/// [`PersonError`].
pub(crate) fn person(claims: &Map<String, Value>, config: &LoginConfig) -> Result<Person, PersonError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = text(&config.name_claim).ok_or_else(|| PersonError::NoName(config.name_claim.clone()))?;
    let fits =
        (1..=NAME_MAX).contains(&name.chars().count()) && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    if !fits {
        return Err(PersonError::Name(config.name_claim.clone()));
    }
    let subject = format!("{} {}", config.issuer, text("sub").unwrap_or_default());
    match config.role_of(&groups(claims.get(&config.groups_claim))) {
        Some(role) => Ok(Person { name, subject, role }),
        None => Err(PersonError::NoRole { name }),
    }
}

/// Groups as providers send them: a list of texts, or one text.
fn groups(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(GROUPS_MAX).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn config() -> LoginConfig {
        LoginConfig {
            issuer: "https://id.example".to_owned(),
            client_id: "hearthwatch".to_owned(),
            client_secret_file: None,
            ca_file: None,
            page_url: "https://watch.example:8443".parse().unwrap(),
            scopes: Vec::new(),
            name_claim: "preferred_username".to_owned(),
            groups_claim: "groups".to_owned(),
            viewers: vec!["everybody".to_owned()],
            operators: vec!["night-shift".to_owned()],
            admins: vec!["owners".to_owned()],
        }
    }

    fn of(claims: &Value) -> Result<Person, PersonError> {
        person(claims.as_object().unwrap(), &config())
    }

    #[test]
    fn the_highest_role_of_the_groups_counts() {
        let found = of(&json!({"sub": "7", "preferred_username": "ada", "groups": ["everybody", "owners"]})).unwrap();
        assert_eq!(
            found,
            Person { name: "ada".to_owned(), subject: "https://id.example 7".to_owned(), role: Role::Admin }
        );
        let one = of(&json!({"sub": "7", "preferred_username": "ada", "groups": "night-shift"})).unwrap();
        assert_eq!(one.role, Role::Operator);
    }

    #[test]
    fn whoever_is_in_no_group_of_ours_may_do_nothing() {
        let none = of(&json!({"sub": "7", "preferred_username": "eve", "groups": ["others", 7]}));
        assert_eq!(none, Err(PersonError::NoRole { name: "eve".to_owned() }));
        assert_eq!(
            of(&json!({"sub": "7", "preferred_username": "eve"})),
            Err(PersonError::NoRole { name: "eve".to_owned() })
        );
    }

    #[test]
    fn a_name_that_would_break_a_log_is_refused() {
        assert_eq!(of(&json!({"sub": "7"})), Err(PersonError::NoName("preferred_username".to_owned())));
        for name in ["", "a b", "a\nb", &"x".repeat(65)] {
            let said = of(&json!({"sub": "7", "preferred_username": name, "groups": ["owners"]}));
            assert_eq!(said, Err(PersonError::Name("preferred_username".to_owned())), "{name:?}");
        }
    }

    #[test]
    fn the_way_back_leads_to_the_page() {
        assert_eq!(config().redirect_uri(), "https://watch.example:8443/login/callback");
    }
}
