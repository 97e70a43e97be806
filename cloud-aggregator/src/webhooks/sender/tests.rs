//! A receiver that refuses before it takes, and one within the own network.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hearthwatch_store::clock::SystemClock;
use hearthwatch_store::fixtures::entry;
use url::Url;

use super::*;

type Heard = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver that refuses its first message.
async fn receiver() -> (Url, Heard) {
    let heard = Heard::default();
    let take = async |State(heard): State<Heard>, headers: HeaderMap, body: String| {
        let mut heard = heard.lock().unwrap();
        heard.push((headers, body));
        if heard.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
    };
    let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

fn sender(directory: &std::path::Path, store: Arc<dyn Store>, url: Url, allow_private: bool) -> Sender {
    let secret_file = directory.join("secret");
    std::fs::write(&secret_file, "a secret of at least twenty-four\n").unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (name, events) = ("pager".to_owned(), vec!["rollout.*".to_owned()]);
    let config = WebhookConfig { name, url, events, secret_file, allow_private };
    Sender::new(config, store, Arc::new(SystemClock))
}

#[tokio::test]
async fn a_line_is_sent_until_it_is_taken_signed_and_with_the_same_id() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (directory, store) = hearthwatch_store::fixtures::store();
    let store: Arc<dyn Store> = Arc::new(store);
    store.append_audit(&entry("rollout.before", "1")).unwrap();
    let (url, heard) = receiver().await;
    let sender = sender(directory.path(), Arc::clone(&store), url, true);
    let (stop, mut position) = (CancellationToken::new(), None);
    sender.look(&mut position, &stop).await.unwrap();
    store.append_audit(&entry("home.revoke", "a")).unwrap();
    let line = store.append_audit(&entry("rollout.halted", "3")).unwrap();
    let refused = sender.send(&line).await.unwrap_err();
    assert_eq!(refused.to_string(), "answered 503");
    sender.look(&mut position, &stop).await.unwrap();
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2, "what happened before, and what is not asked for, is not sent");
    let (headers, body) = &heard[1];
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("webhook-id"), heard[0].0["webhook-id"].to_str().unwrap());
    let at: i64 = text("webhook-timestamp").parse().unwrap();
    assert_eq!(text("webhook-signature"), signature("a secret of at least twenty-four", &text("webhook-id"), at, body));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["type"], &body["data"]["subject"]), (&"rollout.halted".into(), &"3".into()));
    assert_eq!(store.webhook_position("pager").unwrap(), Some(line.index), "the next start goes on from here");
}

#[tokio::test]
async fn a_receiver_within_the_own_network_hears_nothing_unless_that_is_allowed() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (directory, store) = hearthwatch_store::fixtures::store();
    let line = store.append_audit(&entry("rollout.halted", "3")).unwrap();
    let (url, heard) = receiver().await;
    let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let refused = sender(directory.path(), Arc::new(store), url, false).send(&line).await.unwrap_err();
    let words = format!("{address} is not on the open internet; allow_private = true allows it");
    assert_eq!(refused.to_string(), words);
    assert!(heard.lock().unwrap().is_empty());
}
