//! What the program can be asked to do.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{bench, chaos, data, demo, home_assistant, operate, release};

/// Real recorded homes, each with an agent of its own, an embedded broker, an aggregator and residents who answer.
///
/// Without a subcommand: shows the whole loop on recorded homes and ends with a table.
#[derive(Debug, Parser)]
#[command(name = "hearthwatch-emulator", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    demo: DemoArguments,
}

/// How the demo runs.
#[derive(Debug, Clone, Args)]
pub struct DemoArguments {
    /// How many homes take part (all that the recordings have, at most 24, when left away).
    #[arg(long, value_name = "N")]
    pub homes: Option<usize>,
    /// Virtual seconds in a real one; 0 is as fast as the machine can.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub speed: f64,
    /// Decides faults, residents, ids and weights: the same seed gives the same table.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// What the fleet learns from.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = demo::Learn::Labels)]
    pub learn: demo::Learn,
    /// Federated rounds with `--learn rounds`, one every other night of the second phase.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=i64::from(demo::ROUNDS_MAX)))]
    pub rounds: u32,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where everything is written.
    #[arg(long, value_name = "DIR", default_value = "hearthwatch-demo")]
    pub out: PathBuf,
    /// Stay up after the table, with the pages open, until Ctrl-C; says where their address and token are.
    #[arg(long)]
    pub stay: bool,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Train the model that ships, from the sets that may train shipped weights.
    TrainRelease(release::TrainReleaseArguments),
    /// Print figures.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Recordings: what there is, where it lies, how to fetch it.
    #[command(subcommand)]
    Data(data::DataTask),
    /// Play Home Assistant for one recorded home, in real time: agents connect as they do to the real one.
    HomeAssistant(home_assistant::PlayArguments),
    /// Feed a real Home Assistant with the readings of one recorded home, in real time.
    Feed(home_assistant::FeedArguments),
    /// Run a fleet of recorded homes for weeks, at a multiple of real time, with residents who answer and with incidents.
    Operate(operate::OperateArguments),
    /// The demo's signer process: started by the demo itself.
    #[command(hide = true)]
    Signer(demo::SignerArguments),
    /// A home of the chaos suite.
    #[command(hide = true)]
    ChaosHome(chaos::HomeArguments),
    /// A broker of the chaos suite.
    #[command(hide = true)]
    ChaosBroker(chaos::BrokerArguments),
}

/// Does what was asked.
///
/// # Errors
/// Whatever stopped it, with what to do next in its words.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.task {
        None => demo::run(&arguments.demo),
        Some(Task::TrainRelease(task)) => release::train(&task),
        Some(Task::Bench(bench)) => bench::run(&bench),
        Some(Task::Data(task)) => data::run(&task),
        Some(Task::HomeAssistant(task)) => home_assistant::play(&task),
        Some(Task::Feed(task)) => home_assistant::feed(&task),
        Some(Task::Operate(task)) => operate::operate(&task),
        Some(Task::Signer(task)) => demo::signer(&task),
        Some(Task::ChaosHome(task)) => chaos::home(&task),
        Some(Task::ChaosBroker(task)) => chaos::broker(&task),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(arguments: &[&str]) -> Result<(demo::Learn, u32), String> {
        let all = ["hearthwatch-emulator"].iter().chain(arguments);
        let parsed = Arguments::try_parse_from(all).map_err(|error| error.to_string())?;
        Ok((parsed.demo.learn, parsed.demo.rounds))
    }

    #[test]
    fn the_demonstration_learns_from_labels_unless_rounds_are_asked_for() {
        assert_eq!(demo(&[]), Ok((demo::Learn::Labels, 5)));
        assert_eq!(demo(&["--learn", "rounds", "--rounds", "3"]), Ok((demo::Learn::Rounds, 3)));
    }

    #[test]
    fn more_rounds_than_the_phase_has_nights_for_are_refused_and_so_is_another_word() {
        let refused = demo(&["--rounds", "11"]).unwrap_err();
        assert!(refused.contains("11 is not in 1..=10"), "{refused}");
        let refused = demo(&["--learn", "both"]).unwrap_err();
        assert!(refused.contains("[possible values: labels, rounds]"), "{refused}");
    }
}
