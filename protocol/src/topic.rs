//! Topics and what they mean, as inverse pairs: [`Topic`]'s `Display` and [`Topic::parse`].

use std::fmt;

use crate::id::{HomeId, IdError};

/// First levels of every topic; the version is the topic tree's, not a message's.
pub const ROOT: &str = "hw/v1";

/// Everything that homes say. An aggregator subscribes to it through [`shared`].
pub const UP_FILTER: &str = "hw/v1/home/+/up/+";

/// `filter`, shared among all who subscribe with the same `group`: each message goes to one of them.
///
/// mosquitto lets any client into any group, and drops the message when it is the turn of one who may not read it. So the
/// name of the aggregators' group is a secret.
///
/// ```
/// use hearthwatch_protocol::topic::{UP_FILTER, shared};
/// assert_eq!(shared("g", UP_FILTER), "$share/g/hw/v1/home/+/up/+");
/// ```
#[must_use]
pub fn shared(group: &str, filter: &str) -> String {
    format!("$share/{group}/{filter}")
}

/// A place to say something.
///
/// ```
/// use hearthwatch_protocol::{HomeId, Topic};
/// let topic = Topic::Feedback(HomeId::new("home-7").unwrap());
/// assert_eq!(topic.to_string(), "hw/v1/home/home-7/up/feedback");
/// assert_eq!(Topic::parse("hw/v1/home/home-7/up/feedback"), Ok(topic));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Home → cloud: a labelled record. QoS 1.
    Feedback(HomeId),
    /// Home → cloud: what the agent is and runs. QoS 1, retained; also the will.
    Status(HomeId),
    /// Home → cloud: how an update ended. QoS 1.
    Outcome(HomeId),
    /// Home → cloud: what the home runs, signed by its key. QoS 1, retained.
    Manifest(HomeId),
    /// Cloud → home: what is durably stored. QoS 1.
    Receipt(HomeId),
    /// Home → cloud: what it shared is taken back. QoS 1.
    Withdrawal(HomeId),
    /// Cloud → home: what is taken back is gone. QoS 1.
    Withdrawn(HomeId),
    /// Cloud → home: what its answers did. QoS 1, retained.
    Contribution(HomeId),
    /// Cloud → home: which release this home is to run, signed by the director. QoS 1, retained.
    Assignment(HomeId),
    /// Home → cloud: whether it takes part in rounds, signed by its key. QoS 1, retained.
    RoundOffer(HomeId),
    /// Cloud → home: what it is asked for in a round, signed by the director. QoS 1, retained.
    RoundPlan(HomeId),
    /// Home → cloud: a part of its answer to a round's plan. QoS 1.
    RoundPart(HomeId),
    /// Cloud → home: what of that answer is stored. QoS 1.
    RoundReceipt(HomeId),
    /// Cloud → home: what it is asked for in an exchange of a masked round, signed by the director. QoS 1, retained.
    RoundRequest(HomeId),
    /// Cloud → all: the newest release. QoS 1, retained.
    Release,
}

/// Why a text is not one of our topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No topic of ours has this form.
    #[error("not a Hearthwatch topic")]
    Unknown,
    /// The home's level is not a valid [`HomeId`].
    #[error("the home level is not an id: {0}")]
    Home(#[from] IdError),
}

impl Topic {
    /// Reads a topic name as received from a broker.
    ///
    /// # Errors
    /// [`TopicError`] for any other name, wildcard filters included.
    pub fn parse(name: &str) -> Result<Self, TopicError> {
        let rest = name.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')).ok_or(TopicError::Unknown)?;
        let levels: Vec<&str> = rest.split('/').collect();
        match levels[..] {
            ["fleet", "release"] => Ok(Self::Release),
            ["home", home, direction, kind] => {
                let make = match (direction, kind) {
                    ("up", "feedback") => Self::Feedback,
                    ("up", "status") => Self::Status,
                    ("up", "outcome") => Self::Outcome,
                    ("up", "manifest") => Self::Manifest,
                    ("up", "withdrawal") => Self::Withdrawal,
                    ("up", "offer") => Self::RoundOffer,
                    ("up", "round") => Self::RoundPart,
                    ("down", "plan") => Self::RoundPlan,
                    ("down", "round-receipt") => Self::RoundReceipt,
                    ("down", "round-request") => Self::RoundRequest,
                    ("down", "receipt") => Self::Receipt,
                    ("down", "withdrawn") => Self::Withdrawn,
                    ("down", "contribution") => Self::Contribution,
                    ("down", "assignment") => Self::Assignment,
                    _ => return Err(TopicError::Unknown),
                };
                Ok(make(HomeId::new(home)?))
            }
            _ => Err(TopicError::Unknown),
        }
    }

    /// The home this topic belongs to; none for the fleet's.
    #[must_use]
    pub fn home(&self) -> Option<&HomeId> {
        match self {
            Self::Feedback(home)
            | Self::Status(home)
            | Self::Outcome(home)
            | Self::Manifest(home)
            | Self::Receipt(home)
            | Self::Withdrawal(home)
            | Self::Withdrawn(home)
            | Self::Contribution(home)
            | Self::Assignment(home)
            | Self::RoundOffer(home)
            | Self::RoundPlan(home)
            | Self::RoundPart(home)
            | Self::RoundReceipt(home)
            | Self::RoundRequest(home) => Some(home),
            Self::Release => None,
        }
    }

    /// Whether the broker keeps the last message for later subscribers.
    #[must_use]
    pub fn retained(&self) -> bool {
        matches!(
            self,
            Self::Status(_)
                | Self::Manifest(_)
                | Self::Assignment(_)
                | Self::Contribution(_)
                | Self::RoundOffer(_)
                | Self::RoundPlan(_)
                | Self::RoundRequest(_)
                | Self::Release
        )
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feedback(home) => write!(f, "{ROOT}/home/{home}/up/feedback"),
            Self::Status(home) => write!(f, "{ROOT}/home/{home}/up/status"),
            Self::Outcome(home) => write!(f, "{ROOT}/home/{home}/up/outcome"),
            Self::Manifest(home) => write!(f, "{ROOT}/home/{home}/up/manifest"),
            Self::Receipt(home) => write!(f, "{ROOT}/home/{home}/down/receipt"),
            Self::Withdrawal(home) => write!(f, "{ROOT}/home/{home}/up/withdrawal"),
            Self::Withdrawn(home) => write!(f, "{ROOT}/home/{home}/down/withdrawn"),
            Self::Contribution(home) => write!(f, "{ROOT}/home/{home}/down/contribution"),
            Self::Assignment(home) => write!(f, "{ROOT}/home/{home}/down/assignment"),
            Self::RoundOffer(home) => write!(f, "{ROOT}/home/{home}/up/offer"),
            Self::RoundPlan(home) => write!(f, "{ROOT}/home/{home}/down/plan"),
            Self::RoundPart(home) => write!(f, "{ROOT}/home/{home}/up/round"),
            Self::RoundReceipt(home) => write!(f, "{ROOT}/home/{home}/down/round-receipt"),
            Self::RoundRequest(home) => write!(f, "{ROOT}/home/{home}/down/round-request"),
            Self::Release => write!(f, "{ROOT}/fleet/release"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_topic() -> impl Strategy<Value = Topic> {
        let home = || "[a-z0-9-]{1,64}".prop_map(|text| HomeId::new(text).expect("made of allowed characters"));
        prop_oneof![
            home().prop_map(Topic::Feedback),
            home().prop_map(Topic::Status),
            home().prop_map(Topic::Outcome),
            home().prop_map(Topic::Manifest),
            home().prop_map(Topic::Receipt),
            home().prop_map(Topic::Withdrawal),
            home().prop_map(Topic::Withdrawn),
            home().prop_map(Topic::Contribution),
            home().prop_map(Topic::Assignment),
            home().prop_map(Topic::RoundOffer),
            home().prop_map(Topic::RoundPlan),
            home().prop_map(Topic::RoundPart),
            home().prop_map(Topic::RoundReceipt),
            home().prop_map(Topic::RoundRequest),
            Just(Topic::Release),
        ]
    }

    proptest! {
        #[test]
        fn every_topic_reads_back_as_itself(topic in any_topic()) {
            prop_assert_eq!(Topic::parse(&topic.to_string()), Ok(topic));
        }

        #[test]
        fn no_text_makes_the_parser_panic(name in ".{0,80}") {
            let _ = Topic::parse(&name);
        }
    }

    #[test]
    fn a_filter_is_not_a_topic() {
        assert_eq!(Topic::parse("hw/v1/home/+/up/feedback"), Err(TopicError::Home(IdError::Character('+'))));
        assert_eq!(Topic::parse(&shared("g", UP_FILTER)), Err(TopicError::Unknown));
    }

    #[test]
    fn an_upward_kind_in_the_downward_direction_is_unknown() {
        assert_eq!(Topic::parse("hw/v1/home/a/down/feedback"), Err(TopicError::Unknown));
    }
}
