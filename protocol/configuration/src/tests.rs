//! What a person sees of a file that is not right, and what is read from one that is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

fn root(text: &str) -> (Section<'static>, Faults) {
    (Section::root(read_table(text).unwrap(), Path::new("/etc/hearthwatch")), Faults::none(Path::new("a.toml")))
}

#[test]
fn the_report_names_file_key_and_remedy() {
    let mut faults = Faults::none(Path::new("cloud.toml"));
    faults.add("mqtt.host", "is missing", "name it");
    assert_eq!(faults.to_string(), "the configuration has 1 fault:\n  cloud.toml: mqtt.host: is missing; name it");
    faults.add("", "is not TOML", "mend it");
    assert!(faults.to_string().ends_with("\n  cloud.toml: is not TOML; mend it"));
}

#[test]
fn values_are_read_and_what_is_left_out_is_none() {
    let (mut root, mut faults) = root("a = \"[::1]:80\"\nb = true\nc = 7\nd = 0.5\ne = [\"x\"]\nf = \"keys\"");
    assert_eq!(root.address("a", &mut faults, "").unwrap().port(), 80);
    assert_eq!((root.flag("b", &mut faults), root.whole("c", 0..=7, &mut faults)), (Some(true), Some(7)));
    assert_eq!(root.number("d", 0.0..=1.0, &mut faults), Some(0.5));
    assert_eq!(root.texts("e", &mut faults), Some(vec!["x".to_owned()]));
    assert_eq!(root.path("f", &mut faults).unwrap(), Path::new("/etc/hearthwatch/keys"));
    assert_eq!((root.flag("g", &mut faults), root.whole("h", 0..=7, &mut faults)), (None, None));
    root.finish(&mut faults);
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn every_value_that_cannot_be_is_a_fault_with_what_to_write() {
    let (mut root, mut faults) = root("a = \"here\"\nb = 1\nc = -1\nd = \"7\"\ne = [1]\nf = \" \"\nwhole = 1");
    root.address("a", &mut faults, "write one");
    root.flag("b", &mut faults);
    root.whole("c", 0..=7, &mut faults);
    root.whole("d", 0..=7, &mut faults);
    root.texts("e", &mut faults);
    root.text("f", &mut faults);
    root.finish(&mut faults);
    let lines: Vec<String> = faults.list().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "a.toml: a: \"here\" is not an address with a port; write one",
            "a.toml: b: is an integer; write true or false",
            "a.toml: c: -1 is out of range; write a whole number from 0 to 7",
            "a.toml: d: is a string; write a whole number from 0 to 7",
            "a.toml: e: holds something else than texts; write a list of texts: [\"…\", \"…\"]",
            "a.toml: f: is empty; write a value or remove the line",
            "a.toml: whole: is not a known key; remove it; here may stand: a, b, c, d, e, f",
        ]
    );
}

#[test]
fn a_key_that_differs_by_two_letters_is_told_its_neighbour() {
    let (mut root, mut faults) = root("bugdet = 1\nprice = 2");
    root.whole("budget", 0..=9, &mut faults);
    root.finish(&mut faults);
    assert_eq!(faults.list()[0].remedy, "did you mean `budget`? Otherwise remove it");
    assert_eq!(faults.list()[1].remedy, "remove it; here may stand: budget");
}

#[test]
fn a_private_file_that_others_can_read_is_a_fault_and_its_content_is_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.key");
    std::fs::write(&path, "secret").unwrap();
    let read = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut faults = Faults::none(Path::new("a.toml"));
        let mut root = Section::root(read_table("key = \"a.key\"").unwrap(), directory.path());
        assert_eq!(root.private_file("key", &mut faults, "make one"), Some(path.clone()));
        faults.list().to_vec()
    };
    assert_eq!(read(0o600), []);
    let [fault] = &read(0o640)[..] else { panic!("one fault") };
    assert_eq!(fault.problem, format!("{} is open to others (mode 0640)", path.display()));
    assert_eq!(fault.remedy, format!("if nobody read it: chmod 600 {}", path.display()));
}

#[test]
fn a_secret_is_read_again_and_stays_where_the_new_one_cannot_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, " one\n").unwrap();
    let secret = Secret::read(&path).unwrap();
    assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("one", "(secret)"));
    std::fs::write(&path, "two").unwrap();
    assert_eq!(secret.read_again().expose(), "two");
    for (text, problem) in
        [("", "is empty"), (&*"x".repeat(5000), "holds more than 4096 bytes: not a token or password")]
    {
        std::fs::write(&path, text).unwrap();
        assert_eq!(Secret::read(&path).unwrap_err().to_string(), format!("{} {problem}", path.display()));
        assert_eq!(secret.read_again().expose(), "one");
    }
}

#[test]
fn a_file_too_large_for_a_configuration_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    std::fs::write(&path, "#".repeat(65_537)).unwrap();
    assert_eq!(read_text(&path).unwrap_err(), "has 65537 bytes, more than 65536");
    assert!(read_text(&directory.path().join("gone")).unwrap_err().starts_with("cannot be read: "));
    assert!(read_table("state = ").unwrap_err().starts_with("is not TOML: "));
}
