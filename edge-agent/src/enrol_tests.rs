//! Enrolment against a desk that certifies, refuses, or answers nonsense.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateSigningRequestParams, CertifiedIssuer, IsCa};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const ROOT: &str = r#"{"signed":{"_type":"root"},"signatures":[]}"#;

type Asked = Arc<Mutex<Vec<serde_json::Value>>>;

/// Answers each request with what `answer` makes of its body; the connection is in clear text, which only the test's client allows.
async fn desk(answer: impl Fn(&serde_json::Value) -> (&'static str, String) + Send + 'static) -> (Url, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let asked: Asked = Arc::default();
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let body = loop {
                let mut buffer = [0; 4096];
                let n = socket.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&request);
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    assert!(head.starts_with("POST /enroll "), "{head}");
                    if let Ok(body) = serde_json::from_str(body) {
                        break body;
                    }
                }
            };
            let (status, text) = answer(&body);
            log.lock().unwrap().push(body);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(text.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certify(authority: &CertifiedIssuer<'static, KeyPair>, body: &serde_json::Value) -> (&'static str, String) {
    let request = CertificateSigningRequestParams::from_pem(body["csr"].as_str().unwrap()).unwrap();
    answer(authority, &request.signed_by(authority).unwrap().pem())
}

/// The arguments of a home with a claim, and the folder of its files.
fn args(url: Url) -> (TempDir, EnrolArgs) {
    let directory = tempfile::tempdir().unwrap();
    let [token_file, ca, out] = ["token", "none", "out"].map(|name| directory.path().join(name));
    std::fs::write(&token_file, "secret-token\n").unwrap();
    (directory, EnrolArgs { url, ca, home: HomeId::new("home-7").unwrap(), token_file, out, wait: 0 })
}

/// What the fleet answers with a certificate.
fn answer(authority: &CertifiedIssuer<'static, KeyPair>, certificate: &str) -> (&'static str, String) {
    let answer = serde_json::json!({ "certificate": certificate, "ca": authority.pem(), "root": ROOT });
    ("201 Created", answer.to_string())
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_home_is_enrolled_with_a_key_of_its_own_that_only_it_can_read() {
    let authority = authority();
    let (url, asked) = desk(move |body| certify(&authority, body)).await;
    let (_directory, args) = args(url);
    enrol_by(&client(), &args).await.unwrap();
    {
        let asked = asked.lock().unwrap();
        assert_eq!((asked[0]["home"].as_str(), asked[0]["token"].as_str()), (Some("home-7"), Some("secret-token")));
        assert!(!asked[0].to_string().contains("PRIVATE KEY"));
    }
    let mode = std::fs::metadata(args.out.join("agent.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(args.out.join("root.json")).unwrap(), ROOT);
    let again = enrol_by(&client(), &args).await.unwrap_err();
    assert!(matches!(&again, EnrolError::Enrolled(path) if *path == args.out.join("agent.crt")), "{again}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_enrolment_whose_answer_was_lost_is_repeated_with_the_same_key() {
    let authority = authority();
    let first = Mutex::new(true);
    let (url, asked) = desk(move |body| match std::mem::take(&mut *first.lock().unwrap()) {
        true => ("502 Bad Gateway", String::new()),
        false => certify(&authority, body),
    })
    .await;
    let (_directory, args) = args(url);
    let refused = enrol_by(&client(), &args).await.unwrap_err();
    assert!(matches!(refused, EnrolError::Ask(AskError::Refused { status: 502, .. })), "{refused}");
    let key = std::fs::read(args.out.join("agent.key")).unwrap();
    enrol_by(&client(), &args).await.unwrap();
    assert_eq!(std::fs::read(args.out.join("agent.key")).unwrap(), key);
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn the_fleets_reason_for_refusing_is_passed_on_without_the_token() {
    let problem = r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"used"}"#.to_owned();
    let (url, _) = desk(move |_| ("409 Conflict", problem.clone())).await;
    let (_directory, args) = args(url);
    let error = enrol_by(&client(), &args).await.unwrap_err();
    assert_eq!(error.to_string(), "the fleet refuses: 409: used");
}

#[tokio::test]
async fn a_certificate_for_another_key_is_not_kept() {
    let authority = authority();
    let (url, _) = desk(move |_| {
        let stranger = KeyPair::generate().unwrap();
        answer(&authority, &CertificateParams::default().signed_by(&stranger, &authority).unwrap().pem())
    })
    .await;
    let (_directory, args) = args(url);
    let error = enrol_by(&client(), &args).await.unwrap_err();
    assert!(matches!(error, EnrolError::Ask(AskError::Answer(_))), "{error}");
    assert!(!args.out.join("agent.crt").exists());
}

#[tokio::test]
async fn an_answer_that_is_no_answer_is_not_kept() {
    for text in ["{}", "<html>", r#"{"certificate":"x","ca":"y","root":"{}"}"#] {
        let (url, _) = desk(move |_| ("200 OK", text.to_owned())).await;
        let (_directory, args) = args(url);
        let error = enrol_by(&client(), &args).await.unwrap_err();
        assert!(matches!(error, EnrolError::Ask(AskError::Answer(_))), "{error}");
        assert!(!args.out.join("ca.crt").exists());
    }
}

#[tokio::test]
async fn a_token_file_without_a_token_is_named_before_a_key_is_made() {
    let (_directory, args) = args("https://fleet.example/".parse().unwrap());
    std::fs::write(&args.token_file, " \n").unwrap();
    let error = enrol_by(&client(), &args).await.unwrap_err();
    assert!(matches!(error, EnrolError::Token(_)), "{error}");
    assert!(!args.out.exists());
}

/// A fleet that answers as told, and how often it was asked.
async fn waited(patience: Duration, statuses: &[u16]) -> (Result<(), EnrolError>, usize) {
    let asked = std::cell::Cell::new(0);
    let attempt = async || {
        let status = statuses[asked.replace(asked.get() + 1)];
        match status {
            201 => Ok(()),
            _ => Err(AskError::Refused { status, detail: String::new(), retry_after: None }.into()),
        }
    };
    let ended = wait_out(patience, attempt, async |_| {}).await;
    (ended, asked.get())
}

#[tokio::test]
async fn a_person_at_a_prompt_waits_for_a_busy_fleet_and_is_told_at_once_what_waiting_cannot_change() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert!(matches!(waited(minutes(10), &[429, 503, 502, 201]).await, (Ok(()), 4)));
    assert!(matches!(waited(minutes(10), &[429, 409, 201]).await, (Err(_), 2)));
    assert!(matches!(waited(minutes(0), &[429, 201]).await, (Err(_), 1)), "asked once");
    let (ended, asked) = waited(minutes(10), &[503; 100]).await;
    assert!(ended.is_err() && (10..60).contains(&asked), "{asked}");
}

#[test]
fn what_is_final_says_what_to_do() {
    let refused = |status| EnrolError::from(AskError::Refused { status, detail: String::new(), retry_after: None });
    for status in [401, 403, 409] {
        assert!(refused(status).what_to_do().contains("hearthwatch-provision home add"), "{status}");
    }
    assert!(refused(400).what_to_do().starts_with("compare the home's name with the claim"));
}
