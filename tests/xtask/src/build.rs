//! `bench build`: from an empty target to the demonstration, and what the other programs compile again after it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::shell;

/// What is built, one after another, in one target folder.
const STEPS: [(&str, &[&str]); 3] = [
    ("`cargo run --release`: the demonstration", &["--bin", "hearthwatch-emulator"]),
    ("then every program", &["--workspace", "--bins"]),
    ("then every test", &["--workspace", "--bins", "--tests"]),
];
const COSTLIEST: usize = 10;
/// What ships.
const PROGRAMS: [&str; 3] = ["hearthwatch-edge", "hearthwatch-cloud", "hearthwatch-provision"];

/// A crate that was compiled.
struct Unit {
    name: String,
    version: String,
    seconds: f64,
}

impl Unit {
    fn is_ours(&self) -> bool {
        self.name.starts_with("hearthwatch-") || self.name == "xtask"
    }
}

/// Builds everything in an empty folder below `target` and prints minutes, crates and the ten that took longest. Takes as long as the
/// first build of a newcomer, and the crates must be there or within reach.
pub fn measure(target: &Path) -> anyhow::Result<()> {
    let folder = std::path::absolute(target.join("bench-build"))?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let mut first = Vec::new();
    let mut known = BTreeSet::new();
    println!("| step | minutes | compiled | of which not ours | of which compiled before |\n|---|---|---|---|---|");
    for (place, (what, selection)) in STEPS.iter().enumerate() {
        let begun = Instant::now();
        let target = folder.display().to_string();
        let build = ["build", "--release", "--locked", "--quiet", "--timings", "--target-dir", target.as_str()];
        shell::cargo(build.iter().chain(*selection))?;
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let units = units(&folder.join("cargo-timings/cargo-timing.html"))?;
        let foreign: BTreeSet<(String, String)> =
            units.iter().filter(|unit| !unit.is_ours()).map(|unit| (unit.name.clone(), unit.version.clone())).collect();
        let again = foreign.intersection(&known).count();
        println!("| {what} | {minutes:.1} | {} | {} | {again} |", units.len(), foreign.len());
        known.extend(foreign);
        if place == 0 {
            first = units;
        }
    }
    first.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    println!("\nlongest in the first step, seconds of one core:");
    for unit in first.iter().take(COSTLIEST) {
        println!("  {:<32} {:.0}", unit.name, unit.seconds);
    }
    println!("\ncrates by program, ours apart:");
    for program in PROGRAMS {
        println!("  {program:<32} {}", crates_of(program)?);
    }
    Ok(())
}

/// How many crates of others' a program is made of on this machine, those that only run while it is compiled included.
fn crates_of(program: &str) -> anyhow::Result<usize> {
    let arguments = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", program];
    let output = Command::new(shell::cargo_path()).args(arguments).output().context("cargo tree")?;
    ensure!(output.status.success(), "cargo tree ended with {}", output.status);
    let list = String::from_utf8(output.stdout).context("a crate's name is not UTF-8")?;
    let names = list.lines().filter(|line| !line.is_empty() && !line.starts_with("hearthwatch-"));
    let unique: BTreeSet<&str> = names.map(|line| line.trim_end_matches(" (*)")).collect();
    Ok(unique.len())
}

/// What cargo's own report of a build lists.
fn units(report: &Path) -> anyhow::Result<Vec<Unit>> {
    let page = std::fs::read_to_string(report).with_context(|| report.display().to_string())?;
    parse(&page).with_context(|| format!("{} lists no units", report.display()))
}

fn parse(page: &str) -> Option<Vec<Unit>> {
    let (_, list) = page.split_once("const UNIT_DATA = ")?;
    let units: Vec<Value> = serde_json::Deserializer::from_str(list).into_iter().next()?.ok()?;
    let text = |unit: &Value, name: &str| unit[name].as_str().map(str::to_owned);
    let unit = |unit: &Value| {
        Some(Unit { name: text(unit, "name")?, version: text(unit, "version")?, seconds: unit["duration"].as_f64()? })
    };
    let units: Option<Vec<Unit>> = units.iter().map(unit).collect();
    // What was there already took no time.
    units.map(|units| units.into_iter().filter(|unit| unit.seconds > 0.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_cargos_report_are_read_and_what_follows_them_is_not() {
        let page = r#"<script>const UNIT_DATA = [
            {"i": 0, "name": "serde", "version": "1.0", "duration": 2.5},
            {"i": 1, "name": "hearthwatch-detector", "version": "0.1", "duration": 30.0},
            {"i": 2, "name": "there already", "version": "1.0", "duration": 0.0}
        ];
        const CONCURRENCY_DATA = [];</script>"#;
        let units = parse(page).unwrap();
        let read: Vec<_> = units.iter().map(|unit| (unit.name.as_str(), unit.seconds, unit.is_ours())).collect();
        assert_eq!(read, [("serde", 2.5, false), ("hearthwatch-detector", 30.0, true)]);
        assert!(parse("<html>").is_none());
    }
}
