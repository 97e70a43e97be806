//! Sends the audit log to one receiver, line by line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_configuration::Secret;
use hearthwatch_store::clock::Clock;
use hearthwatch_store::{AuditRow, Store, StoreResult, blocking};
use hearthwatch_telemetry::chain::chain;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::address::is_public;
use super::message::{body, id, signature, wanted};
use crate::config::WebhookConfig;

/// How often new lines are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Lines that are read at a time.
const LINES: usize = 100;

/// How long a receiver may take to answer.
const ANSWER: Duration = Duration::from_secs(15);

/// Pause after the first refusal; each further one is twice as long, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(5);

/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// How long a line is tried, in seconds: three days, a weekend. Then it is passed over, so that the next ones come through.
const TRIED_SECONDS: i64 = 3 * 86_400;

/// Why a line did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The secret cannot be read.
    #[error("the secret cannot be read: {0}")]
    Secret(String),
    /// The name has no address.
    #[error("{0} has no address")]
    Unknown(String),
    /// An address that no webhook may have.
    #[error("{0} is not on the open internet; allow_private = true allows it")]
    Private(SocketAddr),
    /// Not reached, or no answer in time.
    #[error("not reached")]
    Http(#[from] reqwest::Error),
    /// It was refused.
    #[error("answered {0}")]
    Status(u16),
}

/// Sends to one receiver.
pub(crate) struct Sender {
    config: WebhookConfig,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Sender {
    pub(crate) fn new(config: WebhookConfig, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { config, store, clock }
    }

    /// Sends until `stop`. A new receiver hears what happens from now on.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut position = None;
        loop {
            let pause = match self.look(&mut position, &stop).await {
                Ok(()) => LOOK_EVERY,
                Err(error) => {
                    tracing::warn!(webhook = self.config.name, error = %chain(&error), "webhook: the store does not answer");
                    PAUSE
                }
            };
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Sends what is new.
    async fn look(&self, position: &mut Option<u64>, stop: &CancellationToken) -> StoreResult<()> {
        let from = match *position {
            Some(position) => position,
            None => {
                let name = self.config.name.clone();
                let begin = blocking(&self.store, move |store| {
                    if let Some(known) = store.webhook_position(&name)? {
                        return Ok(known);
                    }
                    let newest = store.audit(None, 1)?.first().map_or(0, |line| line.index);
                    store.set_webhook_position(&name, newest)?;
                    Ok(newest)
                });
                *position.insert(begin.await?)
            }
        };
        let lines = blocking(&self.store, move |store| store.audit_after(from, LINES)).await?;
        for line in lines {
            if wanted(&self.config.events, &line.action) && !self.deliver(&line, stop).await {
                return Ok(());
            }
            let (name, index) = (self.config.name.clone(), line.index);
            blocking(&self.store, move |store| store.set_webhook_position(&name, index)).await?;
            *position = Some(index);
        }
        Ok(())
    }

    /// Sends a line until it is taken, or too old. False if the program stops before.
    async fn deliver(&self, line: &AuditRow, stop: &CancellationToken) -> bool {
        let (name, index) = (self.config.name.as_str(), line.index);
        let (began, mut pause) = (self.clock.now(), PAUSE);
        loop {
            let Some(sent) = stop.run_until_cancelled(self.send(line)).await else { return false };
            let Err(error) = sent else {
                tracing::debug!(webhook = name, audit.index = index, "webhook delivered");
                return true;
            };
            if self.clock.now().saturating_sub(began) >= TRIED_SECONDS {
                tracing::error!(webhook = name, audit.index = index, error = %chain(&error), "webhook given up");
                return true;
            }
            tracing::warn!(webhook = name, audit.index = index, error = %chain(&error), again_s = pause.as_secs(), "webhook not taken");
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return false;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One attempt.
    pub(super) async fn send(&self, line: &AuditRow) -> Result<(), SendError> {
        let WebhookConfig { url, secret_file, allow_private, .. } = &self.config;
        // Read anew each time: a secret may be changed while the program runs.
        let secret = Secret::read(secret_file).map_err(|error| SendError::Secret(error.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found: Vec<SocketAddr> = found.map_err(|_| SendError::Unknown(host.clone()))?.collect();
        if !allow_private && let Some(private) = found.iter().find(|address| !is_public(address.ip())) {
            return Err(SendError::Private(*private));
        }
        // To the addresses that were judged, and nowhere that an answer sends us.
        let client = reqwest::Client::builder()
            .resolve_to_addrs(&host, &found)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(ANSWER)
            .build()?;
        let (id, at, body) = (id(line), self.clock.now(), body(line));
        let signed = signature(secret.expose(), &id, at, &body);
        let answer = client
            .post(url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signed)
            .body(body)
            .send()
            .await?;
        if answer.status().is_success() { Ok(()) } else { Err(SendError::Status(answer.status().as_u16())) }
    }
}

#[cfg(test)]
mod tests;
