//! Puts a backup back, after every file and both chains were looked at.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hearthwatch_store::{SqliteStore, StoreError};

use super::make::{private_file, private_folder, sync_folder};
use super::manifest::{Manifest, ManifestError, check, copy};
use super::{DATA, REPOSITORY};
use crate::aggregator::DATABASE_FILE;
use crate::config::Config;

/// Why nothing was put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be used.
    #[error(transparent)]
    Backup(#[from] ManifestError),
    /// There is something already.
    #[error("{0} is not empty: move it away first, so that nothing of it is lost")]
    There(PathBuf),
    /// The database of the backup cannot be opened.
    #[error("the database of the backup cannot be opened")]
    Store(#[from] StoreError),
    /// Rows are not as they were written.
    #[error(
        "the backup's rows are not as they were written ({count} findings, the first: {first}); use another backup"
    )]
    Unsound {
        /// How many findings.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A file could not be read or written.
    #[error("{path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    move |source| RestoreError::Io { path: path.to_owned(), source }
}

/// Puts the backup in `from` back to where `config` says. The data directory must not be there, or be empty. A repository that is there stays.
/// `say` hears what is being done.
///
/// # Errors
/// [`RestoreError`]; then nothing has changed but for a folder beside the data directory whose name ends in `.restoring`.
pub fn restore(from: &Path, config: &Config, say: &mut dyn FnMut(&str)) -> Result<Manifest, RestoreError> {
    for folder in [Some(&config.data)].into_iter().flatten() {
        if !is_empty(folder).map_err(io(folder))? {
            return Err(RestoreError::There(folder.clone()));
        }
    }
    say("checking every file");
    let manifest = check(from, &mut |_, _| {})?;
    let stage = beside(&config.data);
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(io(&stage))?;
    }
    say("copying");
    put(from, DATA, &manifest, &stage)?;
    say("checking every row");
    let store = SqliteStore::open(&stage.join(DATABASE_FILE))?;
    let report = store.verify_lineage()?;
    drop(store);
    if let Some(first) = report.findings.first() {
        return Err(RestoreError::Unsound { count: report.findings.len(), first: first.to_string() });
    }
    move_in(&stage, &config.data)?;
    if let Some(release) = &config.release
        && manifest.files.keys().any(|path| path.starts_with(&format!("{REPOSITORY}/")))
        && is_empty(&release.repository).map_err(io(&release.repository))?
    {
        let stage = beside(&release.repository);
        if stage.exists() {
            fs::remove_dir_all(&stage).map_err(io(&stage))?;
        }
        put(from, REPOSITORY, &manifest, &stage)?;
        move_in(&stage, &release.repository)?;
    }
    Ok(manifest)
}

/// A folder's name while it is filled.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".restoring");
    name.into()
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Copies what the manifest has below `part` to `stage`. Hashes are looked at again: what is put back is what was checked.
fn put(from: &Path, part: &str, manifest: &Manifest, stage: &Path) -> Result<(), RestoreError> {
    private_folder(stage).map_err(io(stage))?;
    for (path, entry) in &manifest.files {
        let Some(inner) = path.strip_prefix(part).and_then(|path| path.strip_prefix('/')) else { continue };
        let (source, target) = (from.join(path), stage.join(inner));
        if let Some(folder) = target.parent() {
            private_folder(folder).map_err(io(folder))?;
        }
        let mut file = File::open(&source).map_err(io(&source))?;
        let mut copied = private_file(&target).map_err(io(&target))?;
        let found = copy(&mut file, &mut copied).and_then(|found| copied.sync_all().map(|()| found));
        if found.map_err(io(&target))? != *entry {
            let cause = "it changed while it was copied".to_owned();
            return Err(ManifestError::Changed { path: path.clone(), cause }.into());
        }
    }
    Ok(())
}

/// Gives the filled folder its name.
fn move_in(stage: &Path, folder: &Path) -> Result<(), RestoreError> {
    if folder.exists() {
        // It is empty: looked at above.
        fs::remove_dir(folder).map_err(io(folder))?;
    }
    fs::rename(stage, folder).map_err(io(folder))?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(parent).map_err(io(parent))
}
