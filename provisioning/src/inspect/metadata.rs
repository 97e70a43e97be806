//! The update repository: who signed what until when.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tough::schema::{Role, Root, Signed, Snapshot, Targets, Timestamp as TufTimestamp};

use super::{CERTIFICATE_DAYS, REFRESHED_DAYS, ROOT_DAYS, Report, row};
use crate::files::{self, FileError};
use crate::layout::Layout;
use crate::signed_state::State;

pub(super) fn look(report: &mut Report, layout: &Layout, now: Timestamp) {
    if !layout.tuf().exists() {
        report.problem(format!("no update keys; hearthwatch-provision init --out {}", layout.root().display()));
        return;
    }
    let reader = Reader { layout, now };
    let ceremony = "hold a ceremony with two of the three root keys before agents stop updating";
    reader.role::<Root>(report, "root of trust", "root.json", ROOT_DAYS, ceremony);
    signer(report, layout);

    let refresh = "the aggregator refreshes it while it runs";
    let name = "repository/metadata/timestamp.json";
    let timestamp = reader.role::<TufTimestamp>(report, "timestamp", name, REFRESHED_DAYS, refresh);
    let Some(version) = timestamp.and_then(|read| read.meta.get("snapshot.json").map(|meta| meta.version)) else {
        return;
    };
    let name = format!("repository/metadata/{version}.snapshot.json");
    let snapshot = reader.role::<Snapshot>(report, "snapshot", &name, REFRESHED_DAYS, refresh);
    let Some(version) = snapshot.and_then(|read| read.meta.get("targets.json").map(|meta| meta.version)) else {
        return;
    };
    let name = format!("repository/metadata/{version}.targets.json");
    let again = "a release, or a refresh by the aggregator, has the signer sign again";
    reader.role::<Targets>(report, "targets", &name, CERTIFICATE_DAYS, again);
}

struct Reader<'a> {
    layout: &'a Layout,
    now: Timestamp,
}

impl Reader<'_> {
    /// Reads one role's metadata. Signatures are the agents' matter: here nothing is decided by what is read.
    fn role<R: Role + DeserializeOwned>(
        &self,
        report: &mut Report,
        what: &str,
        name: &str,
        warn_days: i64,
        remedy: &str,
    ) -> Option<R> {
        let path = self.layout.tuf().join(name);
        let bytes = match files::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                report.problem(format!("{error}; restore it from a backup"));
                return None;
            }
        };
        match serde_json::from_slice::<Signed<R>>(&bytes) {
            Ok(read) => {
                let subject = format!("version {}, signatures {}", read.signed.version(), read.signatures.len());
                report.rows.push(row(self.layout, what, &path, subject, Some(read.signed.expires())));
                report.expiry(&format!("{what} metadata"), read.signed.expires(), self.now, warn_days, remedy);
                Some(read.signed)
            }
            Err(error) => {
                report.problem(format!("{} is damaged ({error}); restore it from a backup", path.display()));
                None
            }
        }
    }
}

fn signer(report: &mut Report, layout: &Layout) {
    let path = layout.signer_state();
    match files::read_private(&path).map(|bytes| State::from_bytes(&bytes)) {
        Ok(Ok(state)) => {
            let subject = format!(
                "targets version {}, models {}, highest {}",
                state.version,
                state.targets.len(),
                state.model_version
            );
            report.rows.push(row(layout, "signer's memory", &path, subject, None));
        }
        Ok(Err(cause)) => report.problem(format!("{} is damaged ({cause}); restore it from a backup", path.display())),
        // The signer may live on another machine.
        Err(FileError::Missing(_)) => {}
        Err(error) => report.problem(error.to_string()),
    }
}
