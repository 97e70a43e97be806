//! A small double of the Supervisor: tells the broker, and passes an app on to the real Home Assistant under its own token.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// The token that an app gets; Home Assistant does not know it.
pub const TOKEN: &str = "the-supervisors-token";
/// Longest request that is looked at.
const REQUEST_BYTES: usize = 4096;

/// What an app is told.
#[derive(Clone)]
struct Told {
    broker_port: u16,
    websocket: String,
    token: String,
}

/// Serves `services/mqtt` and `core/websocket`; its address.
pub async fn start(broker_port: u16, home_assistant: &str, token: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let websocket = format!("{}/api/websocket", home_assistant.replacen("http", "ws", 1));
    let told = Told { broker_port, websocket, token: token.to_owned() };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, told.clone()));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, told: Told) {
    let mut request = vec![0; REQUEST_BYTES];
    let length = stream.peek(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    if request.starts_with("GET /core/websocket ") {
        // The app's end ends it.
        let _ = pass_on(stream, &told).await;
        return;
    }
    let known = request.starts_with("GET /services/mqtt ")
        && request.to_lowercase().contains(&format!("authorization: bearer {TOKEN}"));
    let data = json!({"addon": "core_mosquitto", "host": "127.0.0.1", "port": told.broker_port, "ssl": false,
        "username": "addons", "password": "", "protocol": "3.1.1"});
    let (status, body) =
        if known { (200, json!({"result": "ok", "data": data})) } else { (401, json!({"result": "error"})) };
    let body = body.to_string();
    let _ = stream.read(&mut [0; REQUEST_BYTES]).await;
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// Everything both ways; in the first word of the app, its token becomes Home Assistant's.
async fn pass_on(stream: TcpStream, told: &Told) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let (mut to_app, mut from_app) = tokio_tungstenite::accept_async(stream).await?.split();
    let (home, _) = tokio_tungstenite::connect_async(&told.websocket).await?;
    let (mut to_home, mut from_home) = home.split();
    let up = async {
        while let Some(Ok(message)) = from_app.next().await {
            let mut word: Value = serde_json::from_str(message.to_text().unwrap_or_default()).unwrap_or_default();
            let message = if word["type"] == "auth" {
                let known = word["access_token"] == TOKEN;
                word["access_token"] = Value::from(if known { told.token.as_str() } else { "a stranger's" });
                Message::text(word.to_string())
            } else {
                message
            };
            to_home.send(message).await?;
        }
        Ok(())
    };
    let down = async {
        while let Some(Ok(message)) = from_home.next().await {
            to_app.send(message).await?;
        }
        Ok(())
    };
    tokio::select! { ended = up => ended, ended = down => ended }
}
