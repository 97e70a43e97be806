//! Where recorded rows come from, whatever the file is: a CSV or a recorder database, plain or gzipped.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tempfile::NamedTempFile;

use super::error::{ReplayError, RowFault};
use super::events_csv::EventsCsv;
use super::moment::Moment;
use super::recorder_db::RecorderDb;

/// First bytes of a gzip file.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// First bytes of an SQLite database.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// Largest database that is unpacked into the temporary folder: ten years of a busy recorder at 1.5 GB a year, and a
/// stop for a file that unpacks without end.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;

/// One recorded state of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow<'a> {
    /// When it was recorded.
    pub at: Moment,
    /// Home Assistant's id.
    pub entity_id: &'a str,
    /// Home Assistant's device class; empty when it has none.
    pub device_class: &'a str,
    /// Unit of measurement; empty when it has none.
    pub unit: &'a str,
    /// The state, as text.
    pub state: &'a str,
    /// Line in the file (CSV) or number of the row (database).
    pub line: u64,
}

/// What a reader hands on: a row, or a row that cannot be read.
pub type Row<'a> = Result<EventRow<'a>, RowFault>;

/// Recorded rows, as often as they are asked for.
#[derive(Debug)]
pub enum Source {
    /// A long CSV file.
    Csv(EventsCsv),
    /// A Home Assistant recorder database.
    Recorder(RecorderDb),
}

impl Source {
    /// Looks at the first bytes of `path` and opens what it is.
    ///
    /// # Errors
    /// [`ReplayError`] when it cannot be read or is a database without states.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let mut file = File::open(path).map_err(ReplayError::read(path))?;
        let head = first_bytes(&mut file).map_err(ReplayError::read(path))?;
        if head.starts_with(SQLITE_MAGIC) {
            return RecorderDb::open(path, None).map(Self::Recorder);
        }
        if head.starts_with(GZIP_MAGIC) {
            file.seek(SeekFrom::Start(0)).map_err(ReplayError::read(path))?;
            let mut unpacked = MultiGzDecoder::new(file);
            let head = first_bytes(&mut unpacked).map_err(ReplayError::read(path))?;
            if head.starts_with(SQLITE_MAGIC) {
                let copy = unpack(path, head.chain(unpacked))?;
                return RecorderDb::open(path, Some(copy)).map(Self::Recorder);
            }
            return Ok(Self::Csv(EventsCsv::new(path, true)));
        }
        Ok(Self::Csv(EventsCsv::new(path, false)))
    }

    /// Hands every row to `each`, in the order of the source.
    ///
    /// # Errors
    /// What `each` returns, or a [`ReplayError`] of the file itself.
    pub fn read(&self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        match self {
            Self::Csv(csv) => csv.read(each),
            Self::Recorder(database) => database.read(each),
        }
    }

    /// The file, as the user named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Csv(csv) => csv.path(),
            Self::Recorder(database) => database.path(),
        }
    }

    /// Whether a state that is no value of its class is the user's fault (a CSV) or an everyday thing (a recorder keeps
    /// whatever an integration says, and text from a thermometer is then a gap).
    #[must_use]
    pub fn strict(&self) -> bool {
        matches!(self, Self::Csv(_))
    }
}

/// Up to the length of the longest magic; fewer when the file is shorter.
fn first_bytes(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(SQLITE_MAGIC.len());
    input.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Writes a gzipped database into a temporary file, for SQLite reads files only. It is deleted when dropped.
fn unpack(path: &Path, input: impl Read) -> Result<NamedTempFile, ReplayError> {
    let mut copy = NamedTempFile::with_suffix(".db").map_err(ReplayError::write(&std::env::temp_dir()))?;
    let mut input = input.take(UNPACKED_BYTES_MAX + 1);
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        let count = input.read(&mut buffer).map_err(ReplayError::read(path))?;
        if count == 0 {
            break;
        }
        total += count as u64;
        copy.write_all(&buffer[..count]).map_err(ReplayError::write(copy.path()))?;
    }
    if total > UNPACKED_BYTES_MAX {
        return Err(ReplayError::TooLarge {
            path: PathBuf::from(path),
            what: format!("unpacks to more than {} GiB; unpack it yourself and give the .db", UNPACKED_BYTES_MAX >> 30),
        });
    }
    copy.flush().map_err(ReplayError::write(copy.path()))?;
    Ok(copy)
}
