//! A configuration is read into truth, or refused with everything that is wrong with it.

use std::path::Path;

use hearthwatch_edge_rounds::config::RoundsConfig;
use hearthwatch_edge_store::outbox::SharingLevel;

use super::*;

/// The least that a configuration holds.
const BASE: &str = "state = \"s\"\n[home_assistant]\nurl = \"http://h\"\ntoken_file = \"token\"\n";

fn keys(error: &Faults) -> Vec<&str> {
    error.list().iter().map(|fault| fault.key.as_str()).collect()
}

fn home_with_token() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "long-lived-token\n").unwrap();
    dir
}

fn parse_in(dir: &Path, text: &str) -> Result<Config, Faults> {
    Config::parse(text, &dir.join("edge.toml"))
}

/// In a folder that holds a token and nothing else.
fn parse(text: &str) -> Result<Config, Faults> {
    parse_in(home_with_token().path(), text)
}

#[test]
fn the_smallest_configuration_names_a_state_directory_and_home_assistant() {
    let dir = home_with_token();
    let text = "state = \"state\"\n[home_assistant]\nurl = \"http://127.0.0.1:8123\"\ntoken_file = \"token\"\n";
    let config = parse_in(dir.path(), text).unwrap();
    assert_eq!(config.state, dir.path().join("state"));
    assert_eq!(config.budget, DEFAULT_BUDGET_PER_WEEK);
    assert_eq!(config.home_assistant.token.expose(), "long-lived-token");
    assert!(config.home_mqtt.is_none() && config.cloud.is_none() && config.timezone.is_none());
}

#[test]
fn every_fault_is_reported_at_once() {
    let text = "
state = \"token\"
timezone = \"Europe/Atlantis\"
bugdet = 2
[home_assistant]
url = \"ftp://home\"
[home.mqtt]
port = 70000
username = \"agent\"
[cloud]
home = \"Home 7\"
[cloud.mqtt]
host = \"cloud.example\"
ca_file = \"missing.crt\"
[cloud.updates]
url = \"http://cloud.example\"
";
    let error = parse(text).unwrap_err();
    assert_eq!(
        keys(&error),
        [
            "state",
            "timezone",
            "home_assistant.url",
            "home_assistant.token_file",
            "home.mqtt.host",
            "home.mqtt.port",
            "home.mqtt.password_file",
            "cloud.home",
            "cloud.mqtt.ca_file",
            "cloud.mqtt.cert_file",
            "cloud.mqtt.key_file",
            "cloud.updates.url",
            "cloud.updates.root_file",
            "cloud.updates.director_file",
            "bugdet",
        ]
    );
    assert!(error.to_string().starts_with("the configuration has 15 faults:"));
    assert!(error.list().iter().all(|fault| !fault.remedy.is_empty() && fault.file.ends_with("edge.toml")));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let text = "state = \"s\"\nbugdet = 2\n[home_assistant]\nurl = \"http://h\"\ntoken_file = \"token\"\n";
    let error = parse(text).unwrap_err();
    assert_eq!(keys(&error), ["bugdet"]);
    assert_eq!(error.list()[0].remedy, "did you mean `budget`? Otherwise remove it");
}

#[test]
fn a_missing_file_is_a_fault_of_the_file_itself() {
    let error = Config::load(Path::new("/nonexistent/edge.toml")).unwrap_err();
    assert_eq!(keys(&error), [""]);
}

#[test]
fn text_that_is_not_toml_is_one_fault() {
    let error = Config::parse("state = ", Path::new("edge.toml")).unwrap_err();
    assert_eq!(keys(&error), [""]);
    assert!(error.list()[0].problem.starts_with("is not TOML: "));
}

#[test]
fn a_secret_never_shows_in_debug_output_or_faults() {
    let dir = home_with_token();
    std::fs::write(dir.path().join("big"), "x".repeat(5000)).unwrap();
    let config = parse_in(dir.path(), BASE).unwrap();
    assert!(!format!("{config:?}").contains("long-lived-token"));
    let error = parse_in(dir.path(), &BASE.replace("\"token\"", "\"big\"")).unwrap_err();
    assert!(!error.to_string().contains("xxx"));
}

#[test]
fn a_cloud_that_leads_nowhere_is_refused() {
    let text = format!("{BASE}[cloud]\nhome = \"home-7\"\n");
    assert_eq!(keys(&parse(&text).unwrap_err()), ["cloud.mqtt"]);
}

#[test]
fn the_port_follows_from_whether_the_broker_speaks_tls() {
    let text = format!("{BASE}[home.mqtt]\nhost = \"broker\"\n");
    assert_eq!(parse(&text).unwrap().home_mqtt.unwrap().port, 1883);
    let with_ca = format!("{text}ca_file = \"token\"\n");
    assert_eq!(parse(&with_ca).unwrap().home_mqtt.unwrap().port, 8883);
}

#[test]
fn the_page_is_for_this_machine_unless_home_assistant_lets_in() {
    let page = |more: &str| parse(&format!("{BASE}{more}")).map(|config| config.page);
    let listens = |page: Result<Option<PageConfig>, Faults>| page.unwrap().map(|page| page.listen.to_string());
    assert_eq!(listens(page("")), Some("127.0.0.1:8099".to_owned()));
    assert_eq!(listens(page("[page]\ndoor = \"ingress\"\n")), Some("0.0.0.0:8099".to_owned()));
    assert_eq!(page("[page]\nlisten = \"off\"\n").unwrap(), None);
    for wrong in ["listen = \"0.0.0.0:8099\"", "listen = \"8099\"", "door = \"wide\"", "dor = \"ingress\""] {
        assert_eq!(page(&format!("[page]\n{wrong}\n")).unwrap_err().list().len(), 1, "{wrong}");
    }
}

#[test]
fn the_numbers_are_for_this_machine_unless_somebody_says_more_or_less() {
    let metrics = |more: &str| parse(&format!("{BASE}{more}")).unwrap().page.unwrap().metrics;
    assert!(metrics(""));
    assert!(!metrics("[page]\nmetrics = false\n"));
    assert!(!metrics("[page]\ndoor = \"ingress\"\n"), "the Supervisor's network asks for no password");
    assert!(metrics("[page]\ndoor = \"ingress\"\nmetrics = true\n"));
}

#[test]
fn sharing_a_window_takes_a_word() {
    let dir = home_with_token();
    std::fs::write(dir.path().join("root.json"), "{}").unwrap();
    let text = |more: &str| {
        format!(
            "{BASE}[cloud]\nhome = \"home-7\"\n\
             {more}[cloud.updates]\nurl = \"https://c\"\nroot_file = \"root.json\"\ndirector = \"none\"\n"
        )
    };
    let level = |more: &str| parse_in(dir.path(), &text(more)).map(|config| config.cloud.unwrap().sharing);
    assert_eq!(level(""), Ok(SharingLevel::Verdicts));
    assert_eq!(level("sharing = \"windows\"\n"), Ok(SharingLevel::Windows));
    assert_eq!(level("sharing = \"learning\"\n"), Ok(SharingLevel::Learning));
    assert_eq!(keys(&level("sharing = \"all\"\n").unwrap_err()), ["cloud.sharing"]);
    // Chosen at set-up, it waits at the top until there is a fleet.
    let chosen = parse_in(dir.path(), &format!("sharing = \"off\"\n{}", text(""))).unwrap();
    assert_eq!(chosen.cloud.unwrap().sharing, SharingLevel::Off);
}

#[test]
fn limits_of_rounds_are_read_and_their_faults_named() {
    assert_eq!(parse(BASE).unwrap().rounds, RoundsConfig::default());
    let config = parse(&format!("{BASE}[rounds]\nseconds = 60\n")).unwrap();
    assert_eq!(config.rounds.job.seconds, 60);
    let error = parse(&format!("{BASE}[rounds]\nseconds = 5\nhour = \"22-6\"\n")).unwrap_err();
    assert_eq!(keys(&error), ["rounds.seconds", "rounds.hour"]);
}

#[test]
fn a_home_without_a_disk_keeps_what_it_enrols_for_in_memory() {
    let text = "state = \"none\"\n[home_assistant]\nurl = \"http://h\"\ntoken_file = \"token\"\n[cloud]\nhome = \"home-7\"\n\
                [cloud.enrol]\nurl = \"https://c:8443\"\nca_file = \"token\"\n[cloud.mqtt]\nhost = \"c\"\n\
                [cloud.updates]\nurl = \"https://c:8443/tuf\"\n";
    let config = parse(text).unwrap();
    let cloud = config.cloud.unwrap();
    let (enrolment, mqtt, updates) = (cloud.enrolment.unwrap(), cloud.mqtt.unwrap(), cloud.updates.unwrap());
    assert!(enrolment.folder.ends_with("hearthwatch-home-7") && enrolment.token.is_none());
    assert_eq!(config.state, enrolment.folder.join("state"));
    assert!(
        mqtt.key_file == enrolment.keys().join("agent.key") && mqtt.cert_file == enrolment.keys().join("agent.crt")
    );
    assert_eq!(updates.director_file, Some(enrolment.keys().join("director.pub")));
    assert_eq!(cloud.renew_url, Some(enrolment.url), "renewed where it was made");
}

#[test]
fn a_home_enrols_at_each_start_exactly_when_it_has_no_disk() {
    let home = "[home_assistant]\nurl = \"http://h\"\ntoken_file = \"token\"\n";
    let fleet = "[cloud]\nhome = \"home-7\"\n[cloud.updates]\nurl = \"https://c\"\ndirector = \"none\"\n";
    let faults = |text: String| parse(&text).unwrap_err();
    assert_eq!(keys(&faults(format!("state = \"none\"\n{home}"))), ["cloud.enrol"]);
    assert_eq!(keys(&faults(format!("state = \"none\"\n{home}{fleet}"))), ["cloud.enrol"]);
    let enrol = "root_file = \"token\"\n[cloud.enrol]\nurl = \"https://c\"\nca_file = \"token\"\n";
    assert_eq!(keys(&faults(format!("state = \"s\"\n{home}{fleet}{enrol}"))), ["cloud.enrol"]);
    // Files of an enrolment that is yet to come cannot be named.
    assert_eq!(keys(&faults(format!("state = \"none\"\n{home}{fleet}{enrol}"))), ["cloud.updates.root_file"]);
}
