//! The forms of output, of things as the API answers them.

use super::*;
use crate::document::Api;
use crate::testing::{self, NOW};
use crate::world::Terminal;

const HOMES: &str = r#"[{"home":"home-1","enrolled_at":1796000000,"revoked_at":null,"records":1234,"through":1300,
 "agent":{"online":true,"agent_version":"0.1.0","model_version":7,"entities":12,"outbox":0,"heard_at":1796115900}},
 {"home":"home-2","enrolled_at":1796000000,"revoked_at":1796110000,"records":5,"through":5,"agent":null}]"#;

/// The types that these things have, whatever a later document says of homes.
fn api() -> &'static Api {
    let text = r#"{"components": {"schemas": {"HomeView": {"type": "object", "properties": {
        "home": {"type": "string"}, "enrolled_at": {"type": "integer"}, "revoked_at": {"type": ["integer", "null"]},
        "records": {"type": "integer"}, "through": {"type": "integer"},
        "agent": {"oneOf": [{"type": "null"}, {"type": "object", "properties": {
            "online": {"type": "boolean"}, "agent_version": {"type": "string"}, "model_version": {"type": "integer"},
            "entities": {"type": "integer"}, "outbox": {"type": "integer"}, "heard_at": {"type": "integer"}}}]}}}}}}"#;
    Box::leak(Box::new(Api::read(text).unwrap()))
}

fn items(text: &str) -> Vec<Item> {
    let raw: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
    raw.into_iter().map(|raw| Item::read(raw).unwrap()).collect()
}

fn shown(form: Form, columns: &[&str], terminal: Terminal) -> String {
    testing::output(terminal, |world| {
        let asked = Asked { form, columns: columns.iter().map(|own| (*own).to_owned()).collect(), headings: true };
        let mut printer = Printer::new(asked, "homes", Some("HomeView"), &api().schemas);
        // Two pages: the second is laid out like the first.
        for item in items(HOMES) {
            printer.more(std::slice::from_ref(&item), world).unwrap();
        }
        printer.end(world).unwrap();
    })
}

#[test]
fn a_table_is_for_people() {
    assert_eq!(NOW, 1_796_116_000);
    let expected = "\
HOME    ONLINE  MODEL  ENTITIES  RECORDS  HEARD                         REVOKED
home-1  yes     7            12    1,234  2026-12-01 09:05 (1 min ago)  -
home-2  -       -             -        5  -                             2026-12-01 07:26 (1 h ago)
";
    let table = shown(Form::Table, &[], Terminal::NONE);
    assert_eq!(table, expected);
}

#[test]
fn a_table_fits_the_terminal_and_has_colours_only_there() {
    let narrow = Terminal { out: true, input: true, width: 60, colour: true };
    let table = shown(Form::Table, &[], narrow);
    assert!(table.contains("\u{1b}[1m") && table.contains("\u{1b}[32m"), "{table:?}");
    for line in table.lines() {
        assert!(console::measure_text_width(line) <= 60, "{line:?}");
    }
    assert!(
        table.contains("1 min ago") && !table.contains("2026-12-01 09:05"),
        "of a time, the distance stays:\n{table}"
    );
    let narrowest = shown(Form::Table, &[], Terminal { width: 40, ..narrow });
    assert!(narrowest.contains('…'), "{narrowest}");
    let plain = shown(Form::Table, &[], Terminal { colour: false, ..narrow });
    assert!(!plain.contains('\u{1b}'));
}

#[test]
fn json_is_one_document_of_items_as_they_came() {
    let text = shown(Form::Json, &[], Terminal::NONE);
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read, serde_json::from_str::<Value>(HOMES).unwrap());
    assert!(text.find("\"home\"").unwrap() < text.find("\"agent\"").unwrap(), "the order stays:\n{text}");
    let lines = shown(Form::JsonLines, &[], Terminal::NONE);
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.starts_with("{\"home\":\"home-1\",\"enrolled_at\":1796000000,\"revoked_at\":null,"), "{lines}");
}

#[test]
fn yaml_csv_and_names_are_for_other_programs() {
    let yaml = shown(Form::Yaml, &[], Terminal::NONE);
    assert!(yaml.starts_with("- home: home-1\n  enrolled_at: 1796000000\n  revoked_at: ~\n"), "{yaml}");
    let read = yaml_rust2::YamlLoader::load_from_str(&yaml).unwrap();
    assert_eq!(read[0][1]["home"].as_str(), Some("home-2"), "two pages are one sequence");
    let csv = shown(Form::Csv, &["home", "records", "agent.online"], Terminal::NONE);
    assert_eq!(csv, "home,records,agent.online\nhome-1,1234,true\nhome-2,5,\n");
    assert_eq!(shown(Form::Name, &[], Terminal::NONE), "home/home-1\nhome/home-2\n");
}

#[test]
fn wide_shows_every_field_that_is_no_thing() {
    let heading = shown(Form::Wide, &[], Terminal::NONE).lines().next().unwrap().to_owned();
    for name in ["HOME", "THROUGH", "ENROLLED", "AGENT OUTBOX", "AGENT AGENT VERSION"] {
        assert!(heading.contains(name), "{heading}");
    }
}

#[test]
fn one_thing_is_a_listing() {
    let item = &items(HOMES)[0];
    let text = testing::output(Terminal::NONE, |world| {
        let asked = Asked { form: Form::Table, columns: Vec::new(), headings: true };
        Printer::new(asked, "homes", Some("HomeView"), &api().schemas).only(item, world).unwrap();
    });
    let expected = "\
home         home-1
enrolled at  2026-11-30 00:53 (32 h ago)
revoked at   -
records      1,234
through      1,300
agent
  online         yes
  agent version  0.1.0
  model version  7
  entities       12
  outbox         0
  heard at       2026-12-01 09:05 (1 min ago)
";
    assert_eq!(text, expected);
}

#[test]
fn an_empty_list_is_said_to_be_empty_beside_the_answer() {
    let empty = |form| {
        testing::output(Terminal::NONE, |world| {
            let asked = Asked { form, columns: Vec::new(), headings: true };
            Printer::new(asked, "homes", Some("HomeView"), &api().schemas).end(world).unwrap();
        })
    };
    assert_eq!(
        (empty(Form::Json), empty(Form::Table), empty(Form::Yaml)),
        ("[]\n".into(), String::new(), "[]\n".into())
    );
}
