//! The committed document, read as commands, and what a later one may bring.

use super::*;
use crate::api;

#[test]
fn every_operation_of_the_document_has_exactly_one_command() {
    let document: Value = serde_json::from_str(crate::DOCUMENT).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for word in item.as_object().unwrap().keys().filter(|word| *word != "parameters") {
            let (_, method) = Method::ALL.into_iter().find(|(name, _)| name == word).unwrap();
            let found = api().operations.iter().filter(|own| own.method == method && own.path == *path).count();
            assert_eq!(found, 1, "{word} {path}");
            operations += 1;
        }
    }
    let mut names: Vec<String> = api().operations.iter().map(Operation::name).collect();
    assert_eq!(names.len(), operations);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), operations, "two calls go by the same words: {names:?}");
}

#[test]
fn parameters_and_body_fields_become_arguments_with_the_documents_words() {
    let halt = api().find("rollouts", "halt").unwrap();
    let taken: Vec<_> = halt.arguments.iter().map(|own| (own.flag.as_str(), own.place, own.required)).collect();
    for expected in [("VERSION", Place::Path, true), ("reason", Place::Body, true), ("row-version", Place::Body, false)]
    {
        assert!(taken.contains(&expected), "{expected:?} is not among {taken:?}");
    }
    let reason = halt.arguments.iter().find(|own| own.name == "reason").unwrap();
    assert_eq!(reason.about, "One line for those who read the audit log later.");
    assert_eq!(reason.kind, Kind::Text { long: false });

    let add = api().find("tokens", "add").unwrap();
    let role = add.arguments.iter().find(|own| own.name == "role").unwrap();
    assert_eq!(role.kind, Kind::Word(["viewer", "operator", "admin"].map(str::to_owned).to_vec()));
    assert_eq!(add.secret, Some("secret"), "it can be written to a file");
    let name = add.arguments.iter().find(|own| own.name == "name").unwrap();
    assert!(name.positional);
}

#[test]
fn lists_have_pages_and_what_is_open_needs_no_token() {
    let homes = api().find("homes", "list").unwrap();
    assert_eq!((&homes.answer, homes.cursor), (&Answer::Page(Some("HomeView".to_owned())), Some("after")));
    assert!(!homes.open);
    assert!(api().find("health", "ready").unwrap().open);
}

#[test]
fn how_a_field_is_shown_follows_from_its_type_and_words() {
    let homes = api().schemas.shape("HomeView");
    assert_eq!(homes.look("enrolled_at"), Look::Time);
    assert_eq!(homes.look("records"), Look::Count);
    assert_eq!(homes.look("agent.model_version"), Look::Plain);
    assert_eq!(homes.look("agent.online"), Look::Flag);
    let parts = api().schemas.shape("PartBody");
    assert_eq!(parts.look("since"), Look::Time);
    assert_eq!(api().schemas.shape("HealthBody").look("parts[].since"), Look::Time, "also inside a list");
    assert_eq!(api().schemas.shape("ModelView").look("sha256"), Look::Hash);
}

#[test]
fn a_dry_run_is_answered_by_another_type_and_is_not_what_the_call_answers() {
    let view = |name: &str| {
        format!(r##"{{"content": {{"application/json": {{"schema": {{"$ref": "#/components/schemas/{name}"}}}}}}}}"##)
    };
    let text = format!(
        r##"{{"components": {{"schemas": {{"Made": {{"properties": {{"token": {{"type": "string"}}}}}}, "Trial": {{"properties": {{}}}}}}}},
        "paths": {{"/api/v1/claims": {{"post": {{"parameters": [{{"name": "dry_run", "in": "query", "schema": {{"type": "boolean"}}}}],
        "responses": {{"200": {}, "201": {}}}}}}}}}}}"##,
        view("Trial"),
        view("Made")
    );
    let api = Api::read(&text).unwrap();
    let add = api.find("claims", "add").unwrap();
    assert_eq!((&add.answer, add.trial.as_deref()), (&Answer::One(Some("Made".to_owned())), Some("Trial")));
    assert_eq!(add.secret, Some("token"));
}

#[test]
fn a_later_document_brings_streams_headers_and_dry_runs() {
    let text = r##"{"paths": {"/api/v1/operations/{id}/events": {
        "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
        "get": {"responses": {"200": {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}}},
      "/api/v1/homes/{home}": {"patch": {
        "parameters": [
          {"name": "home", "in": "path", "required": true, "schema": {"type": "string"}},
          {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}},
          {"name": "If-Match", "in": "header", "required": true, "schema": {"type": "string"}},
          {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}}],
        "requestBody": {"content": {"application/merge-patch+json": {"schema": {
          "type": "object", "properties": {"tags": {"type": ["array", "null"], "items": {"type": "string"}},
          "place": {"type": "object"}}}}}},
        "responses": {"204": {}}}}}}"##;
    let api = Api::read(text).unwrap();
    let events = api.find("operations", "events").unwrap();
    assert_eq!((&events.answer, events.arguments.len()), (&Answer::Events, 1));
    let update = api.find("homes", "update").unwrap();
    assert!(update.dry_run() && update.takes(Place::Header, IF_MATCH) && update.body);
    let kinds: Vec<_> = update.arguments.iter().map(|own| (own.flag.as_str(), &own.kind)).collect();
    assert!(kinds.contains(&("tags", &Kind::List(Box::new(Kind::Text { long: false })))), "{kinds:?}");
    assert!(kinds.contains(&("place", &Kind::Json)), "{kinds:?}");
    assert!(kinds.contains(&("query-limit", &Kind::Integer { min: 1, max: i64::MAX })), "{kinds:?}");
    assert!(kinds.iter().any(|(flag, _)| *flag == "if-match"), "{kinds:?}");
}
