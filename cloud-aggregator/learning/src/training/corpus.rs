//! The recorded sets that networks are trained and judged on: found in a directory, or given as values.

use std::path::Path;

use hearthwatch_evaluation::dataset::{DATA_SETS, DataSet, RecordedHome};
use hearthwatch_training::Corpus;
use sha2::{Digest as _, Sha256};

use super::recordings::{self, RecordingsError};

/// Why there is nothing to train on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// No `[training] corpus` was configured.
    #[error("no recorded sets are configured: set [training] corpus to a directory that holds some")]
    NotConfigured,
    /// The directory holds none of the sets.
    #[error(
        "{path} holds none of the sets whose weights may ship ({sets}); `hearthwatch-emulator data fetch --out {path}` downloads them"
    )]
    Empty {
        /// Where it looked.
        path: String,
        /// For which folders.
        sets: String,
    },
    /// A set cannot be read.
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
}

/// Reads every set below `directory` whose weights may ship, one folder for each set.
/// Homes come in the order of the table of sets, then by name.
///
/// # Errors
/// [`CorpusError`].
pub fn read(directory: &Path) -> Result<Vec<RecordedHome>, CorpusError> {
    let mut homes = Vec::new();
    for set in shippable() {
        homes.extend(recordings::read_set(directory, set)?);
    }
    if homes.is_empty() {
        let sets = shippable().map(|set| set.name).collect::<Vec<_>>().join(", ");
        return Err(CorpusError::Empty { path: directory.display().to_string(), sets });
    }
    Ok(homes)
}

fn shippable() -> impl Iterator<Item = &'static DataSet> {
    DATA_SETS.iter().filter(|set| set.usage.may_ship())
}

/// Hex SHA-256 over names, contents and roles of all homes: what a snapshot's lineage calls the corpus.
#[must_use]
pub fn hash(corpus: &Corpus) -> String {
    let mut hasher = Sha256::new();
    for (role, homes) in [("train", &corpus.train), ("calibrate", &corpus.calibrate), ("test", &corpus.test)] {
        for home in homes {
            for part in [role, &home.full_name(), &home.timezone, &home.content_hash()] {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part.as_bytes());
            }
        }
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_says_where_it_looked_and_what_fetches_the_sets() {
        let directory = tempfile::tempdir().unwrap();
        let words = read(directory.path()).unwrap_err().to_string();
        let path = directory.path().display();
        assert!(words.contains(&format!("{path} holds none of the sets")), "{words}");
        assert!(words.contains(&format!("`hearthwatch-emulator data fetch --out {path}`")), "{words}");
    }
}
