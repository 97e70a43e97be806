//! The whole from outside: what the suites in `tests/` share.

pub mod chaos;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Path of one of the project's programs, as it is built from this tree.
///
/// Builds all of them together with the tests: one selection means one set of features, so nothing is compiled twice.
///
/// # Panics
/// When they do not build, or the test does not lie where cargo puts tests.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let build = ["build", "--release", "--quiet", "--locked", "--workspace", "--bins", "--tests"];
        let status = Command::new(cargo).args(build).current_dir(root).status().expect("cargo starts");
        assert!(status.success(), "the programs do not build");
        let test = std::env::current_exe().expect("a running test has a path");
        test.ancestors().nth(2).expect("a test lies in target/release/deps").to_owned()
    });
    folder.join(name)
}
