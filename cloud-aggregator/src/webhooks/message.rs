//! What a receiver gets, and its signature. Pure.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearthwatch_store::AuditRow;
use serde_json::{Value, json};

/// The line as it is sent: who did what to what, when, with what was before and what is after.
#[must_use]
pub(super) fn body(row: &AuditRow) -> String {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let data = json!({
        "index": row.index,
        "actor": row.actor.to_string(),
        "subject": row.subject,
        "detail": detail,
        "hash": hex::encode(row.hash),
    });
    json!({"type": row.action, "timestamp": row.at, "data": data}).to_string()
}

/// The message's id: the same at each attempt, so that a receiver knows it again.
#[must_use]
pub(super) fn id(row: &AuditRow) -> String {
    format!("msg_{}", hex::encode(&row.hash[..12]))
}

/// `webhook-signature` of Standard Webhooks 1.0: HMAC-SHA256 over id, time and body. A secret that begins with `whsec_` is base64.
#[must_use]
pub(super) fn signature(secret: &str, id: &str, at: i64, body: &str) -> String {
    let decoded = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    let bytes = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes())))
}

/// Whether an action is one of those that a receiver wants: `rollout.halted`, `rollout.*`, `*`.
#[must_use]
pub(super) fn wanted(events: &[String], action: &str) -> bool {
    events.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(begin) => action.starts_with(begin),
        None => pattern == action,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        // Standard Webhooks, specification 1.0, "Verifying signatures".
        let (secret, id) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let found = signature(secret, id, 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn events_are_chosen_by_name_or_by_how_they_begin() {
        let events = ["rollout.*".to_owned(), "run.end".to_owned()];
        assert!(wanted(&events, "rollout.halted") && wanted(&events, "run.end"));
        assert!(!wanted(&events, "run.ended") && !wanted(&events, "home.revoke"));
        assert!(wanted(&["*".to_owned()], "home.revoke"));
    }
}
