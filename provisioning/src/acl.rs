//! Who may say what on the broker: the one table, the decision, and the mosquitto file rendered from it.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::topic::ROOT;

/// Common names that aggregators may carry. The first is the one that `init` makes; a replica that shares the work
/// through `$share` needs its own, because mosquitto takes the common name for the client id. Four share the ingest of
/// far more homes than one mosquitto carries.
pub const AGGREGATORS: [&str; 4] = ["aggregator", "aggregator-2", "aggregator-3", "aggregator-4"];

/// The common name of who reads the broker's own numbers: how many are connected, how much waits.
pub const MONITOR: &str = "monitor";

/// Under which brokers say how they do; outside of [`ROOT`].
const BROKER_NUMBERS: &str = "$SYS";

/// What stands for the home's own name in the table below.
const SELF: &str = "{self}";

/// The whole policy, topics relative to [`ROOT`]. A filter may hold `+` as a whole level; `#` is not used.
///
/// The release announcement is for everybody: mosquitto's patterns hold for every user, and it is no secret.
const HOME: Grants = Grants { publish: &["home/{self}/up/+"], receive: &["home/{self}/down/+", "fleet/release"] };
const AGGREGATOR: Grants = Grants {
    publish: &[
        "home/+/down/receipt",
        "home/+/down/withdrawn",
        "home/+/down/contribution",
        "home/+/down/assignment",
        "home/+/down/plan",
        "home/+/down/round-receipt",
        "home/+/down/round-request",
        "fleet/release",
    ],
    receive: &["home/+/up/+", "fleet/release"],
};

/// Nothing below [`ROOT`].
const NOTHING: Grants = Grants { publish: &[], receive: &[] };

struct Grants {
    publish: &'static [&'static str],
    receive: &'static [&'static str],
}

/// Who is at the other end of a connection, as its certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A home's agent.
    Home(HomeId),
    /// One of [`AGGREGATORS`]; holds its index there.
    Aggregator(usize),
    /// Reads the broker's own numbers, and nothing that anybody says.
    Monitor,
}

/// Why a common name is nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a home's name, and not an aggregator's.
    #[error("common name {0:?} is not an id: {1}")]
    NotAnId(String, hearthwatch_protocol::IdError),
    /// Names that begin like an aggregator's, and the monitor's, are kept free, so that no home can ever be taken for one.
    #[error(
        "{0:?} is kept for the fleet's own programs; a home's name must not be `aggregator` or `monitor` nor begin with `aggregator-`"
    )]
    Reserved(String),
}

impl Identity {
    /// The one that `init` issues a certificate for.
    pub const AGGREGATOR: Self = Self::Aggregator(0);

    /// Reads the common name of a verified certificate.
    ///
    /// # Errors
    /// [`IdentityError`] when nobody of ours has that name.
    pub fn from_common_name(name: &str) -> Result<Self, IdentityError> {
        if name == MONITOR {
            return Ok(Self::Monitor);
        }
        match AGGREGATORS.iter().position(|aggregator| *aggregator == name) {
            Some(index) => Ok(Self::Aggregator(index)),
            None => HomeId::new(name)
                .map_err(|error| IdentityError::NotAnId(name.chars().take(80).collect(), error))
                .and_then(Self::home),
        }
    }

    /// A home, unless its name is reserved.
    ///
    /// # Errors
    /// [`IdentityError::Reserved`] for names that begin like an aggregator's, and for the monitor's.
    pub fn home(home: HomeId) -> Result<Self, IdentityError> {
        if matches!(home.as_str(), "aggregator" | MONITOR) || home.as_str().starts_with("aggregator-") {
            return Err(IdentityError::Reserved(home.into()));
        }
        Ok(Self::Home(home))
    }

    /// The common name of its certificate, its MQTT user name and, for homes, its client id.
    #[must_use]
    pub fn common_name(&self) -> &str {
        match self {
            Self::Home(home) => home.as_str(),
            Self::Aggregator(index) => AGGREGATORS.get(*index).copied().unwrap_or("aggregator"),
            Self::Monitor => MONITOR,
        }
    }

    fn grants(&self) -> &'static Grants {
        match self {
            Self::Home(_) => &HOME,
            Self::Aggregator(_) => &AGGREGATOR,
            Self::Monitor => &NOTHING,
        }
    }

    /// Whether this identity may connect under `client_id`. A home's is its name and nothing else, or it could take
    /// over another home's session; an aggregator may add a suffix of its own, which no home can have.
    #[must_use]
    pub fn may_use_client_id(&self, client_id: &str) -> bool {
        match self {
            Self::Home(home) => client_id == home.as_str(),
            Self::Aggregator(_) => client_id == "aggregator" || client_id.starts_with("aggregator-"),
            Self::Monitor => client_id == MONITOR,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.common_name())
    }
}

/// What somebody wants to do. A will is a [`Action::Publish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Say something on a topic name.
    Publish {
        /// The topic, without wildcards.
        topic: &'a str,
    },
    /// Ask for everything that a filter matches.
    Subscribe {
        /// The filter; may begin with `$share/GROUP/` for aggregators.
        filter: &'a str,
    },
    /// Be handed a message on a topic name.
    Receive {
        /// The topic, without wildcards.
        topic: &'a str,
    },
}

/// The decision. Whatever the table does not name is refused.
///
/// ```
/// use hearthwatch_provision::acl::{Action, Identity, allows};
/// let home = Identity::from_common_name("home-7").unwrap();
/// assert!(allows(&home, &Action::Publish { topic: "hw/v1/home/home-7/up/feedback" }));
/// assert!(!allows(&home, &Action::Publish { topic: "hw/v1/home/home-8/up/feedback" }));
/// assert!(!allows(&home, &Action::Subscribe { filter: "#" }));
/// ```
#[must_use]
pub fn allows(identity: &Identity, action: &Action<'_>) -> bool {
    let grants = identity.grants();
    if let (Identity::Monitor, Action::Receive { topic } | Action::Subscribe { filter: topic }) = (identity, action)
        && topic.split('/').next() == Some(BROKER_NUMBERS)
    {
        return matches!(action, Action::Subscribe { .. }) || is_name(topic, identity);
    }
    match action {
        Action::Publish { topic } => is_name(topic, identity) && any_covers(identity, grants.publish, topic),
        Action::Receive { topic } => is_name(topic, identity) && any_covers(identity, grants.receive, topic),
        Action::Subscribe { filter } => match (identity, filter.strip_prefix("$share/")) {
            (_, None) => any_covers(identity, grants.receive, filter),
            // A group of homes would let one take the other's messages.
            (Identity::Home(_) | Identity::Monitor, Some(_)) => false,
            (Identity::Aggregator(_), Some(rest)) => match rest.split_once('/') {
                Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) => {
                    any_covers(identity, grants.receive, filter)
                }
                _ => false,
            },
        },
    }
}

/// Whether this is a topic name at all, and not that of a home called like the aggregator, which cannot exist.
fn is_name(topic: &str, identity: &Identity) -> bool {
    let own_home = matches!(identity, Identity::Aggregator(_))
        && level_after(topic, "home").is_some_and(|home| home == identity.common_name());
    !own_home && !topic.contains(['+', '#', '\0'])
}

/// The level below [`ROOT`]`/parent`.
fn level_after<'a>(topic: &'a str, parent: &str) -> Option<&'a str> {
    let rest = topic.strip_prefix(ROOT)?.strip_prefix('/')?.strip_prefix(parent)?.strip_prefix('/')?;
    rest.split('/').next()
}

fn any_covers(identity: &Identity, granted: &[&str], wanted: &str) -> bool {
    let Some(wanted) = wanted.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')) else { return false };
    granted.iter().any(|granted| covers(granted, identity.common_name(), wanted))
}

/// Whether every topic that `wanted` matches is matched by `granted` too, level by level.
fn covers(granted: &str, own_name: &str, wanted: &str) -> bool {
    let mut wanted = wanted.split('/');
    for level in granted.split('/') {
        let Some(asked) = wanted.next() else { return false };
        let covered = match level {
            "+" => asked == "+" || !asked.contains(['+', '#']),
            SELF => asked == own_name,
            literal => asked == literal,
        };
        if !covered {
            return false;
        }
    }
    wanted.next().is_none()
}

/// The same table as a mosquitto `acl_file`. Names come from the certificate (`use_identity_as_username`).
///
/// Patterns hold for every user, so each aggregator is first denied the topics of a home of its own name. Homes in `shut_out` are
/// denied everything: mosquitto's revocation list keeps them from connecting, and this silences the sessions that they
/// still have.
#[must_use]
pub fn render_mosquitto(shut_out: &BTreeSet<HomeId>) -> String {
    let mut text = String::from(
        "# Rendered by hearthwatch-provision from its acl.rs. Do not edit: the next `init` says so, and the suite that\n\
         # compares this file with the embedded broker no longer speaks for it.\n\n\
         # Aggregators.\n",
    );
    for aggregator in AGGREGATORS {
        let _ = writeln!(text, "user {aggregator}");
        let _ = writeln!(text, "topic deny {ROOT}/home/{aggregator}/#");
        grant_lines(&mut text, "topic", &AGGREGATOR);
        text.push('\n');
    }
    // Patterns are for every user: without the denial it could speak as a home of its name.
    let _ = write!(text, "# Who reads the broker's own numbers.\nuser {MONITOR}\n");
    let _ = write!(text, "topic deny {ROOT}/#\ntopic read {BROKER_NUMBERS}/#\n\n");
    if !shut_out.is_empty() {
        text.push_str("# Homes whose certificates were taken back.\n");
    }
    for home in shut_out {
        let _ = write!(text, "user {home}\ntopic deny #\n\n");
    }
    text.push_str("# Homes: %u is the common name of the certificate.\n");
    grant_lines(&mut text, "pattern", &HOME);
    text
}

fn grant_lines(text: &mut String, word: &str, grants: &Grants) {
    for (right, filters) in [("write", grants.publish), ("read", grants.receive)] {
        for filter in filters {
            let _ = writeln!(text, "{word} {right} {ROOT}/{}", filter.replace(SELF, "%u"));
        }
    }
}

#[cfg(test)]
mod tests;
