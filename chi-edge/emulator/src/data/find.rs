//! Looking for recordings, in an order that the newcomer can override.

use std::path::{Path, PathBuf};

use hearthwatch_learning::training::recordings::RecordingsError;

/// Environment variable that names a folder of recordings.
pub const VARIABLE: &str = "HEARTHWATCH_DATA";

/// Where recordings were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The small sets that this binary carries.
    Bundled,
    /// A folder with one sub-folder for each set.
    Folder(PathBuf),
}

/// Why there is nothing to replay.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder asked for holds none of the known sets.
    #[error(
        "no recordings in {0}: it has none of the known sets' folders ({1}). \
         `hearthwatch-emulator data fetch --out {0}` downloads them; leave --data away to use the bundled ones"
    )]
    Empty(String, String),
    /// A set that was found cannot be read.
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
    /// A set that this program carries cannot be read.
    #[error("bundled set {set}: {cause}")]
    Bundled {
        /// Its name in the table of sets.
        set: String,
        /// The parser's words.
        cause: String,
    },
}

/// Chooses the source: `asked` for by flag, else the environment, else the folder that may lie beside the checkout, else the
/// bundled sets. Only a folder that was named must have something in it.
///
/// # Errors
/// [`DataError::Empty`] when a named folder holds none of `sets`.
pub fn find(asked: Option<&Path>, sets: &[&str]) -> Result<Source, DataError> {
    let variable = std::env::var_os(VARIABLE).map(PathBuf::from);
    if let Some(folder) = asked.map(Path::to_owned).or(variable) {
        return if holds_any(&folder, sets) {
            Ok(Source::Folder(folder))
        } else {
            Err(DataError::Empty(folder.display().to_string(), sets.join(", ")))
        };
    }
    let beside = Path::new("../shared/data");
    Ok(if holds_any(beside, sets) { Source::Folder(beside.to_owned()) } else { Source::Bundled })
}

fn holds_any(folder: &Path, sets: &[&str]) -> bool {
    sets.iter().any(|set| folder.join(set).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_folder_without_recordings_says_where_it_looked_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(Some(folder.path()), &["citylearn_2022_homes"]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("no recordings in {}", folder.path().display())), "{error}");
        assert!(error.ends_with("leave --data away to use the bundled ones"), "{error}");
    }

    #[test]
    fn a_named_folder_with_one_known_set_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("river_water_flow")).unwrap();
        assert_eq!(find(Some(folder.path()), &["river_water_flow"]).unwrap(), Source::Folder(folder.path().to_owned()));
    }
}
