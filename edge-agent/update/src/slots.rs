//! Two slots for models, and one small file that names the one in use.
//!
//! To stage: write the *intent*, empty the spare slot, fill it, then note that it is whole. To swap: flip the pointer by replacing
//! one file. Each step is on disk before the next begins, so power may fail between any two: either the old model is in charge or
//! the new one, whole. A model that is staged or on trial has tries: each start of the agent takes one, and when they are used up
//! the staged one is dropped, and the one on trial gives way to the one before. Whatever is wrong with files, there is always
//! the model inside the program.

mod pointer;

use std::io;
use std::path::{Path, PathBuf};

use hearthwatch_edge_store::database;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use hearthwatch_protocol::messages::UpdateOutcome;
use sha2::{Digest, Sha256};

use crate::disk::Disk;
use pointer::Pointer;
pub use pointer::{Followed, Held, Slot, Staged, Trial};

/// Starts of the agent that a model may use up while it is staged, and again while it is on trial: one for the swap, one for a power
/// cut, one for bad luck.
pub const TRIES: u8 = 3;

/// Versions that failed here and are not tried again; far more than are released while any of them is still offered.
const FAILED_KEPT_MAX: usize = 32;

/// Largest pointer file that is read: it has a dozen short fields.
const POINTER_BYTES_MAX: u64 = 64 * 1024;

/// Why the slots cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("model slots: {path}: {source}")]
pub struct SlotError {
    /// The file or folder that failed.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// What [`Slots::boot`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The model in charge and its bytes; none for the program's own.
    pub model: Option<(ModelVersion, Vec<u8>)>,
    /// What was thrown out on the way, and why.
    pub thrown_out: Vec<(ModelVersion, String)>,
    /// What this machine's disk lost, and how: that says nothing about the release, which may be fetched again.
    pub lost: Vec<(ModelVersion, String)>,
    /// What was staged and is given up, and why.
    pub given_up: Option<(ModelVersion, String)>,
}

/// The slots of one agent. Calls block on the disk for some milliseconds.
#[derive(Debug)]
pub struct Slots<D> {
    disk: D,
    directory: PathBuf,
    pointer: Pointer,
    /// Goes to disk with the next change of the pointer.
    owed: Option<UpdateOutcome>,
    /// The version of the model inside the program.
    own: ModelVersion,
}

impl<D: Disk> Slots<D> {
    /// Opens the folder, or makes it. `own` is the version of the program's own model.
    ///
    /// Of a pointer file that is damaged, what can be read holds; where that names no model, the program's own is in charge.
    ///
    /// # Errors
    /// [`SlotError`] when the folder cannot be made or read.
    pub fn open(disk: D, directory: &Path, own: ModelVersion) -> Result<Self, SlotError> {
        let failed = |source| SlotError { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join("pointer.json");
        let mut damaged = None;
        let pointer = match read_bounded(&path, POINTER_BYTES_MAX) {
            Ok(bytes) => match Pointer::read(&bytes) {
                Ok((pointer, unread)) if unread.is_empty() => pointer,
                // Kept whole under another name: what is written next no longer has what could not be read.
                Ok((pointer, unread)) => {
                    let cause = format!("cannot read {}", unread.join(", "));
                    damaged = Some(cause);
                    pointer
                }
                Err(error) => {
                    damaged = Some(error.to_string());
                    Pointer::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Pointer::default(),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                damaged = Some(error.to_string());
                Pointer::default()
            }
            Err(source) => return Err(SlotError { path, source }),
        };
        let mut slots = Self { disk, directory: directory.to_owned(), pointer, owed: None, own };
        if let Some(cause) = damaged {
            keep_damaged(&path, &cause)?;
            slots.store(slots.pointer.clone())?;
        }
        Ok(slots)
    }

    /// Begins a run of the agent: takes one try of a model that is staged or on trial, and finds the model to start with. A model
    /// that is damaged, or out of tries, is thrown out for the one before.
    ///
    /// # Errors
    /// [`SlotError`] when the pointer cannot be written.
    pub fn boot(&mut self) -> Result<Boot, SlotError> {
        let (mut thrown_out, mut lost) = (Vec::new(), Vec::new());
        if let (Some(active), Some(trial)) = (self.pointer.active.clone(), self.pointer.trial) {
            if trial.tries == 0 {
                thrown_out.push((active.version, format!("not proven in {TRIES} starts")));
                self.throw_out()?;
            } else {
                let trial = Some(Trial { tries: trial.tries - 1, ..trial });
                self.store(Pointer { trial, ..self.pointer.clone() })?;
            }
        }
        let given_up = self.boot_staged()?;
        while let Some(active) = self.pointer.active.clone() {
            match self.read(&active) {
                Ok(bytes) => return Ok(Boot { model: Some((active.version, bytes)), thrown_out, lost, given_up }),
                Err(cause) => {
                    lost.push((active.version, cause));
                    self.forget_active()?;
                }
            }
        }
        Ok(Boot { model: None, thrown_out, lost, given_up })
    }

    fn boot_staged(&mut self) -> Result<Option<(ModelVersion, String)>, SlotError> {
        let Some(staged) = self.pointer.staged.clone() else { return Ok(None) };
        let version = staged.held.version;
        if staged.tries == 0 {
            self.unstage(true)?;
            return Ok(Some((version, format!("not proven in {TRIES} starts"))));
        }
        if self.read(&staged.held).is_err() {
            // As with the model in charge: it may be fetched again.
            self.unstage(false)?;
            return Ok(None);
        }
        let staged = Some(Staged { tries: staged.tries - 1, ..staged });
        self.store(Pointer { staged, ..self.pointer.clone() })?;
        Ok(None)
    }

    /// The version in use; the program's own where no slot is.
    #[must_use]
    pub fn installed(&self) -> ModelVersion {
        self.pointer.active.as_ref().map_or(self.own, |active| active.version)
    }

    /// The hash of what is in charge; none for the program's own.
    #[must_use]
    pub fn installed_sha256(&self) -> Option<[u8; 32]> {
        let active = self.pointer.active.as_ref()?;
        hex::decode(&active.sha256).ok()?.try_into().ok()
    }

    /// Since when it is in charge, Unix seconds; 0 for the program's own.
    #[must_use]
    pub fn since(&self) -> i64 {
        self.pointer.since
    }

    /// The lowest version that may be installed; nothing but a signed order and [`Slots::roll_back_manually`] goes below it.
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

    /// Whether a slot still holds the model before the one in charge; else a roll-back leads to the program's own.
    #[must_use]
    pub fn has_previous(&self) -> bool {
        self.pointer.previous.is_some()
    }

    /// The bytes of the model that a roll-back would lead to; none for the program's own, or when they are damaged.
    #[must_use]
    pub fn fallback_bytes(&self) -> Option<Vec<u8>> {
        self.pointer.previous.as_ref().and_then(|previous| self.read(previous).ok())
    }

    /// Whether this version is among those that failed here; it is not tried again.
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

    /// The model that waits in the spare slot.
    #[must_use]
    pub fn staged(&self) -> Option<&Staged> {
        self.pointer.staged.as_ref()
    }

    /// Its bytes; none when nothing is staged, or when they are damaged.
    #[must_use]
    pub fn staged_bytes(&self) -> Option<Vec<u8>> {
        self.pointer.staged.as_ref().and_then(|staged| self.read(&staged.held).ok())
    }

    /// The bytes of a model that one of the slots still holds, whole: a roll-back needs no download.
    #[must_use]
    pub fn bytes_of(&self, version: ModelVersion, sha256: &[u8]) -> Option<Vec<u8>> {
        let held = self.pointer.previous.iter().chain(&self.pointer.active);
        let wanted = hex::encode(sha256);
        held.filter(|held| held.version == version && held.sha256 == wanted).find_map(|held| self.read(held).ok())
    }

    /// The next change of the pointer has to be reported to the fleet: the outcome goes to disk in the same step, so that no power
    /// cut lies between the action and its report.
    pub fn owing(&mut self, outcome: UpdateOutcome) -> &mut Self {
        self.owed = Some(outcome);
        self
    }

    /// An outcome that may not have been reported.
    #[must_use]
    pub fn unreported(&self) -> Option<&UpdateOutcome> {
        self.pointer.unreported.as_ref()
    }

    /// The outcome is in the outbox.
    ///
    /// # Errors
    /// [`SlotError`]; then it is reported again.
    pub fn reported(&mut self) -> Result<(), SlotError> {
        if self.pointer.unreported.is_none() {
            return Ok(());
        }
        self.store(Pointer { unreported: None, ..self.pointer.clone() })
    }

    /// The newest assignment that was accepted; none before the first one.
    #[must_use]
    pub fn followed(&self) -> Option<&Followed> {
        self.pointer.assignment.as_ref()
    }

    /// Remembers an assignment as accepted: from now on nothing older is.
    ///
    /// # Errors
    /// [`SlotError`]; then it must not be followed.
    pub fn follow(&mut self, assignment: Followed) -> Result<(), SlotError> {
        if self.pointer.assignment.as_ref() == Some(&assignment) {
            return Ok(());
        }
        self.store(Pointer { assignment: Some(assignment), ..self.pointer.clone() })
    }

    /// Fills the spare slot with a model to be watched until `until`. When an error comes back, what was in charge still is.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn stage(&mut self, version: ModelVersion, bytes: &[u8], until: i64, ordered: bool) -> Result<(), SlotError> {
        let slot = match self.pointer.active.as_ref().map(|active| active.slot) {
            Some(Slot::A) => Slot::B,
            Some(Slot::B) | None => Slot::A,
        };
        let held = Held { slot, version, sha256: hex::encode(Sha256::digest(bytes)), length: bytes.len() as u64 };
        // From here on the spare slot is nobody's fallback.
        let previous = self.pointer.previous.clone().filter(|previous| previous.slot != slot);
        self.store(Pointer { previous, intent: Some(held.clone()), staged: None, ..self.pointer.clone() })?;
        let (file, filling) = (self.file(slot), self.directory.join("filling"));
        self.act(&file, |disk, path| disk.remove(path))?;
        self.act(&filling, |disk, path| disk.write(path, bytes))?;
        self.act(&file, |disk, path| disk.replace(&filling, path))?;
        let staged = Some(Staged { held, until, tries: TRIES, ordered });
        self.store(Pointer { staged, intent: None, ..self.pointer.clone() })
    }

    /// Puts the staged model in charge, on trial until `until`, by one atomic replacement of the pointer.
    ///
    /// # Errors
    /// [`SlotError`], also when nothing is staged.
    pub fn swap(&mut self, until: i64, now: i64) -> Result<(), SlotError> {
        let Some(staged) = self.pointer.staged.clone() else {
            return Err(SlotError { path: self.directory.clone(), source: io::ErrorKind::NotFound.into() });
        };
        let trial = Some(Trial { until, tries: TRIES, ordered: staged.ordered });
        let (active, previous) = (Some(staged.held), self.pointer.active.clone());
        self.store(Pointer { active, previous, trial, staged: None, since: now, ..self.pointer.clone() })
    }

    /// Forgets the staged model; `failed`: it is not tried again.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn unstage(&mut self, failed: bool) -> Result<(), SlotError> {
        let Some(staged) = &self.pointer.staged else { return Ok(()) };
        let failed = match failed {
            true => with_failed(&self.pointer.failed, staged.held.version),
            false => self.pointer.failed.clone(),
        };
        self.store(Pointer { staged: None, failed, ..self.pointer.clone() })
    }

    /// Ends the trial: the model in charge has earned it, and nothing older gets in any more. After a signed order the floor is
    /// the version that was ordered, even if that is lower.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn commit(&mut self) -> Result<(), SlotError> {
        let ordered = self.pointer.trial.is_some_and(|trial| trial.ordered);
        let floor = if ordered { self.installed() } else { self.floor().max(self.installed()) };
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

    /// Takes the model on trial back because the fleet calls it back; it did not fail here, and may be assigned again.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn call_back(&mut self) -> Result<ModelVersion, SlotError> {
        let active = self.pointer.previous.clone();
        self.store(Pointer { active, previous: None, trial: None, ..self.pointer.clone() })?;
        Ok(self.installed())
    }

    /// A person's decision on this machine: back to the model before, and below the floor if need be. The version left is not
    /// tried again.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn roll_back_manually(&mut self) -> Result<ModelVersion, SlotError> {
        let failed = with_failed(&self.pointer.failed, self.installed());
        let (active, floor) = (self.pointer.previous.clone(), self.fallback());
        self.store(Pointer { active, previous: None, trial: None, failed, floor, ..self.pointer.clone() })?;
        Ok(self.installed())
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
    fn store(&mut self, mut pointer: Pointer) -> Result<(), SlotError> {
        if let Some(owed) = self.owed.take() {
            pointer.unreported = Some(owed);
        }
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

fn keep_damaged(path: &Path, cause: &str) -> Result<(), SlotError> {
    let aside = database::copy_file_aside(path).map_err(|source| SlotError { path: path.to_owned(), source })?;
    tracing::error!(
        slots.path = %path.display(), slots.set_aside = %aside.display(), cause,
        "the pointer to the models is damaged: it is kept under a new name, and what can be read of it holds"
    );
    Ok(())
}

fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
