//! The programs that ship, found beside this one and called as their users do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Where Debian keeps mosquitto out of ordinary users' way.
const MOSQUITTO: [&str; 3] = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"];

/// Paths of everything that an operation runs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The agent.
    pub edge: PathBuf,
    /// The aggregator.
    pub cloud: PathBuf,
    /// Authority, tokens and signer.
    pub provision: PathBuf,
    /// The brokers.
    pub mosquitto: PathBuf,
}

impl Programs {
    /// Finds them in a folder: that of this program without one.
    ///
    /// # Errors
    /// One is missing, with what to do.
    pub fn find(folder: Option<&Path>) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program's own path")?;
        let folder = folder.or_else(|| own.parent()).unwrap_or(Path::new(".")).to_owned();
        let ours = |name: &str| {
            let path = folder.join(name);
            ensure!(
                path.is_file(),
                "{name} is not in {}: build all programs with `cargo build --release --workspace --bins`, or name their folder with --programs",
                folder.display()
            );
            Ok(path)
        };
        let mosquitto = MOSQUITTO.iter().map(PathBuf::from).find(|path| path.exists());
        Ok(Self {
            edge: ours("hearthwatch-edge")?,
            cloud: ours("hearthwatch-cloud")?,
            provision: ours("hearthwatch-provision")?,
            mosquitto: mosquitto.context("mosquitto is not installed: `apt-get install mosquitto`")?,
        })
    }
}

/// Runs a program to its end; what it printed.
///
/// # Errors
/// It cannot be started, or ends with an error: its words.
pub fn call<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output = Command::new(program).args(arguments).output().with_context(|| name.clone())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} ended with {}: {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An argument `--name=path`.
#[must_use]
pub fn flag(name: &str, value: impl AsRef<Path>) -> String {
    format!("--{name}={}", value.as_ref().display())
}

/// A port of loopback that was free a moment ago.
///
/// # Errors
/// The system has none left.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    Ok(listener.local_addr()?.port())
}
