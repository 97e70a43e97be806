//! The agent as an app, beside a small double of the Supervisor: its two endpoints, by the token that it gives.

use futures_util::{SinkExt, StreamExt};
use hearthwatch_edge_home_assistant::home_assistant::socket::Socket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use super::*;

const TOKEN: &str = "the-supervisors-token";
/// Longest request of a test.
const REQUEST_BYTES: usize = 4096;

/// Serves `services/mqtt` with `broker` as its answer, and `core/websocket`.
async fn double(broker: (u16, &'static str)) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, broker));
        }
    });
    base
}

async fn serve(mut stream: TcpStream, (status, body): (u16, &'static str)) {
    let mut request = vec![0; REQUEST_BYTES];
    let length = stream.peek(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    if request.starts_with("GET /core/websocket ") {
        return home_assistant(stream).await;
    }
    let known = request.starts_with("GET /services/mqtt ")
        && request.to_lowercase().contains(&format!("authorization: bearer {TOKEN}"));
    let (status, body) = if known { (status, body) } else { (401, "{}") };
    let _read = stream.read(&mut [0; REQUEST_BYTES]).await.unwrap();
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// Home Assistant behind the Supervisor's proxy, as far as a first word goes.
async fn home_assistant(stream: TcpStream) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    socket.send(Message::text(r#"{"type": "auth_required", "ha_version": "2026.11.0"}"#)).await.unwrap();
    let auth = socket.next().await.unwrap().unwrap().into_text().unwrap();
    let auth: serde_json::Value = serde_json::from_str(&auth).unwrap();
    if auth["access_token"] != TOKEN {
        socket.send(Message::text(r#"{"type": "auth_invalid", "message": "no"}"#)).await.unwrap();
        return;
    }
    socket.send(Message::text(r#"{"type": "auth_ok", "ha_version": "2026.11.0"}"#)).await.unwrap();
    let _features = socket.next().await;
    let done = r#"{"id": 1, "type": "result", "success": true, "result": null}"#;
    socket.send(Message::text(done)).await.unwrap();
}

fn data(options: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("options.json"), options).unwrap();
    dir
}

const BROKER: &str = r#"{"result": "ok", "data": {"addon": "core_mosquitto", "host": "core-mosquitto", "port": 1883,
    "ssl": false, "username": "addons", "password": "a-password", "protocol": "3.1.1"}}"#;

#[tokio::test]
async fn an_app_finds_broker_and_home_assistant_by_the_supervisors_token_alone() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let base = double((200, BROKER)).await;
    let dir = data(r#"{"alarms_a_week": 2, "sharing": "verdicts", "exclude": ["sensor.*_battery"]}"#);
    let config = configure(&base, &Secret::new(TOKEN), dir.path()).await.unwrap();
    let broker = config.home_mqtt.unwrap();
    assert_eq!((broker.host.as_str(), broker.port), ("core-mosquitto", 1883));
    assert_eq!(broker.credentials.unwrap().1.expose(), "a-password");
    assert_eq!((config.budget, config.home_assistant.exclude), (2.0, vec!["sensor.*_battery".to_owned()]));
    let socket = Socket::connect(&config.home_assistant.websocket, &config.home_assistant.token).await.unwrap();
    assert_eq!(socket.version(), "2026.11.0");
}

#[tokio::test]
async fn an_app_without_a_broker_starts_all_the_same() {
    let base = double((400, r#"{"result": "error", "message": "Service not enabled"}"#)).await;
    let dir = data("{}");
    let config = configure(&base, &Secret::new(TOKEN), dir.path()).await.unwrap();
    assert_eq!(config.home_mqtt, None);
}

#[tokio::test]
async fn what_stands_in_the_way_is_said() {
    let broken = double((403, r#"{"result": "error", "message": "no role"}"#)).await;
    let dir = data("{}");
    let error = configure(&broken, &Secret::new(TOKEN), dir.path()).await.unwrap_err();
    assert_eq!(error.to_string(), "the Supervisor answers 403 Forbidden to services/mqtt: no role");
    let base = double((200, BROKER)).await;
    let (missing, unknown) = (tempfile::tempdir().unwrap(), data(r#"{"alarms": 1}"#));
    let error = configure(&base, &Secret::new(TOKEN), missing.path()).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Options { .. }), "{error}");
    let error = configure(&base, &Secret::new(TOKEN), unknown.path()).await.unwrap_err();
    assert!(error.to_string().contains("unknown field `alarms`"), "{error}");
    let nobody = "http://127.0.0.1:1/".parse().unwrap();
    let error = configure(&nobody, &Secret::new(TOKEN), dir.path()).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Unreachable(_)) && !error.to_string().contains(TOKEN), "{error}");
}

#[test]
fn every_option_of_the_form_is_one_that_the_agent_reads() {
    let form = super::app_folder::config();
    let options = super::app_folder::to_json(&form["options"]);
    let read: AppOptions = serde_json::from_value(options).unwrap();
    assert_eq!(read, AppOptions::default());
}
