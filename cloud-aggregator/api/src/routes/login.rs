//! Logging in from the command line at the identity provider: a code that somebody enters in a browser (RFC 8628).

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_store::people::SessionPurpose;
use hearthwatch_store::{Actor, Role};

use super::prelude::*;
use super::sessions::began;
use crate::http::extract::Peer;
use crate::http::sessions::{self, Beginner};
use crate::login::provider::{DeviceAsked, DeviceState};
use crate::login::{Provider, ProviderError};

/// What somebody at a command line has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceLogin {
    /// Names this log-in to `/login/device/token`; a secret.
    pub device: String,
    /// What is to be entered.
    pub user_code: String,
    /// Where it is to be entered.
    pub verification_uri: String,
    /// The same with the code in it, if the provider has such a place.
    pub verification_uri_complete: Option<String>,
    /// Seconds until the code ends.
    pub expires_in: i64,
    /// Seconds between two questions of how it stands.
    pub interval: i64,
}

/// Which log-in is asked about.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceQuestion {
    /// As `/login/device` named it.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub device: String,
}

/// Nobody has entered the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceWaits {
    /// Seconds until it makes sense to ask again.
    pub wait: i64,
}

/// Somebody is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoggedIn {
    /// The session's secret, for `Authorization: Bearer …`; not shown again.
    pub secret: String,
    /// Who it is, `person:NAME`.
    pub holder: String,
    /// What the person may do.
    pub role: Role,
    /// When the session ends at the latest, Unix seconds.
    pub ends_at: i64,
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Setup(_) | ProviderError::Unreachable(_) | ProviderError::NoDevices => {
                Self::Unavailable(error.to_string())
            }
            ProviderError::Refused(_) | ProviderError::Unknown | ProviderError::Token(_) | ProviderError::Person(_) => {
                Self::Conflict(error.to_string())
            }
        }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(begin)).routes(routes!(state))
}

fn provider(http: &Http) -> Result<&Provider, Problem> {
    let none = "no identity provider is set up here ([http.login]); use a token";
    http.provider.as_deref().ok_or_else(|| Problem::Conflict(none.to_owned()))
}

/// Begins a log-in from the command line: somebody enters a code at the identity provider.
#[utoipa::path(post, path = "/login/device", tag = "login", security(()), responses(
    (status = 200, body = DeviceLogin),
))]
pub(crate) async fn begin(http: State<Http>, peer: Peer) -> Answer<DeviceLogin> {
    http.limits.look(peer.0, http.wall())?;
    let asked = provider(&http)?.device(http.wall()).await?;
    let DeviceAsked { device, user_code, verification_uri, verification_uri_complete, expires_in, interval } = asked;
    Ok(Json(DeviceLogin { device, user_code, verification_uri, verification_uri_complete, expires_in, interval }))
}

/// Says whether the code has been entered; then the session begins.
#[utoipa::path(post, path = "/login/device/token", tag = "login", security(()), request_body = DeviceQuestion, responses(
    (status = 200, body = LoggedIn),
    (status = 202, body = DeviceWaits, description = "Nobody has entered the code."),
))]
pub(crate) async fn state(
    http: State<Http>,
    peer: Peer,
    Body(asked): Body<DeviceQuestion>,
) -> Result<Response, Problem> {
    let fits = (1..=64).contains(&asked.device.len())
        && asked.device.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !fits {
        return Err(Problem::Invalid("device: as /login/device named it".to_owned()));
    }
    let found = provider(&http)?.device_state(&asked.device, http.wall()).await;
    // Guesses are few; honest questions come by the interval.
    if matches!(found, Err(ProviderError::Unknown)) {
        http.limits.bad_token(peer.0, http.wall())?;
    }
    match found? {
        DeviceState::Waiting(wait) => Ok((StatusCode::ACCEPTED, Json(DeviceWaits { wait })).into_response()),
        DeviceState::Entered(person) => {
            let who = Beginner {
                holder: Actor::Person(person.name),
                subject: Some(person.subject),
                token: None,
                role: person.role,
                purpose: SessionPurpose::CommandLine,
            };
            let (secret, row) = sessions::begin(&http, who).await?;
            began(&http, &row).await?;
            let (holder, role, ends_at) = (row.holder.to_string(), row.role, row.ends_at);
            Ok(Json(LoggedIn { secret, holder, role, ends_at }).into_response())
        }
    }
}
