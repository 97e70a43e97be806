//! Suites that attack: chaos, fuzzing, a second judge of signed metadata.

use std::path::PathBuf;

use crate::{install, shell};

/// Decoders that are fuzzed; `tests/fuzz/corpus` has a folder for each.
const FUZZED: [&str; 9] =
    ["envelope", "body", "signed", "round-body", "artifact", "home-assistant", "command", "admin", "recorder"];

/// Seconds for each decoder in the short run: 9 × 20 = three minutes.
pub const FUZZ_SECONDS: u32 = 20;
/// Seconds for each decoder in the long run.
pub const FUZZ_SECONDS_FULL: u32 = 600;
/// Longest that a decoder may take over one input before it counts as hanging.
const FUZZ_HANG_SECONDS: u32 = 10;
/// Memory that a decoder may take, MiB: libFuzzer's own tables are most of it.
const FUZZ_MEMORY_MIB: u32 = 1024;

/// How long chaos goes on.
#[derive(Clone, Copy)]
pub struct Chaos {
    /// Rounds of it, half of them on each broker.
    pub rounds: u32,
    /// Faults in federated rounds.
    pub federated: u32,
}

/// In CI: each fault three times; in federated rounds, which take half a minute, twice.
pub const CHAOS: Chaos = Chaos { rounds: 50, federated: 6 };
/// The long run.
pub const CHAOS_FULL: Chaos = Chaos { rounds: 1000, federated: 60 };

/// Builds every program, then strikes them.
pub fn chaos(rest: &[String]) -> anyhow::Result<()> {
    shell::cargo(["build", "--release", "--locked", "--workspace", "--bins"])?;
    // The very program that was built: cargo, asked for one package, would choose other features and compile half of it anew.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), PathBuf::from);
    shell::run(&target.join("release/hearthwatch-chaos").to_string_lossy(), rest)
}

/// Our client and python-tuf over the same attacks.
pub fn attacks() -> anyhow::Result<()> {
    shell::cargo(["test", "--release", "--locked", "--workspace", "--test", "attacks"])?;
    let python = python_tuf()?;
    shell::run(&python.to_string_lossy(), ["tests/attacks/judge.py"])
}

/// A Python with python-tuf.
fn python_tuf() -> anyhow::Result<PathBuf> {
    let folder = shell::root().join("target/python-tuf");
    install::python_packages(&folder, "tests/attacks/requirements.txt")?;
    Ok(folder.join("bin/python"))
}

/// libFuzzer over every decoder for so many seconds each, on the stable compiler: only our own crates are instrumented, so that
/// nothing else is compiled anew.
pub fn fuzz(seconds: u32) -> anyhow::Result<()> {
    let root = shell::root();
    let wrapper = root.join("tests/fuzz/covered.sh");
    let build = [
        "build",
        "--release",
        "--locked",
        "--workspace",
        "--bin",
        "hearthwatch-fuzz",
        "--features",
        "hearthwatch-fuzz/libfuzzer",
    ];
    shell::run_with(&shell::cargo_path(), build, &[("RUSTC_WORKSPACE_WRAPPER", &wrapper.to_string_lossy())])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = target.join("release/hearthwatch-fuzz");
    for name in FUZZED {
        println!("--- {name}, {seconds} s");
        let scratch = target.join("fuzz").join(name);
        std::fs::create_dir_all(&scratch)?;
        let artifacts = format!("-artifact_prefix={}/", scratch.display());
        let mut arguments = vec![
            format!("-max_total_time={seconds}"),
            format!("-timeout={FUZZ_HANG_SECONDS}"),
            format!("-rss_limit_mb={FUZZ_MEMORY_MIB}"),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
            artifacts,
            // New inputs go here; the corpus in the tree is only read.
            scratch.to_string_lossy().into_owned(),
            root.join("tests/fuzz/corpus").join(name).to_string_lossy().into_owned(),
        ];
        if name == "artifact" {
            arguments.push(root.join("model/shipped").to_string_lossy().into_owned());
        }
        shell::run_with(&program.to_string_lossy(), arguments, &[("HEARTHWATCH_FUZZ", name)])?;
    }
    println!("{} passed, 0 failed", FUZZED.len());
    Ok(())
}
