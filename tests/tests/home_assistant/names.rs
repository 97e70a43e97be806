//! Home Assistant's own names of classes, read from its code, against what Hearthwatch makes of them.

use std::path::{Path, PathBuf};

use hearthwatch_detector::class::home_assistant;

use crate::instance::installation;

/// The folder of Home Assistant's code below `root`.
fn package(root: &Path) -> PathBuf {
    let libraries = root.join("opt/ha/lib");
    let python = std::fs::read_dir(&libraries).unwrap().flatten().map(|entry| entry.path());
    let package = python.map(|python| python.join("site-packages/homeassistant")).find(|package| package.is_dir());
    package.unwrap_or_else(|| panic!("no Home Assistant below {}", libraries.display()))
}

/// The values of a `StrEnum`: `NAME = "value"`, one a line, up to the next line that is not indented.
fn values_of(code: &str, class: &str) -> Vec<String> {
    let begin = code.find(&format!("class {class}(StrEnum):")).unwrap_or_else(|| panic!("no {class}"));
    let body = code[begin..].lines().skip(1).take_while(|line| line.is_empty() || line.starts_with(' '));
    let value = |line: &str| {
        let (name, rest) = line.strip_prefix("    ")?.split_once(" = \"")?;
        let is_name =
            name.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
        is_name.then(|| rest.trim_end_matches('"').to_owned())
    };
    body.filter_map(value).collect()
}

#[test]
fn every_class_of_the_installed_home_assistant_has_a_meaning_here() {
    let Some(root) = installation() else { return };
    let package = package(&root);
    let mut unknown = Vec::new();
    for (file, class, known) in [
        ("sensor/const.py", "SensorDeviceClass", (|name| home_assistant::sensor(name).is_some()) as fn(&str) -> bool),
        ("number/const.py", "NumberDeviceClass", |name| home_assistant::sensor(name).is_some()),
        ("binary_sensor/const.py", "BinarySensorDeviceClass", |name| home_assistant::binary_sensor(name).is_some()),
        ("sensor/const.py", "SensorStateClass", |name| home_assistant::state_class(name).is_some()),
    ] {
        let code = std::fs::read_to_string(package.join("components").join(file)).unwrap();
        let names = values_of(&code, class);
        assert!(names.len() >= 4, "{class}: {names:?}");
        unknown.extend(names.into_iter().filter(|name| !known(name)).map(|name| format!("{class} {name}")));
    }
    assert_eq!(unknown, Vec::<String>::new(), "to be added to model/detector/src/class/home_assistant.rs");
}
