//! The API's own description, made from the code, committed, and checked to be current.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::Json;
use axum::http::Method;
use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Deprecated, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use crate::http::call::{self, thing_of};
use crate::http::dry_run::{self, DryRunView};
use crate::http::problem::ProblemBody;
use crate::http::scope;
use crate::http::words::{FeedbackKey, Name, Number, Tag};
use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hearthwatch aggregator",
        version = "1",
        description = "Admin API of the aggregator. Every call but those of `health` and `enrolment` needs a bearer \
            token; each says below if it needs more than the role viewer. All times are Unix seconds, UTC. \
            Errors are RFC 9457 problem details."
    ),
    security(("bearer" = [])),
    components(schemas(DryRunView, ProblemBody, Name, Number, FeedbackKey, Tag)),
)]
struct Document;

/// What every call has in common, by what it takes: unique names, descriptions, and every way in which it can go wrong.
fn complete_all(document: &mut utoipa::openapi::OpenApi) {
    let shown: BTreeSet<String> =
        document.paths.paths.iter().filter(|(_, item)| item.get.is_some()).map(|(path, _)| path.clone()).collect();
    for (path, item) in &mut document.paths.paths {
        let conditional = thing_of(path, |part| shown.contains(part)).is_some();
        for (method, operation) in
            [("get", &mut item.get), ("post", &mut item.post), ("put", &mut item.put), ("delete", &mut item.delete)]
        {
            if let Some(operation) = operation {
                complete(path, method, operation, conditional);
            }
        }
    }
}

/// Calls that may find a part off or out of reach, by the beginning of their path.
const UNAVAILABLE: [&str; 8] = [
    "/login/",
    "/enroll",
    "/renew",
    "/api/v1/rollouts",
    "/api/v1/attestations",
    "/api/v1/releases/rollback",
    "/api/v1/runs",
    "/api/v1/models",
];

/// Parameters that are an alias for one release more, by path.
const FORMER: [(&str, &str); 1] = [("/api/v1/audit", "before")];

fn complete(path: &str, method: &str, operation: &mut Operation, conditional: bool) {
    operation.operation_id = Some(operation_id(path, method));
    let mut takes = operation.request_body.is_some();
    for parameter in operation.parameters.iter_mut().flatten() {
        takes = true;
        if let RefOr::T(parameter) = parameter
            && matches!(parameter.parameter_in, ParameterIn::Query)
        {
            present(parameter);
            if FORMER.contains(&(path, &parameter.name)) {
                parameter.deprecated = Some(Deprecated::True);
            }
            if parameter.name == "after"
                && let (Some(pattern), Some(RefOr::T(Schema::Object(object)))) = (begins(path), &mut parameter.schema)
            {
                object.pattern = Some(pattern.to_owned());
            }
        }
    }
    manners(path, method, operation, conditional);
    if path.starts_with("/api/v1/")
        && let Ok(method) = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
    {
        // Beside what it does; the summary stays short.
        let scope = format!("A token with scopes needs `{}`.", scope::of(path, &method));
        operation.description = Some(match operation.description.take() {
            Some(text) => format!("{text}\n\n{scope}"),
            None => scope,
        });
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = succeeded(status).to_owned();
        }
    }
    if path.starts_with("/api/v1/") {
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                carried(response);
            }
        }
        if method == "get" {
            let same = ResponseBuilder::new().description("The answer that the caller has.").build();
            operation.responses.responses.insert("304".to_owned(), RefOr::T(same));
        }
    }
    for status in faults(path, method, operation, takes, conditional) {
        operation.responses.responses.insert(status.to_string(), RefOr::T(fault(status)));
    }
}

/// What every call of the admin API takes beside its own, and what its answers carry.
/// `conditional`: the call is about a thing that can be shown.
fn manners(path: &str, method: &str, operation: &mut Operation, conditional: bool) {
    if !path.starts_with("/api/v1/") {
        return;
    }
    let mut add = |name: &str, place: ParameterIn, schema: ObjectBuilder, about: &str| {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(Required::False)
            .schema(Some(schema))
            .description(Some(about));
        operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
    };
    let text = || ObjectBuilder::new().schema_type(Type::String);
    if method == "get" {
        let about = "`ETag` of an answer that the caller has: if it is still the answer, it is not sent again.";
        add("If-None-Match", ParameterIn::Header, text(), about);
        return;
    }
    let about = "Only say what would be done; nothing is changed, signed or sent.";
    add(dry_run::PARAMETER, ParameterIn::Query, ObjectBuilder::new().schema_type(Type::Boolean), about);
    if conditional {
        let about = "`ETag` of the thing as the caller saw it: if it has changed since, nothing is done (412).";
        add("If-Match", ParameterIn::Header, text(), about);
    }
    if !call::SECRET.contains(&path) {
        let about = "A key of the caller's choice, e.g. a UUID: the same request with the same key is done once, and answered alike \
            for a day.";
        let key = text().pattern(Some("^[!-~]{1,255}$")).max_length(Some(255));
        add("Idempotency-Key", ParameterIn::Header, key, about);
    }
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("DryRunView"))).build();
    match operation.responses.responses.get_mut("200") {
        Some(RefOr::T(response)) => {
            if let Some(RefOr::T(content)) = response.content.get_mut("application/json")
                && let Some(own) = content.schema.take()
            {
                let either = OneOfBuilder::new().item(own).item(Ref::from_schema_name("DryRunView"));
                content.schema = Some(RefOr::T(Schema::OneOf(either.build())));
            }
        }
        _ => {
            let said = ResponseBuilder::new().description("What would be done (`dry_run`).");
            let said = said.content("application/json", content).build();
            operation.responses.responses.insert("200".to_owned(), RefOr::T(said));
        }
    }
}

/// How a list says where its page begins; none where any text is taken.
fn begins(path: &str) -> Option<&'static str> {
    match path {
        "/api/v1/homes" => Some("^(-?[0-9]{1,15}/)?[a-z0-9-]{1,64}$"),
        "/api/v1/feedback" => Some("^([0-9]{1,15}/)?[a-z0-9-]{1,64}/[0-9]{1,15}$"),
        "/api/v1/renewals"
        | "/api/v1/sessions"
        | "/api/v1/attestations"
        | "/api/v1/offers"
        | "/api/v1/standings"
        | "/api/v1/rounds/{round}/homes" => Some("^[a-z0-9-]{1,64}$"),
        "/api/v1/models"
        | "/api/v1/releases"
        | "/api/v1/rollouts"
        | "/api/v1/rounds"
        | "/api/v1/quarantine"
        | "/api/v1/audit"
        | "/api/v1/approvals"
        | "/api/v1/rollout-schedule"
        | "/api/v1/rollouts/{version}/schedule" => Some("^[0-9]{1,15}$"),
        "/api/v1/exclusions" => Some("^-?[0-9]{1,15}/[a-z0-9-]{1,64}$"),
        "/api/v1/releases/{version}/outcomes" => Some("^-?[0-9]{1,15}/[a-z0-9-]{1,64}/-?[0-9]{1,15}$"),
        _ => None,
    }
}

/// `get_homes_by_home`, `post_rollouts_by_version_halt`.
fn operation_id(path: &str, method: &str) -> String {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let words = path.split('/').filter(|word| !word.is_empty()).map(|word| {
        let inner = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
        inner.map_or_else(|| word.replace('-', "_"), |inner| format!("by_{inner}"))
    });
    [method.to_owned()].into_iter().chain(words).collect::<Vec<_>>().join("_")
}

/// A parameter that may be left out is left out, and not given as null, which a query cannot say.
fn present(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema else { return };
    if let SchemaType::Array(types) = &object.schema_type
        && let Some(kind) = types.iter().find(|kind| !matches!(kind, Type::Null))
    {
        object.schema_type = SchemaType::Type(kind.clone());
    }
}

fn succeeded(status: &str) -> &'static str {
    match status {
        "201" => "Made.",
        "202" => "Accepted, and not done yet.",
        "204" => "Done.",
        _ => "What was asked for.",
    }
}

/// The statuses besides success that a call can have.
fn faults(path: &str, method: &str, operation: &Operation, takes: bool, conditional: bool) -> Vec<u16> {
    let open = operation.security.as_ref().is_some_and(|security| !security.is_empty());
    let said = [operation.summary.as_deref(), operation.description.as_deref()];
    let role = said.into_iter().flatten().any(|text| text.contains("Needs "));
    let changes = method != "get";
    let found = path.contains('{') || path.ends_with("/rollback") || path.ends_with("/run-comparison");
    let body = operation.request_body.is_some();
    let enrols = matches!(path, "/enroll" | "/renew") || path.starts_with("/login/");
    let admin = path.starts_with("/api/v1/");
    let off = UNAVAILABLE.iter().any(|start| path.starts_with(start));
    let all = [
        (true, 400),
        (!open, 401),
        (role, 403),
        (found, 404),
        (body, 408),
        (changes, 409),
        (changes && conditional && admin, 412),
        (body, 413),
        (body, 415),
        (takes || (changes && admin), 422),
        (enrols || admin, 429),
        (true, 500),
        (off, 503),
    ];
    all.into_iter().filter(|(can, _)| *can).map(|(_, status)| status).collect()
}

/// Headers of every answer that is no problem.
fn carried(response: &mut Response) {
    let headers = [
        ("X-Request-Id", "The request, as the log names it."),
        ("RateLimit", "`\"calls\";r=LEFT;t=SECONDS`: calls that are left to this token."),
        ("RateLimit-Policy", "`\"calls\";q=COUNT;w=60`: calls that one token may make a minute."),
    ];
    for (name, about) in headers {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build();
        response.headers.insert(name.to_owned(), header.into());
    }
}

fn fault(status: u16) -> Response {
    let (description, header) = match status {
        400 => ("The request cannot be read, or has a query parameter or a body that this call does not know.", None),
        401 => ("No token, or none that is in force.", Some(("WWW-Authenticate", Type::String, "`Bearer`."))),
        403 => ("The token's role does not allow this.", None),
        404 => ("There is no such thing.", None),
        408 => ("The body did not come in time.", None),
        409 => (
            "Not in the present state, which the detail tells; or changed by somebody else meanwhile (`present`).",
            None,
        ),
        413 => ("The body is larger than this call takes.", None),
        415 => ("The body is no JSON.", None),
        422 => ("A value that cannot be.", None),
        412 => ("The thing has changed since its `ETag` was read.", Some(("ETag", Type::String, "Its tag now."))),
        429 => ("Too often.", Some(("Retry-After", Type::Integer, "Seconds after which another try is let through."))),
        503 => ("A part that this needs is off or out of reach.", None),
        _ => ("A fault on our side; the log tells its cause.", None),
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
    match header {
        None => response.build(),
        Some((name, kind, about)) => {
            let schema = ObjectBuilder::new().schema_type(kind);
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(about));
            response.header(name, header.build()).build()
        }
    }
}

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let mut document = OpenApiRouter::with_openapi(Document::openapi()).merge(routes::router()).into_openapi();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    complete_all(&mut document);
    document
});

/// The OpenAPI document: what `routes::router` serves, completed by what all calls have in common.
#[must_use]
pub fn document() -> &'static utoipa::openapi::OpenApi {
    &DOCUMENT
}

/// `GET /api/openapi.json`; open to all.
pub(crate) async fn serve() -> Json<&'static utoipa::openapi::OpenApi> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_paged_in_the_same_way() {
        let document = serde_json::to_value(document()).unwrap();
        let mut lists = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            let get = &item["get"];
            let body = &get["responses"]["200"]["content"]["application/json"]["schema"];
            let schema = body["$ref"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            assert_ne!(body["type"], "array", "{path} has no pages");
            if schema.ends_with("Page") {
                lists += 1;
                let takes = get["parameters"].as_array().unwrap();
                for name in ["after", "limit"] {
                    assert!(takes.iter().any(|parameter| parameter["name"] == name), "{path} takes no {name}");
                }
                let properties = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
                assert_eq!(properties.keys().collect::<Vec<_>>(), ["items", "next"], "{path}");
            }
        }
        assert_eq!(lists, 25, "a list that does not end in Page is not looked at");
    }

    #[test]
    fn the_committed_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.json");
        let current = format!("{}\n", document().to_pretty_json().unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == current, "openapi.json is not current: run this test with UPDATE_GOLDEN=1 and commit it");
    }
}
