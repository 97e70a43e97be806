//! A person at a prompt, with nobody on the other side of the network.

use std::os::unix::fs::PermissionsExt;

use hearthwatch_configuration::Secret;

use super::*;
use crate::config::Config;

fn args(dir: &std::path::Path) -> SetupArgs {
    SetupArgs {
        dir: dir.to_owned(),
        home_assistant: None,
        token_file: None,
        broker: None,
        broker_user: None,
        broker_password_file: None,
        sharing: None,
        alarms: None,
        no_questions: false,
        force: false,
    }
}

async fn answer(args: &SetupArgs, typed: &str) -> (Result<(), SetupError>, String) {
    let mut said = Vec::new();
    let result = set_up(args, &mut Asker::new(typed.as_bytes(), &mut said)).await;
    (result, String::from_utf8(said).unwrap())
}

fn answers() -> Answers {
    Answers {
        home_assistant: answers::HomeAssistant {
            url: "http://127.0.0.1:8123".to_owned(),
            token: Secret::new("a-token"),
        },
        broker: Some(answers::Broker {
            door: Door::parse("broker:1884").unwrap(),
            credentials: Some(("ha \"quoted\"".to_owned(), Secret::new("a-password"))),
        }),
        sharing: SharingLevel::Windows,
        alarms: 0.5,
    }
}

#[test]
fn what_is_written_reads_back_and_secrets_are_their_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "an old one, readable by all").unwrap();
    files::write(dir.path(), &answers()).unwrap();
    let config = Config::load(&dir.path().join("edge.toml")).unwrap();
    let broker = config.home_mqtt.unwrap();
    assert_eq!((config.budget, broker.host.as_str(), broker.port), (0.5, "broker", 1884));
    assert_eq!(broker.credentials.unwrap().0, "ha \"quoted\"");
    assert_eq!(config.home_assistant.token.expose(), "a-token");
    for secret in ["token", "broker-password"] {
        let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let text = std::fs::read_to_string(dir.path().join("edge.toml")).unwrap();
    assert!(!text.contains("a-token") && !text.contains("a-password"), "{text}");
}

#[test]
fn without_a_broker_it_is_said_what_phones_need() {
    let file = std::path::Path::new("/etc/hearthwatch/hearthwatch-alarm.yaml");
    let how = "copy /etc/hearthwatch/hearthwatch-alarm.yaml into the folder\n  blueprints/automation/hearthwatch/ of Home Assistant's \
               configuration, then Settings, Automations & scenes, Blueprints.";
    assert_eq!(phones(file, true), format!("Messages on phones, with buttons to answer: {how}"));
    let needs = "Without an MQTT broker nothing appears in Home Assistant or on phones: alarms are on the local page alone. For both \
                 set it up again,\n  with --broker HOST --force; then for phones ";
    assert_eq!(phones(file, false), format!("{needs}{how}"));
}

#[tokio::test]
async fn a_wrong_answer_is_explained_and_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing listens on port 1 of this machine.
    let (result, said) = answer(&args(dir.path()), "ftp://home\ntoken\nhttp://127.0.0.1:1\ntoken\n").await;
    assert!(matches!(result, Err(SetupError::End)), "{result:?}");
    assert!(said.contains("\"ftp\" is not a way to reach Home Assistant"), "{said}");
    assert!(said.contains("Home Assistant does not answer at http://127.0.0.1:1"), "{said}");
    assert_eq!(said.matches("Its address").count(), 3);
    assert!(!dir.path().join("edge.toml").exists() && !dir.path().join("token").exists());
}

#[tokio::test]
async fn without_questions_what_is_missing_or_wrong_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let silent = SetupArgs { no_questions: true, ..args(dir.path()) };
    let (result, said) = answer(&silent, "").await;
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "--home-assistant: say where Home Assistant is, or leave --no-questions out");
    assert_eq!(said, "");
    std::fs::write(dir.path().join("edge.toml"), "").unwrap();
    let (result, _) = answer(&silent, "").await;
    assert!(matches!(result, Err(SetupError::Exists(_))), "{result:?}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_said_to_be_so() {
    let error = try_broker("127.0.0.1", 1, None).await.unwrap_err();
    assert!(matches!(error, BrokerError::Refused(_)), "{error}");
    assert!(error.to_string().contains("Settings, Devices & services, MQTT"), "{error}");
}
