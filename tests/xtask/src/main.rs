//! `cargo xtask`: the project's own tasks, so that a contributor and the CI run the very same commands.

mod api_page;
mod arm64;
mod build;
mod directions;
mod endurance;
mod federated;
mod images;
mod install;
mod metrics_page;
mod pages;
mod references;
mod shell;
mod speed;
mod spelling;
mod suite;
mod supply;
mod tables;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of the project. `cargo xtask test` is what CI runs.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the suites need, then run every suite; minutes are printed for each.
    Test(suite::TestArguments),
    /// Strike real processes with faults and count what is lost or doubled: `--rounds 1000 --federated 60 --seed 7`.
    Chaos {
        /// Passed on to the program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Print figures: `build`, `homes`, `detection`, `binary`, `verdicts`, `feedback`, `network`, `edge`, `home`, `round`, `train`, `loop`, `ingest` or `admin`;
    /// everything after the name goes to the bench. `edge` and `train` install ONNX Runtime and PyTorch (pip) to be
    /// compared with. `tables` prints every table of docs/measurements on regular samples and on answers, in about an
    /// hour; it needs the recordings beside the checkout. `federated` prints the tables of federated rounds, and installs Flower and
    /// PyTorch (pip) to be compared with.
    Bench {
        /// One of the names above, or `tables`.
        name: String,
        /// Passed on, e.g. `--seeds 3`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Train the shipped model anew from the sets that may train shipped weights.
    TrainRelease {
        /// Passed on, e.g. `--seed 7`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Write the bill of materials (CycloneDX 1.5, JSON) of what is shipped to homes and to the cloud.
    Sbom {
        /// The file to write.
        #[arg(default_value = "target/hearthwatch.cdx.json")]
        file: std::path::PathBuf,
    },
    /// Build the container images of agent, aggregator, provisioning and emulator, and print their sizes and digests.
    Images(images::ImagesArguments),
    /// Build the aggregator with CUDA and pack it with a script that proves and times it on a machine with a GPU.
    GpuBundle,
    /// Write the pages that are generated: docs/reference/api.md.
    Docs,
    /// Hold the tree against the house rules: links, anchors, spelling, generated pages and others.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test(arguments) => suite::test(&arguments),
        Task::Bench { name, rest } => bench(&name, &rest),
        Task::TrainRelease { rest } => emulator("train-release", &rest),
        Task::Images(arguments) => images::build(&arguments),
        Task::Chaos { rest } => endurance::chaos(&rest),
        Task::Sbom { file } => supply::sbom(&file),
        Task::GpuBundle => speed::gpu_bundle(),
        Task::Docs => tidy::tracked(&shell::root()).and_then(|files| api_page::write(&files)),
        Task::Tidy => tidy::check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Benches measure what runs in the field: of the agent what ships to devices (profile `dist`), of the aggregator what an operator builds
/// (`release`, docs/operator.md).
fn bench(name: &str, rest: &[String]) -> anyhow::Result<()> {
    if name == "build" {
        return build::measure(&speed::target());
    }
    if name == "tables" {
        return tables::print_all(bench);
    }
    if name == "federated" {
        return federated::print_all(rest);
    }
    if name == "edge" {
        shell::cargo(["build", "--profile", "dist", "--package", "hearthwatch-edge", "--bin", "hearthwatch-edge"])?;
        shell::cargo(["build", "--profile", "dist", "--package", "hearthwatch-speed", "--bin", "hearthwatch-speed"])?;
    }
    if name == "home" {
        return speed::home(rest);
    }
    if name == "round" {
        return speed::round(rest);
    }
    if name == "train" {
        return speed::compare("train", rest);
    }
    let mut arguments = vec![name.to_owned()];
    if name != "edge" {
        arguments.extend_from_slice(rest);
    }
    emulator("bench", &arguments)?;
    if name == "edge" { speed::compare("edge", rest) } else { Ok(()) }
}

fn emulator(task: &str, rest: &[String]) -> anyhow::Result<()> {
    let mut arguments = ["run", "--release", "--bin", "hearthwatch-emulator", "--", task].map(str::to_owned).to_vec();
    arguments.extend_from_slice(rest);
    shell::cargo(arguments)
}
