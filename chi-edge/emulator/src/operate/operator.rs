//! The operator of the fleet: calls of the admin API, as `curl` would make them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// Longest that a call may take: a release waits for the signer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever holds the token.
#[derive(Debug, Clone)]
pub struct Operator {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Operator {
    /// Trusts the installation's authority in `root`, and has its token.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(root: &Path, url: String) -> anyhow::Result<Self> {
        let authority = std::fs::read(root.join("keys/ca/ca.crt")).context("the authority's certificate")?;
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&authority)?])
            .no_proxy()
            .timeout(PATIENCE)
            .build()?;
        let token = std::fs::read_to_string(root.join("operator.token")).context("the operator's token")?;
        Ok(Self { http, url, token: token.trim().to_owned() })
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// No answer, or one that is an error: its words.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        read(request.send().await.with_context(|| format!("GET {path}"))?).await
    }

    /// The metrics, as text.
    ///
    /// # Errors
    /// No answer.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let answer = self
            .http
            .get(format!("{}/metrics", self.url))
            .header("accept", "application/openmetrics-text;version=1.0.0")
            .send()
            .await
            .context("GET /metrics")?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Does something, with a reason where one is asked for.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, reason: Option<&str>) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(reason) = reason {
            request = request.header("content-type", "application/json").body(json!({"reason": reason}).to_string());
        }
        read(request.send().await.with_context(|| format!("POST {path}"))?).await
    }

    /// Lets homes back in whose certificates have ended; their names.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn let_late_homes_in(&self) -> anyhow::Result<Vec<String>> {
        let waiting = self.get("/api/v1/renewals").await?;
        let open = waiting["items"].as_array().into_iter().flatten();
        let open = open.filter(|row| row["approved_by"].is_null());
        let names: Vec<String> = open.filter_map(|row| row["home"].as_str().map(str::to_owned)).collect();
        let mut let_in = Vec::new();
        for home in names {
            if self.post(&format!("/api/v1/renewals/{home}/approve"), None).await.is_ok() {
                let_in.push(home);
            }
        }
        Ok(let_in)
    }
}

async fn read(answer: reqwest::Response) -> anyhow::Result<Value> {
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("{status}: {text}");
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
