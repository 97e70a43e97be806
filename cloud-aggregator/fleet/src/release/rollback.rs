//! Going back is going forward: an older model's bytes under a new, higher version, so that no agent ever goes down.
//! Decided here, done by the [`crate::release_service::ReleaseService`].

use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::{ModelRow, ModelState, ReleaseRow, blocking};

use super::manual::ManualError;
use crate::release_service::ReleaseService;

/// Whether it makes sense to go back from `champion` to the model `older`, which was asked for as version `to`.
///
/// # Errors
/// [`ManualError`] saying why not.
pub fn decide(champion: Option<&ModelRow>, older: Option<&ModelRow>, to: ModelVersion) -> Result<(), ManualError> {
    let champion = champion.ok_or(ManualError::NothingReleased)?;
    let older = older.ok_or(ManualError::UnknownModel(to))?;
    if older.sha256 == champion.sha256 {
        return Err(ManualError::InForce(champion.version));
    }
    match older.state {
        ModelState::Retired | ModelState::Champion => Ok(()),
        ModelState::Approved | ModelState::AwaitingSignature => Err(ManualError::NeverReleased(to)),
        ModelState::Withdrawn => Err(ManualError::Withdrawn(to)),
    }
}

/// Whether [`roll_back`] would go back to model `to`, as far as that is known before anything is signed.
///
/// # Errors
/// [`ManualError`] saying why not.
pub async fn check(releases: &ReleaseService, to: ModelVersion) -> Result<(), ManualError> {
    let (champion, older) = blocking(releases.store(), move |store| Ok((store.champion()?, store.model(to)?))).await?;
    decide(champion.as_ref(), older.as_ref(), to)
}

/// Releases the bytes of model `to` under a new version and withdraws the model that was in force. `by` says who, as an
/// [`Actor`](hearthwatch_store::Actor).
///
/// # Errors
/// [`ManualError`]; the model in force is then the one before.
pub async fn roll_back(releases: &ReleaseService, to: ModelVersion, by: &str) -> Result<ReleaseRow, ManualError> {
    check(releases, to).await?;
    Ok(releases.roll_back(to, by).await?)
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::versioned as model;

    use super::*;

    #[test]
    fn going_back_to_where_one_is_or_never_was_is_refused() {
        let champion = || Some(model(5, "x", ModelState::Champion));
        let cases = [
            (None, None, Err("nothing is released yet")),
            (champion(), None, Err("no model 3")),
            (champion(), Some(model(3, "x", ModelState::Retired)), Err("version 5 is in force with the same bytes")),
            (champion(), Some(model(3, "y", ModelState::Approved)), Err("version 3 was never released")),
            (champion(), Some(model(3, "y", ModelState::Withdrawn)), Err("version 3 was withdrawn")),
            (champion(), Some(model(3, "y", ModelState::Retired)), Ok(())),
        ];
        for (champion, older, expected) in cases {
            let decided = decide(champion.as_ref(), older.as_ref(), ModelVersion(3));
            assert_eq!(decided.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        }
    }
}
