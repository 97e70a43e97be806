//! Letting out the candidate of a run by a person's decision: one that the gate held back, or one that waits.

use hearthwatch_detector::network::{Artifact, ArtifactError};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::artifact_store::ArtifactStoreError;
use hearthwatch_store::release::ReleaseError;
use hearthwatch_store::{ModelRow, NewModel, ReleaseRow, RunRow, RunState, StoreError, blocking};

use crate::release_service::ReleaseService;

/// Why a model was not let out by hand.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// No model has this version.
    #[error("no model {0}")]
    UnknownModel(ModelVersion),
    /// No run has this id.
    #[error("no run {0:?}")]
    UnknownRun(String),
    /// Nothing is released yet, so there is nothing to go back from.
    #[error("nothing is released yet")]
    NothingReleased,
    /// The bytes in force are already the ones asked for.
    #[error("version {0} is in force with the same bytes")]
    InForce(ModelVersion),
    /// It never was released: going back leads to what homes have run.
    #[error("version {0} was never released")]
    NeverReleased(ModelVersion),
    /// A person withdrew this version: it does not go out again.
    #[error("version {0} was withdrawn")]
    Withdrawn(ModelVersion),
    /// A later model is out already, against which it was never judged.
    #[error("the candidate got version {version}, and {champion} is out already: start a new run")]
    Overtaken {
        /// The candidate's version.
        version: ModelVersion,
        /// The model in force.
        champion: ModelVersion,
    },
    /// The run has no candidate, or is not over.
    #[error("run {run:?} has nothing to release: it {why}")]
    NoCandidate {
        /// Id of the run.
        run: String,
        /// What it is instead.
        why: &'static str,
    },
    /// The candidate's file cannot be had.
    #[error(transparent)]
    ArtifactStore(#[from] ArtifactStoreError),
    /// The candidate is not an artifact that an agent would take.
    #[error("the candidate is not usable: {0}")]
    Artifact(#[from] ArtifactError),
    /// It was not released.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be done for a run's candidate to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It has a version: release that.
    Release(ModelVersion),
    /// The gate held it back: give these bytes a version first.
    Approve {
        /// Hexadecimal SHA-256 of the artifact.
        sha256: String,
    },
}

/// Plans the release of a run's candidate. `existing` is the model that it has become, if it has; `champion` is the
/// model in force.
///
/// # Errors
/// [`ManualError`] when there is nothing to release, or it is in force already.
pub fn plan(run: &RunRow, existing: Option<&ModelRow>, champion: Option<&ModelRow>) -> Result<Plan, ManualError> {
    let nothing = |why| Err(ManualError::NoCandidate { run: run.id.clone(), why });
    match run.state {
        RunState::Running => return nothing("is not over"),
        RunState::Failed => return nothing("failed"),
        RunState::Cancelled => return nothing("was cancelled"),
        RunState::Promoted | RunState::Held => {}
    }
    let Some(sha256) = run.challenger.clone() else { return nothing("made no candidate") };
    match (existing, champion) {
        (_, Some(champion)) if champion.sha256 == sha256 => Err(ManualError::InForce(champion.version)),
        (Some(model), Some(champion)) if model.version < champion.version => {
            Err(ManualError::Overtaken { version: model.version, champion: champion.version })
        }
        (Some(model), _) => Ok(Plan::Release(model.version)),
        (None, _) => Ok(Plan::Approve { sha256 }),
    }
}

/// Releases the candidate of run `id`. `by` says who, as an [`Actor`](hearthwatch_store::Actor).
///
/// # Errors
/// [`ManualError`]; the model in force is then the one before.
pub async fn promote(releases: &ReleaseService, id: &str, by: &str) -> Result<ReleaseRow, ManualError> {
    let (run, planned) = read(releases, id).await?;
    let version = match planned {
        Plan::Release(version) => version,
        Plan::Approve { sha256 } => approve(releases, run, sha256).await?,
    };
    Ok(releases.release(version, by).await?)
}

/// Whether [`promote`] would release the candidate of run `id`, as far as that is known before anything is signed.
///
/// # Errors
/// [`ManualError`] saying why not.
pub async fn check(releases: &ReleaseService, id: &str) -> Result<(), ManualError> {
    read(releases, id).await.map(drop)
}

async fn read(releases: &ReleaseService, id: &str) -> Result<(RunRow, Plan), ManualError> {
    let asked = id.to_owned();
    let (run, existing, champion) = blocking(releases.store(), move |store| {
        let existing = store.models()?.into_iter().find(|model| model.run == asked);
        Ok((store.run(&asked)?, existing, store.champion()?))
    })
    .await?;
    let run = run.ok_or_else(|| ManualError::UnknownRun(id.to_owned()))?;
    let planned = plan(&run, existing.as_ref(), champion.as_ref())?;
    Ok((run, planned))
}

/// Overrules the gate: the candidate gets a version and its run counts as promoted.
async fn approve(releases: &ReleaseService, run: RunRow, sha256: String) -> Result<ModelVersion, ManualError> {
    let (artifact_store, at) = (releases.artifact_store().clone(), releases.now());
    let candidate = tokio::task::spawn_blocking(move || {
        let bytes = artifact_store.model(&sha256)?;
        let weights_id = Artifact::parse(&bytes)?.weights_id();
        Ok::<_, ManualError>(NewModel { length: bytes.len() as u64, weights_id, sha256, run: run.id.clone(), at })
            .map(|new| (new, run.id))
    });
    let (new, run) = candidate
        .await
        .map_err(|error| StoreError::Engine { action: "check a candidate", cause: error.to_string() })??;
    let version = blocking(releases.store(), move |store| {
        let version = store.add_model(&new)?.version;
        store.promote_run(&run)?;
        Ok(version)
    });
    Ok(version.await?)
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::{ModelState, fixtures};

    use super::*;

    fn run(state: RunState, challenger: Option<&str>) -> RunRow {
        RunRow { challenger: challenger.map(str::to_owned), ..fixtures::run("ab12", state) }
    }

    fn model(version: u64, sha256: &str, state: ModelState) -> ModelRow {
        fixtures::versioned(version, sha256, state)
    }

    #[test]
    fn a_held_candidate_gets_a_version_and_a_waiting_one_keeps_it() {
        let held = plan(&run(RunState::Held, Some("c")), None, None).unwrap();
        assert_eq!(held, Plan::Approve { sha256: "c".to_owned() });
        let waiting = model(4, "c", ModelState::Approved);
        let planned = plan(&run(RunState::Promoted, Some("c")), Some(&waiting), None).unwrap();
        assert_eq!(planned, Plan::Release(ModelVersion(4)));
    }

    #[test]
    fn a_candidate_that_a_later_release_overtook_is_not_let_out() {
        let (waiting, champion) = (model(4, "c", ModelState::Approved), model(5, "d", ModelState::Champion));
        let error = plan(&run(RunState::Promoted, Some("c")), Some(&waiting), Some(&champion)).unwrap_err();
        assert_eq!(error.to_string(), "the candidate got version 4, and 5 is out already: start a new run");
    }

    #[test]
    fn a_run_without_a_candidate_has_nothing_to_release() {
        for (state, challenger, why) in [
            (RunState::Running, Some("c"), "is not over"),
            (RunState::Failed, None, "failed"),
            (RunState::Held, None, "made no candidate"),
        ] {
            let error = plan(&run(state, challenger), None, None).unwrap_err();
            assert_eq!(error.to_string(), format!("run \"ab12\" has nothing to release: it {why}"));
        }
    }

    #[test]
    fn what_is_in_force_is_not_released_again() {
        let champion = model(5, "c", ModelState::Champion);
        let error = plan(&run(RunState::Promoted, Some("c")), Some(&champion), Some(&champion)).unwrap_err();
        assert!(matches!(error, ManualError::InForce(ModelVersion(5))));
    }
}
