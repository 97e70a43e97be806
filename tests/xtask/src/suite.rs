//! Every suite of the project, in the order of what fails fastest.

use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::install::{self, Part};
use crate::{endurance, references, shell, supply, tidy};

/// What `cargo xtask test` takes.
#[derive(Args)]
pub struct TestArguments {
    /// Run this suite alone (may be repeated, or several with commas between).
    #[arg(long, value_name = "SUITE", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// Add the long runs that CI has no time for.
    #[arg(long)]
    full: bool,
}

fn names() -> PossibleValuesParser {
    SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>().into()
}

struct Suite {
    name: &'static str,
    what: &'static str,
    needs: &'static [Part],
    run: fn() -> anyhow::Result<()>,
    full_only: bool,
}

const SUITES: &[Suite] = &[
    Suite { name: "fmt", what: "formatting", needs: &[Part::RustComponents], run: fmt, full_only: false },
    Suite {
        name: "tidy",
        what: "house rules, links, spelling",
        needs: &[Part::PythonVenv],
        run: tidy::check,
        full_only: false,
    },
    Suite { name: "deny", what: "bans, licences, sources", needs: &[Part::CargoDeny], run: deny, full_only: false },
    Suite {
        name: "clippy",
        what: "lints, warnings denied",
        needs: &[Part::RustComponents],
        run: clippy,
        full_only: false,
    },
    Suite { name: "unit", what: "unit, property and doc tests", needs: &[], run: unit, full_only: false },
    Suite { name: "doc", what: "documentation builds, links hold", needs: &[], run: doc, full_only: false },
    Suite {
        name: "references",
        what: "metrics and rivals against published programs",
        needs: &[],
        run: references::check,
        full_only: false,
    },
    Suite {
        name: "scenarios",
        what: "the whole loop on embedded parts",
        needs: &[],
        run: || integration("scenarios", &[]),
        full_only: false,
    },
    Suite {
        name: "embedded-broker",
        what: "the broker conformance suite, embedded broker",
        needs: &[],
        run: || integration("broker", &["embedded"]),
        full_only: false,
    },
    Suite {
        name: "identity",
        what: "certificates renewed, homes that come back late or without a disk, over real TLS",
        needs: &[],
        run: || integration("identity", &[]),
        full_only: false,
    },
    Suite {
        name: "contract",
        what: "the admin API against its document, by schemathesis, a validator and a generated client",
        needs: &[Part::PythonVenv],
        run: contract,
        full_only: false,
    },
    Suite {
        name: "mlflow",
        what: "a run of the aggregator reported to a real MLflow tracking server, and read back",
        needs: &[Part::PythonVenv],
        run: mlflow,
        full_only: false,
    },
    Suite {
        name: "mosquitto",
        what: "the broker conformance suite, link and uplink, real mosquitto",
        needs: &[Part::Mosquitto],
        run: mosquitto,
        full_only: false,
    },
    Suite {
        name: "databases",
        what: "replay of recorders on a real PostgreSQL and a real MariaDB",
        needs: &[Part::Databases],
        run: || integration("databases", &[]),
        full_only: false,
    },
    Suite {
        name: "fleet",
        what: "the operator page's fleet, to the letter, as an ordinary user and as root",
        needs: &[Part::Mosquitto],
        run: || integration("fleet", &[]),
        full_only: false,
    },
    Suite {
        name: "attacks",
        what: "every attack on updates, judged by our client and by python-tuf",
        needs: &[Part::PythonVenv],
        run: endurance::attacks,
        full_only: false,
    },
    Suite {
        name: "chaos",
        what: "kills, partitions, full disks: nothing lost, nothing twice",
        needs: &[Part::Mosquitto],
        run: || chaos(endurance::CHAOS_ROUNDS),
        full_only: false,
    },
    Suite {
        name: "fuzz",
        what: "every decoder that faces the outside, briefly",
        needs: &[Part::Cxx],
        run: || endurance::fuzz(endurance::FUZZ_SECONDS),
        full_only: false,
    },
    Suite {
        name: "browser",
        what: "the local page in a real browser",
        needs: &[Part::Chromium],
        run: || integration("browser", &[]),
        full_only: false,
    },
    Suite {
        name: "endures",
        what: "bursts and cut lines: no false alarm, no answer lost",
        needs: &[Part::Mosquitto],
        run: || integration("endures", &[]),
        full_only: false,
    },
    Suite {
        name: "parts",
        what: "every part of both programs ends: a restart or a line, and the alarm is raised all the same",
        needs: &[Part::Mosquitto],
        run: || integration("parts", &[]),
        full_only: false,
    },
    Suite {
        name: "home-assistant",
        what: "the agent beside a real Home Assistant, in its containers, a stranger's walk among it",
        needs: &[Part::Mosquitto, Part::Debootstrap, Part::Chromium, Part::Buildah, Part::AppArmor],
        run: || integration("home_assistant", &[]),
        full_only: false,
    },
    Suite {
        name: "chaos-long",
        what: "chaos, 1,000 rounds",
        needs: &[Part::Mosquitto],
        run: || chaos(endurance::CHAOS_ROUNDS_FULL),
        full_only: true,
    },
    Suite {
        name: "fuzz-long",
        what: "every decoder, ten minutes each",
        needs: &[Part::Cxx],
        run: || endurance::fuzz(endurance::FUZZ_SECONDS_FULL),
        full_only: true,
    },
    Suite {
        name: "reproducible",
        what: "two release builds, byte for byte; the bill of materials",
        needs: &[],
        run: supply::reproducible,
        full_only: true,
    },
    Suite {
        name: "cuda",
        what: "the aggregator with its feature for GPUs compiles, without a toolkit",
        needs: &[],
        run: cuda,
        full_only: true,
    },
    Suite {
        name: "full",
        what: "the newcomer's whole command, twice, compared",
        needs: &[],
        run: demo_twice,
        full_only: true,
    },
];

struct Outcome {
    name: &'static str,
    what: &'static str,
    took: Duration,
    failure: Option<String>,
}

/// Runs the chosen suites, all of them even when one fails, then prints minutes and ends.
pub fn test(arguments: &TestArguments) -> anyhow::Result<()> {
    let chosen = SUITES.iter().filter(|suite| match arguments.only.as_slice() {
        [] => arguments.full || !suite.full_only,
        only => only.iter().any(|name| name == suite.name),
    });
    let outcomes: Vec<Outcome> = chosen.map(run).collect();
    print(&outcomes);
    let failed: Vec<&str> =
        outcomes.iter().filter(|outcome| outcome.failure.is_some()).map(|outcome| outcome.name).collect();
    println!("{} passed, {} failed", outcomes.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn run(suite: &Suite) -> Outcome {
    println!("\n=== {}: {}", suite.name, suite.what);
    let start = Instant::now();
    let missing = suite.needs.iter().try_for_each(|part| install::ensure(*part));
    let result = missing.and_then(|()| (suite.run)());
    let failure = result.err().map(|error| format!("{error:#}"));
    if let Some(failure) = &failure {
        println!("=== {} FAILED: {failure}", suite.name);
    }
    Outcome { name: suite.name, what: suite.what, took: start.elapsed(), failure }
}

fn print(outcomes: &[Outcome]) {
    println!("\n{:<16} {:>8}  {:<7} what", "suite", "minutes", "result");
    for outcome in outcomes {
        let minutes = outcome.took.as_secs_f64() / 60.0;
        let result = if outcome.failure.is_none() { "ok" } else { "FAILED" };
        println!("{:<16} {minutes:>8.1}  {result:<7} {}", outcome.name, outcome.what);
    }
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    println!("{:<16} {:>8.1}", "total", total.as_secs_f64() / 60.0);
}

fn fmt() -> anyhow::Result<()> {
    shell::cargo(["fmt", "--all", "--check"])
}

fn deny() -> anyhow::Result<()> {
    shell::cargo(["deny", "--workspace", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
}

fn clippy() -> anyhow::Result<()> {
    shell::cargo(["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn unit() -> anyhow::Result<()> {
    shell::cargo(["test", "--release", "--workspace", "--lib", "--bins", "--locked", "--no-fail-fast"])?;
    shell::cargo(["test", "--release", "--workspace", "--doc", "--locked"])
}

fn cuda() -> anyhow::Result<()> {
    let feature = ["check", "--release", "--locked", "--workspace", "--bins", "--features", "hearthwatch-cloud/cuda"];
    shell::cargo(feature)
}

fn doc() -> anyhow::Result<()> {
    let arguments = ["doc", "--release", "--workspace", "--no-deps", "--locked"];
    shell::run_with(&shell::cargo_path(), arguments, &[("RUSTDOCFLAGS", "-D warnings")])
}

/// One thread: these tests own ports, processes and a few hundred megabytes each.
fn integration(test: &str, filter: &[&str]) -> anyhow::Result<()> {
    // The whole workspace is selected, so that dependencies keep the features that they were compiled with.
    let fixed = ["test", "--release", "--locked", "--workspace", "--test", test, "--"];
    let arguments = [&fixed, filter, &["--test-threads=1", "--nocapture"]].concat();
    // What a suite needs was installed before: a test that does not find it must not pass over it.
    shell::run_with(
        &shell::cargo_path(),
        arguments,
        &[
            ("HEARTHWATCH_REQUIRE_MOSQUITTO", "1"),
            ("HEARTHWATCH_REQUIRE_CHROMIUM", "1"),
            ("HEARTHWATCH_REQUIRE_CONTRACT", "1"),
            ("HEARTHWATCH_REQUIRE_MLFLOW", "1"),
        ],
    )
}

fn contract() -> anyhow::Result<()> {
    install::python_packages(&shell::root().join("target/contract"), "tests/contract/requirements.txt")?;
    integration("contract", &[])
}

fn mlflow() -> anyhow::Result<()> {
    let (folder, requirements) = (shell::root().join("target/mlflow"), "tests/mlflow/requirements.txt");
    if install::python_packages_or_say(&folder, requirements, "the unit suite alone asked a server made for it")? {
        integration("mlflow", &[])?;
    }
    Ok(())
}

fn mosquitto() -> anyhow::Result<()> {
    integration("broker", &["mosquitto"])?;
    integration("mosquitto", &[])?;
    integration("uplink", &[])
}

fn chaos(rounds: &str) -> anyhow::Result<()> {
    endurance::chaos(&["--rounds", rounds].map(str::to_owned))
}

fn demo_twice() -> anyhow::Result<()> {
    integration("scenarios", &["--ignored"])
}
