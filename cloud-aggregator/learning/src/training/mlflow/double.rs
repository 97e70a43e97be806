//! A server on loopback that gives the answers it was given, one for each request, and keeps the requests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use url::Url;

use super::{Credentials, MlflowConfig, Timeouts, Tracker};

/// What was asked.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::training) struct Question {
    /// `POST /api/…`.
    pub(in crate::training) line: String,
    /// The header, if it was sent.
    pub(in crate::training) authorization: Option<String>,
    /// Null without a body.
    pub(in crate::training) body: serde_json::Value,
}

/// An answer: its status and its body.
pub(in crate::training) type Answer = (u16, String);

/// A server that ends with its last answer.
pub(in crate::training) struct Double {
    url: Url,
    serving: JoinHandle<Vec<Question>>,
}

/// What a server that has nothing yet says to a whole run, from begin to end.
pub(in crate::training) fn whole_run() -> Vec<Answer> {
    let (begin, end) =
        (["{\"experiment_id\":\"4\"}", "{\"run\":{\"info\":{\"run_id\":\"r1\"}}}", "{}", "{}"], ["{}"; 3]);
    let missing = (404, "{\"error_code\":\"RESOURCE_DOES_NOT_EXIST\",\"message\":\"no such experiment\"}".to_owned());
    [missing].into_iter().chain(begin.into_iter().chain(end).map(|body| (200, body.to_owned()))).collect()
}

/// Gives up at once; what is tried again is tried again without a pause.
pub(in crate::training) fn without_pause(url: &Url, credentials: Option<Credentials>) -> Tracker {
    let config = MlflowConfig { url: url.clone(), experiment: "nightly".to_owned(), credentials };
    let minute = Duration::from_secs(60);
    Tracker::new(config).with_timeouts(Timeouts { connect: minute, answer: minute, tries: 2, pause: Duration::ZERO })
}

/// An address at which nobody listens.
pub(in crate::training) fn nobody() -> Url {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    address(&listener)
}

fn address(listener: &TcpListener) -> Url {
    // Clients need a provider of cryptography, also where they use none. Another test may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}

impl Double {
    pub(in crate::training) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = address(&listener);
        let serving = std::thread::spawn(move || {
            answers.iter().map(|answer| serve(listener.accept().unwrap().0, answer)).collect()
        });
        Self { url, serving }
    }

    pub(in crate::training) fn url(&self) -> &Url {
        &self.url
    }

    /// Waits for the last question; returns all.
    pub(in crate::training) fn questions(self) -> Vec<Question> {
        self.serving.join().unwrap()
    }
}

fn serve(mut stream: TcpStream, (status, body): &Answer) -> Question {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let header = |name: &str| {
        let mut named = head.iter().filter_map(|line| line.split_once(": "));
        named.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut asked = vec![0; length];
    reader.read_exact(&mut asked).unwrap();
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    // A caller that has read enough may have gone.
    let _ = stream.write_all(answer.as_bytes());
    Question {
        line: head[0].trim_end_matches(" HTTP/1.1").to_owned(),
        authorization: header("authorization"),
        body: if asked.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&asked).unwrap() },
    }
}
