//! Two slots for models, and one small file that says which one is in charge.
//!
//! To install: write the *intent*, empty the spare slot, fill it, then flip the pointer by replacing one file. Each step is on disk
//! before the next begins, so power may fail between any two: either the old model is in charge or the new one, whole. A new model is
//! on trial: each start of the agent takes one of its tries, and when they are used up without a commit, the one before is back.
//! Whatever is wrong with files, there is always the model inside the program.

use std::io;
use std::path::{Path, PathBuf};

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::update::disk::Disk;

/// Starts of the agent that a model on trial may use up before it must be committed: one for the swap, one for a power cut,
/// one for bad luck.
pub const TRIES: u8 = 3;

/// Versions that failed here and are not tried again; far more than are released while any of them is still offered.
const FAILED_KEPT_MAX: usize = 32;

/// Largest pointer file that is read: it has a dozen short fields.
const POINTER_BYTES_MAX: u64 = 64 * 1024;

/// Why the slots cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("model slots: {path}: {source}")]
pub struct SlotError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// One of the two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

/// A model in a slot, or one that is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Where.
    pub slot: Slot,
    /// Which.
    pub version: ModelVersion,
    /// Hash of its file, hexadecimal.
    pub sha256: String,
    /// Length of its file, in bytes.
    pub length: u64,
}

/// A model in charge that has yet to earn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// When it is over, Unix seconds.
    pub until: i64,
    /// Starts of the agent that are left.
    pub tries: u8,
}

/// The pointer file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    /// In charge; without it the program's own model is.
    active: Option<Held>,
    /// In charge before, if its slot is still filled.
    previous: Option<Held>,
    /// Set while `active` is on trial.
    trial: Option<Trial>,
    /// What the spare slot is being filled with; that slot holds nothing that can be relied on.
    intent: Option<Held>,
    /// Nothing below this version gets in.
    floor: ModelVersion,
    /// Versions that failed here.
    failed: Vec<ModelVersion>,
}

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The model in charge and its bytes; none for the program's own.
    pub model: Option<(ModelVersion, Vec<u8>)>,
    /// What was thrown out on the way, and why.
    pub thrown_out: Vec<(ModelVersion, String)>,
}

/// The slots of one agent. Calls block on the disk for some milliseconds.
#[derive(Debug)]
pub struct Slots<D> {
    disk: D,
    directory: PathBuf,
    pointer: Pointer,
    /// The version of the model inside the program.
    own: ModelVersion,
}

impl<D: Disk> Slots<D> {
    /// Opens the folder, or makes it. `own` is the version of the program's own model.
    ///
    /// A pointer file that cannot be read counts as none: the program's own model is in charge.
    ///
    /// # Errors
    /// [`SlotError`] when the folder cannot be made or read.
    pub fn open(disk: D, directory: &Path, own: ModelVersion) -> Result<Self, SlotError> {
        let failed = |source| SlotError { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join("pointer.json");
        let pointer = match read_bounded(&path, POINTER_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(slots.path = %path.display(), %error, "pointer file is damaged; the program's own model takes over");
                Pointer::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Pointer::default(),
            Err(source) => return Err(SlotError { path, source }),
        };
        Ok(Self { disk, directory: directory.to_owned(), pointer, own })
    }

    /// Begins a run of the agent: takes one try of a model on trial, and finds the model to start with. A model that is damaged, or
    /// out of tries, is thrown out for the one before.
    ///
    /// # Errors
    /// [`SlotError`] when the pointer cannot be written.
    pub fn boot(&mut self) -> Result<Boot, SlotError> {
        let mut thrown_out = Vec::new();
        if let (Some(active), Some(trial)) = (self.pointer.active.clone(), self.pointer.trial) {
            if trial.tries == 0 {
                thrown_out.push((active.version, format!("not proven in {TRIES} starts")));
                self.throw_out()?;
            } else {
                let trial = Some(Trial { tries: trial.tries - 1, ..trial });
                self.store(Pointer { trial, ..self.pointer.clone() })?;
            }
        }
        while let Some(active) = self.pointer.active.clone() {
            match self.read(&active) {
                Ok(bytes) => return Ok(Boot { model: Some((active.version, bytes)), thrown_out }),
                Err(cause) => {
                    thrown_out.push((active.version, cause));
                    // Damage on our disk says nothing about the release: it may be fetched again.
                    self.forget_active()?;
                }
            }
        }
        Ok(Boot { model: None, thrown_out })
    }

    /// The version in charge.
    #[must_use]
    pub fn installed(&self) -> ModelVersion {
        self.pointer.active.as_ref().map_or(self.own, |active| active.version)
    }

    /// The lowest version that may be installed; nothing but [`Slots::roll_back_by_hand`] goes below it.
    #[must_use]
    pub fn floor(&self) -> ModelVersion {
        self.pointer.floor.max(self.own)
    }

    /// The trial of the model in charge, if it is on trial.
    #[must_use]
    pub fn trial(&self) -> Option<Trial> {
        self.pointer.trial
    }

    /// The version that a roll-back would lead to.
    #[must_use]
    pub fn fallback(&self) -> ModelVersion {
        self.pointer.previous.as_ref().map_or(self.own, |previous| previous.version)
    }

    /// The bytes of the model that a roll-back would lead to; none for the program's own, or when they are damaged.
    #[must_use]
    pub fn fallback_bytes(&self) -> Option<Vec<u8>> {
        self.pointer.previous.as_ref().and_then(|previous| self.read(previous).ok())
    }

    /// Whether this version failed here before.
    #[must_use]
    pub fn has_failed(&self, version: ModelVersion) -> bool {
        self.pointer.failed.contains(&version)
    }

    /// Remembers that a version is not to be tried again.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn mark_failed(&mut self, version: ModelVersion) -> Result<(), SlotError> {
        let failed = with_failed(&self.pointer.failed, version);
        self.store(Pointer { failed, ..self.pointer.clone() })
    }

    /// Installs a model and puts it in charge, on trial until `until`. When an error comes back, what was in charge still is.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn install(&mut self, version: ModelVersion, bytes: &[u8], until: i64) -> Result<(), SlotError> {
        let slot = match self.pointer.active.as_ref().map(|active| active.slot) {
            Some(Slot::A) => Slot::B,
            Some(Slot::B) | None => Slot::A,
        };
        let held = Held { slot, version, sha256: hex::encode(Sha256::digest(bytes)), length: bytes.len() as u64 };
        // From here on the spare slot is nobody's fallback.
        let previous = self.pointer.previous.clone().filter(|previous| previous.slot != slot);
        self.store(Pointer { previous, intent: Some(held.clone()), ..self.pointer.clone() })?;
        let (file, filling) = (self.file(slot), self.directory.join("filling"));
        self.act(&file, |disk, path| disk.remove(path))?;
        self.act(&filling, |disk, path| disk.write(path, bytes))?;
        self.act(&file, |disk, path| disk.replace(&filling, path))?;
        let trial = Some(Trial { until, tries: TRIES });
        let previous = self.pointer.active.clone();
        self.store(Pointer { active: Some(held), previous, trial, intent: None, ..self.pointer.clone() })
    }

    /// Ends the trial: the model in charge has earned it, and nothing older gets in any more.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn commit(&mut self) -> Result<(), SlotError> {
        let floor = self.floor().max(self.installed());
        self.store(Pointer { trial: None, floor, ..self.pointer.clone() })
    }

    /// Throws the model in charge out for the one before; it is not tried again. Gives the version that is in charge now.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn throw_out(&mut self) -> Result<ModelVersion, SlotError> {
        let failed = with_failed(&self.pointer.failed, self.installed());
        let active = self.pointer.previous.clone();
        self.store(Pointer { active, previous: None, trial: None, failed, ..self.pointer.clone() })?;
        Ok(self.installed())
    }

    /// A person's decision on this machine: back to the model before, and below the floor if need be. The version left is not
    /// tried again.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn roll_back_by_hand(&mut self) -> Result<ModelVersion, SlotError> {
        self.throw_out()?;
        let floor = self.installed();
        self.store(Pointer { floor, ..self.pointer.clone() })?;
        Ok(floor)
    }

    fn forget_active(&mut self) -> Result<(), SlotError> {
        let active = self.pointer.previous.clone();
        // The floor is for attackers; a damaged disk may take its own version again, so it goes down to what is left.
        let floor = active.as_ref().map_or(self.own, |active| active.version).min(self.pointer.floor);
        self.store(Pointer { active, previous: None, trial: None, floor, ..self.pointer.clone() })
    }

    fn file(&self, slot: Slot) -> PathBuf {
        self.directory.join(match slot {
            Slot::A => "a.safetensors",
            Slot::B => "b.safetensors",
        })
    }

    fn read(&self, held: &Held) -> Result<Vec<u8>, String> {
        let bytes = read_bounded(&self.file(held.slot), ARTIFACT_BYTES_MAX)
            .map_err(|error| format!("its file cannot be read: {error}"))?;
        if bytes.len() as u64 != held.length || hex::encode(Sha256::digest(&bytes)) != held.sha256 {
            return Err("its file is damaged".to_owned());
        }
        Ok(bytes)
    }

    /// Puts a new pointer in the place of the old one. Memory follows the disk, never the other way round.
    fn store(&mut self, pointer: Pointer) -> Result<(), SlotError> {
        let path = self.directory.join("pointer.json");
        let next = self.directory.join("pointer.next");
        let bytes = serde_json::to_vec_pretty(&pointer)
            .map_err(|error| SlotError { path: path.clone(), source: io::Error::other(error) })?;
        self.act(&next, |disk, next| disk.write(next, &bytes))?;
        self.act(&path, |disk, path| disk.replace(&next, path))?;
        self.pointer = pointer;
        Ok(())
    }

    fn act(&self, path: &Path, action: impl FnOnce(&D, &Path) -> io::Result<()>) -> Result<(), SlotError> {
        action(&self.disk, path).map_err(|source| SlotError { path: path.to_owned(), source })
    }
}

fn with_failed(failed: &[ModelVersion], version: ModelVersion) -> Vec<ModelVersion> {
    let mut failed: Vec<_> = failed.iter().copied().filter(|&known| known != version).chain([version]).collect();
    if failed.len() > FAILED_KEPT_MAX {
        failed.drain(..failed.len() - FAILED_KEPT_MAX);
    }
    failed
}

fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("larger than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
