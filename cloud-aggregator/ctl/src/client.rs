//! Asks the aggregator: one request and its answer, tried again where that is safe.

mod retry;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

use crate::contexts;
use crate::document::Method;
use crate::failure::{Done, Failure};
use crate::problem::Problem;
use crate::target::Target;
use crate::world::World;

/// Largest answer that is read whole: a page of 500 runs with their reports is 2 MB, and a data set's lineage of 10,000 homes the same.
const ANSWER_MAX: usize = 64 << 20;

/// Time for a connection: a machine that is there answers within a round trip or two.
const CONNECT: Duration = Duration::from_secs(10);

/// Time without a word on a stream of events, after which it is taken for broken: servers send a comment every half minute at most.
const SILENCE: Duration = Duration::from_secs(120);

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// By which method.
    pub method: Method,
    /// Where, with its parameters in place, from `/` on.
    pub path: String,
    /// What stands after the question mark.
    pub query: Vec<(String, String)>,
    /// Headers of this call.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Value>,
    /// Whether it may be sent again when it is not known what became of it: it only reads, or carries a key by which the aggregator knows
    /// it again.
    pub again: bool,
}

impl Request {
    /// One that reads.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self { method: Method::Get, path: path.into(), query, headers, body: None, again: true }
    }

    /// The same with a query parameter more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }
}

/// What was answered.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// The HTTP status, 200 to 299.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answered {
    /// A header as text; empty where it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`Failure::Strange`] if it is none.
    pub fn text(&self) -> Done<&str> {
        std::str::from_utf8(&self.body).map_err(|_| strange("is no text"))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Failure::Strange`] if it is none.
    pub fn json<T: for<'a> serde::Deserialize<'a>>(&self) -> Done<T> {
        serde_json::from_slice(&self.body).map_err(|error| strange(&format!("is not of the expected form: {error}")))
    }
}

fn strange(how: &str) -> Failure {
    Failure::Strange(format!("the answer {how}: is this the address of an aggregator, and of this version?"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Asks one aggregator.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    verbose: bool,
}

impl Client {
    /// One for this target; the token is read now.
    ///
    /// # Errors
    /// [`Failure::Context`] for a token's file that cannot be used, [`Failure::Usage`] for an authority that cannot.
    pub fn new(target: &Target, timeout: Duration, verbose: bool, world: &mut World<'_>) -> Done<Self> {
        // Fails only if a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let agent = concat!("hearthwatch-ctl/", env!("CARGO_PKG_VERSION"));
        let mut http = reqwest::Client::builder().user_agent(agent).connect_timeout(CONNECT).redirect(Policy::none());
        http = http.read_timeout(SILENCE);
        if let Some(path) = &target.ca_file {
            let pem = std::fs::read(path).map_err(|cause| Failure::File { path: path.clone(), cause })?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| Failure::Usage(format!("{} holds no certificate (PEM): {error}", path.display())))?;
            http = http.tls_certs_only(roots);
        }
        if let Some((name, at)) = &target.resolve {
            http = http.no_proxy().resolve(name, *at);
        }
        let token = match &target.token_file {
            None => None,
            Some(path) if path.as_os_str() == "-" => {
                let mut line = String::new();
                world.input.read_line(&mut line)?;
                let token = contexts::token_of(&line);
                Some(token.ok_or_else(|| contexts::ContextError::NoToken("standard input".to_owned()))?)
            }
            Some(path) => Some(contexts::read_token(path)?),
        };
        let authorization = token.map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is of visible characters");
            value.set_sensitive(true);
            value
        });
        let http = http
            .build()
            .map_err(|error| Failure::Usage(format!("the connection cannot be made: {}", causes(&error))))?;
        Ok(Self { http, url: target.url.clone(), authorization, timeout, verbose })
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// [`Failure::Refused`] with the aggregator's own words, [`Failure::Unreachable`], [`Failure::Strange`].
    pub async fn ask(&self, request: &Request, world: &mut World<'_>) -> Done<Answered> {
        let mut tried = 0;
        loop {
            let came = self.once(request).await;
            tried += 1;
            let (why, wait) = match &came {
                Ok(answered) => (answered.status.to_string(), retry::of_answer(request, answered, tried)),
                Err(error) => (short(error), retry::of_error(request, error, tried)),
            };
            if let Some(wait) = wait {
                if self.verbose {
                    world.say(&format!("{why}; trying again in {:.1} s", wait.as_secs_f64()));
                }
                tokio::time::sleep(wait).await;
                continue;
            }
            let answered = came.map_err(|error| self.unreachable(&error))?;
            self.tell(request, &answered, world);
            return judged(answered);
        }
    }

    /// Begins a stream of events; `last` is the id of the last one that came, empty for all.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn stream(&self, request: &Request, last: &str) -> Done<reqwest::Response> {
        let mut call = self.call(request)?.header(ACCEPT, "text/event-stream");
        if !last.is_empty() {
            call = call.header("last-event-id", last);
        }
        let response = call.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = read(response).await.map_err(|error| self.unreachable(&error))?;
        judged(Answered { status, headers, body }).and_then(|_| Err(strange("is no stream of events")))
    }

    async fn once(&self, request: &Request) -> reqwest::Result<Answered> {
        let call = self.call(request).expect("checked when the request was made");
        let response = call.timeout(self.timeout).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answered { status, headers, body: read(response).await? })
    }

    fn call(&self, request: &Request) -> Done<reqwest::RequestBuilder> {
        let mut url = self.url.clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}{}", request.path));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let method = reqwest::Method::from_bytes(request.method.as_str().as_bytes()).expect("a known method");
        let mut call = self.http.request(method, url);
        if let Some(value) = &self.authorization {
            call = call.header(AUTHORIZATION, value.clone());
        }
        for (name, value) in &request.headers {
            let fault = |_| Failure::Usage(format!("{value:?} cannot be sent as the header {name}"));
            let name =
                HeaderName::try_from(name.as_str()).map_err(|_| Failure::Usage(format!("{name:?} is no header")))?;
            call = call.header(name, HeaderValue::try_from(value.as_str()).map_err(fault)?);
        }
        Ok(match &request.body {
            Some(body) => call.header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => call,
        })
    }

    /// What is said about an answer besides the answer.
    fn tell(&self, request: &Request, answered: &Answered, world: &mut World<'_>) {
        if self.verbose {
            let id = answered.header("x-request-id");
            let id = if id.is_empty() { String::new() } else { format!(", request id {id}") };
            let tag = answered.header("etag");
            let tag = if tag.is_empty() { String::new() } else { format!(", ETag {tag}") };
            world.say(&format!("{} {} -> {}{tag}{id}", request.method.as_str(), request.path, answered.status));
        }
        let sunset = answered.header("sunset");
        if !answered.header("deprecation").is_empty() || !sunset.is_empty() {
            let until = if sunset.is_empty() { String::new() } else { format!(" on {sunset}") };
            world.say(&format!(
                "warning: {} {} is deprecated and goes away{until}",
                request.method.as_str(),
                request.path
            ));
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let (url, why) = (self.url.as_str(), causes(error));
        let help = if why.contains("certificate") || why.contains("UnknownIssuer") {
            "its certificate is not trusted here: name the fleet's authority with --ca-file (keys/ca/ca.crt of `hearthwatch-provision init`)"
        } else if error.is_timeout() {
            "it takes longer than --timeout allows"
        } else {
            "is the aggregator running, and is this its address? `hearthwatch-cloud ctl context show` tells where it is looked for"
        };
        Failure::Unreachable(format!("{url} cannot be reached: {why}\n  what to do: {help}"))
    }
}

/// The answer, or the refusal that it is.
fn judged(answered: Answered) -> Done<Answered> {
    match answered.status {
        200..=299 => Ok(answered),
        304 => Err(Failure::Strange("it has not changed since that ETag".to_owned())),
        300..=399 => {
            let to = answered.header("location");
            Err(strange(&format!("sends on to {to:?}, which is not followed with a token")))
        }
        status => Err(Problem::read(status, &answered.body, answered.header("x-request-id")).into()),
    }
}

async fn read(mut response: reqwest::Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let left = ANSWER_MAX.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(left)]);
        if left < chunk.len() {
            // What is cut off is no JSON, and refused as such.
            break;
        }
    }
    Ok(body)
}

fn short(error: &reqwest::Error) -> String {
    causes(error)
}

/// An error with its causes, the outermost without the address, which is told apart.
fn causes(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if words.last().is_none_or(|last: &String| !last.contains(&text)) {
            words.push(text);
        }
        cause = error.source();
    }
    if words.is_empty() { error.to_string() } else { words.join(": ") }
}

/// Seconds that a refusal asks to wait for.
fn retry_after(answered: &Answered) -> Option<u64> {
    answered.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
