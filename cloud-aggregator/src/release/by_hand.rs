//! Letting out the candidate of a run by a person's decision: one that the gate held back, or one that waits.

use super::lineage::LineageOf;
use super::rollback::release_new;
pub use super::rollback::ByHandError;
use crate::artifacts::{Artifacts, weights_id};
use crate::state::AppState;
use crate::store::{ModelRow, ModelState, NewModel, ReleaseRow, RunRow, RunState, blocking};

/// The artifact and the lineage with which a run's candidate is to be released.
///
/// `existing` is the model that the run's candidate has become, if it has; `champion` is the model in force.
///
/// # Errors
/// [`ByHandError`] when there is nothing to release, or it is in force already.
pub fn plan(
    run: &RunRow,
    existing: Option<&ModelRow>,
    champion: Option<&ModelRow>,
) -> Result<(String, LineageOf), ByHandError> {
    let nothing = |why: &str| Err(ByHandError::NoCandidate { run: run.id.clone(), why: why.to_owned() });
    match run.state {
        RunState::Running => return nothing("is not over"),
        RunState::Failed => return nothing("failed"),
        RunState::Promoted | RunState::Held => {}
    }
    let Some(sha256) = run.challenger.clone() else { return nothing("made no candidate") };
    if let Some(champion) = champion.filter(|champion| champion.sha256 == sha256) {
        return Err(ByHandError::InForce(champion.version));
    }
    let waiting = existing.is_none_or(|model| {
        model.state == ModelState::Approved && champion.is_none_or(|champion| champion.version < model.version)
    });
    let lineage = match champion {
        Some(champion) if !waiting => LineageOf::Again { run: run.id.clone(), after: champion.version },
        _ => LineageOf::Run(run.id.clone()),
    };
    Ok((sha256, lineage))
}

/// Releases the candidate of run `id`.
///
/// # Errors
/// [`ByHandError`]; the model in force is then the one before.
pub async fn promote(app: &AppState, id: &str, by: &str) -> Result<ReleaseRow, ByHandError> {
    let asked = id.to_owned();
    let (run, existing, champion) = blocking(&app.store, move |store| {
        let existing = store.models()?.into_iter().find(|model| model.run == asked);
        Ok((store.run(&asked)?, existing, store.champion()?))
    })
    .await?;
    let mut run = run.ok_or_else(|| ByHandError::UnknownRun(id.to_owned()))?;
    let (sha256, lineage) = plan(&run, existing.as_ref(), champion.as_ref())?;
    let bytes = Artifacts::of(&app.config.data).get(&sha256)?;
    let new = NewModel {
        length: bytes.len() as u64,
        weights_id: weights_id(&bytes).map_err(ByHandError::Unusable)?,
        sha256,
        run: lineage.to_string(),
        at: app.clock.now(),
    };
    let row = release_new(app, new, by).await?;
    run.state = RunState::Promoted;
    blocking(&app.store, move |store| store.put_run(&run)).await?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::ModelVersion;

    use super::*;
    use crate::store::RunTrigger;

    fn run(state: RunState, challenger: Option<&str>) -> RunRow {
        RunRow {
            id: "ab12".to_owned(),
            snapshot: String::new(),
            trigger: RunTrigger::Hand,
            config: "{}".to_owned(),
            champion: None,
            state,
            started_at: 0,
            ended_at: None,
            challenger: challenger.map(str::to_owned),
            report: None,
            failure: None,
        }
    }

    fn model(version: u64, sha256: &str, state: ModelState) -> ModelRow {
        let (sha256, run) = (sha256.to_owned(), "ab12".to_owned());
        let version = ModelVersion(version);
        ModelRow { version, sha256, length: 1, weights_id: String::new(), run, state, created_at: 0 }
    }

    #[test]
    fn a_held_candidate_keeps_its_runs_name() {
        let (sha256, lineage) = plan(&run(RunState::Held, Some("c")), None, None).unwrap();
        assert_eq!((sha256.as_str(), lineage), ("c", LineageOf::Run("ab12".to_owned())));
    }

    #[test]
    fn a_version_that_a_later_release_overtook_is_replaced_by_a_new_one() {
        let (waiting, champion) = (model(4, "c", ModelState::Approved), model(5, "d", ModelState::Champion));
        let (_, lineage) = plan(&run(RunState::Promoted, Some("c")), Some(&waiting), Some(&champion)).unwrap();
        assert_eq!(lineage, LineageOf::Again { run: "ab12".to_owned(), after: ModelVersion(5) });
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
        assert!(matches!(error, ByHandError::InForce(ModelVersion(5))));
    }
}
