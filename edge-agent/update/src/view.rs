//! What is known of model updates, as residents are shown it.

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateResult;

use crate::{AnsweredRequest, MirrorFault, PendingRequest, RequestOutcome, UpdateRequest};

/// The state of model updates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateView {
    /// The newest release that a notice named; the version in use where none is newer; none before the first notice.
    pub latest: Option<ModelVersion>,
    /// Share of the download that is done; none while nothing is downloaded.
    pub percent: Option<u8>,
    /// One line on the newest release, or on why it was not taken.
    pub summary: String,
    /// The newest model that holds answers of this home, and how many.
    pub contribution: Option<(ModelVersion, u64)>,
    /// The model that a roll-back leads to; none where it leads nowhere.
    pub fallback: Option<ModelVersion>,
    /// Why the mirror of models is not trusted, while it is not.
    pub mirror: Option<MirrorFault>,
    /// The request that waits for its answer.
    pub pending: Option<PendingRequest>,
    /// The newest answered request.
    pub answered: Option<AnsweredRequest>,
    /// How updates ended since the start.
    pub ended: EndedUpdates,
}

/// How many updates ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndedUpdates {
    /// In charge, and proven.
    pub installed: u64,
    /// Never put in charge.
    pub refused: u64,
    /// Put in charge, and taken back.
    pub rolled_back: u64,
}

impl EndedUpdates {
    /// Counts one more.
    pub fn count(&mut self, result: &UpdateResult) {
        let of_its_kind = match result {
            UpdateResult::Installed => &mut self.installed,
            UpdateResult::Refused { .. } => &mut self.refused,
            UpdateResult::RolledBack { .. } => &mut self.rolled_back,
        };
        *of_its_kind += 1;
    }
}

impl UpdateView {
    /// The pending request, else the newest answered one, as a sentence; none where there never was one.
    #[must_use]
    pub fn request_line(&self) -> Option<String> {
        let (request, answer) = match (&self.pending, &self.answered) {
            (Some(open), _) => (open, None),
            (None, Some(answered)) => (&answered.asked, Some(&answered.answer)),
            (None, None) => return None,
        };
        let what = match (request.request, request.version) {
            (UpdateRequest::Install, Some(version)) => format!("Install model {version}"),
            (UpdateRequest::Install, None) => "Install what is offered".to_owned(),
            (UpdateRequest::RollBack, Some(version)) => format!("Go back from model {version}"),
            (UpdateRequest::RollBack, None) => "Go back to the model before".to_owned(),
        };
        Some(match answer {
            None => format!("{what}: asked for, not done yet."),
            Some(RequestOutcome::Done) => format!("{what}: done."),
            Some(RequestOutcome::Refused { reason }) => format!("{what}: not done, {reason}."),
            Some(RequestOutcome::Superseded) => format!("{what}: not done, another wish took its place."),
        })
    }

    /// The mirror's fault as a sentence; none while there is none.
    #[must_use]
    pub fn mirror_line(&self) -> Option<String> {
        let fault = self.mirror.as_ref()?;
        let (since, cause) = (time(fault.since), &fault.cause);
        Some(format!("The mirror of models is out of date since {since} ({cause}); what is installed goes on."))
    }
}

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| String::new(), |at| at.to_string())
}
