//! The command line: made from the API's description, with some commands of its own beside.

use clap::builder::{BoolishValueParser, PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command, value_parser};

use crate::document::naming;
use crate::document::{Answer, Api, Argument, Kind, Operation, Place};
use crate::failure::EXIT_CODES;
use crate::output::Form;

mod own;

/// Items that a list shows if nothing is said: a screenful or two.
pub const LIMIT_DEFAULT: u64 = 50;

/// Seconds between two looks if nothing is said.
pub const WATCH_DEFAULT: &str = "2";

const FIRST_STEPS: &str = "First steps:
  hearthwatch-cloud ctl context add fleet --url https://cloud.example:8443 \\
      --token-file ~/fleet.token --ca-file keys/ca/ca.crt
  hearthwatch-cloud ctl status
  hearthwatch-cloud ctl homes list
  hearthwatch-cloud ctl explain rollout 7

Who is asked, in this order: --config FILE, --context NAME or --url URL; HEARTHWATCH_CONTEXT; HEARTHWATCH_URL with
HEARTHWATCH_TOKEN_FILE and HEARTHWATCH_CA_FILE; the context in use. Tokens are read from files of mode 0600 ('-' is
standard input) and never stand on the command line. Times are shown in the time zone of this machine (TZ).
";

/// Adds everything to the command `ctl`.
#[must_use]
pub fn augment(command: Command, api: &'static Api) -> Command {
    let mut command = command
        .about("The operator's command line: everything that the admin API does")
        .long_about(
            "The operator's command line: everything that the admin API does, as NOUN VERB, and explanations of what the \
             system decided. Needs the address of an aggregator and a token.",
        )
        .after_help("`--help` shows first steps and exit codes.")
        .after_long_help(format!("{FIRST_STEPS}\n{EXIT_CODES}"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand_help_heading("Commands")
        .args(connection());
    let mut nouns: Vec<&'static str> = api.operations.iter().map(|own| own.noun.as_str()).collect();
    nouns.sort_unstable();
    nouns.dedup();
    for (place, own) in own::commands().into_iter().enumerate() {
        command = command.subcommand(own.display_order(place));
    }
    for (place, name) in nouns.into_iter().enumerate() {
        let made = noun(name, api).display_order(100 + place);
        command = command.subcommand(made);
    }
    if api.find(own::AUDIT, "list").is_none() {
        command = command.subcommand(Command::new(own::AUDIT).subcommand_required(true).subcommands(own::audit()));
    }
    command
}

fn noun(name: &'static str, api: &'static Api) -> Command {
    let operations = api.operations.iter().filter(|own| own.noun == name);
    let mut command = Command::new(name).subcommand_required(true).arg_required_else_help(true);
    let first =
        || api.operations.iter().find(|own| own.noun == name).map(|own| own.summary.clone()).unwrap_or_default();
    command = command.about(naming::about(name).map_or_else(first, str::to_owned));
    let free = |one: &str| api.operations.iter().all(|own| own.noun != one) && !own::NAMES.contains(&one);
    if let Some(one) = naming::singular(name).filter(|one| free(one)) {
        command = command.visible_alias(one);
    }
    for operation in operations {
        command = command.subcommand(verb(operation, api));
    }
    if name == own::AUDIT { command.subcommands(own::audit()) } else { command }
}

fn verb(operation: &'static Operation, api: &'static Api) -> Command {
    let mut command =
        Command::new(operation.verb.as_str()).about(operation.summary.as_str()).arg_required_else_help(false);
    let mut more = operation.summary.clone();
    if !operation.description.is_empty() {
        more = format!("{more}\n\n{}", operation.description);
    }
    if operation.deprecated {
        more.push_str("\n\nDeprecated: it goes away with a later version.");
    }
    command = command.long_about(more).after_long_help(example(operation));
    for (alias, of) in [("ls", "list"), ("show", "get"), ("rm", "delete")] {
        if operation.verb == of && api.find(&operation.noun, alias).is_none() {
            command = command.alias(alias);
        }
    }
    let mut place = 0;
    for argument in &operation.arguments {
        let paged =
            operation.cursor.is_some() && (argument.name == "limit" || operation.cursor == Some(&argument.name));
        // Said by --dry-run, --limit, --all and --after.
        if paged || (argument.place == Place::Query && argument.name == "dry_run") {
            continue;
        }
        let mut made = flag(argument);
        if argument.positional {
            place += 1;
            made = made.index(place);
        }
        command = command.arg(made);
    }
    if operation.body {
        command = command.arg(
            Arg::new("body")
                .long("body")
                .value_name("FILE")
                .help("The whole body as JSON from a file, '-' for standard input; flags overrule its fields"),
        );
    }
    match operation.answer {
        Answer::Page(_) => command = command.args(paging()).args(output()).arg(watch()),
        Answer::One(_) if !operation.changes() => command = command.args(output()).arg(watch()),
        Answer::One(_) | Answer::Events => command = command.args(output()),
        Answer::Nothing if operation.dry_run() => command = command.args(output()),
        Answer::Nothing | Answer::Text => {}
    }
    if operation.secret.is_some() {
        command = command.arg(
            Arg::new("secret-file")
                .long("secret-file")
                .value_name("FILE")
                .help("Write the secret to this new file (0600) instead of showing it, once"),
        );
    }
    if operation.changes() {
        command = command.args(changing(operation));
    }
    command
}

/// How a call is typed, and what it sends.
fn example(operation: &Operation) -> String {
    let mut words = format!("hearthwatch-cloud ctl {}", operation.name());
    for argument in operation.arguments.iter().filter(|own| own.required && own.kind != Kind::Boolean) {
        if argument.positional {
            words = format!("{words} {}", argument.flag);
        } else if !is_automatic(argument) {
            words = format!("{words} --{} {}", argument.flag, taken(argument));
        }
    }
    format!("Example: {words}\nSends:   {} {}", operation.method.as_str(), operation.path)
}

fn taken(argument: &Argument) -> String {
    match &argument.kind {
        Kind::Word(words) => words.first().cloned().unwrap_or_default(),
        Kind::Text { .. } if argument.name == "reason" => "'why, for the audit log'".to_owned(),
        _ => argument.value_name.clone(),
    }
}

/// Whether it is made here where nobody gives it.
#[must_use]
pub fn is_automatic(argument: &Argument) -> bool {
    let known = [crate::document::IDEMPOTENCY_KEY, crate::document::IF_MATCH, "last-event-id"];
    argument.place == Place::Header && known.iter().any(|name| argument.name.eq_ignore_ascii_case(name))
}

fn flag(argument: &'static Argument) -> Arg {
    let mut about = argument.about.clone();
    let mut note = |text: &str| about = if about.is_empty() { text.to_owned() } else { format!("{about} ({text})") };
    match argument.kind {
        Kind::Text { long: true } => note("@FILE reads it from a file"),
        Kind::Secret => note("in this file, '-' for standard input"),
        Kind::Json => note("as JSON; @FILE reads it from a file"),
        Kind::List(_) => note("may be repeated"),
        _ => {}
    }
    if is_automatic(argument) {
        note("made by ctl if left out");
    }
    if argument.deprecated {
        note("deprecated");
    }
    // A body may come whole from a file: what is missing in it is found when the request is made.
    let required = argument.required && argument.place != Place::Body && !is_automatic(argument);
    let arg = Arg::new(argument.id.as_str()).help(about).required(required).hide(argument.deprecated);
    // Found by `--help`: what ctl mostly says by itself.
    let arg = arg.hide_short_help(argument.place == Place::Header);
    let arg = if argument.positional {
        arg.value_name(argument.flag.as_str())
    } else {
        arg.long(argument.flag.as_str()).value_name(argument.value_name.as_str())
    };
    match &argument.kind {
        Kind::List(one) => arg.value_parser(parser(one)).action(ArgAction::Append),
        Kind::Boolean if argument.positional => arg.value_parser(parser(&argument.kind)),
        Kind::Boolean => arg
            .value_parser(parser(&argument.kind))
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("true|false"),
        kind => {
            arg.value_parser(parser(kind)).allow_negative_numbers(matches!(kind, Kind::Integer { .. } | Kind::Number))
        }
    }
}

fn parser(kind: &'static Kind) -> ValueParser {
    match kind {
        Kind::Integer { min, max } => value_parser!(i64).range(*min..=*max).into(),
        Kind::Number => value_parser!(f64).into(),
        Kind::Boolean => BoolishValueParser::new().into(),
        Kind::Word(words) => PossibleValuesParser::new(words.iter().map(String::as_str)).into(),
        Kind::Text { .. } | Kind::Secret | Kind::Json | Kind::List(_) => value_parser!(String),
    }
}

/// Who is asked; for every command.
fn connection() -> Vec<Arg> {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).global(true).help_heading("Connection")
    };
    vec![
        arg("context", "NAME", "The context to use [env: HEARTHWATCH_CONTEXT]"),
        arg("url", "URL", "Address of the aggregator [env: HEARTHWATCH_URL]"),
        arg(
            "token-file",
            "FILE",
            "File with the token, mode 0600, '-' for standard input [env: HEARTHWATCH_TOKEN_FILE]",
        ),
        arg("ca-file", "FILE", "Authority that certified it, PEM [env: HEARTHWATCH_CA_FILE]"),
        arg("config", "FILE", "The aggregator's own configuration, on its machine: says address and authority"),
        arg("timeout", "SECONDS", "Longest wait for one answer [default: 60]")
            .value_parser(value_parser!(u64).range(1..=3_600)),
        Arg::new("verbose")
            .long("verbose")
            .short('v')
            .action(ArgAction::SetTrue)
            .global(true)
            .help_heading("Connection")
            .help("Say each request, its answer's status, ETag and request id on standard error"),
    ]
}

/// For programs.
fn json() -> Arg {
    let arg = Arg::new("json").long("json").help_heading("Output").action(ArgAction::SetTrue);
    arg.help("One JSON document, with what it rests on")
}

/// How the answer is shown.
fn output() -> Vec<Arg> {
    let forms = PossibleValuesParser::new(Form::ALL.map(|(word, _)| word));
    let arg = |name: &'static str| Arg::new(name).long(name).help_heading("Output");
    vec![
        arg("output")
            .short('o')
            .value_name("FORM")
            .value_parser(forms)
            .help("How the answer is shown [default: table]"),
        json().conflicts_with("output").help("The same as --output json: as it came, one document"),
        arg("columns")
            .value_name("FIELD,...")
            .value_delimiter(',')
            .help("These fields, for table, wide and csv, e.g. home,agent.online"),
        arg("no-headers").action(ArgAction::SetTrue).help("No line of headings, for table, wide and csv"),
    ]
}

fn paging() -> Vec<Arg> {
    let arg = |name: &'static str| Arg::new(name).long(name).help_heading("Pages");
    let whole = || value_parser!(u64).range(1..);
    vec![
        arg("limit")
            .value_name("N")
            .value_parser(whole())
            .conflicts_with("all")
            .help("At most so many items [default: 50]"),
        arg("all").action(ArgAction::SetTrue).help("All items, page by page"),
        arg("page-size")
            .value_name("N")
            .value_parser(value_parser!(u64).range(1..=500))
            .help("Items asked for at once, at most 500"),
        arg("after").value_name("KEY").help("Begin after this one: what a page called `next`"),
    ]
}

fn watch() -> Arg {
    Arg::new("watch")
        .long("watch")
        .short('w')
        .value_name("SECONDS")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value(WATCH_DEFAULT)
        .value_parser(value_parser!(u64).range(1..=86_400))
        .help("Show it again every so many seconds, or when an event tells of a change, until Ctrl-C [2 if not said]")
}

fn changing(operation: &Operation) -> Vec<Arg> {
    let dry = if operation.dry_run() {
        "Say what would be done, and do nothing"
    } else {
        "Refused here: this call has no dry run, and would be done"
    };
    let mut args =
        vec![Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help(dry).hide(!operation.dry_run())];
    if naming::dangerous(operation) {
        args.push(
            Arg::new("yes")
                .long("yes")
                .short('y')
                .action(ArgAction::SetTrue)
                .help("Do not ask whether it is meant, e.g. in a script"),
        );
    }
    if operation.accepted {
        args.push(
            Arg::new("wait")
                .long("wait")
                .value_name("TIME")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("1h")
                .help("Wait until it is done, at most so long, e.g. --wait=30m [1h if not said]"),
        );
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;

    #[test]
    fn the_command_line_is_sound_and_has_every_operation() {
        let mut command = augment(Command::new("ctl"), api());
        command.build();
        command.clone().debug_assert();
        for operation in &api().operations {
            let noun = command.find_subcommand(&operation.noun).unwrap_or_else(|| panic!("{}", operation.noun));
            let verb = noun.find_subcommand(&operation.verb).unwrap_or_else(|| panic!("{}", operation.name()));
            assert_eq!(verb.get_about().unwrap().to_string(), operation.summary);
        }
    }

    #[test]
    fn help_says_the_documents_words_and_an_example() {
        let mut command = augment(Command::new("ctl"), api());
        command.build();
        let halt = command.find_subcommand_mut("rollouts").unwrap().find_subcommand_mut("halt").unwrap();
        let help = halt.render_long_help().to_string();
        for part in [
            "Stops a rollout for good; homes that have the release keep it. Needs operator.",
            "One line for those who read the audit log later.",
            "Example: hearthwatch-cloud ctl rollouts halt VERSION --reason 'why, for the audit log'",
            "Sends:   POST /api/v1/rollouts/{version}/halt",
            "--yes",
        ] {
            assert!(help.contains(part), "{part:?} is not in\n{help}");
        }
    }

    #[test]
    fn what_is_wrong_on_the_command_line_is_found_before_anything_is_sent() {
        let of = |line: &str| augment(Command::new("ctl"), api()).try_get_matches_from(line.split(' '));
        assert!(of("ctl home list --limit 3 -o csv").is_ok());
        assert!(of("ctl tokens add kim --role operator --days 30").is_ok());
        for line in
            ["ctl tokens add kim --role chief", "ctl homes list --limit 0", "ctl homes get", "ctl rollouts halt 7x"]
        {
            assert_eq!(of(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
