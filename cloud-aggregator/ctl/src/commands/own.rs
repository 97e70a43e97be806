//! Commands that are no call of the API: contexts, explanations, waiting, the audit log's chain.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use clap_complete::Shell;

use super::{json, output, watch};

/// The noun that has commands of both kinds.
pub const AUDIT: &str = "audit";

/// Their names.
pub const NAMES: [&str; 8] = ["status", "explain", "wait", "context", "login", "logout", "api", "completion"];

/// The commands, in the order in which they are shown.
pub fn commands() -> Vec<Command> {
    vec![status(), explain(), wait(), context(), login(), logout(), raw(), completion()]
}

fn status() -> Command {
    Command::new("status")
        .about("One screen of the fleet: parts, homes, model, rollouts, runs, what waits for a person")
        .arg(watch())
        .arg(json())
}

fn one(name: &'static str, value: &'static str, about: &'static str, help: &'static str) -> Command {
    Command::new(name).about(about).arg(Arg::new("id").value_name(value).required(true).help(help))
}

fn explain() -> Command {
    Command::new("explain")
        .about("Explain a decision in words, with its figures: a run, a rollout, a home, a model, a release")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            one(
                "run",
                "ID",
                "Why a run was held or promoted, or failed",
                "The run's id or the request's; `latest` is the newest run",
            )
            .arg(json()),
        )
        .subcommand(
            one(
                "rollout",
                "VERSION",
                "Where a rollout stands, who or what stopped it, on what evidence, and what would stop it",
                "The model's version; `latest` is the newest rollout",
            )
            .arg(json()),
        )
        .subcommand(
            one(
                "home",
                "HOME",
                "Which model a home runs and since when; why it is shut out, excluded, doubted, late or not updated",
                "The home's name",
            )
            .arg(json()),
        )
        .subcommand(
            one("model", "VERSION", "Where a model came from and what the gate found", "`latest` is the newest")
                .arg(json()),
        )
        .subcommand(
            one(
                "release",
                "VERSION",
                "Who released a model, and how the homes fared with it",
                "`latest` is the newest",
            )
            .arg(json()),
        )
}

fn wait() -> Command {
    let time = || {
        Arg::new("within")
            .long("within")
            .value_name("TIME")
            .default_value("1h")
            .help("Longest wait, e.g. 90s, 30m, 1h 30m; exit code 8 after it")
    };
    let states =
        |about: &'static str| Arg::new("for").long("for").value_name("STATE,...").value_delimiter(',').help(about);
    Command::new("wait")
        .about("Wait until a run or a rollout has ended")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help("Exit code 0 if it ended so, 7 if it ended otherwise, 8 if it did not end in time.\nExample: hearthwatch-cloud ctl wait run latest --for promoted --within 2h")
        .subcommand(
            one("run", "ID", "Wait until a run ends", "The run's id, or that of its request; `latest` is the newest")
                .arg(states("States that count as success [default: promoted,held]"))
                .arg(time()),
        )
        .subcommand(
            one("rollout", "VERSION", "Wait until a rollout is complete or stopped", "The model's version; `latest` is the newest")
                .arg(states("States that count as success [default: complete]"))
                .arg(time()),
        )
}

fn context() -> Command {
    let name = || Arg::new("name").value_name("NAME").required(true).help("The context's name");
    Command::new("context")
        .about("Which aggregators there are and which one is in use")
        .long_about(
            "Which aggregators there are and which one is in use. Kept in $XDG_CONFIG_HOME/hearthwatch/contexts.toml (0600), which names the \
             token's file and holds no token.",
        )
        .visible_alias("contexts")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("add")
                .about("Add a context from --url, --token-file and --ca-file (or --config); the first is put in use")
                .after_help(
                    "Example: hearthwatch-cloud ctl context add fleet --url https://cloud.example:8443 --token-file ~/fleet.token \
                     --ca-file keys/ca/ca.crt",
                )
                .arg(name()),
        )
        .subcommand(Command::new("use").about("Put a context in use for the next commands").arg(name()))
        .subcommand(Command::new("list").alias("ls").about("List the contexts").args(output()))
        .subcommand(
            Command::new("show")
                .about("Show which aggregator is asked, and whether its token and authority can be read")
                .arg(name().required(false).help("Another than the one in use")),
        )
        .subcommand(Command::new("remove").alias("rm").about("Remove a context; the token's file stays").arg(name()))
}

fn login() -> Command {
    Command::new("login")
        .about("Log in at the identity provider: a code is shown, which is entered in a browser")
        .long_about(
            "Logs in at the identity provider that the aggregator is set up with ([http.login]). A code is shown; once it is entered in a \
             browser, on any machine, the session is kept in a file of this user alone (0600) and used by the commands after. It ends after a \
             working day, or when it is not used.",
        )
        .after_help("Example: hearthwatch-cloud ctl context add fleet --url https://cloud.example:8443 && hearthwatch-cloud ctl login")
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .help("Keep the session here [default: a file of the context's own]"),
        )
}

fn logout() -> Command {
    Command::new("logout").about("End the session that `login` began, here and at the aggregator")
}

fn raw() -> Command {
    Command::new("api")
        .about("Send any request, e.g. to a call that this program does not know yet")
        .after_help("Example: hearthwatch-cloud ctl api GET '/api/v1/homes?limit=2'")
        .arg(
            Arg::new("method")
                .value_name("METHOD")
                .required(true)
                .ignore_case(true)
                .value_parser(PossibleValuesParser::new(["GET", "POST", "PUT", "PATCH", "DELETE"])),
        )
        .arg(Arg::new("path").value_name("PATH").required(true).help("From / on, with its query"))
        .arg(
            Arg::new("body")
                .long("body")
                .value_name("FILE")
                .help("The body as JSON from a file, '-' for standard input"),
        )
        .arg(
            Arg::new("header")
                .long("header")
                .value_name("NAME: VALUE")
                .action(ArgAction::Append)
                .help("A header more, e.g. 'If-Match: \"7\"'; may be repeated"),
        )
        .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("Do not ask whether it is meant"))
}

fn completion() -> Command {
    Command::new("completion")
        .about("Print the completions of a shell")
        .after_help(
            "bash:  hearthwatch-cloud ctl completion bash > ~/.local/share/bash-completion/completions/hearthwatch-cloud\n\
             zsh:   hearthwatch-cloud ctl completion zsh > \"${fpath[1]}/_hearthwatch-cloud\"\n\
             fish:  hearthwatch-cloud ctl completion fish > ~/.config/fish/completions/hearthwatch-cloud.fish",
        )
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)).help("bash, zsh, fish, elvish or powershell"))
}

/// What the audit log has besides its list.
pub fn audit() -> Vec<Command> {
    let file = || {
        Arg::new("file")
            .long("file")
            .value_name("FILE")
            .help("An export (jsonl) instead of the aggregator, '-' for standard input")
    };
    let head = Arg::new("head")
        .long("head")
        .value_name("INDEX:HASH")
        .help("A line seen earlier, as `audit verify` printed it: it must still be there, so nothing up to it was taken away or rewritten");
    vec![
        Command::new("verify")
            .about("Read the whole audit log and recompute its chain of hashes on this machine")
            .long_about(
                "Reads the whole audit log by pages and recomputes every line's hash on this machine, without trusting the aggregator's own \
                 check. Says the first bad line; exit code 7 if there is one. The chain cannot show that the newest lines were cut off: keep \
                 the head that this prints, and give it as --head the next time.",
            )
            .arg(file())
            .arg(head),
        Command::new("export")
            .about("Print the whole audit log, newest line first")
            .after_help("Example: hearthwatch-cloud ctl audit export > audit.jsonl && hearthwatch-cloud ctl audit verify --file audit.jsonl")
            .args(output()),
    ]
}
