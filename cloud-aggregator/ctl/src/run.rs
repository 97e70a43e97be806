//! From a command line to its exit code.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use clap_complete::Shell;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::client::Client;
use crate::failure::{Done, Failure};
use crate::target::{Said, Target};
use crate::world::{Terminal, World};
use crate::{api, audit, call, commands, explain, login, places, status, wait};

/// Longest wait for one answer, if nothing is said: a page of 500 takes a second.
const TIMEOUT_DEFAULT: u64 = 60;

/// The program whose subcommand this is.
const PROGRAM: &str = "hearthwatch-cloud";

/// What was typed after `ctl`; a subcommand of the program's own.
#[derive(Debug, Clone)]
pub struct Ctl(ArgMatches);

impl Args for Ctl {
    fn augment_args(command: Command) -> Command {
        commands::augment(command, api())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Ctl {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl Ctl {
    /// Does it, on this process's terminal. `program` is the whole command line, for its completions.
    #[must_use]
    pub fn run(&self, program: &mut Command) -> ExitCode {
        let environment = |name: &str| std::env::var(name).ok();
        let mut world = World {
            out: &mut io::BufWriter::new(io::stdout()),
            err: &mut io::stderr(),
            input: &mut io::BufReader::new(io::stdin()),
            environment: &environment,
            now: &Timestamp::now,
            zone: TimeZone::system(),
            terminal: Terminal::found(&environment),
        };
        ExitCode::from(ended(&self.0, program, &mut world))
    }
}

/// Runs a command line from its first word on, e.g. `["ctl", "homes", "list"]`, and returns its exit code.
pub fn run_line(words: &[&str], world: &mut World<'_>) -> u8 {
    let mut program =
        Command::new(PROGRAM).subcommand(Ctl::augment_args(Command::new("ctl"))).subcommand_required(true);
    match program.try_get_matches_from_mut([PROGRAM].into_iter().chain(words.iter().copied())) {
        Ok(matches) => match matches.subcommand() {
            Some((_, matches)) => ended(matches, &mut program, world),
            None => 2,
        },
        Err(error) => {
            let text = error.render().to_string();
            let written = if error.use_stderr() { write!(world.err, "{text}") } else { write!(world.out, "{text}") };
            if written.is_ok() { error.exit_code().try_into().unwrap_or(2) } else { 1 }
        }
    }
}

fn ended(matches: &ArgMatches, program: &mut Command, world: &mut World<'_>) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Failure::Output).and_then(|runtime| {
        let done = runtime.block_on(dispatch(matches, program, world));
        // What was said is said; an answer to nobody is not waited for.
        runtime.shutdown_background();
        done
    });
    match done.and_then(|()| world.out.flush().map_err(Failure::Output)) {
        Ok(()) => 0,
        Err(failure) => {
            let _ = world.out.flush();
            if !failure.is_closed_pipe() {
                world.say(&format!("error: {failure}"));
            }
            failure.code()
        }
    }
}

async fn dispatch(matches: &ArgMatches, program: &mut Command, world: &mut World<'_>) -> Done {
    let Some((noun, inner)) = matches.subcommand() else { return Ok(()) };
    match noun {
        "completion" => {
            let shell = inner.get_one::<Shell>("shell").copied().unwrap_or(Shell::Bash);
            world.out.write_all(completions(shell, program).as_bytes())?;
            return Ok(());
        }
        "context" => return places::run(inner, &said(inner), world),
        "login" => return login::run(inner, &said(inner), timeout(inner), world).await,
        "logout" => return login::end(inner, &said(inner), timeout(inner), world).await,
        _ => {}
    }
    let (verb, leaf) = match inner.subcommand() {
        Some((verb, leaf)) => (verb, leaf),
        None => ("", inner),
    };
    let own = (noun, verb);
    if own == ("audit", "verify") && leaf.contains_id("file") {
        return audit::verify_file(leaf, world);
    }
    let client = client(leaf, world)?;
    match own {
        ("status", _) => status::run(leaf, &client, world).await,
        ("explain", what) => explain::run(what, leaf, &client, world).await,
        ("wait", what) => wait::run(what, leaf, &client, world).await,
        ("api", _) => call::raw(leaf, &client, world).await,
        ("audit", "verify") => audit::verify(leaf, &client, world).await,
        ("audit", "export") => audit::export(leaf, &client, world).await,
        _ => match api().find(noun, verb) {
            Some(operation) => call::run(api(), operation, leaf, &client, world).await,
            None => Err(Failure::Usage(format!("there is no command {noun} {verb}"))),
        },
    }
}

/// The completions of a shell.
fn completions(shell: Shell, program: &mut Command) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, program, PROGRAM, &mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    // In its script for bash, clap_complete (4.6.12) writes a program's name with a hyphen in two ways, and then finds nothing.
    let (own, other) = (PROGRAM.replace('-', "__"), PROGRAM.replace('-', "__subcmd__"));
    if shell == Shell::Bash { text.replace(&other, &own) } else { text }
}

fn said(matches: &ArgMatches) -> Said {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    Said {
        url: text("url"),
        token_file: text("token-file").map(Into::into),
        ca_file: text("ca-file").map(Into::into),
        context: text("context"),
        config: text("config").map(Into::into),
    }
}

fn timeout(matches: &ArgMatches) -> Duration {
    Duration::from_secs(matches.get_one::<u64>("timeout").copied().unwrap_or(TIMEOUT_DEFAULT))
}

fn client(matches: &ArgMatches, world: &mut World<'_>) -> Done<Client> {
    let target = Target::find(&said(matches), &|name| (world.environment)(name))?;
    Client::new(&target, timeout(matches), matches.get_flag("verbose"), world)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn completed(shell: Shell) -> String {
        completions(shell, &mut Command::new(PROGRAM).subcommand(Ctl::augment_args(Command::new("ctl"))))
    }

    #[test]
    fn every_shell_gets_its_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = completed(shell);
            assert!(text.contains("rollouts") && text.contains("halt"), "{shell}");
            // clap's completions for fish end at the verb.
            assert!(text.contains("row-version") || shell == Shell::Fish, "{shell}");
        }
    }

    #[test]
    fn bash_finds_the_words_of_every_command_that_it_comes_to() {
        let text = completed(Shell::Bash);
        let come_to: BTreeSet<_> =
            text.lines().filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"')).collect();
        let known: BTreeSet<_> = text.lines().filter_map(|line| line.trim().strip_suffix(')')).collect();
        let lost: Vec<_> = come_to.difference(&known).filter(|name| !name.is_empty()).collect();
        assert!(come_to.len() > 50 && lost.is_empty(), "{lost:?}");
    }
}
