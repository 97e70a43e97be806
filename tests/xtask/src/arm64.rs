//! The programs of a home, built for 64-bit ARM as they ship and run under emulation, beside those for this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{shell, speed};

const AGENT: &str = "hearthwatch-edge";
const TRAINER: &str = "hearthwatch-train-round";

/// Most that a score, a threshold or an expected value may differ between the two, as a share of it where it is above 1: alarms are told
/// apart by tenths.
const APART_MAX: f64 = 1e-5;

/// Makes that build in a Debian root of its own, gives the same jobs to both, and prints seconds, memory and how far apart they are.
pub fn check() -> anyhow::Result<()> {
    let folder = std::path::absolute(speed::target().join("images"))?;
    // The build in the root has no network.
    shell::cargo(["fetch", "--locked"])?;
    shell::run("chi-edge/images/programs.sh", [&folder.display().to_string(), "arm64", AGENT, TRAINER])
        .context("there is no build for 64-bit ARM, so NOTHING is checked of it")?;
    // The profile changes no result, and these are already built for the other suites.
    shell::cargo(["build", "--release", "--locked", "--workspace", "--bins"])?;
    let root = folder.join("root");
    let emulated = |program: &str| -> Vec<String> {
        let built = folder.join("aarch64-unknown-linux-gnu/stripped").join(program);
        let parts = [root.join("usr/bin/qemu-aarch64"), "-L".into(), root.join("usr/aarch64-linux-gnu"), built];
        parts.iter().map(|part| part.display().to_string()).collect()
    };
    let release = speed::target().join("release");
    replay(&release, &folder, &emulated(AGENT))?;
    live(&release, &folder, &emulated(AGENT))?;
    let rest = ["--runs", "1", "--"].map(str::to_owned).into_iter();
    let rest: Vec<String> = rest.chain(emulated(TRAINER)).collect();
    speed::time_round(&release.join(TRAINER), &rest)
}

/// A bundled home, lived through by both agents: the same alarms, byte for byte but for their scores, and scores within [`APART_MAX`].
fn replay(release: &Path, folder: &Path, emulated: &[String]) -> anyhow::Result<()> {
    let home = folder.join("building-01.csv");
    let export = ["data", "export", "--set", "citylearn_2022_homes", "--home", "building-01", "--days", "150", "--out"];
    let export = export.map(str::to_owned).into_iter().chain([home.display().to_string()]);
    shell::run(&release.join("hearthwatch-emulator").display().to_string(), export)?;
    let lived = |program: &[String], name: &str| -> anyhow::Result<PathBuf> {
        let out = folder.join(name);
        let (first, rest) = program.split_first().context("a program to run")?;
        let done =
            Command::new(first).args(rest).arg("replay").arg("--events").arg(&home).arg("--out").arg(&out).output()?;
        ensure!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        print!("{name}: {}", String::from_utf8_lossy(&done.stdout));
        Ok(out)
    };
    let here = lived(&[release.join(AGENT).display().to_string()], "replay-here")?;
    let there = lived(emulated, "replay-arm64")?;
    let read = |folder: &Path, file: &str| std::fs::read_to_string(folder.join(file)).context(file.to_owned());
    let (mine, theirs) = (read(&here, "alarms.csv")?, read(&there, "alarms.csv")?);
    ensure!(mine.lines().count() > 3, "too few alarms to compare");
    let of_alarms = apart(&mine, &theirs).with_context(|| format!("other alarms:\n{mine}\n{theirs}"))?;
    let of_steps = apart(&read(&here, "scores.csv")?, &read(&there, "scores.csv")?)?;
    let count = mine.lines().count() - 1;
    println!(
        "{count} alarms, the same to the byte but for scores: these differ by {of_alarms:.1e}, all steps' numbers by {of_steps:.1e} at most"
    );
    let most = of_alarms.max(of_steps);
    ensure!(most <= APART_MAX, "numbers differ by {most:e}, at most {APART_MAX:e} is allowed");
    Ok(())
}

/// Two homes whose agents are the ARM program, for four days of the calendar: they enrol, raise alarms, send what residents answer, and
/// install a release. Broker, signer and aggregator are this machine's own.
fn live(release: &Path, folder: &Path, emulated: &[String]) -> anyhow::Result<()> {
    let (programs, out) = (folder.join("programs"), folder.join("operation"));
    for made in [&programs, &out] {
        // Of the run before.
        let _ = std::fs::remove_dir_all(made);
    }
    std::fs::create_dir_all(&programs)?;
    for name in ["hearthwatch-cloud", "hearthwatch-provision"] {
        std::os::unix::fs::symlink(std::path::absolute(release.join(name))?, programs.join(name))?;
    }
    shell::run("chi-edge/images/faketime.sh", [folder.display().to_string()])
        .context("the emulated agents have no clock that can be made faster, so they are NOT run")?;
    let (emulator, rest) = emulated.split_first().context("a program to run")?;
    let script = programs.join(AGENT);
    // The library of this machine's processor, which the operation names, is of no use to them.
    let clock = "LD_PRELOAD=/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1";
    std::fs::write(&script, format!("#!/bin/sh\nexec {emulator} -E {clock} {} \"$@\"\n", rest.join(" ")))?;
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let incidents = folder.join("release.toml");
    std::fs::write(&incidents, "[[incident]]\nkind = \"release\"\nat = \"3h\"\n")?;
    let fixed = ["operate", "--homes", "2", "--days", "5", "--speed", "1200", "--faults", "3"].map(str::to_owned);
    let places = [("--incidents", &incidents), ("--programs", &programs), ("--out", &out)];
    let places = places.into_iter().flat_map(|(flag, path)| [flag.to_owned(), path.display().to_string()]);
    shell::run(&release.join("hearthwatch-emulator").display().to_string(), fixed.into_iter().chain(places))?;
    let journal = std::fs::read_to_string(out.join("journal.jsonl"))?;
    let lines: Vec<serde_json::Value> = journal.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let last = |event: &str| {
        lines.iter().rev().find(|line| line["event"] == event).context(format!("no {event} in the journal"))
    };
    let (settled, fleet) = (last("settled")?, last("fleet")?);
    ensure!(settled["lost"] == serde_json::json!([]) && settled["doubled"] == serde_json::json!([]), "{settled}");
    ensure!(settled["stored"].as_u64() > Some(0), "no answer arrived: {settled}");
    let versions = fleet["versions"].as_array().context("the models of the fleet")?;
    let updated = versions.iter().find(|pair| pair[0] == 1).and_then(|pair| pair[1].as_u64()).unwrap_or(0);
    // A home may refuse a release, which it tries on faults of its own.
    ensure!(updated > 0, "no home installed the release: {fleet}");
    println!(
        "two emulated agents enrolled, sent {} answers, each stored once; {updated} installed model 1",
        settled["stored"]
    );
    Ok(())
}

/// The largest difference between two numbers at the same place of two files, as a share where they are above 1; all else must be the same.
fn apart(mine: &str, theirs: &str) -> anyhow::Result<f64> {
    ensure!(mine.lines().count() == theirs.lines().count(), "another number of lines");
    let mut most: f64 = 0.0;
    for (line, (mine, theirs)) in mine.lines().zip(theirs.lines()).enumerate() {
        let (mine, theirs): (Vec<&str>, Vec<&str>) = (mine.split(',').collect(), theirs.split(',').collect());
        ensure!(mine.len() == theirs.len(), "line {}: another number of columns", line + 1);
        for (one, other) in mine.into_iter().zip(theirs).filter(|(one, other)| one != other) {
            let numbers = one.parse::<f64>().ok().zip(other.parse::<f64>().ok());
            let (one, other) = numbers.with_context(|| format!("line {}: {one} and {other}", line + 1))?;
            most = most.max((one - other).abs() / one.abs().max(1.0));
        }
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_apart_and_nothing_else() {
        assert_eq!(apart("a,0.5\nb,\n", "a,0.25\nb,\n").unwrap(), 0.25);
        assert_eq!(apart("a,8\n", "a,6\n").unwrap(), 0.25);
        assert_eq!(apart("a,1\n", "b,1\n").unwrap_err().to_string(), "line 1: a and b");
        assert_eq!(apart("a,1\n", "a,\n").unwrap_err().to_string(), "line 1: 1 and ");
        assert_eq!(apart("a\n", "a\nb\n").unwrap_err().to_string(), "another number of lines");
    }
}
