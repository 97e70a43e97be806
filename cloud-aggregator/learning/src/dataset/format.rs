//! The canonical bytes of a snapshot: the same examples give the same bytes, and so the same id, on any machine.
//!
//! Magic, length-prefixed corpus hash, feature schema, then one row after another. Integers are big-endian, texts and
//! windows are length-prefixed, numbers are binary32 by their bits.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write};
use std::path::Path;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::FEATURE_SCHEMA;
use hearthwatch_protocol::{HomeId, ModelVersion, RecordKey, Sequence};
use sha2::{Digest as _, Sha256};

use super::snapshot::Example;

const MAGIC: &[u8] = b"hearthwatch-dataset-1\n";

/// Why a snapshot's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not a snapshot, or cut short, or damaged.
    #[error("not a snapshot: {0}")]
    Format(&'static str),
    /// Its bytes are not those that its name promises.
    #[error("the bytes hash to {found}")]
    Hash {
        /// What they hash to.
        found: String,
    },
    /// Its file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn text(sink: &mut dyn Write, text: &str) -> io::Result<()> {
    sink.write_all(&(text.len() as u64).to_be_bytes())?;
    sink.write_all(text.as_bytes())
}

/// Writes canonical bytes one example after another, and hashes them on the way.
pub struct Writer<'a> {
    sink: &'a mut dyn Write,
    hasher: Sha256,
    /// One example's bytes.
    buffer: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Begins a snapshot of `count` examples.
    ///
    /// # Errors
    /// The sink's.
    pub fn begin(sink: &'a mut dyn Write, corpus: &str, count: usize) -> io::Result<Self> {
        let mut writer = Self { sink, hasher: Sha256::new(), buffer: MAGIC.to_vec() };
        text(&mut writer.buffer, corpus)?;
        writer.buffer.extend(FEATURE_SCHEMA.to_be_bytes());
        writer.buffer.extend((count as u64).to_be_bytes());
        writer.flush()?;
        Ok(writer)
    }

    /// Writes the next example.
    ///
    /// # Errors
    /// The sink's.
    pub fn add(&mut self, example: &Example) -> io::Result<()> {
        let buffer = &mut self.buffer;
        text(buffer, example.key.home.as_str())?;
        buffer.extend(example.key.sequence.0.to_be_bytes());
        text(buffer, example.class.as_str())?;
        buffer.extend(example.model_version.0.to_be_bytes());
        buffer.push(u8::from(example.anomalous));
        buffer.extend(example.weight.to_bits().to_be_bytes());
        buffer.extend((example.window.len() as u64).to_be_bytes());
        buffer.extend(example.window.iter().flat_map(|value| value.to_bits().to_be_bytes()));
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.sink.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Hex SHA-256 of what was written.
    #[must_use]
    pub fn id(self) -> String {
        hex::encode(self.hasher.finalize())
    }
}

/// The canonical bytes.
#[must_use]
pub fn to_bytes(examples: &[Example], corpus: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    if let Ok(mut writer) = Writer::begin(&mut bytes, corpus, examples.len()) {
        for example in examples {
            let _ = writer.add(example);
        }
    }
    bytes
}

/// Reads canonical bytes back, after holding them against the id that they go by. Returns the corpus hash and the
/// examples.
///
/// # Errors
/// [`SnapshotError`].
pub fn read(bytes: &[u8], id: &str) -> Result<(String, Vec<Example>), SnapshotError> {
    let found = hex::encode(Sha256::digest(bytes));
    if found != id {
        return Err(SnapshotError::Hash { found });
    }
    read_from(bytes)
}

/// The same from a file, of which nothing but the examples is kept. It is read twice: nothing is believed before it was hashed.
///
/// # Errors
/// [`SnapshotError`].
pub fn read_file(path: &Path, id: &str) -> Result<(String, Vec<Example>), SnapshotError> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; HASHED_AT_ONCE];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let found = hex::encode(hasher.finalize());
    if found != id {
        return Err(SnapshotError::Hash { found });
    }
    file.rewind()?;
    read_from(BufReader::with_capacity(HASHED_AT_ONCE, file))
}

/// Bytes of a file that are read at once: eight windows.
const HASHED_AT_ONCE: usize = 64 * 1024;

fn read_from(input: impl Read) -> Result<(String, Vec<Example>), SnapshotError> {
    let mut rest = Reader(input);
    if rest.take(MAGIC.len())? != MAGIC {
        return Err(SnapshotError::Format("magic"));
    }
    let corpus = rest.text()?;
    if u32::from_be_bytes(rest.array()?) != FEATURE_SCHEMA {
        return Err(SnapshotError::Format("another feature schema"));
    }
    let count = u64::from_be_bytes(rest.array()?);
    // Not with_capacity: the count is only believed as far as bytes follow.
    let mut examples = Vec::new();
    for _ in 0..count {
        examples.push(rest.example()?);
    }
    match rest.0.read(&mut [0])? {
        0 => Ok((corpus, examples)),
        _ => Err(SnapshotError::Format("trailing bytes")),
    }
}

struct Reader<R>(R);

impl<R: Read> Reader<R> {
    /// So many bytes; memory grows only as far as there are.
    fn take(&mut self, length: usize) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = Vec::new();
        (&mut self.0).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() == length { Ok(bytes) } else { Err(SnapshotError::Format("cut short")) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        self.take(N)?.try_into().map_err(|_| SnapshotError::Format("cut short"))
    }

    fn length(&mut self) -> Result<usize, SnapshotError> {
        usize::try_from(u64::from_be_bytes(self.array()?)).map_err(|_| SnapshotError::Format("length"))
    }

    fn text(&mut self) -> Result<String, SnapshotError> {
        let length = self.length()?;
        String::from_utf8(self.take(length)?).map_err(|_| SnapshotError::Format("text"))
    }

    fn example(&mut self) -> Result<Example, SnapshotError> {
        let home = HomeId::new(self.text()?).map_err(|_| SnapshotError::Format("home"))?;
        let sequence = Sequence(u64::from_be_bytes(self.array()?));
        let class = DeviceClass::parse(&self.text()?).ok_or(SnapshotError::Format("class"))?;
        let model_version = ModelVersion(u64::from_be_bytes(self.array()?));
        let anomalous = self.array::<1>()? == [1];
        let weight = f32::from_bits(u32::from_be_bytes(self.array()?));
        let length = self.length()?.checked_mul(4).ok_or(SnapshotError::Format("length"))?;
        let bytes = self.take(length)?;
        let (chunks, _) = bytes.as_chunks::<4>();
        let window = chunks.iter().map(|chunk| f32::from_bits(u32::from_be_bytes(*chunk))).collect();
        Ok(Example { key: RecordKey { home, sequence }, class, model_version, anomalous, weight, window })
    }
}
