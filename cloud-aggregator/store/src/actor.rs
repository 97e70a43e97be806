//! Who did something: a home, the holder of a token, or the program itself.

use std::fmt;

use hearthwatch_protocol::HomeId;

/// Who is named in the audit log, in exclusions and in releases. Written `home:NAME`, `token:NAME` or `system`: homes and tokens
/// share an alphabet, so the bare name could be either.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A home, by what it sent.
    Home(HomeId),
    /// Whoever holds the token of this name.
    Token(String),
    /// Somebody whom the identity provider knows by this name.
    Person(String),
    /// The program: a trigger, a test of a rollout, a command on the machine itself.
    System,
    /// A name as it was written before actors had a kind.
    Untyped(String),
}

impl Actor {
    /// Reads what [`fmt::Display`] wrote; anything else is [`Actor::Untyped`], so that every line of an old log stays readable and
    /// keeps its hash.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            None if text == "system" => Self::System,
            Some(("token", name)) => Self::Token(name.to_owned()),
            Some(("person", name)) => Self::Person(name.to_owned()),
            Some(("home", name)) => HomeId::new(name).map_or_else(|_| Self::Untyped(text.to_owned()), Self::Home),
            _ => Self::Untyped(text.to_owned()),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home(home) => write!(f, "home:{home}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Person(name) => write!(f, "person:{name}"),
            Self::System => f.write_str("system"),
            Self::Untyped(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_home_and_a_token_of_the_same_name_are_told_apart() {
        let home = Actor::Home(HomeId::new("ada").unwrap());
        let token = Actor::Token("ada".to_owned());
        assert_eq!((home.to_string(), token.to_string()), ("home:ada".to_owned(), "token:ada".to_owned()));
        assert_eq!(Actor::parse("ada"), Actor::Untyped("ada".to_owned()));
        assert_eq!(Actor::parse("home:NOT A HOME"), Actor::Untyped("home:NOT A HOME".to_owned()));
        assert_eq!(Actor::parse("system"), Actor::System);
    }

    proptest! {
        #[test]
        fn whatever_an_old_log_holds_is_written_back_as_it_was(text in ".{0,40}") {
            prop_assert_eq!(Actor::parse(&text).to_string(), text);
        }

        #[test]
        fn what_is_written_reads_back(kind in 0..3_u8, name in "[a-z0-9]{1,20}") {
            let actor = match kind {
                0 => Actor::Home(HomeId::new(name).unwrap()),
                1 => Actor::Token(name),
                _ => Actor::System,
            };
            prop_assert_eq!(Actor::parse(&actor.to_string()), actor);
        }
    }
}
