//! Residents' requests about models: on disk before they are acknowledged, taken up again after a restart, and answered.
//!
//! One request is pending at a time: a later one supersedes it.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearthwatch_edge_store::database;
use hearthwatch_protocol::ModelVersion;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Answered requests that are kept: what a page shows.
const ANSWERED_MAX: usize = 10;
/// Largest file that is read: eleven requests of some hundred bytes, and reasons of at most a few hundred.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a resident requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateRequest {
    /// Install the offered version.
    Install,
    /// Go back to the version before.
    RollBack,
}

/// A request that is not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// Counts the requests of this home, from 1 on.
    pub id: u64,
    /// Named `wish` in the file.
    #[serde(rename = "wish")]
    pub request: UpdateRequest,
    /// When it was made, Unix seconds.
    pub at: i64,
    /// Set when it is taken up: the version to install, or the one to go back from. So it is known after a restart whether it was done.
    #[serde(default)]
    pub version: Option<ModelVersion>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestOutcome {
    /// Carried out.
    Done,
    /// Not carried out, and not tried again.
    Refused {
        /// One line, shown to residents.
        reason: String,
    },
    /// A later request replaced it before it was carried out.
    Superseded,
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredRequest {
    /// As it was when it was answered.
    pub asked: PendingRequest,
    /// Shown to residents.
    pub answer: RequestOutcome,
    /// When it was answered, Unix seconds.
    pub at: i64,
}

/// The content of `wishes.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Requests taken so far; the newest id.
    taken: u64,
    open: Option<PendingRequest>,
    /// Oldest first, at most [`ANSWERED_MAX`].
    answered: Vec<AnsweredRequest>,
}

/// The residents' requests, shared by the parts that take them and the one that carries them out. Calls block on the disk for some milliseconds.
#[derive(Debug, Clone)]
pub struct UpdateRequests {
    path: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
}

impl UpdateRequests {
    /// Reads the file. One that is damaged is kept under another name, and no request is pending.
    ///
    /// # Errors
    /// The system's, when the file can neither be read nor set aside.
    pub fn open(path: &Path) -> io::Result<Self> {
        let state = match read(path) {
            Ok(state) => state,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let aside = database::set_file_aside(path, &[], &[])?;
                tracing::error!(
                    %error, wishes.set_aside = %aside.display(),
                    "what residents wished of the models cannot be read: it is kept under a new name, and nothing is wished"
                );
                State::default()
            }
            Err(error) => return Err(error),
        };
        let (changed, _) = watch::channel(());
        Ok(Self { path: Arc::new(path.to_owned()), state: Arc::new(Mutex::new(state)), changed: Arc::new(changed) })
    }

    /// Takes a request, in the place of a pending one. On `Ok` it is on disk.
    ///
    /// # Errors
    /// The system's; then it is not taken.
    pub fn submit(&self, request: UpdateRequest, at: i64) -> io::Result<()> {
        self.change(|state| {
            if let Some(asked) = state.open.take() {
                state.answer(AnsweredRequest { asked, answer: RequestOutcome::Superseded, at });
            }
            state.taken = state.taken.saturating_add(1);
            state.open = Some(PendingRequest { id: state.taken, request, at, version: None });
        })
    }

    /// As [`UpdateRequests::submit`], on a thread that may wait for the disk.
    ///
    /// # Errors
    /// As [`UpdateRequests::submit`]; also when the agent is stopping.
    pub async fn submit_aside(&self, request: UpdateRequest, at: i64) -> io::Result<()> {
        let requests = self.clone();
        tokio::task::spawn_blocking(move || requests.submit(request, at)).await.map_err(io::Error::other)?
    }

    /// The request that waits for its answer.
    #[must_use]
    pub fn pending(&self) -> Option<PendingRequest> {
        self.lock().open.clone()
    }

    /// The newest answered request.
    #[must_use]
    pub fn answered(&self) -> Option<AnsweredRequest> {
        self.lock().answered.last().cloned()
    }

    /// Notes which version a request is about; does nothing where it is not pending any more.
    ///
    /// # Errors
    /// The system's; then it must not be acted upon.
    pub fn take_up(&self, id: u64, version: ModelVersion) -> io::Result<()> {
        self.change(|state| {
            if let Some(open) = state.open.as_mut().filter(|open| open.id == id) {
                open.version = Some(version);
            }
        })
    }

    /// Answers a request; does nothing where a later one has replaced it.
    ///
    /// # Errors
    /// The system's; then it stays open.
    pub fn answer(&self, id: u64, answer: RequestOutcome, at: i64) -> io::Result<()> {
        self.change(|state| {
            if let Some(asked) = state.open.take_if(|open| open.id == id) {
                state.answer(AnsweredRequest { asked, answer, at });
            }
        })
    }

    /// Notified at every change from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Writes the file first: a change that is not on disk does not hold.
    fn change(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.lock();
        let mut next = state.clone();
        change(&mut next);
        if next == *state {
            return Ok(());
        }
        write(&self.path, &next)?;
        *state = next;
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A change is made on a copy, so that a panic leaves the state as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, answered: AnsweredRequest) {
        self.answered.push(answered);
        let surplus = self.answered.len().saturating_sub(ANSWERED_MAX);
        self.answered.drain(..surplus);
    }
}

fn read(path: &Path) -> io::Result<State> {
    use io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    serde_json::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// One atomic replacement, on disk when it returns.
fn write(path: &Path, state: &State) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
    file.write_all(&serde_json::to_vec_pretty(state)?)?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(directory: &tempfile::TempDir) -> UpdateRequests {
        UpdateRequests::open(&directory.path().join("wishes.json")).unwrap()
    }

    #[test]
    fn a_wish_outlives_a_restart_until_it_is_answered_and_the_answer_does_too() {
        let directory = tempfile::tempdir().unwrap();
        requests(&directory).submit(UpdateRequest::RollBack, 5).unwrap();
        let again = requests(&directory);
        let open = again.pending().unwrap();
        assert_eq!(open, PendingRequest { id: 1, request: UpdateRequest::RollBack, at: 5, version: None });
        let file = std::fs::read_to_string(directory.path().join("wishes.json")).unwrap();
        assert!(file.contains(r#""wish": "roll_back""#), "names in the file are those of earlier versions: {file}");
        again.take_up(1, ModelVersion(7)).unwrap();
        assert_eq!(requests(&directory).pending().unwrap().version, Some(ModelVersion(7)));
        again.answer(1, RequestOutcome::Done, 9).unwrap();
        let again = requests(&directory);
        let asked = PendingRequest { version: Some(ModelVersion(7)), ..open };
        assert_eq!(
            (again.pending(), again.answered()),
            (None, Some(AnsweredRequest { asked, answer: RequestOutcome::Done, at: 9 }))
        );
    }

    #[test]
    fn a_later_wish_supersedes_an_open_one_and_an_answer_to_that_one_comes_too_late() {
        let directory = tempfile::tempdir().unwrap();
        let requests = requests(&directory);
        requests.submit(UpdateRequest::Install, 5).unwrap();
        requests.submit(UpdateRequest::RollBack, 6).unwrap();
        assert_eq!(requests.answered().unwrap().answer, RequestOutcome::Superseded);
        requests.answer(1, RequestOutcome::Done, 7).unwrap();
        assert_eq!(requests.pending().unwrap().id, 2);
        assert_eq!(requests.answered().unwrap().answer, RequestOutcome::Superseded);
    }

    #[test]
    fn a_wish_that_cannot_be_written_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let requests = requests(&directory);
        drop(directory);
        assert_eq!(requests.submit(UpdateRequest::Install, 5).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(requests.pending(), None);
    }

    #[test]
    fn a_damaged_file_is_kept_aside_and_stops_no_later_wish() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wishes.json");
        requests(&directory).submit(UpdateRequest::Install, 5).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let requests = requests(&directory);
            assert_eq!(requests.pending(), None, "{length} bytes");
            requests.submit(UpdateRequest::RollBack, 6).unwrap();
        }
        assert_eq!(std::fs::read(directory.path().join("wishes.json.damaged-1")).unwrap(), b"");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let requests = requests(&directory);
        for at in 0..30 {
            requests.submit(UpdateRequest::Install, at).unwrap();
        }
        assert_eq!(requests.lock().answered.len(), ANSWERED_MAX);
    }
}
