//! The program that trains in the home, built for 64-bit ARM as it ships and run under emulation, beside the one for this machine.

use anyhow::Context as _;

use crate::{shell, speed};

const PROGRAM: &str = "hearthwatch-train-round";

/// Makes that build in a Debian root of its own, gives the same jobs to both, and prints seconds, memory and how far apart they are.
pub fn check() -> anyhow::Result<()> {
    let folder = std::path::absolute(speed::target().join("arm64"))?;
    // The build in the root has no network.
    shell::cargo(["fetch", "--locked"])?;
    shell::run("tests/arm64/build.sh", [&folder])
        .context("there is no build for 64-bit ARM, so NOTHING is checked of it")?;
    // The profile changes no result, and this one is already built for the other suites.
    shell::cargo(["build", "--release", "--locked", "--package", PROGRAM, "--bin", PROGRAM])?;
    let (root, program) = (folder.join("root"), folder.join("aarch64-unknown-linux-gnu/dist").join(PROGRAM));
    let beside = [root.join("usr/bin/qemu-aarch64"), "-L".into(), root.join("usr/aarch64-linux-gnu"), program];
    let rest = ["--runs", "1", "--"].map(str::to_owned).into_iter();
    let rest: Vec<String> = rest.chain(beside.iter().map(|part| part.display().to_string())).collect();
    speed::time_round(&speed::target().join("release").join(PROGRAM), &rest)
}
