//! The commonest faults of the program in the home, each made for real, and what the doctor says of it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use futures_util::{SinkExt as _, StreamExt as _};
use hearthwatch_edge::doctor::{Finding, Grade, examine};
use hearthwatch_edge::state_directory::StateDirectory;
use tokio_tungstenite::tungstenite::Message;

/// A home with a configuration, and nothing that runs.
struct Home {
    folder: tempfile::TempDir,
    ports: [u16; 5],
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Home {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let home = Self { folder: tempfile::tempdir().unwrap(), ports: std::array::from_fn(|_| free_port()) };
        let [assistant, broker, fleet, updates, page] = home.ports;
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        for (name, text) in [("token", "a-token".to_owned()), ("home.key", key.serialize_pem())] {
            home.write(name, &text);
            fs::set_permissions(home.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        for name in ["ca.crt", "home.crt"] {
            home.write(name, &certificate.pem());
        }
        home.write("root.json", "{}");
        home.write(
            "edge.toml",
            &format!(
                "state = \"state\"\n[home_assistant]\nurl = \"http://127.0.0.1:{assistant}\"\ntoken_file = \"token\"\n\
                 [home.mqtt]\nhost = \"127.0.0.1\"\nport = {broker}\n\
                 [cloud]\nhome = \"home-7\"\n\
                 [cloud.mqtt]\nhost = \"127.0.0.1\"\nport = {fleet}\nca_file = \"ca.crt\"\ncert_file = \"home.crt\"\nkey_file = \"home.key\"\n\
                 [cloud.updates]\nurl = \"https://127.0.0.1:{updates}/\"\nca_file = \"ca.crt\"\nroot_file = \"root.json\"\ndirector = \"none\"\n\
                 [page]\nlisten = \"127.0.0.1:{page}\"\n"
            ),
        );
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    async fn look(&self) -> Vec<Finding> {
        examine(&self.path("edge.toml")).await
    }

    /// The one finding of this grade that has `part` in it.
    async fn finds(&self, grade: Grade, part: &str) -> String {
        let found = self.look().await;
        let mut of = found.iter().filter(|one| one.grade == grade && one.what.contains(part));
        let one = of.next().unwrap_or_else(|| panic!("no {grade:?} with {part:?} in {found:#?}"));
        assert!(grade == Grade::Ok || !one.remedy.is_empty(), "{one:?}");
        one.what.clone()
    }
}

#[tokio::test]
async fn nothing_that_runs_is_told_part_by_part() {
    let home = Home::new();
    let [assistant, broker, fleet, updates, page] = home.ports;
    assert!(home.finds(Grade::Warning, "no agent runs").await.starts_with("no agent runs"));
    let told = home.finds(Grade::Fault, "Home Assistant does not answer").await;
    assert!(told.contains(&format!("127.0.0.1:{assistant}")), "{told}");
    assert!(home.finds(Grade::Fault, "Home Assistant's broker").await.contains("efused"), "{broker}");
    let told = home.finds(Grade::Fault, "the fleet's broker is out of reach").await;
    assert_eq!(
        told,
        format!("the fleet's broker is out of reach: 127.0.0.1:{fleet}: Connection refused (os error 111)")
    );
    let told = home.finds(Grade::Fault, "where models come from").await;
    assert!(told.starts_with(&format!("https://127.0.0.1:{updates}/ is out of reach")), "{told}");
    let told = home.finds(Grade::Ok, "free for the local page").await;
    assert_eq!(told, format!("127.0.0.1:{page} is free for the local page"));
    assert_eq!(home.finds(Grade::Ok, "first start").await, "the agent's directory is made at its first start");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_told_with_its_key() {
    let home = Home::new();
    let text = fs::read_to_string(home.path("edge.toml")).unwrap();
    home.write("edge.toml", &text.replace("state = \"state\"", "state = \"state\"\nbudget = 900.0"));
    assert!(home.finds(Grade::Fault, "budget").await.contains("edge.toml: budget"));
    home.write("edge.toml", "state = ");
    assert_eq!(home.look().await.len(), 1);
}

#[tokio::test]
async fn a_token_that_home_assistant_refuses_is_told() {
    let home = Home::new();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", home.ports[0])).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { continue };
            let _ = socket.send(Message::text(r#"{"type":"auth_required","ha_version":"2026.11.0"}"#)).await;
            let _ = socket.next().await;
            let refused = r#"{"type":"auth_invalid","message":"Invalid access token or password"}"#;
            let _ = socket.send(Message::text(refused)).await;
        }
    });
    let told = home.finds(Grade::Fault, "refuses the token").await;
    assert!(told.contains("Invalid access token or password"), "{told}");
}

#[tokio::test]
async fn a_port_that_another_program_has_is_told() {
    let home = Home::new();
    let _other = TcpListener::bind(("127.0.0.1", home.ports[4])).unwrap();
    let told = home.finds(Grade::Fault, "the local page could not listen").await;
    assert!(told.ends_with("Address already in use (os error 98)"), "{told}");
}

#[tokio::test]
async fn a_broker_that_speaks_no_tls_is_told() {
    let home = Home::new();
    let listener = TcpListener::bind(("127.0.0.1", home.ports[2])).unwrap();
    std::thread::spawn(move || {
        use std::io::Write as _;
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"this is no TLS at all, but some other program\n");
        }
    });
    assert!(home.finds(Grade::Fault, "the fleet's broker").await.contains("TLS: "));
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_or_that_others_can_read_is_told() {
    let home = Home::new();
    home.write("state", "a file where a directory should be");
    assert!(home.finds(Grade::Fault, "is not a directory").await.ends_with("state is not a directory"));
    fs::remove_file(home.path("state")).unwrap();
    // As root everything can be written but what is something else already.
    fs::create_dir_all(home.path("state/.doctor")).unwrap();
    assert!(home.finds(Grade::Fault, "cannot be written").await.contains("Is a directory"));
    fs::remove_dir(home.path("state/.doctor")).unwrap();
    fs::set_permissions(home.path("state"), fs::Permissions::from_mode(0o755)).unwrap();
    let told = home.finds(Grade::Warning, "others can read").await;
    assert_eq!(told, "others can read the agent's directory (mode 755): it holds the home's history");
}

#[tokio::test]
async fn an_agent_that_runs_is_seen_and_keeps_its_lock_and_one_whose_page_is_silent_is_told() {
    let home = Home::new();
    let state = StateDirectory::take(&home.path("state")).unwrap();
    assert_eq!(home.finds(Grade::Ok, "an agent runs").await, "an agent runs");
    let told = home.finds(Grade::Fault, "the agent runs, and its page says").await;
    assert_eq!(told, format!("the agent runs, and its page says: nobody answers at 127.0.0.1:{}", home.ports[4]));
    assert!(StateDirectory::take(&home.path("state")).is_err(), "the lock was not taken away");
    drop(state);
    assert!(home.finds(Grade::Warning, "no agent runs").await.starts_with("no agent"));
}
