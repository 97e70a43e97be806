//! Holds the committed vectors against the published programs that they came from, where those can be had.

use std::path::Path;

use anyhow::bail;

use crate::{install, shell};

const FOLDER: &str = "model/evaluation/references";
/// Kept between runs: a first installation takes a minute or two.
const VENV: &str = "target/references";

/// Checks every reference anew. Without Python or its packages this is said loudly; where `CI=true` it is a failure.
pub fn check() -> anyhow::Result<()> {
    let root = shell::root();
    if let Err(error) = install(&root) {
        if std::env::var("CI").is_ok_and(|value| value == "true") {
            bail!("the published programs could not be installed: {error:#}");
        }
        println!("=== NOT CHECKED against published programs, since they could not be installed: {error:#}");
        println!("=== the committed vectors in {FOLDER} were checked by the unit suite alone");
        return Ok(());
    }
    let python = root.join(VENV).join("bin/python").display().to_string();
    shell::run(&python, [format!("{FOLDER}/reference.py"), "check".to_owned()])
}

fn install(root: &Path) -> anyhow::Result<()> {
    install::python_packages(&root.join(VENV), &format!("{FOLDER}/requirements.txt"))
}
