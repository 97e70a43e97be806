//! The folder of the Home Assistant app, held against the schema that the Supervisor publishes (its `apps/validate.py` and
//! `apps/options.py`, read in November 2026). No Supervisor runs here; one that is given a folder against its schema
//! does not show the app at all, so this is what can be checked without one.

use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

/// Keys that the schema knows and that ours may use, with what their value must be.
const KEYS: [(&str, Kind); 26] = [
    ("name", Kind::Text),
    ("version", Kind::Text),
    ("slug", Kind::Text),
    ("description", Kind::Text),
    ("arch", Kind::OneOf(&["aarch64", "amd64"])),
    ("url", Kind::Text),
    ("init", Kind::Flag),
    ("startup", Kind::OneOf(&["initialize", "system", "services", "application", "once"])),
    ("boot", Kind::OneOf(&["auto", "manual", "manual_only"])),
    ("stage", Kind::OneOf(&["stable", "experimental", "deprecated"])),
    ("homeassistant", Kind::Text),
    ("homeassistant_api", Kind::Flag),
    ("services", Kind::OneOf(&["mqtt:provide", "mqtt:want", "mqtt:need"])),
    ("ingress", Kind::Flag),
    ("ingress_port", Kind::Number(0, 65_535)),
    ("panel_icon", Kind::Text),
    ("panel_title", Kind::Text),
    ("panel_admin", Kind::Flag),
    ("watchdog", Kind::Text),
    ("map", Kind::Any),
    ("apparmor", Kind::Flag),
    ("backup_exclude", Kind::Any),
    ("timeout", Kind::Number(10, 300)),
    ("options", Kind::Any),
    ("schema", Kind::Any),
    ("breaking_versions", Kind::Any),
];

#[derive(Clone, Copy)]
enum Kind {
    Any,
    Text,
    Flag,
    Number(i64, i64),
    /// The value, or each of a list.
    OneOf(&'static [&'static str]),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("home-assistant/apps")
}

fn yaml(path: &str) -> Yaml {
    let text = std::fs::read_to_string(folder().join(path)).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

pub(super) fn config() -> Yaml {
    yaml("hearthwatch/config.yaml")
}

pub(super) fn to_json(yaml: &Yaml) -> serde_json::Value {
    match yaml {
        Yaml::Hash(map) => map.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), to_json(value))).collect(),
        Yaml::Array(list) => list.iter().map(to_json).collect(),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Boolean(flag) => (*flag).into(),
        Yaml::Integer(number) => (*number).into(),
        real => real.as_f64().into(),
    }
}

fn keys(yaml: &Yaml) -> Vec<String> {
    yaml.as_hash().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

fn fits(kind: Kind, value: &Yaml) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Text => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        Kind::Flag => value.as_bool().is_some(),
        Kind::Number(low, high) => value.as_i64().is_some_and(|number| (low..=high).contains(&number)),
        Kind::OneOf(words) => match value {
            Yaml::Array(list) => !list.is_empty() && list.iter().all(|one| fits(kind, one)),
            one => one.as_str().is_some_and(|word| words.contains(&word)),
        },
    }
}

#[test]
fn every_key_of_the_app_is_known_and_has_a_value_of_its_kind() {
    let config = config();
    for key in keys(&config) {
        let kind = KEYS.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind);
        assert!(kind.is_some_and(|kind| fits(kind, &config[key.as_str()])), "{key}: {:?}", config[key.as_str()]);
    }
    for required in ["name", "version", "slug", "description", "arch"] {
        assert!(!config[required].is_badvalue(), "{required}");
    }
    assert_eq!(to_json(&config["arch"]), serde_json::json!(["aarch64", "amd64"]));
    assert_eq!(to_json(&config["services"]), serde_json::json!(["mqtt:need"]));
    let slug = config["slug"].as_str().unwrap();
    assert!(slug.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{slug}");
}

#[test]
fn the_app_is_reached_where_the_page_listens_and_has_the_programs_version() {
    let config = config();
    let page = hearthwatch_edge_ui::config::PageConfig::behind_ingress();
    assert_eq!(config["ingress_port"].as_i64(), Some(i64::from(page.listen.port())));
    assert_eq!(config["watchdog"].as_str(), Some("http://[HOST]:[PORT:8099]/healthz"));
    assert_eq!(config["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    let log = std::fs::read_to_string(folder().join("hearthwatch/CHANGELOG.md")).unwrap();
    assert!(log.contains(&format!("## {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn every_option_has_a_schema_a_default_and_a_name_in_both_languages() {
    let config = config();
    let options = keys(&config["options"]);
    assert_eq!(options, keys(&config["schema"]));
    for option in &options {
        let element = &config["schema"][option.as_str()];
        let element = element.as_vec().map_or(element, |list| &list[0]).as_str().unwrap();
        assert!(is_schema_element(element), "{option}: {element}");
    }
    for language in ["en", "nl"] {
        let names = &yaml(&format!("hearthwatch/translations/{language}.yaml"))["configuration"];
        assert_eq!(keys(names), options, "{language}");
        for option in &options {
            assert!(
                names[option.as_str()]["name"].as_str().is_some_and(|name| !name.is_empty()),
                "{language}: {option}"
            );
        }
    }
}

/// `str`, `bool`, …, `float(0.1,14)`, `list(a|b)`, each with `?` for what may be left out.
fn is_schema_element(element: &str) -> bool {
    let element = element.trim_end_matches('?');
    let Some((kind, rest)) = element.split_once('(') else {
        return ["bool", "email", "url", "port", "str", "password", "int", "float", "device"].contains(&element);
    };
    let Some(inside) = rest.strip_suffix(')') else { return false };
    match kind {
        "str" | "password" | "int" | "float" => inside
            .split_once(',')
            .is_some_and(|(low, high)| [low, high].iter().all(|end| end.is_empty() || end.parse::<f64>().is_ok())),
        "list" | "match" => !inside.is_empty(),
        _ => false,
    }
}

#[test]
fn the_repository_has_a_name_and_the_app_its_papers_and_an_icon() {
    assert!(fits(Kind::Text, &yaml("repository.yaml")["name"]));
    for paper in ["DOCS.md", "README.md", "CHANGELOG.md", "apparmor.txt", "Dockerfile"] {
        let text = std::fs::read_to_string(folder().join("hearthwatch").join(paper)).unwrap();
        assert!(text.len() > 100, "{paper}");
    }
    let profile = std::fs::read_to_string(folder().join("hearthwatch/apparmor.txt")).unwrap();
    assert!(profile.contains("\nprofile hearthwatch "), "a profile is named by the slug");
    assert!(
        !profile.contains("peer=hearthwatch"),
        "the Supervisor puts the repository before that name, but not in peers"
    );
    for (name, side) in [("icon.png", 128), ("logo.png", 250)] {
        let path = folder().join("hearthwatch").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, drawn(side)).unwrap();
        }
        let png = std::fs::read(&path).unwrap();
        assert_eq!(
            (&png[..4], &png[16..24]),
            (b"\x89PNG".as_slice(), [u32_be(side), u32_be(side)].concat().as_slice())
        );
    }
}

fn u32_be(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// The page's icon on a plain ground, three pixels for a unit as everything is drawn.
fn drawn(side: u32) -> Vec<u8> {
    let icon = include_str!("../ui/src/icon.svg");
    let units = f64::from(side) / 3.0;
    let sized = icon.replacen("<svg ", &format!("<svg width=\"{units}\" height=\"{units}\" "), 1);
    hearthwatch_edge_core::explain::png(&sized).unwrap()
}
