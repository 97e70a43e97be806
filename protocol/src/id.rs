//! A newtype per identity, checked when it is made: a `HomeId` cannot stand where an `AlarmId` is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::ID_LENGTH_MAX;

/// Why a text is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, or longer than [`ID_LENGTH_MAX`] bytes.
    #[error("an id has 1 to {ID_LENGTH_MAX} characters, this one has {0}")]
    Length(usize),
    /// Something else than a lower-case letter, a digit or a dash; such ids could escape a topic level or a path.
    #[error("an id is made of a-z, 0-9 and '-', found {0:?}")]
    Character(char),
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() || text.len() > ID_LENGTH_MAX {
        return Err(IdError::Length(text.len()));
    }
    match text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        Some(found) => Err(IdError::Character(found)),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps `text`.
            ///
            /// # Errors
            /// [`IdError`] when `text` is empty, too long, or holds a character outside `a-z0-9-`.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text).map(|()| Self(text))
            }

            /// The identity as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id! {
    /// A home's pseudonym: the common name of its certificate and its level in every topic. Never a person's name.
    HomeId
}
text_id! {
    /// One alarm of one home. Made by the agent from a secret of the home, so it tells nothing about the entity.
    AlarmId
}

macro_rules! counter_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter_id! {
    /// A released model. 0 is the baseline detector, which needs no release; the first network is 1.
    ModelVersion
}
counter_id! {
    /// Position of a record in its home's outbox, counted from 1 without gaps.
    Sequence
}

impl ModelVersion {
    /// The baseline detector: what a home runs before it has any network.
    pub const ROUTINE: Self = Self(0);
}

/// What makes a feedback record unique in the whole fleet; the aggregator stores each key once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// Who said it.
    pub home: HomeId,
    /// The how-manieth thing they said.
    pub sequence: Sequence,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.home, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_escape_its_topic_level_is_refused() {
        assert_eq!(HomeId::new("a/b"), Err(IdError::Character('/')));
        assert_eq!(HomeId::new("+"), Err(IdError::Character('+')));
        assert_eq!(HomeId::new("#"), Err(IdError::Character('#')));
        assert_eq!(HomeId::new("../up"), Err(IdError::Character('.')));
    }

    #[test]
    fn an_empty_or_overlong_id_is_refused_with_its_length() {
        assert_eq!(AlarmId::new(""), Err(IdError::Length(0)));
        assert_eq!(AlarmId::new("a".repeat(65)), Err(IdError::Length(65)));
    }
}
