//! Asks the identity provider: where its places are, which keys it signs with, what a code is worth.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::RwLock;
use url::Url;

use super::config::LoginConfig;
use super::id_token::{Expected, IdTokenError, claims};
use super::pending::{BROWSER_SECONDS, Browser, Device, Pending};
use super::person::{Person, PersonError, person};

/// Patience for one question and its answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Largest answer that is read: a set of keys has some kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How long the provider's places and keys are taken to be the same, seconds.
const KNOWN_SECONDS: i64 = 3600;

/// How often they are asked for anew because of a key that is not among them, seconds.
const AGAIN_SECONDS: i64 = 60;

/// Longest time a device code is waited for, seconds, whatever the provider says.
const DEVICE_SECONDS_MAX: i64 = 1800;

/// What the provider says of a device code that nobody has entered (RFC 8628, 3.5).
const WAITS: [&str; 2] = ["authorization_pending", "slow_down"];

/// Why a log-in did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// It cannot be set up: the authority's file, the secret's file, the HTTP library.
    #[error("[http.login]: {0}")]
    Setup(String),
    /// It does not answer, or not in a way that can be read.
    #[error("the identity provider does not answer as it should: {0}")]
    Unreachable(String),
    /// It says no.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// What came back belongs to no log-in that is on its way.
    #[error("this log-in has ended or was made elsewhere: begin again")]
    Unknown,
    /// It knows no device codes.
    #[error(
        "the identity provider knows no device codes: make a token with `hearthwatch-cloud token add`, or log in to the pages"
    )]
    NoDevices,
    /// The token that it sent is not believed.
    #[error("{0}")]
    Token(String),
    /// The person may do nothing here.
    #[error("{0}")]
    Person(String),
}

impl From<IdTokenError> for ProviderError {
    fn from(error: IdTokenError) -> Self {
        Self::Token(error.to_string())
    }
}

impl From<PersonError> for ProviderError {
    fn from(error: PersonError) -> Self {
        Self::Person(error.to_string())
    }
}

/// What the provider publishes about itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, Deserialize)]
struct Places {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    device_authorization_endpoint: Option<String>,
}

#[derive(Debug, Clone)]
struct Known {
    places: Places,
    keys: JwkSet,
    at: i64,
}

/// What the token endpoint answers.
#[derive(Debug, Deserialize)]
struct Granted {
    id_token: Option<String>,
}

/// What a device code begins with (RFC 8628).
#[derive(Debug, Deserialize)]
struct DeviceGranted {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: i64,
    interval: Option<i64>,
}

/// What somebody at a command line has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceAsked {
    /// Our name for it, a secret.
    pub device: String,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: Option<String>,
    pub expires_in: i64,
    pub interval: i64,
}

/// How a device code stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceState {
    /// Nobody has entered it; ask again after so many seconds.
    Waiting(i64),
    /// Somebody has.
    Entered(Person),
}

/// The identity provider.
#[derive(Debug)]
pub struct Provider {
    config: LoginConfig,
    secret: Option<String>,
    client: reqwest::Client,
    known: RwLock<Option<Known>>,
    browsers: Mutex<Pending<Browser>>,
    devices: Mutex<Pending<Device>>,
}

impl Provider {
    /// The provider of a configuration; it is not asked anything yet.
    ///
    /// # Errors
    /// [`ProviderError::Setup`] when a file cannot be read.
    pub fn new(config: LoginConfig) -> Result<Self, ProviderError> {
        // Fails only if one is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let setup = |error: &dyn std::fmt::Display| ProviderError::Setup(error.to_string());
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|error| ProviderError::Setup(format!("{}: {error}", path.display())))
        };
        let mut client = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(ANSWER);
        if let Some(ca) = &config.ca_file {
            let roots = reqwest::Certificate::from_pem_bundle(read(ca)?.as_bytes()).map_err(|error| setup(&error))?;
            client = client.tls_certs_only(roots);
        }
        let client = client.build().map_err(|error| setup(&error))?;
        let secret = config.client_secret_file.as_deref().map(read).transpose()?.map(|text| text.trim().to_owned());
        Ok(Self {
            config,
            secret,
            client,
            known: RwLock::default(),
            browsers: Mutex::default(),
            devices: Mutex::default(),
        })
    }

    /// Where a browser is sent, and the word that it has to bring back.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`].
    pub(crate) async fn begin(&self, now: i64) -> Result<(Url, String), ProviderError> {
        let places = self.known(now).await?.places;
        let (state, nonce, verifier) = (random(), random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut place = Url::parse(&places.authorization_endpoint)
            .map_err(|error| ProviderError::Unreachable(format!("its place for log-ins: {error}")))?;
        place.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", &self.config.redirect_uri()),
            ("scope", &self.scope()),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let mut browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        browsers.put(state.clone(), Browser { nonce, verifier }, now.saturating_add(BROWSER_SECONDS), now);
        Ok((place, state))
    }

    /// Who came back with a code.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub(crate) async fn end(&self, state: &str, code: &str, now: i64) -> Result<Person, ProviderError> {
        let waiting = self.browsers.lock().unwrap_or_else(PoisonError::into_inner).take(state, now);
        let (Browser { nonce, verifier }, _) = waiting.ok_or(ProviderError::Unknown)?;
        let redirect_uri = self.config.redirect_uri();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &verifier),
        ];
        let granted = self.token(&form, now).await?;
        self.person(granted, Some(&nonce), now).await
    }

    /// Asks for a code that somebody enters at the provider.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub(crate) async fn device(&self, now: i64) -> Result<DeviceAsked, ProviderError> {
        let place = self.known(now).await?.places.device_authorization_endpoint.ok_or(ProviderError::NoDevices)?;
        let scope = self.scope();
        let granted: DeviceGranted = read(&self.post(&place, &[("scope", &scope)]).await?)?;
        let device = random();
        let interval = granted.interval.unwrap_or(5).clamp(1, 60);
        let expires_in = granted.expires_in.clamp(1, DEVICE_SECONDS_MAX);
        let waiting = Device { code: granted.device_code, interval, next: now.saturating_add(interval) };
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.put(device.clone(), waiting, now.saturating_add(expires_in), now);
        Ok(DeviceAsked {
            device,
            user_code: granted.user_code,
            verification_uri: granted.verification_uri,
            verification_uri_complete: granted.verification_uri_complete,
            expires_in,
            interval,
        })
    }

    /// How a code stands; the provider is asked no more often than it wants.
    ///
    /// # Errors
    /// [`ProviderError`]; a code that was refused or has ended is gone.
    pub(crate) async fn device_state(&self, device: &str, now: i64) -> Result<DeviceState, ProviderError> {
        let taken = self.devices.lock().unwrap_or_else(PoisonError::into_inner).take(device, now);
        let (mut waiting, ends) = taken.ok_or(ProviderError::Unknown)?;
        let keep = |waiting: Device| {
            let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
            devices.put(device.to_owned(), waiting, ends, now);
        };
        if now < waiting.next {
            let left = waiting.next - now;
            keep(waiting);
            return Ok(DeviceState::Waiting(left));
        }
        let form =
            [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", &waiting.code.clone())];
        let granted = match self.token(&form, now).await {
            Ok(granted) => granted,
            Err(ProviderError::Refused(why)) if WAITS.contains(&why.as_str()) => {
                if why == WAITS[1] {
                    waiting.interval = (waiting.interval + 5).min(60);
                }
                waiting.next = now.saturating_add(waiting.interval);
                let interval = waiting.interval;
                keep(waiting);
                return Ok(DeviceState::Waiting(interval));
            }
            Err(error @ ProviderError::Unreachable(_)) => {
                keep(waiting);
                return Err(error);
            }
            Err(other) => return Err(other),
        };
        Ok(DeviceState::Entered(self.person(granted, None, now).await?))
    }

    fn scope(&self) -> String {
        let more = self.config.scopes.iter().map(String::as_str);
        ["openid"].into_iter().chain(more).collect::<Vec<_>>().join(" ")
    }

    /// The person of a token.
    async fn person(&self, token: String, nonce: Option<&str>, now: i64) -> Result<Person, ProviderError> {
        let expected = Expected { issuer: &self.config.issuer, client_id: &self.config.client_id, nonce, now };
        let known = self.known(now).await?;
        let found = match claims(&token, &known.keys, &expected) {
            // It may have new keys.
            Err(IdTokenError::UnknownKey) if now.saturating_sub(known.at) >= AGAIN_SECONDS => {
                claims(&token, &self.learn(now).await?.keys, &expected)?
            }
            other => other?,
        };
        Ok(person(&found, &self.config)?)
    }

    async fn known(&self, now: i64) -> Result<Known, ProviderError> {
        if let Some(known) =
            self.known.read().await.as_ref().filter(|known| now.saturating_sub(known.at) < KNOWN_SECONDS)
        {
            return Ok(known.clone());
        }
        self.learn(now).await
    }

    async fn learn(&self, now: i64) -> Result<Known, ProviderError> {
        let place = format!("{}/.well-known/openid-configuration", self.config.issuer.trim_end_matches('/'));
        let places: Places = read(&self.get(&place).await?)?;
        if places.issuer != self.config.issuer {
            let told =
                format!("it calls itself {:?}, and [http.login] `issuer` says {:?}", places.issuer, self.config.issuer);
            return Err(ProviderError::Unreachable(told));
        }
        let keys: JwkSet = read(&self.get(&places.jwks_uri).await?)?;
        let known = Known { places, keys, at: now };
        *self.known.write().await = Some(known.clone());
        Ok(known)
    }

    /// The ID token for a grant.
    async fn token(&self, form: &[(&str, &str)], now: i64) -> Result<String, ProviderError> {
        let place = self.known(now).await?.places.token_endpoint;
        let granted: Granted = read(&self.post(&place, form).await?)?;
        granted.id_token.ok_or_else(|| ProviderError::Unreachable("it sent no ID token".to_owned()))
    }

    async fn get(&self, place: &str) -> Result<Vec<u8>, ProviderError> {
        body(self.client.get(place).send().await).await
    }

    async fn post(&self, place: &str, form: &[(&str, &str)]) -> Result<Vec<u8>, ProviderError> {
        let kind = "application/x-www-form-urlencoded";
        let asked = self.client.post(place).header("content-type", kind).header("accept", "application/json");
        body(asked.body(self.form(form)).send().await).await
    }

    /// A form, with who we are.
    fn form(&self, form: &[(&str, &str)]) -> String {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(form).append_pair("client_id", &self.config.client_id);
        if let Some(secret) = &self.secret {
            text.append_pair("client_secret", secret);
        }
        text.finish()
    }
}

/// An answer's body, whole, whatever its status: refusals are told in it.
async fn body(answer: reqwest::Result<reqwest::Response>) -> Result<Vec<u8>, ProviderError> {
    let told = |error: reqwest::Error| ProviderError::Unreachable(chain(&error.without_url()));
    let mut answer = answer.map_err(told)?;
    if answer.status().is_server_error() {
        return Err(ProviderError::Unreachable(format!("it answers {}", answer.status())));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(told)? {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(ProviderError::Unreachable("its answer is too large".to_owned()));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What an answer says; a refusal is an answer too.
fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, ProviderError> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|_| ProviderError::Unreachable("its answer is no JSON; is `issuer` right?".to_owned()))?;
    if let Some(error) = value.get("error").and_then(Value::as_str) {
        // The two that mean "not yet" are words for programs; the others are for people.
        let said = value.get("error_description").and_then(Value::as_str).filter(|_| !WAITS.contains(&error));
        return Err(ProviderError::Refused(match said {
            Some(said) => format!("{error}: {said}"),
            None => error.to_owned(),
        }));
    }
    serde_json::from_value(value)
        .map_err(|error| ProviderError::Unreachable(format!("its answer lacks something: {error}")))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// 256 random bits for a web address.
fn random() -> String {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    URL_SAFE_NO_PAD.encode(bytes)
}
