//! Running other programs from the root of the workspace.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// How own crates are compiled where `CI` is set; the suites that build programs themselves read it too.
const CI_PROFILE: &str = "tests/ci.toml";
/// Subcommands of cargo that compile.
const COMPILING: [&str; 4] = ["build", "clippy", "run", "test"];

/// The root of the workspace, two levels above this crate.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/xtask lies two levels below the root").to_owned()
}

/// Runs `program` to its end and fails with its name when it does.
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> anyhow::Result<()> {
    run_with(program, arguments, &[])
}

/// Like [`run`], with variables added to the environment.
pub fn run_with<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    let arguments: Vec<OsString> = arguments.into_iter().map(|one| one.as_ref().to_owned()).collect();
    let compiles = arguments.first().is_some_and(|first| COMPILING.iter().any(|name| first == *name));
    if compiles && program == cargo_path() && std::env::var_os("CI").is_some() {
        command.arg("--config").arg(root().join(CI_PROFILE));
    }
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    // What cargo told us about this crate is not for the builds we start: build scripts that watch these variables would
    // compile half the tree again whenever xtask and a plain cargo take turns.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    if std::env::var_os("CI").is_some() {
        // Nobody builds there twice: what makes the next build faster makes the first one slower.
        command.env("CARGO_INCREMENTAL", "0");
    }
    command.envs(environment.iter().copied());
    let status = command.status().with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("`{program}` ended with {status}");
    }
    Ok(())
}

/// Runs the cargo that runs us.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> anyhow::Result<()> {
    run(&cargo_path(), arguments)
}

/// Path of the cargo that runs us.
pub fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Whether a program answers on the path (or where Debian keeps daemons).
pub fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|folder| Path::new(folder).join(program).is_file())
}
