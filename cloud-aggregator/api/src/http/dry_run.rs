//! What a call would do, said and not done.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The query parameter that asks for it.
pub(crate) const PARAMETER: &str = "dry_run";

/// What a call would have done. Nothing was changed, signed or sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryRunView {
    /// Always true: tells this answer from the call's own.
    pub dry_run: bool,
    /// As the audit log would call it, e.g. `home.revoke`.
    pub action: String,
    /// What it would be done to.
    pub subject: String,
    /// Details, as in the line of the audit log; `before` and `after` where a row would be changed.
    pub detail: serde_json::Value,
}

impl DryRunView {
    /// What would be done.
    #[must_use]
    pub fn new(action: &str, subject: &str, detail: serde_json::Value) -> Self {
        Self { dry_run: true, action: action.to_owned(), subject: subject.to_owned(), detail }
    }
}

/// Whether a request asks for it.
pub(crate) fn asked(query: Option<&str>) -> Result<bool, String> {
    let value = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).find(|(name, _)| name == PARAMETER);
    match value.as_ref().map(|(_, value)| value.as_ref()) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!("{PARAMETER}: true or false, not {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_true_nor_false_is_refused_and_not_taken_for_false() {
        assert_eq!(
            (asked(None), asked(Some("dry_run=true&a=b")), asked(Some("dry_run=false"))),
            (Ok(false), Ok(true), Ok(false))
        );
        assert_eq!(asked(Some("dry_run=1")).unwrap_err(), "dry_run: true or false, not \"1\"");
    }
}
