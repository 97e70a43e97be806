//! `init`: everything that an installation needs, made once; run again, it changes nothing.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use hearthwatch_protocol::seal::SigningKey;
use jiff::Timestamp;

use crate::acl::{self, Identity};
use crate::authority::{self, Authority, AuthorityError, Issued};
use crate::ceremony::{self, CeremonyError};
use crate::files::{self, FileError};
use crate::handing_over::{self, Owner};
use crate::homes::Outcome;
use crate::layout::Layout;
use crate::ledger::{Ledger, LedgerError};
use crate::mosquitto;
use crate::revocation::{self, RevocationError};

/// User id of root.
const ROOT: u32 = 0;
/// Who mosquitto becomes when root starts it and nothing else is configured.
const BROKER_USER: &str = "mosquitto";

/// What may differ between installations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Names and addresses, besides loopback, under which broker and aggregator are reached.
    pub hosts: Vec<String>,
    /// Life of the server and aggregator certificates, in days.
    pub days: u32,
    /// Port in mosquitto's configuration.
    pub mqtt_port: u16,
    /// User that mosquitto becomes when root starts it; none for its own default.
    pub broker_user: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { hosts: Vec::new(), days: authority::SERVER_DAYS, mqtt_port: mosquitto::PORT, broker_user: None }
    }
}

/// One thing that was made or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is, in words.
    pub what: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Made now or found.
    pub outcome: Outcome,
    /// Something to know about what was found.
    pub notice: Option<String>,
}

/// Why an installation could not be completed; what was made before stays, and `init` can be run again.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The authority cannot be made or used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The ceremony failed.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The ledger of certificates.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The revocation list.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// Nobody to give the broker's files to.
    #[error("there is no user {0} in {USERS}; make one, or name another with --broker-user", USERS = handing_over::USERS)]
    NoUser(String),
    /// Two of them at once.
    #[error("another `init` is at work in {}; wait for it", .0.display())]
    Busy(PathBuf),
    /// Things signed by an authority that is gone.
    #[error("{} is missing, but {} was signed with it; restore it from a backup, or begin in an empty directory",
        .missing.display(), .present.display())]
    LostAuthority {
        /// The authority's file.
        missing: PathBuf,
        /// What depends on it.
        present: PathBuf,
    },
    /// The TUF directory without its root.
    #[error("{} exists without root.json; restore it from a backup, or begin in an empty directory", .0.display())]
    LostRoot(PathBuf),
}

/// Makes what is missing in `layout`, keeps what is there.
///
/// # Errors
/// [`InitError`].
pub fn run(layout: &Layout, options: &Options, now: Timestamp) -> Result<Vec<Step>, InitError> {
    files::make_dir(layout.root())?;
    let _lock = lock(layout)?;
    let mut steps = Vec::new();
    for dir in ["ca", "broker", "cloud", "gate", "director", "mosquitto", "homes"] {
        files::make_dir(&layout.root().join(dir))?;
    }
    files::make_dir(&layout.mosquitto_data())?;

    let (authority, outcome) = authority(layout, now)?;
    steps.push(Step { what: "certificate authority", path: layout.ca_cert(), outcome, notice: None });

    for (what, cert, key) in [
        ("broker's server certificate", layout.broker_cert(), layout.broker_key()),
        ("aggregator's HTTPS certificate", layout.http_cert(), layout.http_key()),
    ] {
        let notice = hosts_notice(&cert, &key, &options.hosts)?;
        let name = if cert == layout.broker_cert() { "broker" } else { "cloud" };
        let make = || authority.issue_server(name, &options.hosts, now, options.days);
        let outcome = pair(&cert, &key, make)?;
        steps.push(Step { what, path: cert, outcome, notice });
    }
    let (cert, key) = (layout.aggregator_cert(), layout.aggregator_key());
    let outcome = pair(&cert, &key, || authority.issue_client(&Identity::AGGREGATOR, now, options.days))?;
    steps.push(Step { what: "aggregator's client certificate", path: cert, outcome, notice: None });

    let outcome = if layout.tuf().exists() {
        if !layout.tuf_root().exists() {
            return Err(InitError::LostRoot(layout.tuf()));
        }
        Outcome::Kept
    } else {
        ceremony::hold(layout, now)?;
        Outcome::Created
    };
    steps.push(Step { what: "update keys and first root", path: layout.tuf_root(), outcome, notice: None });
    steps.push(Step { what: "gate's key", path: layout.gate_key(), outcome: gate(layout)?, notice: None });
    steps.push(Step { what: "director's key", path: layout.director_key(), outcome: director(layout)?, notice: None });

    let absolute = Layout::new(std::path::absolute(layout.root()).unwrap_or_else(|_| layout.root().to_owned()));
    let of_layout = mosquitto::Options::of(&absolute, options.mqtt_port);
    let conf = mosquitto::render(&mosquitto::Options { user: options.broker_user.clone(), ..of_layout });
    let mut step = rendered("mosquitto's configuration", layout.mosquitto_conf(), &conf)?;
    let owner = std::fs::metadata(layout.root()).map(|root| root.uid()).unwrap_or_default();
    let broker_user = options.broker_user.as_deref().unwrap_or(BROKER_USER);
    let to_give = options.broker_user.as_deref().filter(|name| owner == ROOT && *name != "root");
    if owner == ROOT && to_give.is_none() && step.outcome == Outcome::Created && broker_user != "root" {
        step.notice = Some(root_notice(broker_user));
    }
    steps.push(step);
    let shut_out = Ledger::of(layout).shut_out(now)?;
    steps.push(rendered("mosquitto's access rules", layout.mosquitto_acl(), &acl::render_mosquitto(&shut_out))?);
    let outcome = if layout.crl().exists() {
        Outcome::Kept
    } else {
        revocation::render(layout, &authority, now)?;
        Outcome::Created
    };
    steps.push(Step { what: "revocation list", path: layout.crl(), outcome, notice: None });
    if let Some(name) = to_give {
        let users = std::fs::read_to_string(handing_over::USERS).unwrap_or_default();
        let owner = Owner::find(&users, name).ok_or_else(|| InitError::NoUser(name.to_owned()))?;
        handing_over::hand_over(layout, owner)?;
    }
    Ok(steps)
}

/// What root is told about mosquitto, which gives root up at once.
fn root_notice(broker_user: &str) -> String {
    format!(
        "these files are root's, and mosquitto started by root becomes the user {broker_user}, who cannot read them: give \
         them with --broker-user {broker_user}, or let mosquitto stay root with --broker-user root"
    )
}

fn lock(layout: &Layout) -> Result<File, InitError> {
    let path = layout.root().join(".lock");
    let refused = |cause| FileError::Io { what: "lock", path: path.clone(), cause };
    let file = File::create(&path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(InitError::Busy(layout.root().to_owned())),
        Err(std::fs::TryLockError::Error(cause)) => Err(refused(cause).into()),
    }
}

fn authority(layout: &Layout, now: Timestamp) -> Result<(Authority, Outcome), InitError> {
    let (cert, key) = (layout.ca_cert(), layout.ca_key());
    if cert.exists() {
        return Ok((Authority::load(layout)?, Outcome::Kept));
    }
    // Written in the order key, certificate, everything else: a key alone has signed nothing and may be replaced.
    for present in [layout.broker_cert(), layout.http_cert(), layout.aggregator_cert()] {
        if present.exists() {
            return Err(InitError::LostAuthority { missing: cert, present });
        }
    }
    let (authority, key_pem) = Authority::create(now)?;
    files::write_private(&key, key_pem.as_bytes())?;
    files::write_public(&cert, authority.certificate_pem().as_bytes())?;
    Ok((authority, Outcome::Created))
}

/// A certificate and its key; the certificate is written last and says that the pair is whole.
fn pair(
    cert: &std::path::Path,
    key: &std::path::Path,
    make: impl FnOnce() -> Result<Issued, AuthorityError>,
) -> Result<Outcome, InitError> {
    if cert.exists() {
        files::read_private(key)?;
        return Ok(Outcome::Kept);
    }
    let issued = make()?;
    files::write_private(key, issued.key_pem.as_bytes())?;
    files::write_public(cert, issued.certificate_pem.as_bytes())?;
    Ok(Outcome::Created)
}

/// What to say when a certificate that is kept does not carry every host that was asked for.
fn hosts_notice(cert: &std::path::Path, key: &std::path::Path, hosts: &[String]) -> Result<Option<String>, InitError> {
    let pem = match files::read_text(cert) {
        Err(FileError::Missing(_)) => return Ok(None),
        other => other?,
    };
    let covered = crate::inspect::names_of(&pem);
    let missing: Vec<&str> = hosts.iter().filter(|host| !covered.contains(host)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "does not name {}; to replace it: rm {} {} and run init again",
        missing.join(", "),
        cert.display(),
        key.display()
    )))
}

fn gate(layout: &Layout) -> Result<Outcome, InitError> {
    if layout.gate_public().exists() {
        files::read_private(&layout.gate_key())?;
        return Ok(Outcome::Kept);
    }
    let (key, private) = ceremony::make_key()?;
    files::write_private(&layout.gate_key(), &private)?;
    files::write_public(&layout.gate_public(), format!("{}\n", ceremony::public_hex(&key)).as_bytes())?;
    Ok(Outcome::Created)
}

fn director(layout: &Layout) -> Result<Outcome, InitError> {
    if layout.director_public().exists() {
        files::read_private(&layout.director_key())?;
        return Ok(Outcome::Kept);
    }
    let (key, private) = ceremony::make_key()?;
    files::write_private(&layout.director_key(), &private)?;
    let public = SigningKey::Ed25519(Box::new(key)).public();
    files::write_public(&layout.director_public(), format!("{public}\n").as_bytes())?;
    Ok(Outcome::Created)
}

fn rendered(what: &'static str, path: PathBuf, text: &str) -> Result<Step, InitError> {
    let (outcome, notice) = match files::read_text(&path) {
        Ok(found) if found == text => (Outcome::Kept, None),
        Ok(_) => {
            let again = format!(
                "differs from what would be rendered now; to replace it: rm {} and run init again",
                path.display()
            );
            (Outcome::Kept, Some(again))
        }
        Err(FileError::Missing(_)) => {
            // Private although not secret: the broker must own it anyway, and later versions insist.
            files::write_private(&path, text.as_bytes())?;
            (Outcome::Created, None)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Step { what, path, outcome, notice })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
        let mut files = BTreeMap::new();
        let mut todo = vec![dir.to_owned()];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(&dir).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    todo.push(entry.path());
                } else if entry.file_name() != ".lock" {
                    let bytes = std::fs::read(entry.path()).unwrap();
                    files.insert(entry.path(), (bytes, entry.metadata().unwrap().modified().unwrap()));
                }
            }
        }
        files
    }

    #[test]
    fn running_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        let steps = run(&layout, &Options::default(), now()).unwrap();
        assert!(steps.iter().all(|step| step.outcome == Outcome::Created));
        let before = snapshot(layout.root());
        let steps = run(&layout, &Options::default(), now()).unwrap();
        assert!(steps.iter().all(|step| step.outcome == Outcome::Kept && step.notice.is_none()), "{steps:?}");
        assert!(snapshot(layout.root()) == before);
    }

    #[test]
    fn every_key_and_every_directory_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        run(&layout, &Options::default(), now()).unwrap();
        let mut keys = 0;
        for path in snapshot(layout.root()).keys() {
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(path.parent().unwrap()), 0o700, "{}", path.display());
            if path.extension().is_some_and(|extension| extension == "key") {
                keys += 1;
                assert_eq!(mode(path), 0o600, "{}", path.display());
            }
        }
        assert_eq!(keys, 12, "ca, broker, http, aggregator, three roots, targets, snapshot, timestamp, gate, director");
    }

    #[test]
    fn a_key_that_others_can_read_stops_init_with_the_command_that_mends_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        run(&layout, &Options::default(), now()).unwrap();
        std::fs::set_permissions(layout.ca_key(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = run(&layout, &Options::default(), now()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("chmod 600 {}", layout.ca_key().display())), "{error}");
    }

    #[test]
    fn a_lost_authority_is_not_quietly_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        run(&layout, &Options::default(), now()).unwrap();
        std::fs::remove_file(layout.ca_cert()).unwrap();
        assert!(matches!(run(&layout, &Options::default(), now()), Err(InitError::LostAuthority { .. })));
    }

    #[test]
    fn root_keys_that_were_taken_away_are_not_missed() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        run(&layout, &Options::default(), now()).unwrap();
        std::fs::remove_dir_all(layout.tuf_offline()).unwrap();
        run(&layout, &Options::default(), now()).unwrap();
        assert!(!layout.tuf_offline().exists());
    }

    #[test]
    fn a_host_that_the_kept_certificate_lacks_is_said_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        run(&layout, &Options { hosts: vec!["a.example".to_owned()], ..Options::default() }, now()).unwrap();
        let hosts = ["a.example", "b.example", "192.0.2.7"].map(str::to_owned).to_vec();
        let steps = run(&layout, &Options { hosts, ..Options::default() }, now()).unwrap();
        let notice = steps[1].notice.as_ref().unwrap();
        assert!(notice.starts_with("does not name b.example, 192.0.2.7; to replace it: rm "), "{notice}");
    }
}
