//! What is in a backup, and whether it still is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::MANIFEST;

/// The form of the manifest; a newer one is refused.
const FORMAT: u32 = 1;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// Largest manifest that is read: a million files of 200 bytes each.
const MANIFEST_BYTES_MAX: u64 = 200 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file.
    pub format: u32,
    /// Version of the program that made it.
    pub program: String,
    /// When the database was copied, RFC 3339.
    pub made_at: String,
    /// Version of the database's schema.
    pub schema: u32,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// Lines of the lineage's chain and the hash of the last, hexadecimal.
    pub lineage: (u64, String),
    /// Lines of the audit log and the hash of the last, hexadecimal.
    pub audit: (u64, String),
    /// Every file by its path within the backup.
    pub files: BTreeMap<String, FileEntry>,
    /// What is not in it.
    pub left_out: Vec<String>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its length.
    pub bytes: u64,
    /// Hexadecimal SHA-256.
    pub sha256: String,
}

/// Why a backup cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It has no manifest that can be read.
    #[error("{path} is not a backup: {cause}; give the folder that `hearthwatch-cloud backup` made")]
    Unreadable {
        /// The manifest's path.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A newer program made it.
    #[error("the backup has format {0}, and this program knows {FORMAT}: use the program that made it, or a newer one")]
    Newer(u32),
    /// A file is not what it was.
    #[error("{path}: {cause}; use another backup")]
    Changed {
        /// Its path within the backup.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Manifest {
    /// A manifest of this program's form.
    pub(super) fn new(made_at: String, contents: &hearthwatch_store::sqlite::Contents) -> Self {
        let (lineage, audit) = (contents.lineage, contents.audit);
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made_at,
            schema: contents.schema,
            tables: contents.tables.clone(),
            lineage: (lineage.0, hex::encode(lineage.1)),
            audit: (audit.0, hex::encode(audit.1)),
            files: BTreeMap::new(),
            left_out: super::LEFT_OUT.map(str::to_owned).into(),
        }
    }

    /// Reads the manifest of the backup in `folder`.
    ///
    /// # Errors
    /// [`ManifestError::Unreadable`] or [`ManifestError::Newer`].
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(MANIFEST);
        let fault = |cause: String| ManifestError::Unreadable { path: path.clone(), cause };
        let mut text = String::new();
        let file = File::open(&path).map_err(|error| fault(error.to_string()))?;
        file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
        let manifest: Self = serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
        if manifest.format > FORMAT {
            return Err(ManifestError::Newer(manifest.format));
        }
        // Paths come from a file that anybody may have written.
        let plain = |path: &String| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        match manifest.files.keys().find(|path| !plain(path)) {
            Some(path) => Err(fault(format!("{path:?} is no path within it"))),
            None => Ok(manifest),
        }
    }
}

/// Holds every file of the backup in `folder` against its manifest. `progress` hears how many of how many files are done.
///
/// # Errors
/// [`ManifestError`], of the first file that is not as it was.
pub fn check(folder: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<Manifest, ManifestError> {
    let manifest = Manifest::read(folder)?;
    for (done, (path, entry)) in manifest.files.iter().enumerate() {
        progress(done, manifest.files.len());
        let changed = |cause: String| ManifestError::Changed { path: path.clone(), cause };
        let mut file = File::open(folder.join(path)).map_err(|error| changed(error.to_string()))?;
        let found = copy(&mut file, &mut io::sink()).map_err(|error| changed(error.to_string()))?;
        if found != *entry {
            return Err(changed(format!(
                "its {} bytes hash to {}, not to {}",
                found.bytes, found.sha256, entry.sha256
            )));
        }
    }
    progress(manifest.files.len(), manifest.files.len());
    Ok(manifest)
}

/// Copies, and says what was copied.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<FileEntry> {
    let (mut hasher, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(FileEntry { bytes, sha256: hex::encode(hasher.finalize()) }),
            read => {
                hasher.update(&piece[..read]);
                to.write_all(&piece[..read])?;
                bytes += read as u64;
            }
        }
    }
}
