//! The house rules that a machine can see, enforced by the house.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::{api_page, directions, metrics_page, pages, shell, spelling};

/// Longest source file, in lines; tests may be longer.
const FILE_LINES_MAX: usize = 600;

/// What may stand at the top of the tree.
const TOP_LEVEL: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "chi-edge",
    "cloud-aggregator",
    "deny.toml",
    "docs",
    "edge-agent",
    "model",
    "protocol",
    "provisioning",
    "rustfmt.toml",
    "tests",
];

/// Checks every tracked file; lists every breach, not only the first.
pub fn check() -> anyhow::Result<()> {
    let root = shell::root();
    let files = tracked(&root)?;
    let mut breaches = Vec::new();
    let (mut manifests, mut sources, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files {
        top_level(file, &mut breaches);
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        if file.extension().is_some_and(|extension| extension == "rs") {
            source(file, &text, &mut breaches);
        }
        if file.file_name().is_some_and(|name| name != "Cargo.lock") {
            hosts(file, &text, &mut breaches);
        }
        if file.extension().is_some_and(|extension| extension == "md") {
            read.push((file.clone(), text));
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            sources.push((file.clone(), text));
        } else if file.file_name().is_some_and(|name| name == "Cargo.toml") {
            manifests.push((file.clone(), text));
        }
    }
    pages::check(&read, |path| root.join(path).exists(), &mut breaches);
    pages::check_sources(&read, &sources, &mut breaches);
    directions::check(&manifests, &sources, &read, &mut breaches);
    metrics_page::check(&sources, &read, &mut breaches);
    api_page::check(&root, &files, &mut breaches)?;
    spelling::check(&root, &files, &mut breaches)?;
    lock(&root, &mut breaches)?;
    if breaches.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        return Ok(());
    }
    bail!("{} breaches\n{}", breaches.len(), breaches.join("\n"))
}

/// Every file of the tree that git does not ignore and that is there.
pub fn tracked(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git could not be started")?;
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // One that was deleted and not yet committed is still listed.
    Ok(names.filter(|name| root.join(name).exists()).collect())
}

fn top_level(file: &Path, breaches: &mut Vec<String>) {
    let first = file.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    if let Some(first) = first
        && !first.starts_with('.')
        && !TOP_LEVEL.contains(&first.as_str())
    {
        breaches.push(format!("{}: {first} is not part of the top level", file.display()));
    }
}

fn source(file: &Path, text: &str, breaches: &mut Vec<String>) {
    if !text.starts_with("//!") {
        breaches.push(format!("{}: the first line says what the file holds (`//!`)", file.display()));
    }
    let lines = text.lines().count();
    let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
    if lines > FILE_LINES_MAX && !is_test {
        breaches.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", file.display()));
    }
}

/// Hosts of package registries are a machine's configuration, not the project's.
fn hosts(file: &Path, text: &str, breaches: &mut Vec<String>) {
    // Put together here, so that this file does not breach its own rule.
    let hosts =
        [["crates", "io"], ["pypi", "org"], ["npmjs", "org"], ["debian", "org/debian"]].map(|host| host.join("."));
    for host in hosts {
        // `[patch.crates-io]` and the like are cargo's own words, not a host.
        if text.contains(&host) {
            breaches.push(format!("{}: names the registry host {host}", file.display()));
        }
    }
}

/// Versions with known advisories that must not come back through an update.
fn lock(root: &Path, breaches: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    let denied = [
        ("rustls-webpki", "0.102."), // RUSTSEC-2026-0049, -0098, -0099, -0104
        ("rustls-pemfile", ""),      // RUSTSEC-2025-0134, unmaintained
        ("serde_cbor", ""),          // RUSTSEC-2021-0127, unmaintained
        ("fxhash", ""),              // RUSTSEC-2025-0057, unmaintained
        ("backoff", ""),             // RUSTSEC-2025-0012, unmaintained
        ("rumqttc", "0."),           // the stalled line, with the four of rustls-webpki 0.102
        ("sled", ""),                // brings fxhash and instant
    ];
    for (name, version) in denied {
        if text.contains(&format!("name = \"{name}\"\nversion = \"{version}")) {
            breaches.push(format!("Cargo.lock: {name} {version}* has an advisory"));
        }
    }
    Ok(())
}
