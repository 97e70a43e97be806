//! The spell checker over every page and source file: typos, installed from a pinned version where it can be had.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::install;

/// Kept between runs.
const VENV: &str = "target/tidy";
const REQUIREMENTS: &str = "tests/xtask/requirements.txt";
/// Words that are right here, whatever a dictionary says.
const WORDS: &str = ".typos.toml";

/// Notes every misspelt word. Where the checker cannot be had this is printed loudly; where `CI=true` it is a failure.
pub fn check(root: &Path, files: &[PathBuf], breaches: &mut Vec<String>) -> anyhow::Result<()> {
    let folder = root.join(VENV);
    if !install::python_packages_or_say(&folder, REQUIREMENTS, "the spelling of pages and sources")? {
        return Ok(());
    }
    let program = folder.join("bin/typos");
    let output = Command::new(&program)
        .args(["--config", WORDS, "--format", "brief", "--color", "never"])
        .args(files.iter().filter(|file| is_read(file)))
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    breaches.extend(said.lines().filter(|line| !line.is_empty()).map(|line| format!("{line} (or add it to {WORDS})")));
    if !output.status.success() && said.trim().is_empty() {
        bail!("the spell checker failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Pages, those of earlier days too, and sources.
fn is_read(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md" || extension == "rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_sources_are_read_and_nothing_else() {
        assert!(is_read(Path::new("docs/operator.md")) && is_read(Path::new("src/main.rs")));
        assert!(!is_read(Path::new("Cargo.lock")) && !is_read(Path::new("LICENSE")));
    }
}
