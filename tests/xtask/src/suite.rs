//! Every suite of the project, in the order of what fails fastest.

use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::install::{self, Part};
use crate::{arm64, endurance, references, shell, speed, supply, tidy};

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
    suite("fmt", "formatting", &[Part::RustComponents], fmt),
    suite("tidy", "house rules, links, spelling", &[Part::PythonVenv], tidy::check),
    suite("deny", "bans, licences, sources", &[Part::CargoDeny], deny),
    suite("clippy", "lints, warnings denied", &[Part::RustComponents], clippy),
    suite("unit", "unit, property and doc tests", &[], unit),
    suite("doc", "documentation builds, links hold", &[], doc),
    suite("references", "metrics and reference methods against published programs", &[], references::check),
    suite("scenarios", "the whole loop on embedded parts", &[], || integration("scenarios", &[])),
    suite("embedded-broker", "the broker conformance suite, embedded broker", &[], || {
        integration("broker", &["embedded"])
    }),
    suite("identity", "certificates renewed, homes that come back late or without a disk, over real TLS", &[], || {
        integration("identity", &[])
    }),
    suite(
        "contract",
        "the admin API against its document, by schemathesis, a validator and a generated client",
        &[Part::PythonVenv],
        contract,
    ),
    suite(
        "mlflow",
        "a run of the aggregator reported to a real MLflow tracking server, and read back",
        &[Part::PythonVenv],
        mlflow,
    ),
    suite("privacy", "what is stated about privacy, against Google's dp-accounting", &[Part::PythonVenv], privacy),
    suite("mosquitto", "the broker conformance suite, link and uplink, real mosquitto", &[Part::Mosquitto], mosquitto),
    suite("databases", "replay of recorders on a real PostgreSQL and a real MariaDB", &[Part::Databases], || {
        integration("databases", &[])
    }),
    suite(
        "fleet",
        "the operator page's fleet, to the letter, as an ordinary user and as root",
        &[Part::Mosquitto],
        || integration("fleet", &[]),
    ),
    suite(
        "attacks",
        "every attack on updates, judged by our client and by python-tuf",
        &[Part::PythonVenv],
        endurance::attacks,
    ),
    suite(
        "chaos",
        "kills, partitions, full disks, federated rounds: nothing lost, nothing twice",
        &[Part::Mosquitto],
        || chaos(endurance::CHAOS),
    ),
    suite("fuzz", "every decoder that faces the outside, briefly", &[Part::Cxx], || {
        endurance::fuzz(endurance::FUZZ_SECONDS)
    }),
    suite(
        "browser",
        "the local page in a real browser, its numbers by promtool",
        &[Part::Chromium, Part::Monitoring],
        || integration("browser", &[]),
    ),
    suite(
        "observability",
        "logs of both programs at their most verbose, without a secret; their metrics judged by promtool",
        &[Part::Mosquitto, Part::Monitoring],
        || integration("observability", &[]),
    ),
    suite(
        "pages",
        "the operator's pages in a real browser with ten thousand homes, and logging in at a real identity provider",
        &[Part::Chromium, Part::Node, Part::Monitoring],
        pages,
    ),
    suite("endures", "bursts and cut lines: no false alarm, no answer lost", &[Part::Mosquitto], || {
        integration("endures", &[])
    }),
    suite(
        "parts",
        "every part of both programs ends: a restart or a line, and the alarm is raised all the same",
        &[Part::Mosquitto],
        || integration("parts", &[]),
    ),
    suite(
        "home-assistant",
        "the agent beside a real Home Assistant, in its containers, a stranger's walk among it",
        &[Part::Mosquitto, Part::Debootstrap, Part::Chromium, Part::Buildah, Part::AppArmor],
        || integration("home_assistant", &[]),
    ),
    suite(
        "testbed",
        "the program that runs a fleet on CHI@Edge, against a real Keystone and a real Zun API",
        &[Part::PythonVenv],
        || checked("chi-edge/testbed/check.sh", "testbed"),
    ),
    suite(
        "kubernetes",
        "the cloud side on Kubernetes: rendered, held against the schemas, its pods' commands run as a fleet",
        &[Part::PythonVenv, Part::Mosquitto],
        || checked("chi-edge/k8s/check.sh", "k8s"),
    ),
    suite(
        "nodes",
        "the nodes of the cloud side: files of Terraform, cloud-init and Ansible against the provider's arguments and the linters",
        &[Part::PythonVenv],
        || nodes(&[("HEARTHWATCH_NODES", "files")]),
    ),
    suite(
        "operation",
        "a fleet in operation for two days, at 1,200 times real time, with incidents: nothing lost, nothing twice",
        &[Part::Mosquitto, Part::Faketime],
        || integration("operation", &[]),
    ),
    suite(
        "rounds",
        "federated rounds with real processes: an attacker, a killed home, one that withdraws, a killed aggregator",
        &[Part::Mosquitto],
        || integration("rounds", &[]),
    ),
    long(
        "masked-rounds",
        "rounds of which the server learns sums only, with real processes: a home killed in the exchanges, one that never answers",
        &[Part::Mosquitto],
        || integration("masked_rounds", &[]),
    ),
    long(
        "monitoring",
        "rules, routes and dashboards, against a running fleet that breaks",
        &[Part::Mosquitto, Part::Monitoring, Part::PythonVenv],
        monitoring,
    ),
    long(
        "nodes-booted",
        "the playbook and the packet filter for real in a root of Ubuntu, and that root booted",
        &[Part::PythonVenv, Part::Debootstrap, Part::Podman],
        || nodes(&[]),
    ),
    long(
        "compose",
        "the cloud side's Compose file brought up by podman, an agent in its container, an answer that arrives",
        &[Part::PythonVenv, Part::Debootstrap, Part::Buildah, Part::Podman],
        compose,
    ),
    long("chaos-long", "chaos, 1,000 rounds and 60 faults in federated ones", &[Part::Mosquitto], || {
        chaos(endurance::CHAOS_FULL)
    }),
    long("fuzz-long", "every decoder, ten minutes each", &[Part::Cxx], || {
        endurance::fuzz(endurance::FUZZ_SECONDS_FULL)
    }),
    long("reproducible", "two release builds, byte for byte; the bill of materials", &[], supply::reproducible),
    long(
        "arm64",
        "agent and trainer built for 64-bit ARM and run under emulation, against this machine's; two such agents in a fleet",
        &[Part::Debootstrap, Part::Mosquitto, Part::Faketime],
        arm64::check,
    ),
    long("cuda", "the aggregator with its feature for GPUs compiles, without a toolkit", &[], cuda),
    long("full", "the newcomer's whole command, twice, compared", &[], demo_twice),
];

struct Outcome {
    name: &'static str,
    what: &'static str,
    took: Duration,
    failure: Option<String>,
}

const fn suite(
    name: &'static str,
    what: &'static str,
    needs: &'static [Part],
    run: fn() -> anyhow::Result<()>,
) -> Suite {
    Suite { name, what, needs, run, full_only: false }
}

const fn long(
    name: &'static str,
    what: &'static str,
    needs: &'static [Part],
    run: fn() -> anyhow::Result<()>,
) -> Suite {
    Suite { full_only: true, ..suite(name, what, needs, run) }
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
            ("HEARTHWATCH_REQUIRE_FAKETIME", "1"),
            ("HEARTHWATCH_REQUIRE_CHROMIUM", "1"),
            ("HEARTHWATCH_REQUIRE_CONTRACT", "1"),
            ("HEARTHWATCH_REQUIRE_PAGES", "1"),
            ("HEARTHWATCH_REQUIRE_PROMTOOL", "1"),
            ("HEARTHWATCH_REQUIRE_MLFLOW", "1"),
            ("HEARTHWATCH_REQUIRE_PRIVACY", "1"),
        ],
    )
}

fn contract() -> anyhow::Result<()> {
    install::python_packages(&shell::root().join("target/contract"), "tests/contract/requirements.txt")?;
    integration("contract", &[])
}

fn pages() -> anyhow::Result<()> {
    install::node_packages(&shell::root().join("target/pages"), "tests/pages")?;
    integration("pages", &[])
}

fn mlflow() -> anyhow::Result<()> {
    let (folder, requirements) = (shell::root().join("target/mlflow"), "tests/mlflow/requirements.txt");
    if install::python_packages_or_say(&folder, requirements, "the unit suite alone asked a server made for it")? {
        integration("mlflow", &[])?;
    }
    Ok(())
}

/// Its own script runs Prometheus, Alertmanager and the exporters beside a fleet of the built programs.
fn monitoring() -> anyhow::Result<()> {
    shell::cargo(["build", "--release", "--locked", "--workspace", "--bins"])?;
    let release = shell::root().join(speed::target()).join("release").display().to_string();
    shell::run("chi-edge/monitoring/check.sh", [release])
}

/// A script of its own, which makes its environments in `folder` of the target directory, and runs the built programs.
fn checked(script: &str, folder: &str) -> anyhow::Result<()> {
    shell::cargo(["build", "--release", "--locked", "--workspace", "--bins"])?;
    let target = shell::root().join(speed::target());
    let (release, folder) = (target.join("release").display().to_string(), target.join(folder).display().to_string());
    shell::run_with(script, [folder], &[("HEARTHWATCH_RELEASE", &release)])
}

/// Its own script makes images of the built programs and of Debian's, and brings up the file that operators use.
fn compose() -> anyhow::Result<()> {
    shell::cargo(["build", "--release", "--locked", "--workspace", "--bins"])?;
    let target = shell::root().join(speed::target());
    let folders = [target.join("compose"), target.join("release")].map(|folder| folder.display().to_string());
    shell::run("chi-edge/compose/check.sh", folders)
}

fn nodes(environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let folder = shell::root().join(speed::target()).join("nodes").display().to_string();
    shell::run_with("chi-edge/node-checks/check.sh", [folder], environment)
}

fn privacy() -> anyhow::Result<()> {
    let (folder, requirements) = (shell::root().join("target/privacy"), "tests/privacy/requirements.txt");
    if install::python_packages_or_say(
        &folder,
        requirements,
        "the unit suite alone checked the accountant, by committed values",
    )? {
        integration("privacy", &[])?;
    }
    Ok(())
}

fn mosquitto() -> anyhow::Result<()> {
    integration("broker", &["mosquitto"])?;
    integration("mosquitto", &[])?;
    integration("uplink", &[])
}

fn chaos(length: endurance::Chaos) -> anyhow::Result<()> {
    let (rounds, federated) = (length.rounds.to_string(), length.federated.to_string());
    endurance::chaos(&["--rounds", &rounds, "--federated", &federated].map(str::to_owned))
}

fn demo_twice() -> anyhow::Result<()> {
    integration("scenarios", &["--ignored"])
}
