//! What the product states about privacy, held against Google's `dp-accounting`.
//!
//! `cargo xtask test --only privacy` installs it (`tests/privacy/requirements.txt`) and runs this. The script works the guarantees out anew
//! from noise, clip and homes, and does not see ours before it compares.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hearthwatch_federation::{NoisedBy, PrivacyTerms, stated};
use serde_json::{Value, json};

/// The Python that the suite makes.
fn python() -> Option<PathBuf> {
    let python = root().join("target/privacy/bin/python");
    if python.is_file() {
        return Some(python);
    }
    assert!(std::env::var_os("HEARTHWATCH_REQUIRE_PRIVACY").is_none(), "there is no {}", python.display());
    eprintln!("NOT CHECKED: `cargo xtask test --only privacy` installs dp-accounting");
    None
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Terms from a home's own noise to that of a fleet of a thousand, weak and strong.
fn grid() -> Vec<PrivacyTerms> {
    let mut grid = Vec::new();
    for (noised_by, homes, seen_together) in [
        (NoisedBy::Home, 12, 1),
        (NoisedBy::Home, 1_000, 1),
        (NoisedBy::Home, 1_000, 16),
        (NoisedBy::Server, 12, 1),
        (NoisedBy::Server, 1_000, 1),
    ] {
        for clip in [0.14, 1.0] {
            for multiplier in [0.7, 1.0, 3.0, 10.0] {
                for (sampling, rounds) in [(1.0, 1), (1.0, 30), (0.1, 10), (0.01, 100)] {
                    for delta in [1e-5, 1e-7] {
                        let noise = multiplier * clip;
                        grid.push(PrivacyTerms {
                            noised_by,
                            clip,
                            noise,
                            homes,
                            seen_together,
                            sampling,
                            rounds,
                            delta,
                        });
                    }
                }
            }
        }
    }
    grid
}

fn line(terms: &PrivacyTerms) -> Value {
    let statement = stated(terms);
    json!({
        "noised_by": if terms.noised_by == NoisedBy::Home { "home" } else { "server" },
        "clip": terms.clip,
        "noise": terms.noise,
        "homes": terms.homes,
        "seen_together": terms.seen_together,
        "sampling": terms.sampling,
        "rounds": terms.rounds,
        "delta": terms.delta,
        // JSON has no infinity: null is no guarantee.
        "published": statement.published.epsilon,
        "server": statement.server.epsilon,
    })
}

#[test]
fn every_guarantee_of_the_grid_is_that_of_a_published_accountant() {
    let Some(python) = python() else { return };
    let lines: Vec<Value> = grid().iter().map(line).collect();
    let mut child = Command::new(python)
        .arg(root().join("tests/privacy/compare.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(&lines).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{} guarantees agree", 2 * lines.len())), "{said}");
    print!("{said}");
}
