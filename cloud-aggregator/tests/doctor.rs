//! Each of the commonest faults, made for real, and what the doctor says of it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::config::Config;
use hearthwatch_cloud::data_lock::DataLock;
use hearthwatch_cloud::doctor::{Finding, Grade, check, gather};
use hearthwatch_provision::{Layout, init};
use hearthwatch_store::files::private_data;
use hearthwatch_store::{Role, SqliteStore, token};
use jiff::Timestamp;

/// An installation as `init` makes it, with nothing running.
struct Site {
    directory: tempfile::TempDir,
    config: Config,
    now: i64,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Site {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().join("keys"));
        let now = Timestamp::now();
        let (corpus, ports) = (directory.path().join("corpus"), [free_port(), free_port()]);
        std::fs::create_dir_all(corpus.join("set")).unwrap();
        let listen = Some("127.0.0.1".parse().unwrap());
        let options = init::Options {
            listen,
            mqtt_port: ports[0],
            http_port: ports[1],
            corpus: Some(corpus),
            ..init::Options::default()
        };
        init::run(&layout, &options, now).unwrap();
        let config = Config::load(&directory.path().join("keys/cloud.toml")).unwrap();
        let store = SqliteStore::open(&private_data(&config.data, DATABASE_FILE).unwrap()).unwrap();
        token::make(&store, "ada", Role::Admin, None, now.as_second()).unwrap();
        Self { directory, config, now: now.as_second() }
    }

    fn path(&self, inner: &str) -> PathBuf {
        self.directory.path().join(inner)
    }

    fn look(&self) -> Vec<Finding> {
        check(&gather(&self.config, self.now))
    }

    /// The one finding of this grade that has `part` in it.
    fn finds(&self, grade: Grade, part: &str) -> String {
        let found = self.look();
        let mut of = found.iter().filter(|one| one.grade == grade && one.what.contains(part));
        let one = of.next().unwrap_or_else(|| panic!("no {grade:?} with {part:?} in {found:#?}"));
        assert!(grade == Grade::Ok || !one.remedy.is_empty(), "{one:?}");
        one.what.clone()
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_new_installation_lacks_nothing_but_what_is_not_started_yet() {
    let site = Site::new();
    let found = site.look();
    let faults: Vec<&str> = found.iter().filter(|one| one.grade == Grade::Fault).map(|one| one.what.as_str()).collect();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(
        faults[0].starts_with("the broker is out of reach: ")
            && faults[0].ends_with("Connection refused (os error 111)"),
        "{faults:?}"
    );
    assert!(faults[1].starts_with("cannot reach the signer at "), "{faults:?}");
    assert_eq!(site.finds(Grade::Ok, "admin"), "1 admin tokens are in force");
    assert_eq!(site.finds(Grade::Ok, "recorded sets"), "1 recorded sets to train with");
    assert_eq!(site.finds(Grade::Ok, "[http]"), "the address of [http] is free");
}

#[test]
fn a_port_that_another_program_has_is_told_with_its_address() {
    let site = Site::new();
    let listen = site.config.http.as_ref().unwrap().listen;
    let _other = TcpListener::bind(listen).unwrap();
    let told = site.finds(Grade::Fault, "could not listen");
    assert_eq!(told, format!("the aggregator could not listen: {listen}: Address already in use (os error 98)"));
}

#[test]
fn a_broker_that_speaks_no_tls_and_one_that_hangs_up_are_told() {
    let site = Site::new();
    let port = site.config.mqtt.as_ref().unwrap().port;
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        use std::io::Write as _;
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"this is no TLS at all, but some other program\n");
        }
    });
    let told = site.finds(Grade::Fault, "the broker is out of reach");
    assert!(told.contains("TLS: "), "{told}");
}

#[test]
fn certificates_that_have_ended_or_are_none_are_told_by_their_files() {
    let mut site = Site::new();
    let file = site.config.http.as_ref().unwrap().tls.as_ref().unwrap().cert_file.clone();
    site.now += 40 * 365 * 86_400;
    assert!(site.finds(Grade::Fault, &shown(&file)).contains(" ended on "));
    std::fs::write(&file, "no certificate").unwrap();
    assert_eq!(
        site.finds(Grade::Fault, &shown(&file)),
        format!("{} is no certificate that can be read", file.display())
    );
}

#[test]
fn a_database_of_a_newer_program_and_one_that_is_none_are_told() {
    let site = Site::new();
    let file = site.config.data.join(DATABASE_FILE);
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(site.finds(Grade::Fault, "schema").starts_with("the database has schema 99, and this program knows "));
    std::fs::write(&file, vec![7; 8192]).unwrap();
    assert!(site.finds(Grade::Fault, "the database").starts_with("the database cannot be read: "));
}

#[test]
fn no_token_no_sets_and_no_metadata_are_warnings() {
    let site = Site::new();
    std::fs::remove_dir_all(site.path("corpus/set")).unwrap();
    let empty = "the folder of recorded sets is empty: no network is trained";
    assert_eq!(site.finds(Grade::Warning, "recorded sets"), empty);
    let file = site.config.data.join(DATABASE_FILE);
    rusqlite::Connection::open(&file).unwrap().execute("DELETE FROM tokens", []).unwrap();
    assert_eq!(site.finds(Grade::Warning, "admin"), "no admin token is in force");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(site.finds(Grade::Warning, "database"), "there is no database yet");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_told() {
    let site = Site::new();
    // For root no mode is in the way: a folder of that name is.
    std::fs::create_dir(site.config.data.join(".doctor")).unwrap();
    assert!(site.finds(Grade::Fault, "cannot be written").starts_with("the data directory cannot be written: "));
}

#[test]
fn an_aggregator_that_holds_the_directory_and_does_not_answer_is_told() {
    let site = Site::new();
    let _held = DataLock::try_take(&site.config.data).unwrap();
    assert_eq!(site.finds(Grade::Ok, "an aggregator runs"), "an aggregator runs on this data directory");
    let told = site.finds(Grade::Fault, "does not say that it is alive");
    assert!(told.contains("nobody answers at 127.0.0.1:"), "{told}");
}

#[test]
fn keys_that_others_can_read_are_faults_of_the_configuration() {
    let site = Site::new();
    let key = site.config.http.as_ref().unwrap().tls.as_ref().unwrap().key_file.clone();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let faults = Config::load(&site.path("keys/cloud.toml")).unwrap_err();
    let told = faults.list().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("is open to others (mode 0644)"), "{told}");
}
