//! Calls that two people have to stand behind, on their way: kept when one asks, done when another approves.
//!
//! A call is tried first (a dry run as the asker), so that what could not be done waits for nobody.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use hearthwatch_store::blocking;
use hearthwatch_store::people::ApprovalRow;
use tower::ServiceExt as _;

use crate::contract::BODY_BYTES_MAX;
use crate::http::approved::Approved;
use crate::http::auth::{Caller, Viewer};
use crate::http::limits::CallsLeft;
use crate::http::problem::Problem;
use crate::http::second_person::{Execute, ask, guarded};
use crate::http::{Http, dry_run, request};
use crate::routes::approvals::ApprovalView;

/// Largest answer of an approved call that is kept.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The middleware. `plain` answers calls without any of this.
pub(crate) async fn hold(
    State((http, plain)): State<(Http, Router)>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let path = path.as_ref().map_or("", MatchedPath::as_str).to_owned();
    let only_asked = !matches!(dry_run::asked(request.uri().query()), Ok(false));
    if *request.method() != Method::POST || only_asked || !guarded(&http.second_person, &path) {
        let mut response = next.run(request).await;
        return match response.extensions_mut().remove::<Execute>() {
            None => response,
            Some(Execute(row)) => match execute(http, plain, row).await {
                Err(problem) => problem.into_response(),
                // A page goes on to where it leads; a program is told how it ended.
                Ok(done) if response.status() == StatusCode::OK => done,
                Ok(_) => response,
            },
        };
    }
    let (mut parts, body) = request.into_parts();
    let asked = async {
        let Viewer(caller) = Viewer::from_request_parts(&mut parts, &http).await?;
        let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Problem::TooLarge)?;
        let place = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let mut trial = Request::builder().method(Method::POST).uri(dry(&place)).body(Body::from(body.clone()));
        if let Ok(trial) = &mut trial {
            for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
                if let Some(value) = parts.headers.get(&name) {
                    trial.headers_mut().insert(name, value.clone());
                }
            }
            if let Some(left) = parts.extensions.get::<CallsLeft>() {
                trial.extensions_mut().insert(left.clone());
            }
        }
        let trial = trial.map_err(Problem::internal)?;
        Ok::<_, Problem>((caller, place, body, plain.oneshot(trial).await))
    };
    match asked.await {
        Err(problem) => problem.into_response(),
        Ok((_, _, _, Err(never))) => match never {},
        // As it would have ended anyway.
        Ok((_, _, _, Ok(answer))) if answer.status() != StatusCode::OK => answer,
        Ok((caller, place, body, Ok(answer))) => match kept(&http, &caller, place, body, answer).await {
            Ok(row) => {
                let at = [(header::LOCATION, format!("/api/v1/approvals/{}", row.id))];
                (StatusCode::ACCEPTED, at, Json(ApprovalView::of(row, http.wall()))).into_response()
            }
            Err(problem) => problem.into_response(),
        },
    }
}

/// The same place, as a dry run.
fn dry(place: &str) -> String {
    format!("{place}{}{}=true", if place.contains('?') { '&' } else { '?' }, dry_run::PARAMETER)
}

async fn kept(
    http: &Http,
    caller: &Caller,
    place: String,
    body: Bytes,
    answer: Response,
) -> Result<ApprovalRow, Problem> {
    let would = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.map_err(Problem::internal)?;
    ask(http, caller, &place, body.to_vec(), String::from_utf8_lossy(&would).into_owned()).await
}

/// Does what was approved, as the one who asked for it, on a task of its own: whoever approved may hang up.
async fn execute(http: Http, plain: Router, row: ApprovalRow) -> Result<Response, Problem> {
    let id = request::current().unwrap_or_default();
    let task = tokio::spawn(request::within(id, async move {
        let caller = Caller {
            subject: row.subject.clone(),
            approved_by: row.decided_by.clone(),
            holder: row.asked_by.clone(),
            ..Caller::of_token("", row.role)
        };
        let mut call = Request::builder()
            .method(Method::POST)
            .uri(&row.place)
            .body(Body::from(row.body.clone()))
            .map_err(Problem::internal)?;
        if !row.body.is_empty() {
            call.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        call.extensions_mut().insert(Approved(caller));
        let answer = match plain.oneshot(call).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.map_err(Problem::internal)?;
        let text = String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.is_empty());
        let number = row.id;
        let ended = blocking(&http.app.store, move |store| {
            store.end_approval(number, status, text.as_deref())?;
            store.approval(number)
        });
        let row = ended.await?.ok_or_else(|| Problem::NotFound { noun: "approval", id: number.to_string() })?;
        Ok(Json(ApprovalView::of(row, http.wall())).into_response())
    }));
    task.await.map_err(Problem::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_a_dry_run() {
        assert_eq!(dry("/a"), "/a?dry_run=true");
        assert_eq!(dry("/a?b=c"), "/a?b=c&dry_run=true");
    }
}
