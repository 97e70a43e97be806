//! Benches against other programs, and the bundle for a machine with a GPU.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::install::{self, Part};
use crate::shell;

/// Where Python's packages for the comparison are kept between runs.
const ENVIRONMENT: &str = "target/speed-python";

/// What is timed.
const PROGRAM: &str = "hearthwatch-speed";

/// CUDA's version by the bindings that are compiled; drivers of that version or newer run it, no toolkit is needed here.
const CUDA_VERSION: &str = "13000";

/// Holds one of our programs against ONNX Runtime (`edge`) or PyTorch (`train`), in one run.
pub fn compare(what: &str, rest: &[String]) -> anyhow::Result<()> {
    shell::cargo(["build", "--profile", "dist", "--package", PROGRAM, "--bin", PROGRAM])?;
    let program = target().join("dist").join(PROGRAM);
    let python = environment()?;
    let script = "tests/speed/compare.py".to_owned();
    let mut arguments = vec![script, what.to_owned(), "--program".to_owned(), program.display().to_string()];
    arguments.extend_from_slice(rest);
    shell::run_with(&python.display().to_string(), arguments, &[])
}

/// The whole agent as it ships, beside a stand-in for Home Assistant and a real mosquitto.
pub fn home(rest: &[String]) -> anyhow::Result<()> {
    install::ensure(Part::Mosquitto)?;
    let shipped = |package: &str| -> anyhow::Result<String> {
        shell::cargo(["build", "--profile", "dist", "--package", package, "--bin", package])?;
        Ok(std::path::absolute(target().join("dist").join(package))?.display().to_string())
    };
    let (agent, trainer) = (shipped("hearthwatch-edge")?, shipped("hearthwatch-train-round")?);
    let run = ["run", "--release", "--bin", "hearthwatch-home-bench", "--"];
    let mut arguments = run.map(str::to_owned).to_vec();
    arguments.extend(["--agent".to_owned(), agent, "--trainer".to_owned(), trainer]);
    arguments.extend_from_slice(rest);
    shell::cargo(arguments)
}

/// The process that trains in the home as it ships, on a made history.
pub fn round(rest: &[String]) -> anyhow::Result<()> {
    let package = "hearthwatch-train-round";
    shell::cargo(["build", "--profile", "dist", "--package", package, "--bin", package])?;
    time_round(&target().join("dist").join(package), rest)
}

/// One build of that process, and beside it the one that `rest` may name.
pub fn time_round(program: &Path, rest: &[String]) -> anyhow::Result<()> {
    let program = std::path::absolute(program)?;
    let run = ["run", "--release", "--package", PROGRAM, "--bin", PROGRAM, "--", "round", "--program"];
    let mut arguments = run.map(str::to_owned).to_vec();
    arguments.push(program.display().to_string());
    arguments.extend_from_slice(rest);
    shell::cargo(arguments)
}

/// Builds what is timed with CUDA and packs it with a script that proves and times it.
pub fn gpu_bundle() -> anyhow::Result<()> {
    // Not the profile that ships: what is timed runs on the GPU, and linking 250 crates as one takes ten minutes.
    let build = ["build", "--release", "--package", PROGRAM, "--bin", PROGRAM, "--features", "cuda"];
    shell::run_with(&shell::cargo_path(), build, &[("CUDARC_CUDA_VERSION", CUDA_VERSION)])?;
    let folder = target().join("gpu-bundle");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let copy = |from: &Path, name: &str| {
        std::fs::copy(from, folder.join(name)).map(|_| ()).with_context(|| from.display().to_string())
    };
    copy(&target().join("release").join(PROGRAM), PROGRAM)?;
    copy(Path::new("tests/speed/gpu.sh"), "run.sh")?;
    let archive = target().join("gpu-bundle.tar.xz");
    let status = Command::new("tar")
        .env("XZ_OPT", "-3")
        .args(["--create", "--xz", "--owner=0", "--group=0", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(target())
        .arg("gpu-bundle")
        .status()
        .context("tar")?;
    ensure!(status.success(), "tar ended with {status}");
    let size = std::fs::metadata(&archive)?.len();
    println!(
        "{} ({:.1} MB): unpack it on a machine with an NVIDIA driver and start run.sh",
        archive.display(),
        size as f64 / 1e6
    );
    Ok(())
}

/// A Python with the packages that it is held against.
fn environment() -> anyhow::Result<PathBuf> {
    let folder = shell::root().join(ENVIRONMENT);
    install::python_packages(&folder, "tests/speed/requirements.txt")?;
    Ok(folder.join("bin/python"))
}

pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}
