//! The configuration as operators see it: every setting in use with its key in the file. Secrets are not in it, since the file names files that
//! hold them; a password within an address is hidden.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use super::Config;

/// Every setting by its key, e.g. `training.seed`; null where something is off.
#[must_use]
pub fn settings(config: &Config) -> BTreeMap<String, Value> {
    let mut shown = BTreeMap::new();
    let mut put = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    put("data", path(&config.data));
    put("enrolment", config.enrolment.as_deref().map_or(Value::Null, path));
    put("certificate_days", json!(config.certificate_days));
    match &config.mqtt {
        None => put("mqtt", Value::Null),
        Some(mqtt) => {
            put("mqtt.host", json!(mqtt.host));
            put("mqtt.port", json!(mqtt.port));
            put("mqtt.tls", json!(mqtt.tls.is_some()));
        }
    }
    match &config.http {
        None => put("http", Value::Null),
        Some(http) => {
            put("http.listen", json!(http.listen.to_string()));
            put("http.tls", json!(http.tls.is_some()));
            put("http.calls_per_minute", json!(http.calls_per_minute));
            let proxies: Vec<String> = http.trusted_proxies.iter().map(ToString::to_string).collect();
            put("http.trusted_proxies", json!(proxies));
            put("http.session_hours", json!(http.lifetime.all / 3600));
            put("http.session_idle_minutes", json!(http.lifetime.idle / 60));
            let kinds: Vec<&str> = http.second_person.iter().map(|kind| (*kind).into()).collect();
            put("http.second_person", json!(kinds));
            put("http.login.issuer", json!(http.login.as_ref().map(|login| &login.issuer)));
            if let Some(login) = &http.login {
                put("http.login.client_id", json!(login.client_id));
                put("http.login.page_url", json!(without_secret(&login.page_url)));
                put("http.login.viewers", json!(login.viewers));
                put("http.login.operators", json!(login.operators));
                put("http.login.admins", json!(login.admins));
            }
        }
    }
    put("ingest.require_announced", json!(config.ingest.labels.require_announced));
    put("ingest.unannounced_per_day", json!(config.ingest.labels.unannounced_per_day));
    put("ingest.records_per_day", json!(config.ingest.records_per_day));
    let training = &config.training;
    put("training.corpus", training.corpus.as_deref().map_or(Value::Null, path));
    put("training.trigger_count", json!(training.trigger_count));
    put("training.schedule_hours", json!(training.schedule_hours));
    put("training.drift", json!(training.drift));
    put("training.confirmations", json!(training.confirmations));
    put("training.freshness", json!(training.freshness));
    let quiet: Vec<String> = training.limits.quiet.iter().map(ToString::to_string).collect();
    put("training.quiet", json!(quiet));
    put("training.hours_per_week", json!(training.limits.hours_per_week));
    put("training.watt_hours_per_week", json!(training.limits.watt_hours_per_week));
    put("training.seed", json!(training.seed));
    put("training.device", json!(training.device.as_str()));
    put("training.auto_release", json!(training.auto_release));
    put(
        "training.mlflow.url",
        training.mlflow.as_ref().map_or(Value::Null, |mlflow| json!(without_secret(&mlflow.url))),
    );
    match &config.release {
        None => put("release", Value::Null),
        Some(release) => {
            put("release.repository", path(&release.repository));
            put("release.signer_socket", path(&release.signer_socket));
        }
    }
    put("rollout.policy", config.rollout.as_ref().map_or(Value::Null, |rollout| json!(rollout.policy.name)));
    for webhook in &config.webhooks {
        put(&format!("webhooks.{}.url", webhook.name), json!(without_secret(&webhook.url)));
        put(&format!("webhooks.{}.events", webhook.name), json!(webhook.events));
    }
    put("retention.answers_days", json!(config.retention.answers_days));
    put("retention.quarantine_days", json!(config.retention.quarantine_days));
    put("rounds.enabled", json!(config.rounds.enabled));
    shown
}

fn path(path: &Path) -> Value {
    json!(path.display().to_string())
}

/// An address without the name and the password that may be in it.
fn without_secret(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only where there can be neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_its_key_in_the_file_and_an_address_loses_its_password() {
        let shown = settings(&Config::in_directory("/var/lib/hearthwatch"));
        assert_eq!(
            (&shown["data"], &shown["training.seed"], &shown["mqtt"]),
            (&json!("/var/lib/hearthwatch"), &json!(7), &Value::Null)
        );
        let url = Url::parse("https://kim:secret@mlflow.example/").unwrap();
        assert_eq!(without_secret(&url), "https://mlflow.example/");
    }
}
