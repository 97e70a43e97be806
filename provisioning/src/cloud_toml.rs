//! The configuration that `hearthwatch-cloud` runs with on the machine where `init` ran.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Port of the page, the admin API, enrolment and releases.
pub const PORT: u16 = 8443;

/// What differs between installations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name or address under which homes reach the aggregator.
    pub host: String,
    /// Address to listen on; none for all.
    pub listen: Option<IpAddr>,
    /// Port to listen on.
    pub port: u16,
    /// Port of the broker, on this machine.
    pub mqtt_port: u16,
    /// Recorded sets, one folder each; none for the folder beside the configuration.
    pub corpus: Option<PathBuf>,
}

/// Renders `cloud.toml`. Its paths are those of [`crate::Layout`], from the file's own directory.
#[must_use]
pub fn render(options: &Options) -> String {
    let Options { host, listen, port, mqtt_port, corpus } = options;
    let listen = SocketAddr::new(listen.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), *port);
    let corpus = corpus.as_ref().map_or_else(|| "corpus".to_owned(), |path| path.to_string_lossy().into_owned());
    let host = match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.clone(),
    };
    // A Rust string literal without control characters reads the same in TOML.
    format!(
        r#"# Written by `hearthwatch-provision init`. Run: hearthwatch-cloud serve --config THIS_FILE
# Paths start at this file's directory. `hearthwatch-cloud serve --help` shows all that may stand here.

data = "data"                            # database, data sets, models
enrolment = "."                          # homes with a claim token may enrol at /enroll

[mqtt]                                   # the fleet's broker, on this machine
host = "localhost"
port = {mqtt_port}
ca_file = "ca/ca.crt"
cert_file = "cloud/aggregator.crt"
key_file = "cloud/aggregator.key"
group_file = "cloud/ingest.group"        # secret: in which group aggregators share what homes say

[http]                                   # page, admin API, metrics, enrolment, releases
listen = "{listen}"
cert_file = "cloud/http.crt"
key_file = "cloud/http.key"

[training]
corpus = {corpus:?}                        # recorded sets, one folder each; as long as there are none, no network is trained

[release]                                # the signed repository
repository = "tuf/repository"
root_file = "tuf/root.json"
keys = "tuf/online"
gate_key = "gate/gate.key"
signer_socket = "signer.sock"            # hearthwatch-provision signer --socket
url = "https://{host}:{port}/tuf/"

[rollout]                                # orders to homes
director_key = "director/director.key"
policy = "immediate"                     # or staged, urgent, or a file of waves
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_sixth_version_stands_in_brackets() {
        let options = Options {
            host: "2001:db8::7".to_owned(),
            listen: Some("::1".parse().unwrap()),
            port: 9443,
            mqtt_port: 9883,
            corpus: Some("/srv/sets".into()),
        };
        let text = render(&options);
        for line in [
            "url = \"https://[2001:db8::7]:9443/tuf/\"",
            "listen = \"[::1]:9443\"",
            "port = 9883",
            "corpus = \"/srv/sets\" ",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
