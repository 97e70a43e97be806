//! Going back is going forward: an older model's bytes under a new, higher version, so that no agent ever goes down.

use hearthwatch_protocol::ModelVersion;

use super::lineage::{LineageOf, report_of};
use crate::artifacts::{ArtifactFileError, Artifacts};
use crate::state::{AppState, Promoted, ReleaseError};
use crate::store::{ModelRow, ModelState, NewModel, ReleaseRow, Store, StoreError, blocking};

/// Why a model was not let out by hand.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// No such model.
    #[error("no model {0}")]
    UnknownModel(ModelVersion),
    /// No such run.
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
    /// It was withdrawn.
    #[error("version {0} was withdrawn")]
    Withdrawn(ModelVersion),
    /// The run has no candidate, or is not over.
    #[error("run {run:?} has nothing to release: it {why}")]
    NoCandidate {
        /// Which run.
        run: String,
        /// What it is instead.
        why: String,
    },
    /// The candidate's artifact cannot be used.
    #[error(transparent)]
    Artifact(#[from] ArtifactFileError),
    /// It is not an artifact of ours.
    #[error("the candidate's artifact is not usable: {0}")]
    Unusable(String),
    /// It was not released.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a roll back starts from, read in one go. Pure from here on.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The model in force.
    pub champion: Option<ModelRow>,
    /// The model to go back to.
    pub to: Option<ModelRow>,
}

/// The model that a roll back makes.
///
/// # Errors
/// [`ByHandError`] when going back makes no sense.
pub fn plan(situation: &Situation, to: ModelVersion, at: i64) -> Result<NewModel, ByHandError> {
    let champion = situation.champion.as_ref().ok_or(ByHandError::NothingReleased)?;
    let older = situation.to.as_ref().ok_or(ByHandError::UnknownModel(to))?;
    if older.sha256 == champion.sha256 {
        return Err(ByHandError::InForce(champion.version));
    }
    match older.state {
        ModelState::Retired | ModelState::Champion => {}
        ModelState::Approved => return Err(ByHandError::NeverReleased(to)),
        ModelState::Withdrawn => return Err(ByHandError::Withdrawn(to)),
    }
    Ok(NewModel {
        sha256: older.sha256.clone(),
        length: older.length,
        weights_id: older.weights_id.clone(),
        run: LineageOf::RollBack { to, after: champion.version }.to_string(),
        at,
    })
}

/// Releases the bytes of model `to` under a new version and withdraws the model that was in force.
///
/// # Errors
/// [`ByHandError`]; the model in force is then the one before.
pub async fn roll_back(app: &AppState, to: ModelVersion, by: &str) -> Result<ReleaseRow, ByHandError> {
    let at = app.clock.now();
    let situation = blocking(&app.store, move |store| {
        Ok(Situation { champion: store.champion()?, to: store.model(to)? })
    })
    .await?;
    let new = plan(&situation, to, at)?;
    let row = release_new(app, new, by).await?;
    if let Some(bad) = situation.champion {
        let withdrawn = move |store: &dyn Store| store.set_model_state(bad.version, ModelState::Withdrawn);
        blocking(&app.store, withdrawn).await?;
    }
    Ok(row)
}

/// Gives a version to `new` and lets it out.
pub(super) async fn release_new(app: &AppState, new: NewModel, by: &str) -> Result<ReleaseRow, ByHandError> {
    let artifacts = Artifacts::of(&app.config.data);
    let artifact = artifacts.get(&new.sha256)?;
    let at = new.at;
    let (model, report) = blocking(&app.store, move |store| {
        let model = store.add_model(&new)?;
        let report = report_of(store, &model)?.unwrap_or_default();
        Ok((model, report))
    })
    .await?;
    let promoted = Promoted {
        version: model.version,
        artifact: artifact.into(),
        sha256: model.sha256,
        weights_id: model.weights_id,
        report,
        run: model.run,
        by: by.to_owned(),
        at,
    };
    Ok(app.releases.release(promoted).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(version: u64, sha256: &str, state: ModelState) -> ModelRow {
        ModelRow {
            version: ModelVersion(version),
            sha256: sha256.to_owned(),
            length: 7,
            weights_id: "w".to_owned(),
            run: "run".to_owned(),
            state,
            created_at: 0,
        }
    }

    fn planned(champion: Option<ModelRow>, to: Option<ModelRow>) -> Result<NewModel, String> {
        plan(&Situation { champion, to }, ModelVersion(3), 9).map_err(|error| error.to_string())
    }

    #[test]
    fn an_older_models_bytes_get_a_lineage_of_their_own() {
        let champion = model(5, "bad", ModelState::Champion);
        let new = planned(Some(champion), Some(model(3, "good", ModelState::Retired))).unwrap();
        assert_eq!((new.sha256.as_str(), new.run.as_str(), new.at), ("good", "rollback-of-3-after-5", 9));
    }

    #[test]
    fn going_back_to_where_one_is_or_never_was_is_refused() {
        let champion = || Some(model(5, "x", ModelState::Champion));
        let cases = [
            (None, None, "nothing is released yet"),
            (champion(), None, "no model 3"),
            (champion(), Some(model(3, "x", ModelState::Retired)), "version 5 is in force with the same bytes"),
            (champion(), Some(model(3, "y", ModelState::Approved)), "version 3 was never released"),
            (champion(), Some(model(3, "y", ModelState::Withdrawn)), "version 3 was withdrawn"),
        ];
        for (champion, to, expected) in cases {
            assert_eq!(planned(champion, to), Err(expected.to_owned()));
        }
    }
}
