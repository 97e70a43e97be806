//! The configuration of a link.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use crate::backoff::Backoff;

/// Seconds between two pings on an idle connection. Half a minute keeps the usual home router's
/// translation entry (60 s and more) alive and costs 5,760 two-byte packets a day.
pub const KEEP_ALIVE_SECONDS: u16 = 30;

/// Longest password that is read from a file.
const PASSWORD_BYTES_MAX: usize = 4096;

/// PEM files for TLS, read anew for each connection attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The only authority that the broker's certificate may come from.
    pub ca: PathBuf,
    /// Our certificate, for brokers that ask for one. With it comes `key`.
    pub cert: Option<PathBuf>,
    /// The private key of `cert`, PEM; given exactly when `cert` is.
    pub key: Option<PathBuf>,
}

/// A message to be published with QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Without wildcards.
    pub topic: String,
    /// Any bytes; at most [`crate::PACKET_BYTES_MAX`] with the topic.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// Where to connect, as whom, and what to subscribe to. All traffic is QoS 1.
#[derive(Clone)]
pub struct LinkConfig {
    /// Host name or address; with TLS it must be in the broker's certificate.
    pub host: String,
    /// Usually 1883, and 8883 with TLS.
    pub port: u16,
    /// MQTT client identifier; the fleet's broker demands the certificate's common name.
    pub client_id: String,
    /// Without it the connection is in clear text.
    pub tls: Option<TlsFiles>,
    /// User name and password; none where the certificate is enough.
    pub credentials: Option<(String, String)>,
    /// Where the password stands, read anew for each connection attempt; where it cannot be read, the one in `credentials` holds.
    pub password_file: Option<PathBuf>,
    /// `false` asks the broker to keep our subscriptions and messages for an hour while we are away.
    pub clean_start: bool,
    /// What the broker publishes for us when the connection ends without a DISCONNECT.
    pub will: Option<Publication>,
    /// Topic filters, subscribed on every connection. The group of a shared one (`$share/GROUP/…`) may be a secret: it is neither
    /// logged nor part of an error.
    pub subscriptions: Vec<String>,
    /// Topic filters of earlier days, unsubscribed where the broker kept our session: it would go on to serve them.
    pub forgotten: Vec<String>,
    /// MQTT keep-alive; see `KEEP_ALIVE_SECONDS`.
    pub keep_alive_seconds: u16,
    /// Pauses between attempts to connect.
    pub backoff: Backoff,
}

impl LinkConfig {
    /// A clear-text link with a clean session, no will and no subscriptions; set the rest with struct update.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, client_id: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            client_id: client_id.into(),
            tls: None,
            credentials: None,
            password_file: None,
            clean_start: true,
            will: None,
            subscriptions: Vec::new(),
            forgotten: Vec::new(),
            keep_alive_seconds: KEEP_ALIVE_SECONDS,
            backoff: Backoff::default(),
        }
    }

    /// What the password's file holds now; none where there is no such file, or nothing in it.
    pub(crate) fn password_now(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.password_file.as_ref()?).ok()?;
        let password = text.trim();
        (!password.is_empty() && password.len() <= PASSWORD_BYTES_MAX).then(|| password.to_owned())
    }
}

impl fmt::Debug for LinkConfig {
    /// Everything but the password and the groups of shared subscriptions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("client_id", &self.client_id)
            .field("tls", &self.tls)
            .field("username", &self.credentials.as_ref().map(|(username, _)| username))
            .field("clean_start", &self.clean_start)
            .field("will", &self.will.as_ref().map(|will| &will.topic))
            .field("subscriptions", &self.subscriptions.iter().map(|filter| shown(filter)).collect::<Vec<_>>())
            .field("forgotten", &self.forgotten.len())
            .field("keep_alive_seconds", &self.keep_alive_seconds)
            .field("backoff", &self.backoff)
            .finish()
    }
}

/// A filter as logs and errors may show it: without the group of a shared subscription.
pub(crate) fn shown(filter: &str) -> Cow<'_, str> {
    match filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
        Some((_, filter)) => Cow::Owned(format!("$share/…/{filter}")),
        None => Cow::Borrowed(filter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_shared_subscription_is_not_in_the_debug_form() {
        let subscriptions = vec!["$share/hunter2/up/+".to_owned(), "a/b".to_owned()];
        let forgotten = vec!["$share/hunter2/old".to_owned()];
        let shown = format!("{:?}", LinkConfig { subscriptions, forgotten, ..LinkConfig::new("localhost", 1883, "a") });
        assert!(shown.contains(r#"["$share/…/up/+", "a/b"]"#) && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_password_that_was_changed_is_read_anew_and_one_that_is_gone_leaves_the_one_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let link =
            LinkConfig { password_file: Some(file.path().to_owned()), ..LinkConfig::new("localhost", 1883, "a") };
        assert_eq!(link.password_now(), None);
        std::fs::write(file.path(), "first\n").unwrap();
        assert_eq!(link.password_now().as_deref(), Some("first"));
        std::fs::write(file.path(), "second\n").unwrap();
        assert_eq!(link.password_now().as_deref(), Some("second"));
    }

    #[test]
    fn the_password_is_not_in_the_debug_form() {
        let credentials = Some(("agent".to_owned(), "hunter2".to_owned()));
        let shown = format!("{:?}", LinkConfig { credentials, ..LinkConfig::new("localhost", 1883, "a") });
        assert!(shown.contains("agent") && !shown.contains("hunter2"), "{shown}");
    }
}
