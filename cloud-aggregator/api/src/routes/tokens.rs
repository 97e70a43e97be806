//! Tokens: who may call. A token is shown once, when it is made.

use axum::http::StatusCode;
use hearthwatch_store::token::{self, NewTokenError};
use hearthwatch_store::{Role, TokenRow};

use super::prelude::*;
use crate::http::scope::{SCOPES_MAX, Scope};

/// A token, without its secret. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its name, as in the audit log.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// What it may do of that, `NOUN:VERB`; null where it may do all of it.
    pub scopes: Option<Vec<String>>,
    /// When it was made.
    pub created_at: i64,
    /// When it ends, if it does.
    pub expires_at: Option<i64>,
    /// When it was withdrawn, if it was.
    pub revoked_at: Option<i64>,
}

/// A token to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name: 1 to 64 characters of a-z, 0-9 and `-`.
    #[schema(value_type = Name)]
    pub name: String,
    /// What its bearer may do; each role may do what the lesser ones may.
    pub role: Role,
    /// Days until it ends, 1 to 36,500; never if not given.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(minimum = 1, maximum = 36_500)]
    pub days: Option<u32>,
    /// What it may do of what its role may, each `NOUN:VERB`: the noun is the first word of a call's path, the verb its last (`homes:revoke`), or
    /// `read`, `create`, `set`, `delete`; `*` stands for any, `write` for all but `read`. All of it if not given; then it opens the pages and
    /// their forms, else `pages:read` lets it look. 1 to 32.
    #[serde(default)]
    #[schema(value_type = Option<Vec<ScopeWord>>, min_items = 1, max_items = 32)]
    pub scopes: Option<Vec<String>>,
}

/// A new token with its secret, which is not shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// The secret, for `Authorization: Bearer …`.
    pub secret: String,
    /// As in the list of tokens.
    pub token: TokenView,
}

/// Longest life of a token that ends: a hundred years.
const DAYS_MAX: u32 = 36_500;

/// A page of tokens, in order of their names.
pub type TokenPage = Page<TokenView>;

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        let TokenRow { name, role, scopes, created_at, expires_at, revoked_at, .. } = row;
        Self { name, role, scopes, created_at, expires_at, revoked_at }
    }
}

impl From<NewTokenError> for Problem {
    fn from(error: NewTokenError) -> Self {
        match error {
            NewTokenError::Name(_) => Self::Invalid(error.to_string()),
            NewTokenError::Taken(_) => Self::Conflict(error.to_string()),
            NewTokenError::Store(cause) => cause.into(),
        }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list, make)).routes(routes!(one, revoke))
}

/// Lists the tokens by name. Needs admin.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(Paging), responses(
    (status = 200, body = TokenPage),
))]
pub(crate) async fn list(_: Admin, http: State<Http>, Params(paging): Params<Paging>) -> Answer<TokenPage> {
    let window = paging.window(id)?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.tokens_after(after.as_deref(), needed)).await?;
    Ok(Json(window.cut(rows, |row| row.name.clone(), TokenView::from)))
}

/// Shows one token, without its secret. Needs admin.
#[utoipa::path(get, path = "/api/v1/tokens/{name}", tag = "tokens", params(("name" = Name, Path)), responses(
    (status = 200, body = TokenView),
))]
pub(crate) async fn one(_: Admin, http: State<Http>, Segment(name): Segment<String>) -> Answer<TokenView> {
    let asked = name.clone();
    let rows = blocking(&http.app.store, |store| store.tokens()).await?;
    let found = rows.into_iter().find(|row| row.name == asked);
    found.map(|row| Json(row.into())).ok_or(Problem::NotFound { noun: "token", id: name })
}

/// Makes a token. Needs admin.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken, responses(
    (status = 201, body = TokenMade),
))]
pub(crate) async fn make(
    Admin(caller): Admin,
    http: State<Http>,
    Body(asked): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    if asked.days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(Problem::Invalid(format!("days: 1 to {DAYS_MAX}, or none")));
    }
    let scopes = scopes(asked.scopes)?;
    let (role, name) = (asked.role, asked.name.clone());
    // Before a dry run answers, too.
    blocking(&http.app.store, move |store| Ok(token::check(store, &name))).await??;
    let (name, now) = (asked.name.clone(), http.wall());
    let detail = json!({"role": role.as_str(), "days": asked.days, "scopes": scopes});
    let (secret, row) = audited(&http, &caller, "token.make", &asked.name, detail, async {
        let work =
            blocking(&http.app.store, move |store| Ok(token::make_scoped(store, &name, role, scopes, asked.days, now)));
        Ok(work.await??)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(TokenMade { secret, token: row.into() })))
}

/// The scopes as they are kept, or what is wrong with them.
fn scopes(asked: Option<Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let Some(words) = asked else { return Ok(None) };
    if words.is_empty() || words.len() > SCOPES_MAX {
        return Err(Problem::Invalid(format!("scopes: 1 to {SCOPES_MAX}, or none for all that the role may")));
    }
    for word in &words {
        word.parse::<Scope>().map_err(|error| Problem::Invalid(format!("scopes: {error}")))?;
    }
    Ok(Some(words))
}

/// Withdraws a token at once; the last admin token in force stays. Needs admin.
#[utoipa::path(delete, path = "/api/v1/tokens/{name}", tag = "tokens", params(("name" = Name, Path)), responses(
    (status = 204),
))]
pub(crate) async fn revoke(
    Admin(caller): Admin,
    http: State<Http>,
    Segment(name): Segment<String>,
) -> Result<StatusCode, Problem> {
    let (asked, now) = (name.clone(), http.wall());
    audited(&http, &caller, "token.revoke", &name, json!({}), async {
        Ok(blocking(&http.app.store, move |store| store.revoke_token(&asked, now)).await?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
