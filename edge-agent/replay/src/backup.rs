//! Home Assistant's backups: a tar archive that holds another, which holds the recorder's database.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

use super::error::ReplayError;

/// Largest database that is unpacked into the temporary folder: ten years of a busy recorder at 1.5 GB a year, and a
/// stop for a file that unpacks without end.
pub const UNPACKED_BYTES_MAX: u64 = 16 << 30;
/// Size of a tar block, bytes.
pub const BLOCK: usize = 512;
/// Entries of one archive; a large configuration folder has 20,000 files.
const ENTRIES_MAX: usize = 1_000_000;
/// Largest `backup.json` that is read, bytes.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// Archives within archives: a backup, and the configuration in it.
const DEPTH_MAX: usize = 2;
/// First bytes of a gzip file.
pub const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

const DATABASE: &str = "home-assistant_v2.db";
const JOURNAL: &str = "home-assistant_v2.db-wal";
/// What SQLite puts behind a database's name for the file of what is not written into it yet.
pub const JOURNAL_SUFFIXES: [&str; 2] = ["-wal", "-journal"];
const INNER: [&str; 2] = ["homeassistant.tar.gz", "homeassistant.tar"];

/// A database in a temporary folder that is deleted with this value.
#[derive(Debug)]
pub struct Unpacked {
    folder: TempDir,
}

impl Unpacked {
    /// An empty folder.
    ///
    /// # Errors
    /// [`ReplayError::Write`].
    pub fn new() -> Result<Self, ReplayError> {
        let folder = TempDir::with_prefix("hearthwatch-replay-").map_err(ReplayError::write(&std::env::temp_dir()))?;
        Ok(Self { folder })
    }

    /// Path of the unpacked database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.path().join(DATABASE)
    }

    /// Copies `input`, which comes from `path`, into the folder, as the database with `suffix` behind its name.
    ///
    /// # Errors
    /// A failed read or write, or [`ReplayError::TooLarge`].
    pub fn fill(&self, path: &Path, input: impl Read, suffix: &str) -> Result<(), ReplayError> {
        let name = self.folder.path().join(format!("{DATABASE}{suffix}"));
        let mut copy = File::create(&name).map_err(ReplayError::write(&name))?;
        let mut input = input.take(UNPACKED_BYTES_MAX + 1);
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0;
        loop {
            let count = match input.read(&mut buffer) {
                // An archive that breaks off: what stands before the break is a database that was cut short.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && total > 0 => 0,
                read => read.map_err(ReplayError::read(path))?,
            };
            if count == 0 {
                break;
            }
            total += count as u64;
            copy.write_all(&buffer[..count]).map_err(ReplayError::write(&name))?;
        }
        if total > UNPACKED_BYTES_MAX {
            return Err(ReplayError::TooLarge {
                path: PathBuf::from(path),
                what: format!(
                    "unpacks to more than {} GiB; unpack it yourself and give the .db",
                    UNPACKED_BYTES_MAX >> 30
                ),
            });
        }
        Ok(())
    }
}

/// Whether the first block of a file is that of a tar archive.
#[must_use]
pub fn is_tar(block: &[u8]) -> bool {
    let Ok(block) = <&[u8; BLOCK]>::try_from(block) else { return false };
    let header = tar::Header::from_byte_slice(block);
    let mut summed = header.clone();
    summed.set_cksum();
    // An empty block ends an archive, and has no name.
    block[0] != 0 && matches!((header.cksum(), summed.cksum()), (Ok(said), Ok(is)) if said == is)
}

/// Unpacks the database of the backup `input`, which comes from `path`.
///
/// # Errors
/// [`ReplayError::Format`] when there is no database in it or it is encrypted; a failed read or write.
pub fn unpack(path: &Path, input: &mut dyn Read) -> Result<Unpacked, ReplayError> {
    let mut search = Search { path, found: Unpacked::new()?, database: false, journal: false, encrypted: false };
    let end = search.archive(input, 0);
    // A torn archive is no loss when what is wanted stands before the tear.
    if !search.database {
        end?;
    }
    let what = match (search.database, search.encrypted) {
        (true, _) => return Ok(search.found),
        (false, true) => {
            "is an encrypted backup, which cannot be read; make one without encryption (Settings > System > Backups: turn \
             encryption off for the place it is kept at, or choose to download it decrypted), or give home-assistant_v2.db \
             from the configuration folder"
        }
        (false, false) => {
            "is an archive without home-assistant_v2.db; make a backup with Home Assistant's settings and history in it, or \
             give home-assistant_v2.db from the configuration folder"
        }
    };
    Err(ReplayError::Format { path: path.to_owned(), what: what.into() })
}

struct Search<'p> {
    path: &'p Path,
    found: Unpacked,
    database: bool,
    journal: bool,
    encrypted: bool,
}

impl Search<'_> {
    fn archive(&mut self, input: &mut dyn Read, depth: usize) -> Result<(), ReplayError> {
        let mut archive = tar::Archive::new(input);
        for entry in archive.entries().map_err(|_| self.damaged())?.take(ENTRIES_MAX) {
            let mut entry = entry.map_err(|_| self.damaged())?;
            let path = entry.path().map_err(|_| self.damaged())?.into_owned();
            if entry.header().entry_type().is_file()
                && let Some(name) = path.file_name().and_then(|name| name.to_str())
            {
                self.file(name, &mut entry, depth)?;
            }
            if self.database && self.journal {
                break;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, body: &mut dyn Read, depth: usize) -> Result<(), ReplayError> {
        if name == DATABASE && !self.database {
            self.found.fill(self.path, body, "")?;
            self.database = true;
        } else if name == JOURNAL && !self.journal {
            self.found.fill(self.path, body, JOURNAL_SUFFIXES[0])?;
            self.journal = true;
        } else if name == "backup.json" && depth == 0 {
            #[derive(serde::Deserialize)]
            struct About {
                #[serde(default)]
                protected: bool,
            }
            let about = serde_json::from_reader::<_, About>(body.take(SMALL_BYTES_MAX));
            self.encrypted |= about.is_ok_and(|about| about.protected);
        } else if INNER.contains(&name) && depth + 1 < DEPTH_MAX {
            let (head, mut rest) = with_head(body).map_err(ReplayError::read(self.path))?;
            if head.starts_with(GZIP_MAGIC) {
                return self.archive(&mut BufReader::new(MultiGzDecoder::new(rest)), depth + 1);
            }
            if is_tar(&head) {
                return self.archive(&mut rest, depth + 1);
            }
            // Neither: that is what encryption leaves.
            self.encrypted = true;
        }
        Ok(())
    }

    fn damaged(&self) -> ReplayError {
        let what = "is a tar archive that is cut short or damaged; download the backup again".to_owned();
        ReplayError::Format { path: self.path.to_owned(), what }
    }
}

/// An input whose beginning was looked at.
pub type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first block of `input` (less where it is shorter), and all of it.
///
/// # Errors
/// A failed read.
pub fn with_head<R: Read>(mut input: R) -> io::Result<(Vec<u8>, Whole<R>)> {
    let mut head = Vec::with_capacity(BLOCK);
    (&mut input).take(BLOCK as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(input)))
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
