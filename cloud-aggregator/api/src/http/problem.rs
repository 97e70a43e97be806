//! What a caller is told when it goes wrong: RFC 9457 problem details, with the cause kept to the log.

use axum::Json;
use axum::extract::rejection::{FormRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hearthwatch_fleet::release::manual::ManualError;
use hearthwatch_learning::training::TrainingError;
use hearthwatch_store::StoreError;
use hearthwatch_store::release::ReleaseError;
use hearthwatch_telemetry::chain::chain;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::dry_run::DryRunView;
use super::request;
use super::words::ProblemType;

/// What the type of every problem begins with.
pub(crate) const PROBLEM_PREFIX: &str = "urn:hearthwatch:problem:";

/// What the name of every request begins with.
const INSTANCE_PREFIX: &str = "urn:hearthwatch:request:";

/// A problem as it travels (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:hearthwatch:problem:` and the problem's name.
    #[serde(rename = "type")]
    #[schema(value_type = ProblemType)]
    pub kind: String,
    /// The same for every problem of this type.
    pub title: String,
    /// The HTTP status of the answer, 400 to 599.
    pub status: u16,
    /// What is wrong with this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// `urn:hearthwatch:request:` and the request's id, as in the log and in `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where the thing is now, when somebody else changed it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<Present>,
}

/// Where a thing is that was changed by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Present {
    /// Its state, in one word.
    pub state: String,
    /// Its version; 0 where it has none.
    pub row_version: u64,
}

/// What a call answers as JSON, or why it does not.
pub type Answer<T> = Result<Json<T>, Problem>;

/// Everything that a request can end in besides success.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Problem {
    /// No token, or none that is known, in force and unexpired. Which of these is not said.
    #[error("a valid bearer token is needed")]
    Unauthenticated,
    /// The token's role does not allow it.
    #[error("this needs the role {0}")]
    Forbidden(&'static str),
    /// The token may do only some of what its role may, and not this.
    #[error("this needs the scope {0}, which the token has not")]
    OutOfScope(String),
    /// There is no such thing.
    #[error("no {noun} {id:?}")]
    NotFound {
        /// The kind of thing, in one word: `home`, `model`, ….
        noun: &'static str,
        /// Its identity, as asked for.
        id: String,
    },
    /// The place exists, but not for this method.
    #[error("this place does not take that method")]
    MethodNotAllowed,
    /// The request cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// A query parameter that the call does not know.
    #[error("unknown query parameter {name:?}; {}", told(known))]
    UnknownParameter {
        /// As the caller wrote it.
        name: String,
        /// The parameters that the call takes; empty where it takes none.
        known: Vec<String>,
    },
    /// A body where none is taken.
    #[error("this call takes no body")]
    NoBody,
    /// The body did not come in time.
    #[error("the body did not come within {0} s")]
    TooSlow(u64),
    /// The body is not of the type that the call takes.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The request says something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The body is larger than this call takes.
    #[error("the body is larger than this call takes")]
    TooLarge,
    /// It is well said, but not in the present state.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else changed it since it was read.
    #[error("{detail}")]
    Changed {
        /// What happened, as one sentence for the caller.
        detail: String,
        /// Its state and version after the other's change.
        present: Present,
    },
    /// The thing is not as the caller saw it.
    #[error("it has changed since you read it")]
    PreconditionFailed {
        /// Its tag now.
        etag: String,
    },
    /// The key was used for another request within the last day.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// The request with this key has not been answered yet.
    #[error("the request with this Idempotency-Key is being done, or was cut off while it was")]
    KeyPending,
    /// No problem: what would be done, said early because nothing is to be done.
    #[error("it would be done")]
    #[strum(disabled)]
    WouldDo(Box<DryRunView>),
    /// Too often; try again after so many seconds.
    #[error("too many requests: try again in {0} s")]
    TooManyRequests(u64),
    /// A part that this needs is off or out of reach.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of ours. The cause is logged and not told.
    #[error("internal fault")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Problem {
    /// A fault of ours.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Status and title.
    fn class(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "Who are you?"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "Your role does not allow this"),
            Self::OutOfScope(_) => (StatusCode::FORBIDDEN, "The token's scopes do not allow this"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "There is no such thing"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Not with this method"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "The request cannot be read"),
            Self::UnknownParameter { .. } => (StatusCode::BAD_REQUEST, "An unknown parameter"),
            Self::NoBody => (StatusCode::BAD_REQUEST, "A body where none is taken"),
            Self::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "The request took too long"),
            Self::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another type"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "The request cannot be understood"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "Not in the present state"),
            Self::Changed { .. } => (StatusCode::CONFLICT, "Somebody else changed it first"),
            Self::PreconditionFailed { .. } => (StatusCode::PRECONDITION_FAILED, "Not as you saw it"),
            Self::KeyReused => (StatusCode::CONFLICT, "The key belongs to another request"),
            Self::KeyPending => (StatusCode::CONFLICT, "Not answered yet"),
            Self::WouldDo(_) => (StatusCode::OK, "Dry run"),
            Self::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "Slow down"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "A fault on our side"),
        }
    }

    /// The problem as it travels.
    #[must_use]
    pub fn body(&self) -> ProblemBody {
        let (status, title) = self.class();
        let name: &'static str = self.into();
        let detail = (!matches!(self, Self::Internal(_))).then(|| self.to_string());
        ProblemBody {
            kind: format!("{PROBLEM_PREFIX}{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            remedy: Some(self.remedy().to_owned()),
            instance: request::current().map(|id| format!("{INSTANCE_PREFIX}{id}")),
            present: match self {
                Self::Changed { present, .. } => Some(present.clone()),
                _ => None,
            },
        }
    }

    /// What to do next, the same for every problem of a type.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Unauthenticated => {
                "Send `Authorization: Bearer TOKEN` with a token that is in force; `hearthwatch-cloud token add` makes one."
            }
            Self::Forbidden(_) => "Use a token that may do this; an admin makes one with `POST /api/v1/tokens`.",
            Self::OutOfScope(_) => "Use a token that has this scope; an admin makes one with `POST /api/v1/tokens`.",
            Self::NotFound { .. } => "Look for it in the list of its kind; `/api/openapi.json` has all places.",
            Self::MethodNotAllowed => "See `/api/openapi.json` for what this place takes.",
            Self::Malformed(_) => "Mend the request as the detail says, and send it again.",
            Self::UnknownParameter { .. } => "Leave the parameter away, or write it as it is known here.",
            Self::NoBody => "Send the request without a body.",
            Self::TooSlow(_) => "Send the whole body at once; look at the line in between.",
            Self::UnsupportedMediaType(_) => "Send JSON with `Content-Type: application/json`.",
            Self::Invalid(_) => {
                "Change the value that the detail names; `/api/openapi.json` says what may stand there."
            }
            Self::TooLarge => "Send less in one request.",
            Self::Conflict(_) => "Look at its state; do what the detail says first, or leave it.",
            Self::Changed { .. } => "Read it again, and decide anew.",
            Self::PreconditionFailed { .. } => "Read it again, and send the `ETag` of what you then see.",
            Self::KeyReused => "Choose a new key for each new request.",
            Self::KeyPending => "Wait a moment and send the same again; if it stays so, look at the thing itself.",
            Self::WouldDo(_) => "Send it again without `dry_run`.",
            Self::TooManyRequests(_) => "Wait as long as `Retry-After` says.",
            Self::Unavailable(_) => "Look at `/readyz` for the part that is away, then try again.",
            Self::Internal(_) => "Try again; if it stays so, look in the log for the id in `instance`.",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.class().0
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Self::WouldDo(view) = self {
            return Json(*view).into_response();
        }
        if let Self::Internal(cause) = &self {
            tracing::error!(error = %chain(cause.as_ref()), "request failed");
        }
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::PreconditionFailed { etag } => {
                if let Ok(etag) = HeaderValue::from_str(&etag) {
                    headers.insert(header::ETAG, etag);
                }
            }
            Self::TooManyRequests(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            // What else comes on this connection is the rest of the body.
            Self::TooSlow(_) | Self::TooLarge => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

/// The parameters that a call knows, for its refusal of another.
fn told(known: &[String]) -> String {
    if known.is_empty() { "this call takes none".to_owned() } else { format!("known here: {}", known.join(", ")) }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { noun, id } => Self::NotFound { noun, id },
            StoreError::Conflict { ref present, row_version, .. } => {
                let present = Present { state: present.clone(), row_version };
                Self::Changed { detail: error.to_string(), present }
            }
            StoreError::LastAdmin(_) => Self::Conflict(error.to_string()),
            other => Self::internal(other),
        }
    }
}

impl From<ReleaseError> for Problem {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Store(cause) => cause.into(),
            ReleaseError::NotConfigured | ReleaseError::SignerUnreachable(_) => Self::Unavailable(error.to_string()),
            ReleaseError::SignerRefused(_) | ReleaseError::AwaitingSignature(_) => Self::Conflict(error.to_string()),
            other => Self::internal(other),
        }
    }
}

impl From<ManualError> for Problem {
    fn from(error: ManualError) -> Self {
        match error {
            ManualError::UnknownModel(version) => Self::NotFound { noun: "model", id: version.to_string() },
            ManualError::UnknownRun(id) => Self::NotFound { noun: "run", id },
            ManualError::Release(cause) => cause.into(),
            ManualError::Store(cause) => cause.into(),
            ManualError::ArtifactStore(cause) => Self::internal(cause),
            ManualError::NothingReleased
            | ManualError::InForce(_)
            | ManualError::NeverReleased(_)
            | ManualError::Withdrawn(_)
            | ManualError::Overtaken { .. }
            | ManualError::NoCandidate { .. }
            | ManualError::Artifact(_) => Self::Conflict(error.to_string()),
        }
    }
}

impl From<TrainingError> for Problem {
    fn from(error: TrainingError) -> Self {
        match error {
            TrainingError::Busy | TrainingError::Unready(_) => Self::Conflict(error.to_string()),
            TrainingError::Stopped => Self::Unavailable(error.to_string()),
            other => Self::internal(other),
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let text = rejection.body_text();
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType(text),
            StatusCode::BAD_REQUEST => Self::Malformed(text),
            _ => Self::Invalid(text),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Self {
        let text = rejection.body_text();
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType(text),
            _ => Self::Invalid(text),
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_fault_does_not_tell_its_cause() {
        let problem = Problem::internal("database at /var/lib is broken");
        let body = problem.body();
        assert_eq!(body.status, 500);
        assert_eq!(body.detail, None);
    }

    #[test]
    fn a_problem_names_its_type_status_and_detail() {
        let body = Problem::NotFound { noun: "model", id: "9".to_owned() }.body();
        let expected = ProblemBody {
            kind: "urn:hearthwatch:problem:not-found".to_owned(),
            title: "There is no such thing".to_owned(),
            status: 404,
            detail: Some("no model \"9\"".to_owned()),
            remedy: Some("Look for it in the list of its kind; `/api/openapi.json` has all places.".to_owned()),
            instance: None,
            present: None,
        };
        assert_eq!(body, expected);
    }

    #[test]
    fn an_unauthenticated_answer_says_how_to_authenticate() {
        let response = Problem::Unauthenticated.into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
