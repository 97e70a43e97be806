//! Makes a backup of an aggregator that may be running.
//!
//! The database is copied first. A file that a row stands for is written before its row, and is named for its hash: so every file that the copied
//! rows name is there when the files are copied, and what came since does no harm.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hearthwatch_store::StoreError;
use hearthwatch_store::sqlite::{contents, copy_database};
use jiff::Timestamp;

use super::manifest::{Manifest, copy};
use super::{DATA, MANIFEST, REPOSITORY};
use crate::aggregator::DATABASE_FILE;
use crate::config::Config;

/// What a backup's name begins with; its time follows.
const NAME: &str = "hearthwatch-";

/// What the name of one that is not whole begins with.
const PARTIAL: &str = ".partial-";

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// There is nothing to copy.
    #[error("{0} holds no database: is this the configuration of the aggregator?")]
    Nothing(PathBuf),
    /// The database could not be copied.
    #[error("the database was not copied")]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file that a row stands for is not there.
    #[error("{0} is not there, and a row of the database stands for it: `hearthwatch-cloud verify-lineage` shows more")]
    Missing(PathBuf),
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> MakeError {
    move |source| MakeError::Io { path: path.to_owned(), source }
}

/// Makes a backup of the aggregator of `config` in a new folder below `to`, and then removes all but the newest `keep` (0 keeps all). `say` hears
/// what is being done. Returns the folder and what is in it.
///
/// # Errors
/// [`MakeError`]; then nothing is left below `to` but what was there.
pub fn make(
    config: &Config,
    to: &Path,
    keep: usize,
    now: Timestamp,
    say: &mut dyn FnMut(&str),
) -> Result<(PathBuf, Manifest), MakeError> {
    let database = config.data.join(DATABASE_FILE);
    if !database.is_file() {
        return Err(MakeError::Nothing(config.data.clone()));
    }
    let name = format!("{NAME}{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let partial = to.join(format!("{PARTIAL}{name}"));
    let made = fill(config, &database, &partial, now, say);
    let finished = made.and_then(|manifest| {
        let whole = to.join(&name);
        fs::rename(&partial, &whole).map_err(io(&whole))?;
        sync_folder(to).map_err(io(to))?;
        Ok((whole, manifest))
    });
    if finished.is_err() {
        // The first fault is the one that is told.
        let _ = fs::remove_dir_all(&partial);
    }
    let (whole, manifest) = finished?;
    if keep > 0 {
        forget(to, keep, say)?;
    }
    Ok((whole, manifest))
}

fn fill(
    config: &Config,
    database: &Path,
    partial: &Path,
    now: Timestamp,
    say: &mut dyn FnMut(&str),
) -> Result<Manifest, MakeError> {
    let data = partial.join(DATA);
    private_folder(&data).map_err(io(&data))?;
    say("copying the database");
    let copied = data.join(DATABASE_FILE);
    copy_database(database, &copied)?;
    let known = contents(&copied)?;
    // Reading it made files beside it; what they hold is in it.
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(data.join(format!("{DATABASE_FILE}{suffix}")));
    }
    let mut manifest = Manifest::new(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), &known);
    note(&copied, &format!("{DATA}/{DATABASE_FILE}"), &mut manifest)?;
    say("copying models, data sets and runs");
    copy_tree(&config.data, &data, DATA, &mut manifest)?;
    let of_models = known.models.iter().map(|sha256| format!("models/{sha256}.safetensors"));
    let of_snapshots = known.snapshots.iter().map(|id| format!("snapshots/{id}.hwds"));
    for file in of_models.chain(of_snapshots) {
        let there = manifest.files.contains_key(&format!("{DATA}/{file}"));
        // A data set is not kept for ever; a model that is out is.
        if !there && file.starts_with("models/") {
            return Err(MakeError::Missing(config.data.join(file)));
        }
    }
    if let Some(release) = &config.release {
        say("copying the signed repository");
        let folder = partial.join(REPOSITORY);
        private_folder(&folder).map_err(io(&folder))?;
        copy_tree(&release.repository, &folder, REPOSITORY, &mut manifest)?;
    }
    let path = partial.join(MANIFEST);
    let text = serde_json::to_string_pretty(&manifest).map_err(|error| io(&path)(error.into()))?;
    let mut file = private_file(&path).map_err(io(&path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io(&path))?;
    sync_folder(partial).map_err(io(partial))?;
    Ok(manifest)
}

/// Puts a file that lies in the backup already into its manifest, and on disk.
fn note(path: &Path, name: &str, manifest: &mut Manifest) -> Result<(), MakeError> {
    let mut file = File::open(path).map_err(io(path))?;
    let entry = copy(&mut file, &mut io::sink()).map_err(io(path))?;
    file.sync_all().map_err(io(path))?;
    manifest.files.insert(name.to_owned(), entry);
    Ok(())
}

/// Copies every plain file below `from`, but for the database and what is being written. A file that goes away meanwhile is passed over.
fn copy_tree(from: &Path, to: &Path, name: &str, manifest: &mut Manifest) -> Result<(), MakeError> {
    let mut entries = match fs::read_dir(from) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(io(from))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(from)(error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, file_name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let (target, inner) = (to.join(&file_name), format!("{name}/{file_name}"));
        // Names that begin with a point are files that are being written, locks, and trials.
        if file_name.starts_with('.') || file_name.starts_with(DATABASE_FILE) {
            continue;
        }
        let kind = entry.file_type().map_err(io(&path))?;
        if kind.is_dir() {
            private_folder(&target).map_err(io(&target))?;
            copy_tree(&path, &target, &inner, manifest)?;
        } else if kind.is_file() {
            let mut source = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(&path)(error)),
            };
            let mut copied = private_file(&target).map_err(io(&target))?;
            let entry = copy(&mut source, &mut copied).map_err(io(&target))?;
            copied.sync_all().map_err(io(&target))?;
            manifest.files.insert(inner, entry);
        }
    }
    sync_folder(to).map_err(io(to))
}

/// Removes the oldest backups, and what is left of those that were cut off.
fn forget(to: &Path, keep: usize, say: &mut dyn FnMut(&str)) -> Result<(), MakeError> {
    let entries = fs::read_dir(to).map_err(io(to))?.collect::<io::Result<Vec<_>>>().map_err(io(to))?;
    let named = |begin: &str| {
        let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(begin)).collect();
        names.sort();
        names
    };
    let whole = named(NAME);
    let old = whole[..whole.len().saturating_sub(keep)].iter().cloned().chain(named(&format!("{PARTIAL}{NAME}")));
    for name in old {
        let path = to.join(name);
        say(&format!("removing {}", path.display()));
        fs::remove_dir_all(&path).map_err(io(&path))?;
    }
    Ok(())
}

pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
