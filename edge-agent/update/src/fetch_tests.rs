//! The transport against small servers that misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tough::{IntoVec, Transport, TransportError, TransportErrorKind};
use url::Url;

use super::fetch::{Busy, Patience, TooSlow, UpdateTransport};
use super::trust::{TrustError, TrustStore};

const BODY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// What the server does with one request.
#[derive(Clone)]
enum Answer {
    /// All of it, range honoured.
    Whole,
    /// The first bytes, then the connection is cut.
    Cut(usize),
    /// All of it, although a range was asked for.
    IgnoreRange,
    /// A byte, and then nothing more.
    Dawdle,
    /// Headers never come.
    Silent,
    /// Only what time it is.
    Date(&'static str),
    /// Status line only.
    Status(&'static str),
}

struct Server {
    url: Url,
    requests: Arc<Mutex<Vec<String>>>,
}

async fn serve(answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/targets/", listener.local_addr().unwrap()).parse().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
                while !request.ends_with(b"\r\n\r\n") {
                    let n = socket.read(&mut buffer).await.unwrap();
                    request.extend_from_slice(&buffer[..n]);
                }
                let request = String::from_utf8(request).unwrap().to_lowercase();
                let offset = request
                    .lines()
                    .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
                log.lock().unwrap().push(offset.map_or("whole".to_owned(), |offset| format!("from {offset}")));
                let _ = respond(&mut socket, &answer, offset.unwrap_or(0)).await;
            });
        }
    });
    Server { url, requests }
}

async fn respond(socket: &mut tokio::net::TcpStream, answer: &Answer, offset: usize) -> std::io::Result<()> {
    let length = BODY.len();
    let empty = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let head = |offset: usize| match offset {
        0 => format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"),
        _ if offset >= length => empty("416 Range Not Satisfiable"),
        _ => format!(
            "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\ncontent-range: bytes {offset}-{}/{length}\r\nconnection: close\r\n\r\n",
            length - offset,
            length - 1
        ),
    };
    let (head, body) = match answer {
        Answer::Whole => (head(offset), &BODY[offset.min(length)..]),
        Answer::Cut(bytes) => (head(offset), &BODY[offset..offset + bytes]),
        Answer::IgnoreRange => (head(0), BODY),
        Answer::Dawdle => (head(0), &BODY[..1]),
        Answer::Silent => std::future::pending().await,
        Answer::Date(date) => (empty(&format!("200 OK\r\ndate: {date}")), &BODY[..0]),
        Answer::Status(status) => (empty(status), &BODY[..0]),
    };
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(body).await?;
    if matches!(answer, Answer::Dawdle) {
        std::future::pending::<()>().await;
    }
    socket.shutdown().await
}

fn http() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

struct Client {
    transport: UpdateTransport,
    directory: tempfile::TempDir,
    url: Url,
}

impl Client {
    fn of(server: &Server) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let patience = Patience { silence: Duration::from_millis(300), ..Patience::default() };
        let partial = directory.path().join("partial");
        let transport = UpdateTransport::new(Some(http()), server.url.clone(), partial, patience);
        Self { transport, directory, url: server.url.join("abc.model-1.safetensors").unwrap() }
    }

    async fn fetch(&self) -> Result<Vec<u8>, TransportError> {
        self.transport.fetch(self.url.clone()).await?.into_vec().await
    }

    fn half(&self) -> Vec<u8> {
        std::fs::read(self.directory.path().join("partial/abc.model-1.safetensors")).unwrap_or_default()
    }
}

fn is_slow(error: &TransportError) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<TooSlow>())
}

#[tokio::test]
async fn a_download_that_was_cut_goes_on_where_it_ended() {
    let server = serve(vec![Answer::Cut(10), Answer::Cut(5), Answer::Whole]).await;
    let client = Client::of(&server);
    client.fetch().await.unwrap_err();
    assert_eq!(client.half(), &BODY[..10]);
    client.fetch().await.unwrap_err();
    assert_eq!(client.fetch().await.unwrap(), BODY);
    assert_eq!(*server.requests.lock().unwrap(), ["whole", "from 10", "from 15"]);
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_is_read_from_the_start() {
    let server = serve(vec![Answer::Cut(10), Answer::IgnoreRange]).await;
    let client = Client::of(&server);
    client.fetch().await.unwrap_err();
    assert_eq!(client.fetch().await.unwrap(), BODY);
    assert_eq!(client.half(), BODY);
}

#[tokio::test]
async fn a_half_that_is_whole_already_is_taken_as_it_is() {
    let server = serve(vec![Answer::Whole, Answer::Whole]).await;
    let client = Client::of(&server);
    assert_eq!(client.fetch().await.unwrap(), BODY);
    assert_eq!(client.fetch().await.unwrap(), BODY);
    assert_eq!(*server.requests.lock().unwrap(), ["whole", "from 36"]);
    client.transport.forget_halves().unwrap();
    assert_eq!(client.half(), b"");
}

#[tokio::test]
async fn metadata_is_never_resumed() {
    let server = serve(vec![Answer::Cut(10), Answer::Whole]).await;
    let mut client = Client::of(&server);
    client.url = server.url.join("../metadata/timestamp.json").unwrap();
    client.fetch().await.unwrap_err();
    assert_eq!(client.fetch().await.unwrap(), BODY);
    assert_eq!(*server.requests.lock().unwrap(), ["whole", "whole"]);
}

#[tokio::test]
async fn a_server_that_dawdles_is_given_up() {
    for answer in [Answer::Dawdle, Answer::Silent] {
        let server = serve(vec![answer]).await;
        let error = Client::of(&server).fetch().await.unwrap_err();
        assert!(is_slow(&error), "{error}");
    }
}

#[tokio::test]
async fn a_missing_file_and_a_failing_server_are_told_apart() {
    let server = serve(vec![Answer::Status("404 Not Found"), Answer::Status("500 Internal Server Error")]).await;
    let client = Client::of(&server);
    assert_eq!(client.fetch().await.unwrap_err().kind(), TransportErrorKind::FileNotFound);
    assert_eq!(client.fetch().await.unwrap_err().kind(), TransportErrorKind::Other);
}

#[tokio::test]
async fn a_name_that_could_leave_the_folder_keeps_no_half() {
    let server = serve(vec![Answer::Whole]).await;
    let mut client = Client::of(&server);
    client.url = server.url.join("sub%2Fdir/..%2Fescape").unwrap();
    assert_eq!(client.fetch().await.unwrap(), BODY);
    assert!(!client.directory.path().join("partial").exists());
}

/// 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;

async fn refresh_at(now: i64, answers: Vec<Answer>) -> TrustError {
    let server = serve(answers).await;
    let directory = tempfile::tempdir().unwrap();
    let trust = TrustStore {
        root: b"{}".to_vec(),
        metadata: server.url.clone(),
        targets: server.url.clone(),
        directory: directory.path().join("tuf"),
    };
    let partial = directory.path().join("partial");
    let transport = UpdateTransport::new(Some(http()), server.url, partial, Patience::default());
    let error = trust.refresh(transport, now).await.unwrap_err();
    let unasked = matches!(error, TrustError::ClocksApart { .. } | TrustError::Unreachable(_) | TrustError::Busy(_));
    assert_eq!(trust.directory.exists(), !unasked);
    error
}

#[tokio::test]
async fn a_clock_far_from_the_servers_judges_and_remembers_nothing() {
    let date = || vec![Answer::Date("Fri, 15 Jan 2027 08:00:00 GMT")];
    for seconds in [400 * 86_400, -2 * 86_400] {
        assert_eq!(refresh_at(NOW + seconds, date()).await, TrustError::ClocksApart { seconds });
    }
    let corrected = refresh_at(NOW + 3_600, date()).await;
    assert!(matches!(corrected, TrustError::PinnedRoot(_)), "set right, it goes on at once: {corrected:?}");
}

#[tokio::test]
async fn a_busy_server_is_told_from_a_missing_file_and_from_one_that_fails_with_the_time_that_it_names() {
    let error = refresh_at(NOW, vec![Answer::Status("429 Too Many Requests\r\nretry-after: 90")]).await;
    let busy = Busy { status: 429, retry_after: Some(Duration::from_secs(90)) };
    assert_eq!((error.is_refusal(), error), (false, TrustError::Busy(busy)));
    let answers = ["503 Service Unavailable", "502 Bad Gateway\r\nretry-after: 5", "500 Internal Server Error"];
    let server = serve(answers.map(Answer::Status).to_vec()).await;
    let client = Client::of(&server);
    let mut causes = Vec::new();
    for _ in answers {
        let error = client.fetch().await.unwrap_err();
        causes.push(std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Busy>()).copied());
    }
    let at_502 = Busy { status: 502, retry_after: Some(Duration::from_secs(5)) };
    assert_eq!(causes, [Some(Busy { status: 503, retry_after: None }), Some(at_502), None]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_lets_no_clock_be_remembered() {
    assert!(matches!(refresh_at(NOW, vec![]).await, TrustError::Unreachable(_)));
}
