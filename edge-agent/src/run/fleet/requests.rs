//! Residents' requests about models, carried out one after the other and answered each.

use std::path::Path;

use hearthwatch_detector::detector::Model;
use hearthwatch_edge_cloud::off_the_workers;
use hearthwatch_edge_detection::service::DetectorGone;
use hearthwatch_edge_update::{
    Install, ModelProof, PendingRequest, RequestOutcome, RollBackError, Step, Trigger, UpdateRequest, UpdateRequests,
    Updater,
};

use super::super::unix_now;
use super::{Around, Fleet};
use crate::audit;

impl Fleet {
    /// Carries out the pending request. What waits for the mirror, or for this home to be in the fleet, stays open.
    pub(super) async fn take_up(&mut self, around: &Around) -> Result<(), DetectorGone> {
        show_requests(around);
        let Some(request) = around.requests.pending() else { return Ok(()) };
        if self.entering.is_some() {
            return Ok(());
        }
        match request.request {
            UpdateRequest::RollBack => self.roll_back(request, around).await?,
            UpdateRequest::Install => self.install(request, around).await?,
        }
        self.declare(around).await
    }

    /// Goes back to the model before: noted in the audit file, done, reported to the fleet.
    async fn roll_back(&mut self, request: PendingRequest, around: &Around) -> Result<(), DetectorGone> {
        let (requests, audit, id, now) = (around.requests.clone(), self.audit.clone(), request.id, unix_now());
        let back = self.with_updater(move |updater| back_by_one(updater, &requests, &request, &audit, now)).await;
        let answer = match back.unwrap_or_else(|| Err(RollBackError::Nothing.to_string())) {
            Ok(step) => {
                self.take_over(step.unwrap_or_default(), around).await?;
                RequestOutcome::Done
            }
            Err(reason) => RequestOutcome::Refused { reason },
        };
        answer_request(around, id, answer).await;
        Ok(())
    }

    /// Installs the offered version. The version is written down first, so that it is the same one after a restart.
    async fn install(&mut self, request: PendingRequest, around: &Around) -> Result<(), DetectorGone> {
        let refused = |reason: &str| RequestOutcome::Refused { reason: reason.to_owned() };
        let Some(updater) = &self.updater else {
            answer_request(around, request.id, refused("no models come from a fleet here")).await;
            return Ok(());
        };
        if updater.policy().install == Install::Paused {
            answer_request(around, request.id, refused("updates are paused in the configuration")).await;
            return Ok(());
        }
        if request.version.is_none() && updater.offered().is_none() {
            self.update(Trigger::Timer, around).await?;
        }
        let Some(updater) = &self.updater else { return Ok(()) };
        let Some(version) = request.version.or(updater.offered()) else {
            if !updater.is_hindered() {
                answer_request(around, request.id, refused("no newer model is offered")).await;
            }
            return Ok(());
        };
        if request.version.is_none() {
            let requests = around.requests.clone();
            if let Err(error) = off_the_workers(move || requests.take_up(request.id, version)).await {
                let reason = format!("it cannot be written down: {error}");
                answer_request(around, request.id, RequestOutcome::Refused { reason }).await;
                return Ok(());
            }
        }
        self.update(Trigger::Consent(Some(version)), around).await?;
        self.settle_install(around).await;
        Ok(())
    }

    /// Answers a request to install once its result is known; while the mirror is away, or the model is watched, it stays open.
    pub(super) async fn settle_install(&mut self, around: &Around) {
        let Some(PendingRequest { id, request: UpdateRequest::Install, version: Some(version), .. }) =
            around.requests.pending()
        else {
            return;
        };
        let Some(updater) = &self.updater else { return };
        let answer = if updater.installed() >= version {
            RequestOutcome::Done
        } else if updater.has_failed(version) {
            RequestOutcome::Refused { reason: "it failed on this home, and is not tried again".to_owned() }
        } else if let Some(newer) = updater.waiting().filter(|waiting| *waiting > version) {
            RequestOutcome::Refused { reason: format!("model {newer} is offered in its place") }
        } else {
            return;
        };
        answer_request(around, id, answer).await;
    }
}

/// One step back; none where an earlier start of the agent has done it already.
fn back_by_one(
    updater: &mut Updater<ModelProof>,
    requests: &UpdateRequests,
    request: &PendingRequest,
    audit: &Path,
    now: i64,
) -> Result<Option<Step<Model>>, String> {
    if request.version.is_some_and(|from| from != updater.installed()) {
        return Ok(None);
    }
    let unwritten = |error: std::io::Error| format!("it cannot be written down: {error}");
    let (from, to) = updater.roll_back_leads().map_err(|error| error.to_string())?;
    requests.take_up(request.id, from).map_err(unwritten)?;
    let at = jiff::Timestamp::from_second(now).unwrap_or_default();
    let detail = format!("from model {from} to {to}");
    let entry = audit::Entry { at, action: "roll_back", account: "resident", detail: &detail };
    audit::note(audit, &entry).map_err(unwritten)?;
    updater.roll_back(now).map(Some).map_err(|error| error.to_string())
}

async fn answer_request(around: &Around, id: u64, answer: RequestOutcome) {
    tracing::info!(wish.id = id, wish.answer = ?answer, "a resident's wish about models is answered");
    let (requests, now) = (around.requests.clone(), unix_now());
    if let Err(error) = off_the_workers(move || requests.answer(id, answer, now)).await {
        tracing::error!(%error, wish.id = id, "the answer to a wish is not written down: it is taken up again by the next start");
    }
    show_requests(around);
}

fn show_requests(around: &Around) {
    let (request, answered) = (around.requests.pending(), around.requests.answered());
    around.updates.send_if_modified(|view| {
        let changed = view.pending != request || view.answered != answered;
        (view.pending, view.answered) = (request, answered);
        changed
    });
}
