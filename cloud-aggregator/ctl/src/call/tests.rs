//! Calls of an API that has more than today's: keys, versions, streams, things that take a while. The server is a script.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;

use clap::Command;

use super::*;
use crate::commands::augment;
use crate::document::Place;
use crate::target::Target;
use crate::testing;
use crate::world::Terminal;

const LATER: &str = r##"{"paths": {
  "/api/v1/things": {"post": {"summary": "Makes a thing.",
    "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
                   {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}}],
    "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"name": {"type": "string"}}}}}},
    "responses": {"202": {"content": {"application/json": {"schema": {"type": "object"}}}}}}},
  "/api/v1/things/{id}": {
    "get": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
      "responses": {"200": {"content": {"application/json": {"schema": {"type": "object"}}}}}},
    "delete": {"summary": "Takes a thing away.", "parameters": [
      {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
      {"name": "If-Match", "in": "header", "schema": {"type": "string"}}], "responses": {"204": {}}}},
  "/api/v1/things/{id}/poke": {"post": {"summary": "Pokes it.",
    "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}], "responses": {"204": {}}}},
  "/api/v1/things/{id}/events": {"get": {
    "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
    "responses": {"200": {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}}}}}"##;

/// A server that answers so, one connection after the other; the requests that came.
fn server(answers: &'static [(&'static str, &'static str)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let mut came = Vec::new();
        for (head, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut request, mut size) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(length) = line.strip_prefix("content-length: ") {
                    size = length.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                request.push_str(&line);
            }
            let mut body_came = vec![0; size];
            reader.read_exact(&mut body_came).unwrap();
            request.push_str(&String::from_utf8(body_came).unwrap());
            came.push(request);
            let length = body.len();
            write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
        }
        came
    });
    (url, serving)
}

/// Types a line; the result, what was shown, what was said, and the requests.
fn typed(
    line: &str,
    input: &str,
    answers: &'static [(&'static str, &'static str)],
) -> (Done, String, String, Vec<String>) {
    let api: &'static Api = Box::leak(Box::new(Api::read(LATER).unwrap()));
    let (url, serving) = server(answers);
    let matches = augment(Command::new("ctl"), api).get_matches_from(line.split(' '));
    let (noun, inner) = matches.subcommand().unwrap();
    let (verb, leaf) = inner.subcommand().unwrap();
    let operation = api.find(noun, verb).unwrap();
    let terminal = Terminal { input: !input.is_empty(), ..Terminal::NONE };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (done, out, err) = testing::with(input, terminal, |world| {
        let target =
            Target { url: url.parse().unwrap(), token_file: None, ca_file: None, resolve: None, context: None };
        let client = Client::new(&target, std::time::Duration::from_secs(20), false, world).unwrap();
        runtime.block_on(run(api, operation, leaf, &client, world))
    });
    (done, out, err, serving.join().unwrap())
}

fn header(request: &str, name: &str) -> Option<String> {
    let line = request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))?;
    Some(line.to_owned())
}

#[test]
fn what_carries_a_key_is_sent_again_with_the_same_key() {
    let bad = ("502 Bad Gateway", "<html>");
    let good = (
        "202 Accepted\r\nlocation: /api/v1/things/7\r\ncontent-type: application/json",
        r#"{"id":"7","state":"queued"}"#,
    );
    let (done, out, said, came) = typed("ctl things create --name a", "", Box::leak(Box::new([bad, good])));
    done.unwrap();
    assert_eq!(out, "id     7\nstate  queued\n");
    assert!(
        said.contains(
            "accepted, and not done yet: `hearthwatch-cloud ctl api GET /api/v1/things/7` tells how it stands"
        ),
        "{said}"
    );
    let key = header(&came[0], "idempotency-key").unwrap();
    assert_eq!((key.len(), Some(key)), (2 * KEY_BYTES, header(&came[1], "idempotency-key")));
    assert!(came[1].ends_with(r#"{"name":"a"}"#), "{}", came[1]);
}

#[test]
fn what_carries_none_is_not_sent_again() {
    let (done, _, _, came) = typed("ctl things poke 7", "", &[("502 Bad Gateway", "<html>")]);
    assert_eq!((done.unwrap_err().code(), came.len()), (6, 1));
}

#[test]
fn a_dry_run_is_asked_for_where_there_is_one() {
    let answer = &[("200 OK\r\ncontent-type: application/json", r#"{"id":"7"}"#)];
    let (done, _, said, came) = typed("ctl things create --dry-run", "", answer);
    done.unwrap();
    assert!(came[0].starts_with("POST /api/v1/things?dry_run=true HTTP/1.1"), "{}", came[0]);
    assert_eq!(said, "nothing was done: this was a dry run\n");
    let (done, _, _, came) = typed("ctl things poke 7 --dry-run", "", &[]);
    let error = done.unwrap_err();
    assert!(
        error.to_string().starts_with("`things poke` has no dry run: the aggregator would do it. Nothing was sent."),
        "{error}"
    );
    assert_eq!((error.code(), came.len()), (2, 0));
}

#[test]
fn what_is_taken_away_is_shown_first_and_left_alone_if_it_changed_meanwhile() {
    let seen = ("200 OK\r\netag: \"4\"\r\ncontent-type: application/json", r#"{"id":"7","state":"running"}"#);
    let changed = (
        "412 Precondition Failed\r\ncontent-type: application/problem+json\r\nx-request-id: r-1",
        r#"{"title":"Changed","status":412}"#,
    );
    let (done, _, said, came) = typed("ctl things delete 7", "yes\n", Box::leak(Box::new([seen, changed])));
    assert_eq!(said, "Takes a thing away.\n  DELETE /api/v1/things/7\n  now: state running\nType yes to do it: ");
    assert_eq!(header(&came[1], "if-match").as_deref(), Some("\"4\""));
    let error = done.unwrap_err();
    assert_eq!(error.code(), 5);
    assert!(error.to_string().ends_with("request id, for the aggregator's log: r-1"), "{error}");
}

#[test]
fn without_a_yes_nothing_is_done() {
    let seen = &[("200 OK\r\ncontent-type: application/json", r#"{"id":"7","state":"running"}"#)];
    let (done, _, _, came) = typed("ctl things delete 7", "no\n", seen);
    assert_eq!(done.unwrap_err().to_string(), "`things delete` was not confirmed: nothing was done");
    assert_eq!(came.len(), 1, "it was only looked at");
    let (done, _, _, came) = typed("ctl things delete 7", "", &[]);
    let error = done.unwrap_err();
    assert!(error.to_string().starts_with(
        "`things delete` asks whether it is meant, and there is no terminal to ask on: nothing was done."
    ));
    assert_eq!((error.code(), came.len()), (2, 0));
    let (done, _, said, came) = typed("ctl things delete 7 --yes", "", &[("204 No Content", "")]);
    done.unwrap();
    assert_eq!((said.as_str(), came.len()), ("done\n", 1));
}

#[test]
fn what_was_accepted_can_be_waited_for() {
    let accepted = (
        "202 Accepted\r\nlocation: /api/v1/things/7\r\ncontent-type: application/json",
        r#"{"id":"7","state":"queued"}"#,
    );
    let failed = ("200 OK\r\ncontent-type: application/json", r#"{"id":"7","state":"failed","reason":"no room"}"#);
    let (done, _, _, came) = typed("ctl things create --wait=1m", "", Box::leak(Box::new([accepted, failed])));
    let error = done.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (7, "it ended failed: no room"));
    assert!(came[1].starts_with("GET /api/v1/things/7 "));
}

#[test]
fn a_stream_of_events_is_shown_until_it_ends() {
    let stream =
        &[("200 OK\r\ncontent-type: text/event-stream", "event: state\nid: 1\ndata: {\"to\":\"done\"}\n\n: bye\n\n")];
    let (done, out, _, came) = typed("ctl things events 7 -o jsonl", "", stream);
    done.unwrap();
    assert_eq!(out, "{\"data\":{\"to\":\"done\"},\"event\":\"state\",\"id\":\"1\"}\n");
    assert_eq!(header(&came[0], "accept").as_deref(), Some("text/event-stream"));
}

#[test]
fn what_is_watched_is_shown_again_when_an_event_comes() {
    let api: &'static Api = Box::leak(Box::new(Api::read(LATER).unwrap()));
    let stream = &[("200 OK\r\ncontent-type: text/event-stream", ": nothing yet\n\ndata: changed\n\n")];
    let (url, serving) = server(stream);
    let target = Target { url: url.parse().unwrap(), token_file: None, ca_file: None, resolve: None, context: None };
    let client = testing::in_a_world("", |world| {
        Client::new(&target, std::time::Duration::from_secs(20), false, world).unwrap()
    });
    let request = Request::get("/api/v1/things/7");
    // Without the event it would be a day.
    let day = std::time::Duration::from_secs(86_400);
    let mut watch = Watch::new(api, api.find("things", "get"), Some(&request), day);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(watch.wait(&client));
    assert!(serving.join().unwrap()[0].starts_with("GET /api/v1/things/7/events "));
}

#[test]
fn keys_differ() {
    assert_ne!(fresh(), fresh());
    assert!(!anonymous(Method::Post, "/x").takes(Place::Query, "dry_run"));
}
