//! Which NOUN and VERB a call goes by: by rule from its method and path, and by a small table where the rule's words are not
//! those that an operator would look for.

use std::collections::HashMap;

use super::{Answer, Method, Operation};

/// Where the nouns begin.
const ROOT: &str = "/api/v1/";

/// Flags that all commands have: a parameter of such a name gets its place in front, e.g. `--query-limit`.
pub const RESERVED: [&str; 24] = [
    "after",
    "all",
    "body",
    "ca-file",
    "columns",
    "config",
    "context",
    "dry-run",
    "help",
    "json",
    "limit",
    "log",
    "no-headers",
    "output",
    "page-size",
    "secret-file",
    "timeout",
    "token-file",
    "url",
    "verbose",
    "version",
    "wait",
    "watch",
    "yes",
];

/// Calls that go by other words than the rule gives: method, path, noun, verb, and the fields that stand without a flag.
const OTHER_WORDS: [(Method, &str, &str, &str, &[&str]); 15] = [
    (Method::Get, "/healthz", "health", "alive", &[]),
    (Method::Get, "/readyz", "health", "ready", &[]),
    (Method::Get, "/metrics", "health", "metrics", &[]),
    (Method::Post, "/enroll", "enrolment", "enroll", &["home"]),
    (Method::Post, "/renew", "enrolment", "renew", &["home"]),
    (Method::Post, "/api/v1/claims", "claims", "add", &["home"]),
    (Method::Get, "/api/v1/rollout-schedule", "rollouts", "preview", &[]),
    (Method::Get, "/api/v1/run-comparison", "runs", "compare", &["a", "b"]),
    (Method::Post, "/api/v1/runs", "runs", "start", &[]),
    (Method::Post, "/api/v1/tokens", "tokens", "add", &["name"]),
    (Method::Get, "/api/v1/session", "sessions", "own", &[]),
    (Method::Delete, "/api/v1/session", "sessions", "log-out", &[]),
    (Method::Post, "/login/device", "sessions", "ask-code", &[]),
    (Method::Post, "/login/device/token", "sessions", "begin", &["device"]),
    (Method::Post, "/api/v1/releases/rollback", "releases", "rollback", &["to"]),
];

/// What the nouns are, for the list of commands. A noun that is not here is described by its calls.
const NOUNS: [(&str, &str); 28] = [
    ("alerts", "What is wrong now, the worst first"),
    ("approvals", "Calls that wait for a second person: show, approve, deny"),
    ("attestations", "What each home is proven to run"),
    ("audit", "The audit log: who did what"),
    ("claims", "What lets a home in once"),
    ("datasets", "Data sets that runs learned from"),
    ("enrolment", "How a home gets its certificates; agents call this by themselves"),
    ("evaluation", "How each model does in homes, with intervals"),
    ("exclusions", "Homes whose answers are not learned from"),
    ("feedback", "Answers of residents"),
    ("health", "Whether the aggregator is alive and able; its metrics"),
    ("homes", "Homes: list, show, shut out, let in, exclude, include"),
    ("models", "Models that have a version, with the gate's reports"),
    ("offers", "Homes that would take part in rounds"),
    ("privacy", "What the noise of rounds guarantees"),
    ("quarantine", "What was refused: show, lift, discard"),
    ("releases", "Models that were let out, how they fared, going back"),
    ("renewals", "Homes whose certificate ran out and that wait for a word"),
    ("rollouts", "Releases on their way: show, pause, resume, promote, halt, roll back"),
    ("rounds", "Federated rounds and the homes' parts in them"),
    ("run-requests", "Retrainings that were asked for"),
    ("runs", "Retrainings: list, show, start, promote"),
    ("sessions", "Who is logged in; `login` and `logout` are easier"),
    ("settings", "The aggregator's settings in use"),
    ("standings", "What earlier rounds say of homes"),
    ("tags", "Operators' words for homes"),
    ("training", "What the trainer is doing"),
    ("tokens", "Tokens of the API: list, add, delete"),
];

/// Verbs after which something is gone, out, or stopped for everybody: they ask first. Every DELETE does too.
const DANGEROUS: [&str; 14] = [
    "halt",
    "rollback",
    "roll-back",
    "revoke",
    "release",
    "discard",
    "promote",
    "settle",
    "erase",
    "forget",
    "purge",
    "restore-backup",
    "deny",
    "cancel",
];

/// What a call goes by.
#[derive(Debug)]
pub struct Names {
    /// The kind of thing.
    pub noun: String,
    /// What is done.
    pub verb: String,
    /// Fields of the body that stand without a flag.
    pub positional: &'static [&'static str],
}

/// The words for a call.
#[must_use]
pub fn of(method: Method, path: &str, tag: Option<&str>, answer: &Answer) -> Names {
    let known = OTHER_WORDS.iter().find(|row| row.0 == method && row.1 == path);
    if let Some((_, _, noun, verb, positional)) = known {
        return Names { noun: (*noun).to_owned(), verb: (*verb).to_owned(), positional };
    }
    let Some(rest) = path.strip_prefix(ROOT) else {
        let noun = tag.unwrap_or("other").to_owned();
        let words: Vec<_> = path.split('/').filter(|word| !word.is_empty()).map(plain).collect();
        let verb =
            if method == Method::Get { words.join("-") } else { format!("{}-{}", verb(method), words.join("-")) };
        return Names { noun, verb, positional: &[] };
    };
    let mut segments = rest.split('/').filter(|word| !word.is_empty());
    let noun = plain(segments.next().unwrap_or("other"));
    let rest: Vec<&str> = segments.collect();
    let words: Vec<String> = rest.iter().filter(|word| !word.starts_with('{')).map(|word| plain(word)).collect();
    let ends_in_one = rest.last().is_some_and(|word| word.starts_with('{'));
    let verb = match (method, words.is_empty()) {
        (Method::Get, true) if rest.is_empty() && matches!(answer, Answer::Page(_)) => "list".to_owned(),
        (Method::Get, true) => "get".to_owned(),
        // `rounds homes ROUND`, `feedback totals`, `runs events ID`; one of them is `homes get-tag HOME TAG`.
        (Method::Get, false) if !ends_in_one => words.join("-"),
        // `rollouts halt VERSION`; what is posted to a list inside is added to it by that word.
        (Method::Post, false) if !ends_in_one => words.join("-"),
        (_, true) => verb(method).to_owned(),
        (_, false) => format!("{}-{}", verb(method), words.join("-")),
    };
    Names { noun, verb, positional: &[] }
}

fn plain(word: &str) -> String {
    word.trim_matches(['{', '}']).replace('_', "-").to_ascii_lowercase()
}

fn verb(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "create",
        Method::Put => "set",
        Method::Patch => "update",
        Method::Delete => "delete",
    }
}

/// Two calls by the same words: all but the first get their method in front, and a number if that is not enough.
pub(crate) fn make_unique(operations: &mut [Operation]) {
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    for operation in operations {
        let key = |verb: &str| (operation.noun.clone(), verb.to_owned());
        let mut verb_now = operation.verb.clone();
        let mut count = 1;
        while seen.contains_key(&key(&verb_now)) {
            verb_now = match count {
                1 => format!("{}-{}", verb(operation.method), operation.verb),
                more => format!("{}-{}-{more}", verb(operation.method), operation.verb),
            };
            count += 1;
        }
        seen.insert(key(&verb_now), count);
        operation.verb = verb_now;
    }
}

/// The flag of a parameter: its own name, unless every command has a flag of that name.
#[must_use]
pub fn flag(name: &str, place: &str) -> String {
    if RESERVED.contains(&name) { format!("{place}-{name}") } else { name.to_owned() }
}

/// What a noun is, in a few words.
#[must_use]
pub fn about(noun: &str) -> Option<&'static str> {
    NOUNS.iter().find(|(own, _)| *own == noun).map(|(_, about)| *about)
}

/// The word for one of them: `home` for `homes`; none where the noun is no plural.
#[must_use]
pub fn singular(noun: &str) -> Option<&str> {
    let one = noun.strip_suffix('s').filter(|one| one.len() > 2 && !one.ends_with('s'));
    one.filter(|_| !matches!(noun, "status" | "progress" | "news"))
}

/// Whether this call asks before it acts.
#[must_use]
pub fn dangerous(operation: &Operation) -> bool {
    operation.method == Method::Delete || (operation.changes() && DANGEROUS.contains(&operation.verb.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(method: Method, path: &str, answer: &Answer) -> String {
        let names = of(method, path, Some("tag"), answer);
        format!("{} {}", names.noun, names.verb)
    }

    #[test]
    fn a_call_goes_by_noun_and_verb() {
        let (page, one) = (Answer::Page(None), Answer::One(None));
        let cases = [
            (Method::Get, "/api/v1/homes", &page, "homes list"),
            (Method::Get, "/api/v1/training", &one, "training get"),
            (Method::Get, "/api/v1/homes/{home}", &one, "homes get"),
            (Method::Get, "/api/v1/rounds/{round}/homes", &page, "rounds homes"),
            (Method::Get, "/api/v1/feedback/totals", &one, "feedback totals"),
            (Method::Get, "/api/v1/operations/{id}/events", &Answer::Events, "operations events"),
            (Method::Post, "/api/v1/rollouts/{version}/halt", &one, "rollouts halt"),
            (Method::Post, "/api/v1/runs", &one, "runs start"),
            (Method::Post, "/api/v1/webhooks", &one, "webhooks create"),
            (Method::Put, "/api/v1/homes/{home}/tags", &one, "homes set-tags"),
            (Method::Patch, "/api/v1/homes/{home}", &one, "homes update"),
            (Method::Delete, "/api/v1/homes/{home}/tags/{tag}", &Answer::Nothing, "homes delete-tags"),
            (Method::Get, "/api/v1/homes/{home}/tags/{tag}", &one, "homes get-tags"),
            (Method::Get, "/healthz", &one, "health alive"),
            (Method::Get, "/somewhere/else", &one, "tag somewhere-else"),
        ];
        for (method, path, answer, expected) in cases {
            assert_eq!(words(method, path, answer), expected, "{path}");
        }
    }

    #[test]
    fn a_parameter_by_the_name_of_a_common_flag_says_where_it_stands() {
        assert_eq!(flag("limit", "query"), "query-limit");
        assert_eq!(flag("home", "query"), "home");
    }

    #[test]
    fn a_noun_has_a_word_for_one_of_them() {
        assert_eq!(singular("homes"), Some("home"));
        assert_eq!(singular("run-requests"), Some("run-request"));
        assert_eq!((singular("audit"), singular("status")), (None, None));
    }
}
