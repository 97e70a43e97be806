//! Holds every request against what the API says of itself: no query parameter that the call does not know, no body where
//! none is taken, and a body within its size and its time.
//!
//! What is not known is refused and not passed over: whoever writes `dryRun=true` believes that nothing will be done.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use hearthwatch_provision::enrol;
use regex::Regex;
use tokio::time::timeout;
use url::form_urlencoded;
use utoipa::Number;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Deprecated, Ref, RefOr};

use crate::http::dry_run;
use crate::http::problem::Problem;
use crate::openapi::document;
use crate::page;

/// How long a body may take: the largest has 16 KiB, which is 20 s at a kilobyte a second, and some more.
pub const BODY: Duration = Duration::from_secs(20);

/// Largest body of any request but an enrolment or a renewal, in bytes: the longest is a reason of 1,000 characters, of at
/// most twelve bytes each where JSON escapes them as two halves.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// What one call takes.
struct Call {
    parameters: Vec<String>,
    /// What those may be, where the document says so.
    limits: Vec<Limits>,
    /// Those of them that are an alias for one release more.
    former: Vec<String>,
    body: bool,
}

/// What a query parameter may be.
struct Limits {
    name: String,
    pattern: Option<Regex>,
    least: Option<f64>,
    most: Option<f64>,
}

/// Parameters that every list reads itself, with words of its own.
const READ_BY_LISTS: [&str; 2] = ["limit", "after"];

impl Limits {
    /// What the document says of a parameter; none where it says nothing.
    fn of(own: &Parameter, schemas: &Schemas) -> Option<Self> {
        let named = |reference: &Ref| schemas.get(reference.ref_location.rsplit('/').next().unwrap_or_default());
        let schema = match own.schema.as_ref()? {
            RefOr::Ref(reference) => named(reference)?,
            own => own,
        };
        let RefOr::T(Schema::Object(object)) = schema else { return None };
        let number = |number: &Option<Number>| {
            number.as_ref().map(|number| match number {
                Number::Int(value) => *value as f64,
                Number::UInt(value) => *value as f64,
                Number::Float(value) => *value,
            })
        };
        let pattern = object.pattern.as_deref().map(|pattern| {
            Regex::new(pattern).unwrap_or_else(|error| panic!("{}: a test reads every pattern: {error}", own.name))
        });
        let (least, most) = (number(&object.minimum), number(&object.maximum));
        let says = pattern.is_some() || least.is_some() || most.is_some();
        says.then(|| Self { name: own.name.clone(), pattern, least, most })
    }

    fn check(&self, text: &str) -> Result<(), Problem> {
        let name = &self.name;
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            return Err(Problem::Invalid(format!("{name}: {text:?} does not fit {}", pattern.as_str())));
        }
        // What is no number is told by whoever reads it.
        let Ok(number) = text.parse::<f64>() else { return Ok(()) };
        match (self.least, self.most) {
            (Some(least), _) if number < least => {
                Err(Problem::Invalid(format!("{name} is at least {least}, not {text}")))
            }
            (_, Some(most)) if number > most => Err(Problem::Invalid(format!("{name} is at most {most}, not {text}"))),
            _ => Ok(()),
        }
    }
}

/// Calls by path and method.
type Calls = HashMap<String, HashMap<Method, Call>>;

static CALLS: LazyLock<Calls> = LazyLock::new(|| calls(document()));

/// Whether there is such a call.
pub(crate) fn is_call(path: &str, method: &Method) -> bool {
    CALLS.get(path).is_some_and(|calls| calls.contains_key(method))
}

/// The document's named schemas.
type Schemas = BTreeMap<String, RefOr<Schema>>;

fn calls(document: &utoipa::openapi::OpenApi) -> Calls {
    let schemas = document.components.as_ref().map(|parts| parts.schemas.clone()).unwrap_or_default();
    let schemas: Schemas = schemas.into_iter().collect();
    let limits = |operation: &Operation| {
        let own = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
            RefOr::T(own) if matches!(own.parameter_in, ParameterIn::Query) => Some(own),
            _ => None,
        });
        let own = own.filter(|own| !READ_BY_LISTS.contains(&own.name.as_str()));
        own.filter_map(|own| Limits::of(own, &schemas)).collect::<Vec<_>>()
    };
    let call = |operation: &Operation| Call {
        parameters: operation
            .parameters
            .iter()
            .flatten()
            .filter_map(|parameter| match parameter {
                RefOr::T(own) if matches!(own.parameter_in, ParameterIn::Query) => Some(own.name.clone()),
                _ => None,
            })
            .collect(),
        limits: limits(operation),
        former: operation
            .parameters
            .iter()
            .flatten()
            .filter_map(|parameter| match parameter {
                RefOr::T(own) if own.deprecated == Some(Deprecated::True) => Some(own.name.clone()),
                _ => None,
            })
            .collect(),
        body: operation.request_body.is_some(),
    };
    let of_path = |item: &utoipa::openapi::PathItem| {
        let operations = [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::DELETE, &item.delete),
            (Method::PUT, &item.put),
            (Method::PATCH, &item.patch),
        ];
        operations.into_iter().filter_map(|(method, operation)| Some((method, call(operation.as_ref()?)))).collect()
    };
    document.paths.paths.iter().map(|(path, item)| (path.clone(), of_path(item))).collect()
}

/// The middleware: lets a request through as the document describes it, with its body read, or answers with the problem.
pub(crate) async fn hold(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let path = path.as_ref().map(MatchedPath::as_str);
    let former = path.is_some_and(|path| uses_former(path, &request));
    let mut response = match judged(path, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if former {
        // RFC 9745; the time is when the first of them became an alias.
        let headers = [("deprecation", DEPRECATED_SINCE), ("link", "</api/openapi.json>; rel=\"deprecation\"")];
        for (name, value) in headers {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    response
}

/// Since when calls have parameters that will go: 2026-11-20.
const DEPRECATED_SINCE: &str = "@1795132800";

/// Whether a request has a parameter that will go.
fn uses_former(path: &str, request: &Request) -> bool {
    let Some(call) = CALLS.get(path).and_then(|calls| calls.get(request.method())) else { return false };
    let asked = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(asked.as_bytes()).any(|(name, _)| call.former.iter().any(|former| *former == name))
}

/// The request with its body read, or why it is refused. A place or a method that is not there is told by the router.
async fn judged(path: Option<&str>, request: Request) -> Result<Request, Problem> {
    let Some(path) = path else { return whole(request, 0, false).await };
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let large = matches!(path, "/enroll" | "/renew");
    let most = if large { enrol::BODY_BYTES_MAX } else { BODY_BYTES_MAX };
    let Some(documented) = CALLS.get(path) else {
        // The pages and the files of the repository.
        if path != page::TAKES_ANYTHING {
            known(request.uri().query(), &page::takes(path))?;
        }
        return whole(request, most, true).await;
    };
    let Some(call) = documented.get(&method) else { return whole(request, 0, false).await };
    known(request.uri().query(), &call.parameters)?;
    dry_run::asked(request.uri().query()).map_err(Problem::Invalid)?;
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        for limits in call.limits.iter().filter(|limits| limits.name == name) {
            limits.check(&value)?;
        }
    }
    whole(request, if call.body { most } else { 0 }, true).await
}

/// Refuses the first parameter that is not in `names`.
fn known(query: Option<&str>, names: &[String]) -> Result<(), Problem> {
    let mut asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    match asked.find(|(name, _)| !names.iter().any(|known| known == name)) {
        None => Ok(()),
        Some((name, _)) => Err(Problem::UnknownParameter { name: name.into_owned(), known: names.to_vec() }),
    }
}

/// Reads the body, of at most `most` bytes; 0 stands for a call that takes none. One that is not `wanted`, because there is
/// no such call, is left unread.
async fn whole(request: Request, most: usize, wanted: bool) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    if !wanted {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let bytes = timeout(BODY, read(body, most)).await.map_err(|_| Problem::TooSlow(BODY.as_secs()))??;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    let over = || if most == 0 { Problem::NoBody } else { Problem::TooLarge };
    let mut bytes = Vec::new();
    if body.size_hint().lower() > most as u64 {
        return Err(over());
    }
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Problem::Malformed(format!("the body broke off: {error}")))?;
        if bytes.len() + piece.len() > most {
            return Err(over());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unknown_parameter_is_named_beside_the_known_ones() {
        let names = ["limit".to_owned(), "after".to_owned()];
        assert!(known(None, &names).is_ok() && known(Some("after=1&limit=2"), &names).is_ok());
        let refused = known(Some("limit=1&dry%52un=true"), &names).unwrap_err().to_string();
        assert_eq!(refused, "unknown query parameter \"dryRun\"; known here: limit, after");
        let none = known(Some("x"), &[]).unwrap_err().to_string();
        assert_eq!(none, "unknown query parameter \"x\"; this call takes none");
    }

    #[test]
    fn the_calls_are_those_of_the_document() {
        assert_eq!(CALLS["/api/v1/renewals"][&Method::GET].parameters, ["limit", "after"]);
        assert_eq!(CALLS["/api/v1/runs"][&Method::POST].parameters, ["dry_run"]);
        assert!(CALLS["/api/v1/tokens"][&Method::POST].body && !CALLS["/api/v1/runs"][&Method::POST].body);
    }
}
