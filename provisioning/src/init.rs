//! `init`: everything that an installation needs, made once; run again, it changes nothing.

use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;

use hearthwatch_protocol::seal::SigningKey;
use jiff::Timestamp;

use crate::acl::{self, Identity};
use crate::authority::{self, Authority, AuthorityError, Issued};
use crate::ceremony::{self, CeremonyError};
use crate::files::{self, FileError};
use crate::group::{Group, GroupError};
use crate::handing_over::{self, Owner};
use crate::homes::Outcome;
use crate::host::{self, NameError};
use crate::layout::Layout;
use crate::ledger::{Ledger, LedgerError};
use crate::revocation::{self, RevocationError};
use crate::{cloud_toml, mosquitto};

/// What may differ between installations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Names and addresses, besides loopback, under which broker and aggregator are reached.
    pub hosts: Vec<String>,
    /// Life of the server and aggregator certificates, in days.
    pub days: u32,
    /// Port of the broker.
    pub mqtt_port: u16,
    /// Port of the aggregator's HTTPS listener.
    pub http_port: u16,
    /// Address that both listen on; none for all.
    pub listen: Option<IpAddr>,
    /// Recorded sets for training; none for a folder of the installation.
    pub corpus: Option<PathBuf>,
    /// User that mosquitto becomes when root starts it; none for its own default.
    pub broker_user: Option<String>,
    /// To whom the broker's folder is given, which only root can; none leaves it as it is.
    pub broker_owner: Option<Owner>,
    /// Where that folder is made if the one in the installation is not within that user's reach.
    pub broker_elsewhere: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            days: authority::SERVER_DAYS,
            mqtt_port: mosquitto::PORT,
            http_port: cloud_toml::PORT,
            listen: None,
            corpus: None,
            broker_user: None,
            broker_owner: None,
            broker_elsewhere: handing_over::ELSEWHERE.into(),
        }
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
    /// A host that is none.
    #[error(transparent)]
    Host(#[from] NameError),
    /// The group of the aggregators.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A path that cannot stand in a configuration.
    #[error("{0:?} cannot stand in a configuration file: a path without control characters, in UTF-8")]
    Path(PathBuf),
    /// The broker's folder cannot be where it would have to be.
    #[error("{} is there already, and not this installation's; name another place for what mosquitto reads with --broker-dir", .0.display())]
    Taken(PathBuf),
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
    for host in &options.hosts {
        host::check_host(host)?;
    }
    for path in [Some(layout.root()), options.corpus.as_deref(), Some(&options.broker_elsewhere)].into_iter().flatten()
    {
        if path.to_str().is_none_or(|path| path.contains(char::is_control)) {
            return Err(InitError::Path(path.to_owned()));
        }
    }
    files::make_dir(layout.root())?;
    let _lock = lock(layout)?;
    let mut steps = Vec::new();
    for dir in ["ca", "broker", "cloud", "gate", "director", "homes"] {
        files::make_dir(&layout.root().join(dir))?;
    }
    let unreached = brokers_folder(layout, options)?;

    let (authority, outcome) = authority(layout, now)?;
    steps.push(Step { what: "certificate authority", path: layout.ca_cert(), outcome, notice: None });
    steps.extend(certificates(layout, options, &authority, now)?);

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
    let outcome = signing_key(&layout.gate_key(), &layout.gate_public(), |key| ceremony::public_hex(&key))?;
    steps.push(Step { what: "gate's key", path: layout.gate_key(), outcome, notice: None });
    let public = |key| SigningKey::Ed25519(Box::new(key)).public().to_string();
    let outcome = signing_key(&layout.director_key(), &layout.director_public(), public)?;
    steps.push(Step { what: "director's key", path: layout.director_key(), outcome, notice: None });

    let outcome = Group::make(&layout.group())?;
    steps.push(Step { what: "aggregators' secret group", path: layout.group(), outcome, notice: None });
    steps.push(cloud_config(layout, options)?);

    let conf = mosquitto::render(&broker_options(layout, options));
    let mut step = rendered("mosquitto's configuration", layout.mosquitto_conf(), &conf)?;
    step.notice = unreached.or(step.notice);
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
    let outcome = copies(layout)?;
    steps.push(Step { what: "mosquitto's copies", path: layout.mosquitto(), outcome, notice: None });
    if let Some(owner) = options.broker_owner {
        handing_over::hand_over(layout, owner)?;
    }
    Ok(steps)
}

/// The certificates of the fleet's own servers and of the aggregator as a client.
fn certificates(
    layout: &Layout,
    options: &Options,
    authority: &Authority,
    now: Timestamp,
) -> Result<Vec<Step>, InitError> {
    let mut steps = Vec::new();
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
    Ok(steps)
}

/// Makes the certificate of who reads the broker's own numbers, unless it is there.
///
/// # Errors
/// [`InitError`].
pub fn monitor(layout: &Layout, days: u32, now: Timestamp) -> Result<Outcome, InitError> {
    let (cert, key) = (layout.monitor_cert(), layout.monitor_key());
    if let Some(folder) = cert.parent() {
        files::make_dir(folder)?;
    }
    let authority = Authority::load(layout)?;
    pair(&cert, &key, || authority.issue_client(&Identity::Monitor, now, days))
}

/// Makes the broker's folder where its user can reach it. What to say when one that was there before is out of reach.
fn brokers_folder(layout: &Layout, options: &Options) -> Result<Option<String>, InitError> {
    let barred = match options.broker_owner {
        Some(owner) => handing_over::barred(layout.root(), owner)?,
        None => None,
    };
    let folder = layout.mosquitto();
    let mut notice = None;
    match barred {
        Some(above) if folder.is_dir() && !folder.is_symlink() => {
            let user = options.broker_user.as_deref().unwrap_or("mosquitto");
            notice = Some(format!(
                "the user {user} cannot pass through {}, so mosquitto started by root cannot read this; rm -r {} and run init again, \
                 which then puts it in {}",
                above.display(),
                folder.display(),
                options.broker_elsewhere.display()
            ));
        }
        Some(_) if !folder.is_dir() => {
            if options.broker_elsewhere.symlink_metadata().is_ok() {
                return Err(InitError::Taken(options.broker_elsewhere.clone()));
            }
            handing_over::make_elsewhere(layout, &options.broker_elsewhere)?;
        }
        _ => files::make_dir(&folder)?,
    }
    files::make_dir(&layout.mosquitto_data())?;
    Ok(notice)
}

/// What mosquitto is told, with the absolute paths of its folder: it reads it anew on SIGHUP, as another user and from another place.
fn broker_options(layout: &Layout, options: &Options) -> mosquitto::Options {
    let folder = std::fs::canonicalize(layout.mosquitto()).unwrap_or_else(|_| layout.mosquitto());
    let of_layout = mosquitto::Options::of(layout, options.mqtt_port);
    let there =
        |path: &PathBuf| path.strip_prefix(layout.mosquitto()).map_or_else(|_| path.clone(), |name| folder.join(name));
    mosquitto::Options {
        bind: options.listen.map(|address| address.to_string()),
        user: options.broker_user.clone(),
        ca: there(&of_layout.ca),
        cert: there(&of_layout.cert),
        key: there(&of_layout.key),
        crl: there(&of_layout.crl),
        acl: there(&of_layout.acl),
        data: there(&of_layout.data),
        port: of_layout.port,
    }
}

fn cloud_config(layout: &Layout, options: &Options) -> Result<Step, InitError> {
    files::make_dir(&layout.cloud_data())?;
    if options.corpus.is_none() {
        files::make_dir(&layout.corpus())?;
    }
    let corpus = options.corpus.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let text = cloud_toml::render(&cloud_toml::Options {
        host: options.hosts.first().cloned().unwrap_or_else(|| "localhost".to_owned()),
        listen: options.listen,
        port: options.http_port,
        mqtt_port: options.mqtt_port,
        corpus,
    });
    let path = layout.cloud_toml();
    // A person edits it; a difference is no news.
    let outcome = match path.exists() {
        true => Outcome::Kept,
        false => {
            files::write_private(&path, text.as_bytes())?;
            Outcome::Created
        }
    };
    Ok(Step { what: "aggregator's configuration", path, outcome, notice: None })
}

/// Brings the broker's copies up to date with what they are copies of.
fn copies(layout: &Layout) -> Result<Outcome, InitError> {
    let mut outcome = Outcome::Kept;
    for (from, to) in [
        (layout.ca_cert(), layout.mosquitto_ca()),
        (layout.broker_cert(), layout.mosquitto_cert()),
        (layout.crl(), layout.mosquitto_crl()),
    ] {
        let bytes = files::read(&from)?;
        if !matches!(files::read(&to), Ok(found) if found == bytes) {
            files::write_public(&to, &bytes)?;
            outcome = Outcome::Created;
        }
    }
    let key = files::read_private(&layout.broker_key())?;
    if !matches!(files::read_private(&layout.mosquitto_key()), Ok(found) if found == key) {
        files::write_private(&layout.mosquitto_key(), &key)?;
        outcome = Outcome::Created;
    }
    Ok(outcome)
}

fn lock(layout: &Layout) -> Result<File, InitError> {
    files::try_lock(&layout.root().join(".lock"))?.ok_or_else(|| InitError::Busy(layout.root().to_owned()))
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
    let Some(pem) = files::if_there(files::read_text(cert))? else { return Ok(None) };
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

/// A key to sign with, and the line that says its public half; the line is written last and says that the pair is whole.
fn signing_key(
    private: &std::path::Path,
    public: &std::path::Path,
    line: impl FnOnce(aws_lc_rs::signature::Ed25519KeyPair) -> String,
) -> Result<Outcome, InitError> {
    if public.exists() {
        files::read_private(private)?;
        return Ok(Outcome::Kept);
    }
    let (key, bytes) = ceremony::make_key()?;
    files::write_private(private, &bytes)?;
    files::write_public(public, format!("{}\n", line(key)).as_bytes())?;
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
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;
    use crate::fixtures::{installation, now};

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
    fn every_file_and_directory_has_the_permissions_that_it_needs_and_no_more() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, layout) = installation();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (mut private, mut public) = (Vec::new(), Vec::new());
        for path in snapshot(layout.root()).keys() {
            assert_eq!(mode(path.parent().unwrap()), 0o700, "{}", path.display());
            let name = path.strip_prefix(layout.root()).unwrap().display().to_string();
            match mode(path) {
                0o600 => private.push(name),
                0o644 => public.push(name),
                other => panic!("{name} has mode {other:04o}"),
            }
        }
        let expected = "ca/ca.key broker/server.key cloud/http.key cloud/aggregator.key cloud/ingest.group cloud.toml \
             director/director.key gate/gate.key mosquitto/acl mosquitto/mosquitto.conf mosquitto/server.key \
             tuf/offline/root-1.key tuf/offline/root-2.key tuf/offline/root-3.key tuf/online/snapshot.key \
             tuf/online/timestamp.key tuf/signer/state.json tuf/signer/targets.key";
        assert_eq!(private.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected.split(' ').collect());
        let expected = "broker/server.crt ca/ca.crl ca/ca.crt cloud/aggregator.crt cloud/http.crt director/director.pub \
             gate/gate.pub mosquitto/ca.crl mosquitto/ca.crt mosquitto/server.crt tuf/ceremony.txt \
             tuf/repository/metadata/1.root.json tuf/repository/metadata/1.snapshot.json \
             tuf/repository/metadata/1.targets.json tuf/repository/metadata/timestamp.json tuf/root.json";
        assert_eq!(public.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected.split(' ').collect());
    }

    #[test]
    fn a_certificate_that_was_replaced_is_copied_to_the_broker() {
        let (_dir, layout) = installation();
        for path in [layout.broker_cert(), layout.broker_key()] {
            std::fs::remove_file(path).unwrap();
        }
        let steps = run(&layout, &Options::default(), now()).unwrap();
        let copies = steps.iter().find(|step| step.what == "mosquitto's copies").unwrap();
        assert_eq!(copies.outcome, Outcome::Created);
        for (from, to) in
            [(layout.broker_cert(), layout.mosquitto_cert()), (layout.broker_key(), layout.mosquitto_key())]
        {
            assert_eq!(std::fs::read(from).unwrap(), std::fs::read(to).unwrap());
        }
    }

    #[test]
    fn a_host_that_is_none_or_a_path_that_would_break_a_configuration_stops_init_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        let hosts = vec!["bad host/name".to_owned()];
        assert!(matches!(run(&layout, &Options { hosts, ..Options::default() }, now()), Err(InitError::Host(_))));
        let odd = Layout::new(dir.path().join("hw\nuser root"));
        assert!(matches!(run(&odd, &Options::default(), now()), Err(InitError::Path(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_key_that_others_can_read_stops_init_with_the_command_that_mends_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, layout) = installation();
        std::fs::set_permissions(layout.ca_key(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = run(&layout, &Options::default(), now()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("chmod 600 {}", layout.ca_key().display())), "{error}");
    }

    #[test]
    fn a_lost_authority_is_not_quietly_replaced() {
        let (_dir, layout) = installation();
        std::fs::remove_file(layout.ca_cert()).unwrap();
        assert!(matches!(run(&layout, &Options::default(), now()), Err(InitError::LostAuthority { .. })));
    }

    #[test]
    fn root_keys_that_were_taken_away_are_not_missed() {
        let (_dir, layout) = installation();
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
