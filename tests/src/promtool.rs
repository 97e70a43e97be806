//! What Prometheus' own linter says of `/metrics`. Compiled into the tests of the agent's page, too.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Everything that `promtool check metrics` finds in a text; empty if it is clean, or if there is no promtool on the machine and none is
/// required.
///
/// # Panics
/// When it is required and not there.
#[must_use]
pub fn findings(text: &str) -> String {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        let required = std::env::var_os("HEARTHWATCH_REQUIRE_PROMTOOL").is_some();
        assert!(!required, "promtool is required and not installed (Debian: prometheus)");
        eprintln!("NOT CHECKED: promtool is not installed");
        return String::new();
    };
    child.stdin.take().expect("its input is a pipe").write_all(text.as_bytes()).expect("it reads");
    let said = child.wait_with_output().expect("it ends");
    let said = [said.stdout, said.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}
