//! The configuration that mosquitto 2.0 runs with: mutual TLS, names from certificates, our access rules.

use std::fmt::Write as _;
use std::path::PathBuf;

use hearthwatch_protocol::limits::PAYLOAD_BYTES_MAX;

use crate::layout::Layout;

/// Port of MQTT over TLS, as registered.
pub const PORT: u16 = 8883;
/// Largest MQTT packet, in bytes: the largest payload, and 4 KiB for topic and properties.
pub const PACKET_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 4096;
/// Unacknowledged messages per client. A home sends a handful a day; an aggregator is faster with more.
const INFLIGHT_MAX: usize = 100;
/// Messages queued for a client that is away: a receipt for each of a busy day. More would hide a fault.
const QUEUED_MAX: usize = 1000;

/// What differs between installations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Address to listen on; none for all.
    pub bind: Option<String>,
    /// Port to listen on.
    pub port: u16,
    /// User to run as when started by root; none leaves mosquitto's default, `mosquitto`.
    pub user: Option<String>,
    /// Authority that client certificates must come from.
    pub ca: PathBuf,
    /// The broker's certificate.
    pub cert: PathBuf,
    /// The broker's key.
    pub key: PathBuf,
    /// What was taken back of the authority's certificates.
    pub crl: PathBuf,
    /// The rendered access rules.
    pub acl: PathBuf,
    /// Directory for retained messages and queues.
    pub data: PathBuf,
}

impl Options {
    /// The copies in the broker's folder of `layout`, on all addresses.
    #[must_use]
    pub fn of(layout: &Layout, port: u16) -> Self {
        Self {
            bind: None,
            port,
            user: None,
            ca: layout.mosquitto_ca(),
            cert: layout.mosquitto_cert(),
            key: layout.mosquitto_key(),
            crl: layout.mosquitto_crl(),
            acl: layout.mosquitto_acl(),
            data: layout.mosquitto_data(),
        }
    }
}

/// Renders `mosquitto.conf`. Paths are written as given: make them absolute.
#[must_use]
pub fn render(options: &Options) -> String {
    let mut text = String::from(
        "# Rendered by hearthwatch-provision for mosquitto 2.0. Run: mosquitto -c THIS_FILE, with an absolute path.\n\
         # mosquitto started by root gives root up at once: the user it runs as must own this directory and what is in it,\n\
         # and be able to enter the directories above it.\n\n",
    );
    if let Some(user) = &options.user {
        let _ = writeln!(text, "user {user}");
    }
    let bind = options.bind.as_ref().map(|bind| format!(" {bind}")).unwrap_or_default();
    let _ = write!(
        text,
        "per_listener_settings false\n\
         listener {port}{bind}\n\n\
         # Nobody without a certificate of ours; the certificate's common name is the user name and the client id, so\n\
         # that nobody can take over another's session.\n\
         cafile {ca}\n\
         certfile {cert}\n\
         keyfile {key}\n\
         # Read again, with the access rules, on SIGHUP: `kill -HUP`, or `systemctl reload mosquitto`.\n\
         crlfile {crl}\n\
         tls_version tlsv1.3\n\
         require_certificate true\n\
         use_identity_as_username true\n\
         use_username_as_clientid true\n\
         allow_anonymous false\n\
         acl_file {acl}\n\n\
         # Retained messages and queues are saved every five minutes and on stopping, not on each change: that would\n\
         # rewrite the whole file each time. Nothing is lost by a crash, since homes keep their records until the\n\
         # aggregator's receipt.\n\
         persistence true\n\
         persistence_location {data}/\n\
         autosave_interval 300\n\
         autosave_on_changes false\n\
         persistent_client_expiration 30d\n\n\
         max_packet_size {PACKET_BYTES_MAX}\n\
         max_inflight_messages {INFLIGHT_MAX}\n\
         max_queued_messages {QUEUED_MAX}\n\
         max_keepalive 600\n\
         set_tcp_nodelay true\n\n\
         log_dest stderr\n\
         log_type error\n\
         log_type warning\n\
         log_type notice\n\
         connection_messages true\n",
        port = options.port,
        ca = options.ca.display(),
        cert = options.cert.display(),
        key = options.key.display(),
        crl = options.crl.display(),
        acl = options.acl.display(),
        data = options.data.display(),
    );
    text
}
