//! Every table of the pages on detection, feedback and training, one bench after another.

use std::time::Instant;

use anyhow::{Result, bail};

/// Bench and arguments, as the pages name them: detection on every set, the network trained in folds, on/off entities,
/// answers at once and later, speed.
const TABLES: [(&str, &str); 15] = [
    ("detection", "--set bundled --seeds 3"),
    ("detection", "--set london --seeds 3"),
    ("detection", "--set belgium --seeds 3"),
    ("detection", "--set water --seeds 3"),
    ("detection", "--set power --seeds 3"),
    ("detection", "--set rooms --seeds 3"),
    ("detection", "--set labelled --seeds 3"),
    ("detection", "--set london --seeds 3 --trained 3 --without-rivals --out target/bench/fold-l"),
    ("network", "--fold b --seeds 3 --save target/bench/fold-b"),
    (
        "detection",
        "--set belgium --seeds 3 --without-rivals --out target/bench/fold-b --weights \
         fold-B=target/bench/fold-b/b-0-1.safetensors,target/bench/fold-b/b-0-2.safetensors,\
         target/bench/fold-b/b-0-3.safetensors",
    ),
    ("binary", ""),
    ("verdicts", "--seeds 3"),
    ("feedback", "--seeds 2 --homes 12 --windows 4096"),
    ("edge", ""),
    ("train", ""),
];

/// Runs all of them, each although another failed, and names those that did.
pub fn print_all(bench: impl Fn(&str, &[String]) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for (place, (name, arguments)) in TABLES.iter().enumerate() {
        println!("\n=== {} of {}: cargo xtask bench {name} {arguments}", place + 1, TABLES.len());
        let begin = Instant::now();
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        if let Err(error) = bench(name, &arguments) {
            println!("=== {name} FAILED: {error:#}");
            failed.push(format!("{name} {}", arguments.join(" ")));
        }
        println!("=== {:.1} minutes", begin.elapsed().as_secs_f64() / 60.0);
    }
    if failed.is_empty() { Ok(()) } else { bail!("not printed: {}", failed.join("; ")) }
}
