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

/// Notes every misspelt word. Where the checker cannot be had this is said loudly; where `CI=true` it is a failure.
pub fn check(root: &Path, files: &[PathBuf], breaches: &mut Vec<String>) -> anyhow::Result<()> {
    let program = match program(root) {
        Ok(program) => program,
        Err(error) if std::env::var("CI").is_ok_and(|value| value == "true") => {
            bail!("the spell checker could not be installed: {error:#}")
        }
        Err(error) => {
            println!("=== NOT CHECKED for spelling, since the spell checker could not be installed: {error:#}");
            return Ok(());
        }
    };
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

/// The pinned checker below the target directory, installed at the first call.
fn program(root: &Path) -> anyhow::Result<PathBuf> {
    let venv = root.join(VENV);
    let program = venv.join("bin/typos");
    let wanted = std::fs::read_to_string(root.join(REQUIREMENTS)).context(REQUIREMENTS)?;
    // A copy of the list beside the program says which version was installed.
    let installed = venv.join("requirements.txt");
    if program.is_file() && std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(program);
    }
    install::python_packages(&venv, REQUIREMENTS)?;
    std::fs::write(&installed, wanted).with_context(|| installed.display().to_string())?;
    Ok(program)
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
