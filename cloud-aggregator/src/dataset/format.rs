//! The canonical bytes of a snapshot: the same examples give the same bytes, and so the same id, on any machine.
//!
//! Magic, length-prefixed corpus hash, feature schema, then one row after another. Integers are big-endian, texts and
//! windows are length-prefixed, numbers are binary32 by their bits.

use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::grid::FEATURE_SCHEMA;
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
}

/// Where canonical bytes go: a buffer or a hash.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

fn text(sink: &mut impl Sink, text: &str) {
    sink.put(&(text.len() as u64).to_be_bytes());
    sink.put(text.as_bytes());
}

fn write(sink: &mut impl Sink, examples: &[Example], corpus: &str) {
    sink.put(MAGIC);
    text(sink, corpus);
    sink.put(&FEATURE_SCHEMA.to_be_bytes());
    sink.put(&(examples.len() as u64).to_be_bytes());
    for example in examples {
        text(sink, example.key.home.as_str());
        sink.put(&example.key.sequence.0.to_be_bytes());
        text(sink, example.class.as_str());
        sink.put(&example.model_version.0.to_be_bytes());
        sink.put(&[u8::from(example.anomalous)]);
        sink.put(&example.weight.to_bits().to_be_bytes());
        sink.put(&(example.window.len() as u64).to_be_bytes());
        for value in &example.window {
            sink.put(&value.to_bits().to_be_bytes());
        }
    }
}

/// Hex SHA-256 of the canonical bytes.
pub(super) fn id(examples: &[Example], corpus: &str) -> String {
    let mut hasher = Sha256::new();
    write(&mut hasher, examples, corpus);
    hex::encode(hasher.finalize())
}

/// The canonical bytes.
#[must_use]
pub fn to_bytes(examples: &[Example], corpus: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, examples, corpus);
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
    let mut rest = Reader(bytes);
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
    if rest.0.is_empty() { Ok((corpus, examples)) } else { Err(SnapshotError::Format("trailing bytes")) }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], SnapshotError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(SnapshotError::Format("cut short"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        self.take(N)?.try_into().map_err(|_| SnapshotError::Format("cut short"))
    }

    fn length(&mut self) -> Result<usize, SnapshotError> {
        usize::try_from(u64::from_be_bytes(self.array()?)).map_err(|_| SnapshotError::Format("length"))
    }

    fn text(&mut self) -> Result<String, SnapshotError> {
        let length = self.length()?;
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| SnapshotError::Format("text"))
    }

    fn example(&mut self) -> Result<Example, SnapshotError> {
        let home = HomeId::new(self.text()?).map_err(|_| SnapshotError::Format("home"))?;
        let sequence = Sequence(u64::from_be_bytes(self.array()?));
        let class = DeviceClass::parse(&self.text()?).ok_or(SnapshotError::Format("class"))?;
        let model_version = ModelVersion(u64::from_be_bytes(self.array()?));
        let anomalous = self.array::<1>()? == [1];
        let weight = f32::from_bits(u32::from_be_bytes(self.array()?));
        let length = self.length()?.checked_mul(4).ok_or(SnapshotError::Format("length"))?;
        let (chunks, _) = self.take(length)?.as_chunks::<4>();
        let window = chunks.iter().map(|chunk| f32::from_bits(u32::from_be_bytes(*chunk))).collect();
        Ok(Example { key: RecordKey { home, sequence }, class, model_version, anomalous, weight, window })
    }
}
