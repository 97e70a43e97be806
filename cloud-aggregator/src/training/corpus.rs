//! The recorded sets that networks are trained and judged on: found in a directory, or given as values.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use hearthwatch_model::dataset::{DATA_SETS, DataSet, RecordedHome, SourceFile};
use hearthwatch_model::train::Corpus;
use sha2::{Digest as _, Sha256};

/// Largest file of a recorded set, decompressed: the largest published one has 60 MB.
pub const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why there is nothing to train on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// No `[training] corpus` was configured.
    #[error("no recorded sets are configured: set [training] corpus to a directory that holds some")]
    NotConfigured,
    /// The directory holds none of the sets.
    #[error(
        "{path} holds none of the sets whose weights may ship ({sets}); `hearthwatch-emulator data list --data {path}` says what is looked for"
    )]
    Empty {
        /// Where it looked.
        path: String,
        /// For which folders.
        sets: String,
    },
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any recording.
    #[error("{path} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// A set is not what its parser expects.
    #[error("set {set}: {cause}")]
    Set {
        /// Which.
        set: &'static str,
        /// The parser's words.
        cause: String,
    },
}

/// Reads every set below `directory` whose weights may ship, one folder for each set, files plain or gzipped.
/// Homes come in the order of the table of sets, then by name.
///
/// # Errors
/// [`CorpusError`].
pub fn read(directory: &Path) -> Result<Vec<RecordedHome>, CorpusError> {
    let mut homes = Vec::new();
    for set in shippable() {
        let folder = directory.join(set.name);
        if !folder.is_dir() {
            continue;
        }
        let files = files(set, &folder)?;
        let parsed = set.parse(&files).map_err(|error| CorpusError::Set { set: set.name, cause: error.to_string() })?;
        homes.extend(parsed);
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

/// The files that the set's parser wants, by name.
fn files(set: &DataSet, folder: &Path) -> Result<Vec<SourceFile>, CorpusError> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let io = |source| CorpusError::Io { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            // One level is as deep as any set goes; links are not followed.
            let kind = entry.file_type().map_err(io)?;
            if kind.is_dir() && prefix.is_empty() {
                folders.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() {
                let wanted = name.strip_suffix(".gz").unwrap_or(&name);
                if set.wants(wanted) {
                    found.push(SourceFile { name: wanted.to_owned(), bytes: contents(&entry.path())? });
                }
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn contents(path: &Path) -> Result<Vec<u8>, CorpusError> {
    let io = |source| CorpusError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX + 1;
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).take(limit).read_to_end(&mut bytes).map_err(io)?;
    } else {
        file.take(limit).read_to_end(&mut bytes).map_err(io)?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(CorpusError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
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
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn an_empty_directory_says_where_it_looked_and_what_fetches_the_sets() {
        let directory = tempfile::tempdir().unwrap();
        let words = read(directory.path()).unwrap_err().to_string();
        let path = directory.path().display();
        assert!(words.contains(&format!("{path} holds none of the sets")), "{words}");
        assert!(words.contains(&format!("`hearthwatch-emulator data list --data {path}`")), "{words}");
    }

    #[test]
    fn files_are_found_one_level_down_gzipped_or_not_and_others_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let set = DATA_SETS.iter().find(|set| set.files.iter().any(|file| file.starts_with("homes/"))).unwrap();
        let homes = directory.path().join("homes");
        std::fs::create_dir(&homes).unwrap();
        std::fs::write(homes.join("b.csv"), "plain").unwrap();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"packed").unwrap();
        std::fs::write(homes.join("a.csv.gz"), encoder.finish().unwrap()).unwrap();
        std::fs::write(directory.path().join("LINEAGE.md"), "words").unwrap();
        let found = files(set, directory.path()).unwrap();
        let found: Vec<_> = found.iter().map(|file| (file.name.as_str(), file.bytes.as_slice())).collect();
        assert_eq!(found, [("homes/a.csv", b"packed".as_slice()), ("homes/b.csv", b"plain")]);
    }
}
