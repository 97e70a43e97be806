//! Faults, all at once, and the file that has none.

use std::os::unix::fs::PermissionsExt as _;

use hearthwatch_configuration::Fault;
use hearthwatch_provision::files::write_private;

use super::*;

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["ca.crt", "a.crt", "a.key", "h.crt", "h.key", "root.json", "gate.key", "snapshot.key", "timestamp.key"]
    {
        write_private(&directory.path().join(name), b"x").unwrap();
    }
    hearthwatch_provision::Group::make(&directory.path().join("ingest.group")).unwrap();
    directory
}

const GOOD: &str = r#"
data = "data"
[mqtt]
host = "broker"
ca_file = "ca.crt"
cert_file = "a.crt"
key_file = "a.key"
group_file = "ingest.group"
[http]
listen = "0.0.0.0:8443"
cert_file = "h.crt"
key_file = "h.key"
[training]
corpus = "."
trigger_count = 20
schedule_hours = 24
seed = 3
[release]
repository = "repository"
root_file = "root.json"
keys = "."
gate_key = "gate.key"
signer_socket = "signer.sock"
url = "https://cloud.example:8443/tuf/"
"#;

fn parse(text: &str, directory: &tempfile::TempDir) -> Result<Config, Vec<Fault>> {
    Config::parse(text, &directory.path().join("cloud.toml")).map_err(|faults| faults.list().to_vec())
}

fn faults(text: &str) -> Vec<(String, String)> {
    let directory = directory();
    let list = parse(text, &directory).unwrap_err();
    let here = directory.path().display().to_string();
    list.into_iter().map(|fault| (fault.key, fault.problem.replace(&here, "DIR"))).collect()
}

#[test]
fn a_good_file_is_read_with_paths_from_its_own_directory() {
    let directory = directory();
    let config = parse(GOOD, &directory).unwrap();
    assert_eq!(config.data, directory.path().join("data"));
    let mqtt = config.mqtt.unwrap();
    assert_eq!((mqtt.host.as_str(), mqtt.port, mqtt.client_id.as_str()), ("broker", 8883, "aggregator"));
    assert_eq!((config.training.trigger_count, config.training.seed, config.training.auto_release), (20, 3, true));
    assert_eq!(config.release.unwrap().signer_socket, directory.path().join("signer.sock"));
}

#[test]
fn every_fault_of_every_section_is_reported_at_once() {
    let found = faults(
        r#"
        dta = "x"
        [mqtt]
        port = 70000
        ca_file = "gone.crt"
        cert_file = "a.crt"
        [http]
        listen = "0.0.0.0:8443"
        cert_file = "h.crt"
        [training]
        corpus = "nowhere"
        seed = "seven"
        device = "gpu"
        [release]
        repository = "repository"
        root_file = "root.json"
        keys = "."
        gate_key = "gate.key"
        signer_socket = 7
        url = "cloud"
        "#,
    );
    let expected = [
        ("data", "is missing"),
        ("dta", "is not a known key"),
        ("mqtt.host", "is missing"),
        ("mqtt.port", "70000 is not a TCP port"),
        ("mqtt.ca_file", "DIR/gone.crt cannot be read: No such file or directory (os error 2)"),
        ("mqtt.key_file", "is missing"),
        ("mqtt.group_file", "is missing"),
        ("http.key_file", "is missing beside cert_file"),
        ("http.listen", "0.0.0.0:8443 is open to the network without TLS"),
        ("training.corpus", "DIR/nowhere is not a directory"),
        ("training.device", "no device is called `gpu`; use `flex`, `ndarray` or `cuda`"),
        ("training.seed", "is a string"),
        ("release.signer_socket", "is an integer"),
        ("release.url", "\"cloud\" is not a web address"),
    ];
    assert_eq!(found, expected.map(|(key, problem)| (key.to_owned(), problem.to_owned())));
}

#[test]
fn a_configuration_from_before_the_secret_group_is_told_the_command_that_makes_one() {
    let directory = directory();
    let old = GOOD.replace("group_file = \"ingest.group\"\n", "");
    let list = parse(&old, &directory).unwrap_err();
    let [fault] = &list[..] else { panic!("{list:?}") };
    assert_eq!((fault.key.as_str(), fault.problem.as_str()), ("mqtt.group_file", "is missing"));
    assert!(fault.remedy.contains("`hearthwatch-provision group --out DIR` makes it"), "{}", fault.remedy);
}

#[test]
fn a_group_that_homes_could_guess_is_a_fault() {
    let directory = directory();
    let path = directory.path().join("ingest.group");
    hearthwatch_provision::files::write_private(&path, b"aggregator\n").unwrap();
    let list = parse(GOOD, &directory).unwrap_err();
    assert_eq!(list.len(), 1);
    assert!(list[0].problem.contains("is not a name of 32 hexadecimal digits"), "{list:?}");
}

#[test]
fn every_key_that_others_could_read_is_named_with_the_command_that_closes_it() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    for name in ["a.key", "h.key", "gate.key", "timestamp.key"] {
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o640)).unwrap();
    }
    let list = parse(GOOD, &directory).unwrap_err();
    let fault = |key: &str, name: &str| Fault {
        file: path("cloud.toml"),
        key: key.to_owned(),
        problem: format!("{} is open to others (mode 0640)", path(name).display()),
        remedy: format!("if nobody read it: chmod 600 {}", path(name).display()),
    };
    let ours = [fault("mqtt.key_file", "a.key"), fault("http.key_file", "h.key")];
    assert_eq!(list[..2], ours);
    assert_eq!(list[2..], [fault("release.keys", "./timestamp.key"), fault("release.gate_key", "gate.key")]);
}

#[test]
fn trusted_proxies_are_addresses_and_networks_and_nothing_else() {
    let directory = directory();
    let read = |list: &str| {
        let text = GOOD.replace("key_file = \"h.key\"", &format!("key_file = \"h.key\"\ntrusted_proxies = {list}"));
        parse(&text, &directory)
    };
    let http = read("[\"127.0.0.1\", \"10.0.0.0/8\"]").unwrap().http.unwrap();
    assert_eq!(http.trusted_proxies, ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
    let problem = |list: &str| read(list).unwrap_err().remove(0).problem;
    let neither = "\"proxy.example\" is neither an address nor a network like \"10.0.0.0/8\"";
    assert_eq!(problem("[\"proxy.example\"]"), neither);
    assert_eq!(problem("\"10.0.0.1\""), "is a string");
    assert_eq!(problem("[1]"), "holds something else than texts");
}

#[test]
fn a_misspelt_key_is_told_its_neighbour() {
    let directory = directory();
    let list = parse(&GOOD.replace("[training]", "[trainng]"), &directory).unwrap_err();
    let (file, key) = (directory.path().join("cloud.toml"), "trainng".to_owned());
    let remedy = "did you mean `training`? Otherwise remove it".to_owned();
    assert_eq!(list, [Fault { file, key, problem: "is not a known key".to_owned(), remedy }]);
}

#[test]
fn a_file_that_is_not_toml_is_one_fault_with_its_place() {
    let found = faults("data = ");
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains("line 1"), "{found:?}");
}

#[test]
fn the_daily_quota_is_asked_for_and_never_without_bound() {
    let directory = directory();
    let read = |text: &str| parse(&format!("{GOOD}[ingest]\n{text}"), &directory);
    assert_eq!(read("").unwrap().ingest, IngestConfig::default());
    assert_eq!(read("records_per_day = 12").unwrap().ingest.records_per_day, 12);
    for wrong in [0, 864_001] {
        let key = &read(&format!("records_per_day = {wrong}")).unwrap_err()[0].key;
        assert_eq!(key, "ingest.records_per_day");
    }
}

#[test]
fn rounds_need_those_who_sign_release_and_certify_and_values_that_homes_accept() {
    let directory = directory();
    let rounds = "[rounds]\nenabled = true\ncohort = 5\nleast = 9\ndeadline_minutes = 10080\nstrategy = \"vote\"\n";
    let list = parse(&format!("{GOOD}{rounds}"), &directory).unwrap_err();
    let problems: Vec<(&str, &str)> = list.iter().map(|fault| (fault.key.as_str(), fault.problem.as_str())).collect();
    assert_eq!(
        problems,
        [
            ("rounds.strategy", "\"vote\" is not a strategy"),
            ("rounds.deadline_minutes", "10080 is out of range"),
            ("rounds.least", "9 deltas cannot come from 5 homes"),
            ("rollout", "is missing, and [rounds] needs it"),
            ("enrolment", "is missing, and [rounds] needs it"),
        ]
    );
    let noised = parse(&format!("{GOOD}[rounds]\nserver_noise = 0.01\n"), &directory).unwrap_err();
    let problem = "noise promises nothing where what one home changes has no bound, as with vetted-mean";
    assert_eq!((noised[0].key.as_str(), noised[0].problem.as_str()), ("rounds.server_noise", problem));
    let off = parse(&format!("{GOOD}[rounds]\nstrategy = \"coordinate-median\"\n"), &directory).unwrap().rounds;
    assert_eq!((off.enabled, off.strategy), (false, hearthwatch_rounds::StrategyName::CoordinateMedian));
}

#[test]
fn a_buffer_is_off_unless_it_is_asked_for_and_goes_with_neither_masks_nor_noise() {
    let directory = directory();
    let read = |rounds: &str| parse(&format!("{GOOD}[rounds]\n{rounds}"), &directory);
    assert_eq!(read("buffer_size = 5\n").unwrap().rounds.buffer, None);
    let usual = hearthwatch_rounds::BufferSettings { size: 24, staleness_max: 4 };
    assert_eq!(read("buffered = true\n").unwrap().rounds.buffer, Some(usual));
    let fault = |rounds: &str| read(rounds).unwrap_err().remove(0);
    let large = fault("buffered = true\nbuffer_size = 24\ncohort = 20\n");
    assert_eq!(
        (large.key.as_str(), large.problem.as_str()),
        ("rounds.buffer_size", "a buffer of 24 never fills with 20 homes")
    );
    assert_eq!(large.remedy, "at most 20, or a larger cohort");
    for with in ["masked = true", "noise = 0.01", "server_noise = 0.01\nstrategy = \"clipped-mean\""] {
        let fault = fault(&format!("buffered = true\n{with}\n"));
        let problem = "deltas of several rounds can be neither masked together nor counted on for noise";
        assert_eq!((fault.key.as_str(), fault.problem.as_str()), ("rounds.buffered", problem), "{with}");
    }
}

#[test]
fn masks_need_groups_and_a_threshold_that_hide_single_homes() {
    let directory = directory();
    let read = |rounds: &str| parse(&format!("{GOOD}[rounds]\n{rounds}"), &directory);
    let fault = |rounds: &str| {
        let mut list = read(rounds).unwrap_err();
        assert_eq!(list.len(), 1, "{rounds}");
        let fault = list.remove(0);
        (fault.key, fault.problem, fault.remedy)
    };
    assert_eq!(read("group = 5\n").unwrap().rounds.masks, None, "off unless it is asked for");
    let usual = read("masked = true\n").unwrap().rounds;
    assert_eq!(usual.masks, Some(hearthwatch_rounds::MaskSettings { group: 8, threshold: 0.7, exchange_minutes: 60 }));
    for threshold in ["0.5", "0.3", "0.66"] {
        let (key, problem, remedy) = fault(&format!("masked = true\nthreshold = {threshold}\n"));
        let said = format!("a threshold of {threshold} does not hide single homes");
        assert_eq!((key.as_str(), problem), ("rounds.threshold", said));
        assert!(remedy.starts_with("more than two thirds, at most 1"), "{remedy}");
    }
    for group in [2, 3, 9] {
        let (key, problem, _) = fault(&format!("masked = true\ngroup = {group}\n"));
        assert_eq!((key.as_str(), problem), ("rounds.group", format!("{group} is out of range")));
    }
    let (key, problem, remedy) = fault("masked = true\nleast = 7\n");
    assert_eq!((key.as_str(), problem.as_str()), ("rounds.least", "7 homes are fewer than a group of 8"));
    assert_eq!(remedy, "at least 8, or a smaller group");
    let noise = "masked = true\nstrategy = \"clipped-mean\"\nserver_noise = 0.01\n";
    let (key, problem, remedy) = fault(noise);
    assert_eq!(
        (key.as_str(), problem.as_str()),
        ("rounds.server_noise", "the server adds no noise where deltas are masked")
    );
    assert_eq!(remedy, "0, and noise of the homes; or masked = false");
    let (key, problem, _) = fault("masked = true\nexchange_minutes = 3341\n");
    assert_eq!((key.as_str(), problem.as_str()), ("rounds.exchange_minutes", "3341 is out of range"));
}
