//! Why something did not happen on a link.

use std::path::PathBuf;

/// Why a link cannot be opened, or a publication did not arrive at the broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A TLS file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A TLS file holds something else than it should.
    #[error("{path}: {cause}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// One line.
        cause: String,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate and its key come together; only one of them is given")]
    CertificateWithoutKey,
    /// Certificate and key do not fit, or the authority is no authority.
    #[error("TLS: {0}")]
    Tls(String),
    /// Host, port, client id or keep-alive make no valid MQTT options.
    #[error("invalid link configuration: {0}")]
    Config(String),
    /// There is no connection at the moment; nothing was sent.
    #[error("not connected to the broker")]
    NotConnected,
    /// The connection ended before the broker acknowledged; it may or may not have the message.
    #[error("connection lost before the broker acknowledged")]
    SessionLost,
    /// The broker did not acknowledge in time; the connection is being replaced.
    #[error("no acknowledgement within {0} s")]
    AckTimeout(u64),
    /// The broker refused the publication; the MQTT 5 reason code's name.
    #[error("refused by the broker: {0}")]
    Refused(String),
    /// No valid topic name (empty, or with a wildcard).
    #[error("{0:?} is not a topic name")]
    Topic(String),
    /// Larger than a packet may be; not sent.
    #[error("publication of {found} bytes, a packet has at most {} bytes", crate::PACKET_BYTES_MAX)]
    TooLarge {
        /// Bytes of topic and payload together.
        found: usize,
    },
    /// The link was closed, or its task has ended.
    #[error("the link is closed")]
    Closed,
}
