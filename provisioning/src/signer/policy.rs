//! What the signer agrees to sign. Pure: state, request and time in; the next state or a refusal out.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use jiff::{SignedDuration, Timestamp};
use tough::schema::{Role as _, Target, Targets};

use super::message::{GatePublic, Judgement, Refusal, SignedVerdict, TARGETS_BYTES_MAX, VERDICTS_MAX, target_name};
use crate::ceremony::TARGETS_DAYS;
use crate::claims::sha256_hex;
use crate::signed_state::State;

/// Longest life of targets metadata that is signed: the ceremony's, and a day for clocks that differ.
const EXPIRY_DAYS_MAX: i64 = TARGETS_DAYS + 1;

/// Decides whether `canonical` may be signed after `state`.
///
/// The very bytes that were signed last may be signed again: the answer may have been lost.
///
/// # Errors
/// The first [`Refusal`] that applies; nothing was signed then.
pub fn decide(
    state: &State,
    canonical: &str,
    verdicts: &[SignedVerdict],
    gate: &GatePublic,
    now: Timestamp,
) -> Result<State, Refusal> {
    if canonical.len() > TARGETS_BYTES_MAX {
        return Err(Refusal::TooLarge { found: canonical.len() as u64 });
    }
    if verdicts.len() > VERDICTS_MAX {
        return Err(Refusal::TooManyVerdicts { found: verdicts.len() as u64 });
    }
    let sha256 = sha256_hex(canonical.as_bytes());
    if sha256 == state.sha256 {
        return Ok(state.clone());
    }
    let targets = parse(canonical)?;
    expiry(targets.expires, now)?;
    if Some(targets.version.get()) != state.version.checked_add(1) {
        return Err(Refusal::Version { last: state.version, asked: targets.version.get() });
    }

    let mut next =
        State { version: targets.version.get(), sha256, targets: BTreeMap::new(), model_version: state.model_version };
    for (name, target) in &targets.targets {
        let name = name.raw();
        let version = plain_target(name, target)?;
        let known = state.targets.get(name);
        if known != Some(target) {
            if known.is_some_and(|known| known.hashes != target.hashes || known.length != target.length) {
                return Err(Refusal::Changed { target: name.to_owned() });
            }
            if known.is_none() && version <= state.model_version {
                return Err(Refusal::ModelVersion { target: name.to_owned(), highest: state.model_version.0 });
            }
            promoted(name, target, verdicts, gate)?;
        }
        next.model_version = next.model_version.max(version);
        next.targets.insert(name.to_owned(), target.clone());
    }
    Ok(next)
}

/// Whether every release that `next` adds to `state` is one that a second person approved, by its SHA-256.
///
/// # Errors
/// [`Refusal::AwaitingApproval`], naming the first that is not.
pub fn approved(state: &State, next: &State, hashes: &BTreeSet<String>) -> Result<(), Refusal> {
    for (name, target) in &next.targets {
        let sha256 = hex::encode(&*target.hashes.sha256);
        if !state.targets.contains_key(name) && !hashes.contains(&sha256) {
            return Err(Refusal::AwaitingApproval { target: name.clone(), sha256 });
        }
    }
    Ok(())
}

/// Reads the metadata, and makes sure that what was read is all that will be signed.
fn parse(canonical: &str) -> Result<Targets, Refusal> {
    let targets: Targets = serde_json::from_str(canonical).map_err(|error| Refusal::NotTargets(error.to_string()))?;
    let unexpected = |what: &str| Err(Refusal::Unexpected(what.to_owned()));
    if targets.delegations.as_ref().is_some_and(|found| !found.keys.is_empty() || !found.roles.is_empty()) {
        return unexpected("delegations");
    }
    if !targets._extra.is_empty() {
        return unexpected("members of their own");
    }
    for target in targets.targets.values() {
        if !target._extra.is_empty() || !target.hashes._extra.is_empty() {
            return unexpected("a target with members of its own");
        }
    }
    match targets.canonical_form() {
        Ok(bytes) if bytes == canonical.as_bytes() => Ok(targets),
        _ => Err(Refusal::NotCanonical),
    }
}

fn expiry(expires: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let longest = now.saturating_add(SignedDuration::from_hours(EXPIRY_DAYS_MAX * 24)).unwrap_or(Timestamp::MAX);
    if expires > now && expires <= longest && expires.subsec_nanosecond() == 0 {
        return Ok(());
    }
    Err(Refusal::Expiry { expires: expires.to_string(), days_max: EXPIRY_DAYS_MAX })
}

/// The version that a target is of, by name and by its custom member alike.
fn plain_target(name: &str, target: &Target) -> Result<ModelVersion, Refusal> {
    let refused = || Refusal::TargetName { target: name.chars().take(80).collect() };
    let version = target.custom.get("model_version").and_then(serde_json::Value::as_u64).map(ModelVersion);
    let version = version.filter(|version| target_name(*version) == name).ok_or_else(refused)?;
    if target.length > ARTIFACT_BYTES_MAX {
        return Err(Refusal::TargetSize { target: name.to_owned(), length: target.length });
    }
    Ok(version)
}

fn promoted(name: &str, target: &Target, verdicts: &[SignedVerdict], gate: &GatePublic) -> Result<(), Refusal> {
    let name = || name.to_owned();
    let verdict = verdicts
        .iter()
        .find(|verdict| verdict.body.target == name())
        .ok_or_else(|| Refusal::NoVerdict { target: name() })?;
    if !gate.verifies(verdict) {
        return Err(Refusal::VerdictSignature { target: name() });
    }
    let differs = |field: &str| Err(Refusal::VerdictDiffers { target: name(), field: field.to_owned() });
    // The model version needs no comparison: the gate signs no verdict whose name and version disagree.
    if verdict.body.sha256 != hex::encode(&*target.hashes.sha256) {
        return differs("sha256");
    }
    if verdict.body.length != target.length {
        return differs("length");
    }
    match verdict.body.verdict {
        Judgement::Promote => Ok(()),
        Judgement::Hold => Err(Refusal::NotPromoted { target: name() }),
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
