//! The table says what it should, and mosquitto's reading of the rendered file is the same as ours.

use hearthwatch_protocol::topic::{UP_FILTER, shared};
use proptest::prelude::*;

use super::*;

fn identity(name: &str) -> Identity {
    Identity::from_common_name(name).unwrap()
}

fn publish(name: &str, topic: &str) -> bool {
    allows(&identity(name), &Action::Publish { topic })
}

fn subscribe(name: &str, filter: &str) -> bool {
    allows(&identity(name), &Action::Subscribe { filter })
}

#[test]
fn a_home_speaks_only_upwards_and_only_as_itself() {
    assert!(publish("home-7", "hw/v1/home/home-7/up/feedback"));
    assert!(!publish("home-7", "hw/v1/home/home-8/up/feedback"));
    assert!(!publish("home-7", "hw/v1/home/home-7/down/receipt"));
    assert!(!publish("home-7", "hw/v1/fleet/release"));
    assert!(!publish("home-7", "hw/v1/home/home-7/up/feedback/more"));
    assert!(!publish("home-7", "hw/v1/home/home-7/up/+"));
}

#[test]
fn a_home_reports_what_it_runs_and_gives_no_orders() {
    assert!(publish("home-7", "hw/v1/home/home-7/up/manifest"));
    assert!(subscribe("home-7", "hw/v1/home/home-7/down/assignment"));
    assert!(!publish("home-7", "hw/v1/home/home-7/down/assignment"));
    assert!(!subscribe("home-7", "hw/v1/home/home-8/down/assignment"));
    assert!(!publish("home-8", "hw/v1/home/home-7/up/manifest"));
}

#[test]
fn a_home_hears_its_own_receipts_and_the_fleets_release() {
    assert!(subscribe("home-7", "hw/v1/home/home-7/down/receipt"));
    assert!(subscribe("home-7", "hw/v1/home/home-7/down/+"));
    assert!(subscribe("home-7", "hw/v1/fleet/release"));
    for filter in [
        "#",
        "+/v1/home/home-7/down/+",
        "hw/v1/#",
        "hw/v1/fleet/+",
        "hw/v1/home/+/down/+",
        "hw/v1/home/home-8/down/+",
        "hw/v1/home/home-7/#",
        "hw/v1/home/home-7/down/#",
        "$share/g/hw/v1/fleet/release",
        "$SYS/#",
    ] {
        assert!(!subscribe("home-7", filter), "{filter}");
    }
}

#[test]
fn an_aggregator_hears_every_home_alone_or_in_a_group_and_answers_with_receipts() {
    assert!(subscribe("aggregator", "hw/v1/home/+/up/+"));
    assert!(subscribe("aggregator-2", &shared("g", UP_FILTER)));
    assert!(!subscribe("aggregator", "$share//hw/v1/home/+/up/+"));
    assert!(!subscribe("aggregator", "$share/g+/hw/v1/home/+/up/+"));
    assert!(!subscribe("aggregator", "#"));
    for topic in ["receipt", "withdrawn", "contribution", "assignment", "plan", "round-receipt", "round-request"] {
        assert!(publish("aggregator", &format!("hw/v1/home/home-7/down/{topic}")));
        assert!(!publish("home-7", &format!("hw/v1/home/home-7/down/{topic}")));
    }
    assert!(publish("home-7", "hw/v1/home/home-7/up/withdrawal"));
    assert!(!publish("home-8", "hw/v1/home/home-7/up/withdrawal"));
    assert!(publish("aggregator", "hw/v1/fleet/release"));
    assert!(!publish("aggregator", "hw/v1/home/home-7/up/feedback"));
    assert!(!publish("aggregator", "hw/v1/home/home-7/down/assign"));
}

#[test]
fn no_home_can_be_called_like_an_aggregator() {
    let reserved = |name: &str| IdentityError::Reserved(name.to_owned());
    assert_eq!(Identity::from_common_name("aggregator-9"), Err(reserved("aggregator-9")));
    let home = HomeId::new("aggregator").unwrap();
    assert_eq!(Identity::home(home), Err(reserved("aggregator")));
    assert!(matches!(Identity::from_common_name("Home 7"), Err(IdentityError::NotAnId(..))));
}

#[test]
fn the_monitor_reads_the_brokers_numbers_and_nothing_that_anybody_says() {
    for filter in ["$SYS/#", "$SYS/broker/clients/connected"] {
        assert!(subscribe("monitor", filter), "{filter}");
        assert!(!subscribe("aggregator", filter) && !subscribe("home-7", filter), "{filter}");
    }
    for filter in ["#", "hw/v1/#", "hw/v1/fleet/release", "hw/v1/home/monitor/down/+", "$share/g/$SYS/#"] {
        assert!(!subscribe("monitor", filter), "{filter}");
    }
    assert!(!publish("monitor", "hw/v1/home/monitor/up/feedback") && !publish("monitor", "$SYS/broker/version"));
    let home = HomeId::new("monitor").unwrap();
    assert_eq!(Identity::home(home), Err(IdentityError::Reserved("monitor".to_owned())));
}

#[test]
fn a_client_id_is_ones_own() {
    assert!(identity("home-7").may_use_client_id("home-7"));
    assert!(!identity("home-7").may_use_client_id("home-8"));
    assert!(!identity("home-7").may_use_client_id("aggregator"));
    assert!(identity("aggregator").may_use_client_id("aggregator-west-1"));
    assert!(!identity("aggregator").may_use_client_id("home-7"));
    assert!(identity("monitor").may_use_client_id("monitor") && !identity("monitor").may_use_client_id("aggregator"));
}

/// What mosquitto 2.0 does with an `acl_file`: a user's own lines first (denials before grants), then the patterns.
/// Written from mosquitto.conf(5) and the behaviour that the conformance suite sees.
struct Interpreter {
    users: Vec<(String, Vec<(Access, String)>)>,
    patterns: Vec<(Access, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Access {
    Read,
    Write,
    Deny,
}

impl Interpreter {
    fn parse(text: &str) -> Self {
        let mut read = Self { users: Vec::new(), patterns: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let access = |word: &str| match word {
                "read" => Access::Read,
                "write" => Access::Write,
                "deny" => Access::Deny,
                other => panic!("{other}"),
            };
            match words[..] {
                ["user", name] => read.users.push((name.to_owned(), Vec::new())),
                ["topic", right, topic] => {
                    read.users.last_mut().unwrap().1.push((access(right), topic.to_owned()));
                }
                ["pattern", right, topic] => read.patterns.push((access(right), topic.to_owned())),
                _ => panic!("{line}"),
            }
        }
        read
    }

    fn permits(&self, user: &str, wanted: Access, topic: &str) -> bool {
        // Publishing to a name with wildcards is a protocol error before any ACL.
        if topic.contains(['+', '#', '\0']) {
            return false;
        }
        if let Some((_, lines)) = self.users.iter().find(|(name, _)| name == user) {
            if lines.iter().any(|(access, filter)| *access == Access::Deny && matches(filter, topic)) {
                return false;
            }
            if lines.iter().any(|(access, filter)| *access == wanted && matches(filter, topic)) {
                return true;
            }
        }
        self.patterns.iter().any(|(access, filter)| *access == wanted && matches(&filter.replace("%u", user), topic))
    }
}

/// MQTT topic matching, written apart from `covers` so that one cannot hide the other's mistake.
fn matches(filter: &str, topic: &str) -> bool {
    match (filter.split_once('/'), topic.split_once('/')) {
        _ if filter == "#" => true,
        (Some((first, filters)), Some((level, topics))) => (first == "+" || first == level) && matches(filters, topics),
        (None, None) => filter == "+" || filter == topic,
        (Some((first, "#")), None) => first == "+" || first == topic,
        _ => false,
    }
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["aggregator", "aggregator-2", "monitor", "home-7", "home-8", "a"])
            .prop_map(str::to_owned),
        "[a-z0-9-]{1,6}",
    ]
}

/// Topics and filters near the border: mostly our levels, sometimes wildcards, empties and strangers.
fn topics() -> impl Strategy<Value = String> {
    let level = prop_oneof![
        8 => prop::sample::select(vec![
            "hw", "v1", "home", "fleet", "release", "up", "down", "receipt", "feedback", "status", "home-7", "home-8",
            "aggregator", "+", "#", "", "$SYS",
        ]).prop_map(str::to_owned),
        1 => "[a-z0-9-]{0,4}",
    ];
    let wild = prop::collection::vec(level.clone(), 1..8).prop_map(|levels| levels.join("/"));
    let near = (names(), prop::sample::select(vec!["up", "down", "+", "#"]), level)
        .prop_map(|(home, direction, kind)| format!("hw/v1/home/{home}/{direction}/{kind}"));
    prop_oneof![1 => wild, 3 => near, 1 => Just("hw/v1/fleet/release".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn mosquitto_reads_the_rendered_file_as_we_mean_it(name in names(), topic in topics()) {
        let file = Interpreter::parse(&render_mosquitto(&BTreeSet::new()));
        let Ok(identity) = Identity::from_common_name(&name) else { return Ok(()) };
        prop_assert_eq!(
            file.permits(&name, Access::Write, &topic), allows(&identity, &Action::Publish { topic: &topic })
        );
        prop_assert_eq!(
            file.permits(&name, Access::Read, &topic), allows(&identity, &Action::Receive { topic: &topic })
        );
    }

    #[test]
    fn whatever_an_allowed_filter_matches_may_be_received(name in names(), filter in topics(), topic in topics()) {
        let Ok(identity) = Identity::from_common_name(&name) else { return Ok(()) };
        let of_no_home = level_after(&topic, "home") == Some(identity.common_name())
            && matches!(identity, Identity::Aggregator(_));
        if !topic.contains(['+', '#']) && !of_no_home
            && allows(&identity, &Action::Subscribe { filter: &filter }) && matches(&filter, &topic)
        {
            prop_assert!(allows(&identity, &Action::Receive { topic: &topic }), "{} {} {}", name, filter, topic);
        }
    }

    #[test]
    fn no_home_ever_touches_another(name in "home-[0-9]", other in "home-[0-9]", rest in "[a-z/]{0,12}") {
        prop_assume!(name != other);
        let topic = format!("hw/v1/home/{other}/{rest}");
        for action in [
            Action::Publish { topic: &topic }, Action::Receive { topic: &topic }, Action::Subscribe { filter: &topic },
        ] {
            prop_assert!(!allows(&identity(&name), &action), "{:?}", action);
        }
    }
}
