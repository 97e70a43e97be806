//! The whole from outside: what the suites in `tests/` share.

pub mod bench_home;
pub mod chaos;
pub mod fleet;
pub mod guest;
pub mod learner;
pub mod memory;
pub mod ordered;
pub mod promtool;
pub mod round_fleet;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// An address of this machine alone, with a port that was free a moment ago.
///
/// # Panics
/// When the system has no port left.
#[must_use]
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("what is bound has an address")
}

/// Path of one of the project's programs, as it is built from this tree.
///
/// Builds all of them, for a test together with the tests: one selection means one set of features, so nothing is compiled twice.
///
/// # Panics
/// When they do not build, or the test does not lie where cargo puts tests.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let own = std::env::current_exe().expect("a running program has a path");
        let folder = own.parent().expect("it lies in a folder");
        // A test lies in target/release/deps, a program in target/release.
        let test = folder.ends_with("deps");
        let mut command = Command::new(cargo);
        // What cargo told us about this crate is not for this build: build scripts that watch these variables would compile
        // the encryption, and all that stands on it, anew.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                command.env_remove(name);
            }
        }
        if std::env::var_os("CI").is_some() {
            // As xtask does there: other flags would compile everything anew.
            command.arg("--config").arg(root.join("tests/ci.toml"));
        }
        command.args(["build", "--release", "--quiet", "--locked", "--workspace", "--bins"]);
        command.args(test.then_some("--tests"));
        let status = command.current_dir(&root).status().expect("cargo starts");
        assert!(status.success(), "the programs do not build");
        if test { folder.parent().expect("deps lies in a folder") } else { folder }.to_owned()
    });
    folder.join(name)
}
