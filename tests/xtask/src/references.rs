//! Holds the committed vectors against the published programs that they came from, where those can be had.

use crate::{install, shell};

const FOLDER: &str = "model/evaluation/references";
/// Kept between runs: a first installation takes a minute or two.
const VENV: &str = "target/references";

/// Checks every reference anew. Without Python or its packages this is said loudly; where `CI=true` it is a failure.
pub fn check() -> anyhow::Result<()> {
    let root = shell::root();
    let (requirements, without) = (
        format!("{FOLDER}/requirements.txt"),
        format!("the committed vectors in {FOLDER} were checked by the unit suite alone"),
    );
    if !install::python_packages_or_say(&root.join(VENV), &requirements, &without)? {
        return Ok(());
    }
    let python = root.join(VENV).join("bin/python").display().to_string();
    shell::run(&python, [format!("{FOLDER}/reference.py"), "check".to_owned()])
}
