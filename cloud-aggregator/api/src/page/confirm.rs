//! Pages that say what happens, and do it once a token is given: the session's cookie is for looking alone ([`crate::http::auth`]).

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use hearthwatch_fleet::rollout::manual::RolloutAction;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::{Role, blocking};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::doer::{Credential, credential, doer};
use super::parts::{looker, page};
use super::rollout::consequence;
use crate::http::Http;
use crate::http::auth::{Admin, Caller, Operator, Viewer};
use crate::http::extract::{Body, Fields, Peer, Segment};
use crate::http::problem::Problem;
use crate::http::second_person::{ask, guarded};
use crate::routes::homes;
use crate::routes::rollouts::{RolloutWish, act};
use crate::routes::runs::Reason;

/// What the form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    token: Option<String>,
    check: Option<String>,
    reason: String,
}

fn form(title: &str, says: &str, back: &str, caller: &Caller, needed: Role) -> Markup {
    html! {
        section.narrow {
            h2 { (title) }
            p { (says) }
            form method="post" {
                label { "Why, for the audit log" input name="reason" required maxlength="1000" autocomplete="off" autofocus; }
                (credential(caller, needed))
                button.danger { (title) }
                " " a href=(back) { "Leave it as it is" }
            }
        }
    }
}

/// The action that a part of an address names.
fn action_of(word: &str) -> Option<(RolloutAction, &'static str)> {
    Some(match word {
        "halt" => (RolloutAction::Halt, "Halt"),
        "pause" => (RolloutAction::Pause, "Pause"),
        "resume" => (RolloutAction::Resume, "Go on"),
        "rollback" => (RolloutAction::RollBack, "Roll back"),
        _ => return None,
    })
}

fn no_place(word: &str) -> Problem {
    Problem::NotFound { noun: "place", id: word.to_owned() }
}

/// Says what an action on a rollout does.
pub(super) async fn ask_rollout(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Segment((version, word)): Segment<(ModelVersion, String)>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let (_, name) = action_of(&word).ok_or_else(|| no_place(&word))?;
    let none = || Problem::NotFound { noun: "rollout", id: version.to_string() };
    let director = http.app.director.clone().ok_or_else(none)?;
    let found = blocking(&http.app.store, move |store| {
        Ok((director.look_lately(store, version)?, store.fleet_totals()?.homes))
    });
    let (watched, homes) = found.await?;
    let says = consequence(&word, &watched.ok_or_else(none)?, homes).unwrap_or_default();
    let title = format!("{name} the rollout of version {version}");
    let body = form(&title, &says, &format!("/rollouts/{version}"), &caller, Role::Operator);
    Ok(page(&title, "/rollouts", &caller, &body).into_response())
}

/// Does it.
pub(super) async fn do_rollout(
    State(http): State<Http>,
    peer: Peer,
    headers: HeaderMap,
    Segment((version, word)): Segment<(ModelVersion, String)>,
    Fields(Asked { token, check, reason }): Fields<Asked>,
) -> Result<Response, Problem> {
    let (action, _) = action_of(&word).ok_or_else(|| no_place(&word))?;
    let caller = doer(&http, peer, &headers, Credential::new(token, check), Role::Operator).await?;
    if guarded(&http.second_person, &format!("/api/v1/rollouts/{{version}}/{word}")) {
        let (place, body) = (format!("/api/v1/rollouts/{version}/{word}"), json!({"reason": reason}).to_string());
        let would =
            json!({"action": format!("rollout.{word}"), "subject": version.to_string(), "detail": {"reason": reason}});
        let _ = ask(&http, &caller, &place, body.into_bytes(), would.to_string()).await?;
        return Ok(Redirect::to("/approvals").into_response());
    }
    // What came of it is on the page that is shown next.
    let _ = act(&http, caller, version, action, RolloutWish { reason, row_version: None }).await?;
    Ok(Redirect::to(&format!("/rollouts/{version}")).into_response())
}

/// What an action on a home does, how it is called, and the role that may.
fn about_home(word: &str, home: &HomeId) -> Option<(String, String, Role)> {
    let (name, says, role) = match word {
        "exclude" => (
            "Learn nothing from",
            "Its answers are kept and left out of every data set from now on. Models that learned from it stay until the next retraining.",
            Role::Operator,
        ),
        "include" => (
            "Learn again from",
            "Its answers, those of the time between included, are in the next data set. Its reputation in rounds begins anew.",
            Role::Operator,
        ),
        "revoke" => (
            "Shut out",
            "Nothing of it is taken in any more, and its certificates are taken back. Its agent goes on watching the home by itself.",
            Role::Admin,
        ),
        "restore" => (
            "Let in again",
            "It may send again, once it has enrolled with a new claim: certificates that were taken back stay so.",
            Role::Admin,
        ),
        _ => return None,
    };
    Some((format!("{name} {home}"), says.to_owned(), role))
}

/// Says what an action on a home does.
pub(super) async fn ask_home(
    viewer: Result<Viewer, Problem>,
    Segment((home, word)): Segment<(HomeId, String)>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let (title, says, role) = about_home(&word, &home).ok_or_else(|| no_place(&word))?;
    let body = form(&title, &says, &format!("/homes/{home}"), &caller, role);
    Ok(page(&title, "/homes", &caller, &body).into_response())
}

/// Does it.
pub(super) async fn do_home(
    State(http): State<Http>,
    peer: Peer,
    headers: HeaderMap,
    Segment((home, word)): Segment<(HomeId, String)>,
    Fields(Asked { token, check, reason }): Fields<Asked>,
) -> Result<Response, Problem> {
    let (_, _, role) = about_home(&word, &home).ok_or_else(|| no_place(&word))?;
    let caller = doer(&http, peer, &headers, Credential::new(token, check), role).await?;
    let (state, segment, why) = (State(http), Segment(home.clone()), Body(Reason { reason }));
    let done: Result<Json<_>, Problem> = match word.as_str() {
        "exclude" => homes::exclude(Operator(caller), state, segment, why).await,
        "include" => homes::include(Operator(caller), state, segment, why).await,
        "revoke" => homes::revoke(Admin(caller), state, segment).await,
        _ => homes::restore(Admin(caller), state, segment).await,
    };
    let _ = done?;
    Ok(Redirect::to(&format!("/homes/{home}")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_says_what_happens() {
        let home = hearthwatch_store::fixtures::home("home-7");
        for word in ["exclude", "include", "revoke", "restore"] {
            let (title, says, _) = about_home(word, &home).unwrap();
            assert!(title.ends_with("home-7") && says.ends_with('.'), "{title}: {says}");
        }
        assert!(about_home("delete", &home).is_none() && action_of("promote").is_none());
    }
}
