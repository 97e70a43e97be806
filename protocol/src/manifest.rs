//! A home's word on what it runs, signed with the key of its certificate: how the aggregator knows the fleet.

use serde::{Deserialize, Serialize};

use crate::id::{HomeId, ModelVersion};
use crate::limits::TEXT_BYTES_MAX;
use crate::statement::{Signed, Statement};

/// How the model in charge does in this home: what a fleet-wide gate needs and answers alone do not tell.
///
/// A budget fixes each home's alarm rate, so a model of low recall looks no worse by its alarms. It shows in its
/// synthetic fault checks and in what it and its predecessor disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// Begin of the period, Unix seconds; the model in charge was in charge throughout.
    pub since: i64,
    /// End of the period, Unix seconds.
    pub until: i64,
    /// Alarms raised.
    pub alarms: u32,
    /// Of these, confirmed by the resident.
    pub confirmed: u32,
    /// Of these, dismissed by the resident.
    pub dismissed: u32,
    /// Synthetic fault checks: faults put into copies of the home's own recent windows.
    #[serde(rename = "canaries")]
    pub fault_checks: u32,
    /// Of these, found by the model in charge.
    pub caught: u32,
    /// Of these, found by the model before it.
    pub caught_before: u32,
    /// Steps that both models judged.
    pub compared: u32,
    /// Of these, those where one would have raised an alarm and the other not.
    pub disagreed: u32,
}

/// What a home runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose it is.
    pub home: HomeId,
    /// The nonce of the newest assignment that the home accepted; zeros before the first.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub nonce: [u8; 16],
    /// The generation of that assignment; 0 before the first.
    pub generation: u64,
    /// The agent's own version.
    pub agent_version: String,
    /// The model in charge.
    pub model_version: ModelVersion,
    /// SHA-256 of its artifact; zeros for the baseline detector and for the model that ships with the agent.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub sha256: [u8; 32],
    /// When this was said, Unix seconds.
    pub at: i64,
    /// How the model does, once there is something to tell.
    pub vitals: Option<Vitals>,
}

/// A manifest as it travels. Whether its nonce is the one that was asked for is for its reader to see.
pub type SignedManifest = Signed<Manifest>;

impl Statement for Manifest {
    const CONTEXT: &'static [u8] = b"hearthwatch manifest 1";
    const NOUN: &'static str = "manifest";

    fn home(&self) -> &HomeId {
        &self.home
    }

    fn field_outside_limits(&self) -> Option<&'static str> {
        if self.agent_version.len() > TEXT_BYTES_MAX {
            return Some("agent_version");
        }
        self.vitals.is_some_and(|vitals| !vitals.consistent()).then_some("vitals")
    }
}

impl Vitals {
    /// Whether no part is larger than its whole.
    fn consistent(&self) -> bool {
        self.since <= self.until
            && u64::from(self.confirmed) + u64::from(self.dismissed) <= u64::from(self.alarms)
            && self.caught <= self.fault_checks
            && self.caught_before <= self.fault_checks
            && self.disagreed <= self.compared
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    use super::*;
    use crate::seal::SigningKey;
    use crate::statement::StatementRefusal;

    fn key() -> SigningKey {
        SigningKey::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    fn manifest() -> Manifest {
        Manifest {
            home: HomeId::new("home-7").unwrap(),
            nonce: [2; 16],
            generation: 4,
            agent_version: "0.1.0".to_owned(),
            model_version: ModelVersion(3),
            sha256: [1; 32],
            at: 1_790_000_000,
            vitals: Some(Vitals {
                alarms: 3,
                confirmed: 1,
                dismissed: 2,
                fault_checks: 8,
                caught: 7,
                ..Vitals::default()
            }),
        }
    }

    #[test]
    fn parts_larger_than_their_whole_are_not_signed() {
        for vitals in [
            Vitals { alarms: 1, confirmed: 1, dismissed: 1, ..Vitals::default() },
            Vitals { fault_checks: 1, caught: 2, ..Vitals::default() },
            Vitals { since: 1, ..Vitals::default() },
        ] {
            let bad = Manifest { vitals: Some(vitals), ..manifest() };
            assert_eq!(bad.sign(&key()).unwrap_err(), StatementRefusal::Field { noun: "manifest", field: "vitals" });
        }
    }
}
