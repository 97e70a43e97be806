//! Recorded sets on disk: one folder for each set, files plain, gzipped or zipped as their publishers left them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use hearthwatch_evaluation::dataset::{DataSet, RecordedHome, SourceFile};
use zip::ZipArchive;

/// Largest file of a recorded set, decompressed: the largest published one has 60 MB.
pub const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most members of an archive: the published ones have one each.
pub const ARCHIVE_MEMBERS_MAX: usize = 64;

/// Why a set could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file, or the folder that could not be listed.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file is larger than any recording.
    #[error("{path} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// An archive does not open, or holds more than a publisher's does.
    #[error("{path}: {cause}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A set is not what its parser expects.
    #[error("set {set}: {cause}")]
    Set {
        /// Its name in the table of sets.
        set: &'static str,
        /// The parser's words.
        cause: String,
    },
}

/// The homes of `set` below `directory`, sorted by name; none if its folder is not there.
///
/// # Errors
/// [`RecordingsError`], with the file or the set at fault.
pub fn read_set(directory: &Path, set: &'static DataSet) -> Result<Vec<RecordedHome>, RecordingsError> {
    let folder = directory.join(set.name);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let files = files(set, &folder)?;
    set.parse(&files).map_err(|error| RecordingsError::Set { set: set.name, cause: error.to_string() })
}

/// The files that the set's parser wants, by name. A wanted `a.csv` may lie there as `a.csv`, `a.csv.gz`, or in `a.zip`.
fn files(set: &DataSet, folder: &Path) -> Result<Vec<SourceFile>, RecordingsError> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let io = |source| RecordingsError::Io { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            // One level is as deep as any set goes; links are not followed.
            let kind = entry.file_type().map_err(io)?;
            if kind.is_dir() && prefix.is_empty() {
                folders.push((entry.path(), format!("{name}/")));
            } else if kind.is_file() && has_extension(&entry.path(), "zip") {
                members(set, &entry.path(), &prefix, &mut found)?;
            } else if kind.is_file() {
                let wanted = name.strip_suffix(".gz").unwrap_or(&name);
                if set.wants(wanted) {
                    found.push(SourceFile { name: wanted.to_owned(), bytes: contents(&entry.path())? });
                }
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    // Unpacked beside its archive, a file counts once.
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

/// Adds the wanted members of the archive at `path`, as if they lay in its place.
fn members(set: &DataSet, path: &Path, prefix: &str, found: &mut Vec<SourceFile>) -> Result<(), RecordingsError> {
    let fault = |cause: String| RecordingsError::Archive { path: path.to_owned(), cause };
    let file = File::open(path).map_err(|source| RecordingsError::Io { path: path.to_owned(), source })?;
    let mut archive = ZipArchive::new(file).map_err(|error| fault(error.to_string()))?;
    if archive.len() > ARCHIVE_MEMBERS_MAX {
        return Err(fault(format!("holds {} files, more than {ARCHIVE_MEMBERS_MAX}", archive.len())));
    }
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| fault(error.to_string()))?;
        let name = format!("{prefix}{}", member.name().map_err(|error| fault(error.to_string()))?);
        if member.is_file() && set.wants(&name) {
            found.push(SourceFile { name, bytes: bounded(path, member)? });
        }
    }
    Ok(())
}

fn contents(path: &Path) -> Result<Vec<u8>, RecordingsError> {
    let file = File::open(path).map_err(|source| RecordingsError::Io { path: path.to_owned(), source })?;
    if has_extension(path, "gz") { bounded(path, GzDecoder::new(file)) } else { bounded(path, file) }
}

fn bounded(path: &Path, reader: impl Read) -> Result<Vec<u8>, RecordingsError> {
    let mut bytes = Vec::new();
    let read = reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|source| RecordingsError::Io { path: path.to_owned(), source })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(RecordingsError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hearthwatch_evaluation::dataset::DATA_SETS;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn set_of_homes() -> &'static DataSet {
        DATA_SETS.iter().find(|set| set.files.iter().any(|file| file.starts_with("homes/"))).unwrap()
    }

    #[test]
    fn files_are_found_one_level_down_gzipped_zipped_or_plain_and_others_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let homes = directory.path().join("homes");
        std::fs::create_dir(&homes).unwrap();
        std::fs::write(homes.join("b.csv"), "plain").unwrap();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"packed").unwrap();
        std::fs::write(homes.join("a.csv.gz"), encoder.finish().unwrap()).unwrap();
        let mut archive = ZipWriter::new(File::create(homes.join("c.zip")).unwrap());
        for (name, text) in [("c.csv", "zipped"), ("b.csv", "plain"), ("notes.txt", "words")] {
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        std::fs::write(directory.path().join("LINEAGE.md"), "words").unwrap();
        let found = files(set_of_homes(), directory.path()).unwrap();
        let found: Vec<_> = found.iter().map(|file| (file.name.as_str(), file.bytes.as_slice())).collect();
        let expected = [("homes/a.csv", b"packed".as_slice()), ("homes/b.csv", b"plain"), ("homes/c.csv", b"zipped")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_broken_archive_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let homes = directory.path().join("homes");
        std::fs::create_dir(&homes).unwrap();
        std::fs::write(homes.join("c.zip"), "no archive").unwrap();
        let words = files(set_of_homes(), directory.path()).unwrap_err().to_string();
        assert!(words.starts_with(&format!("{}: ", homes.join("c.zip").display())), "{words}");
    }
}
