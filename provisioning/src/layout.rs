//! Where everything lies below the one directory that `init` fills.

use std::path::{Path, PathBuf};

use hearthwatch_protocol::HomeId;

/// The directory, and the name of each thing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> PathBuf {
                self.root.join($path)
            }
        )*
    };
}

impl Layout {
    /// Names things below `root`; touches nothing.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    places! {
        /// Certificate of the authority that broker, cloud and homes trust. Public.
        ca_cert = "ca/ca.crt";
        /// The authority's key.
        ca_key = "ca/ca.key";
        /// Certificates that were issued to homes, one JSON line each.
        issued = "ca/issued.jsonl";
        /// Certificates that were taken back, one JSON line each.
        revoked = "ca/revoked.jsonl";
        /// The same as a list that brokers read (PEM). Public.
        crl = "ca/ca.crl";
        /// The broker's certificate.
        broker_cert = "broker/server.crt";
        /// The broker's key.
        broker_key = "broker/server.key";
        /// Certificate of the aggregator's HTTPS listener.
        http_cert = "cloud/http.crt";
        /// Key of the aggregator's HTTPS listener.
        http_key = "cloud/http.key";
        /// The aggregator's client certificate for the broker.
        aggregator_cert = "cloud/aggregator.crt";
        /// The aggregator's client key.
        aggregator_key = "cloud/aggregator.key";
        /// The certificate of who reads the broker's own numbers.
        monitor_cert = "monitor/monitor.crt";
        /// The key of who reads the broker's own numbers.
        monitor_key = "monitor/monitor.key";
        /// The secret name of the group in which aggregators share what homes say.
        group = "cloud/ingest.group";
        /// Everything of the update framework.
        tuf = "tuf";
        /// Root keys: belong on three separate media, away from this machine.
        tuf_offline = "tuf/offline";
        /// Keys that the aggregator holds.
        tuf_online = "tuf/online";
        /// Signs snapshot metadata (aggregator).
        snapshot_key = "tuf/online/snapshot.key";
        /// Signs timestamp metadata (aggregator).
        timestamp_key = "tuf/online/timestamp.key";
        /// The signer process's directory.
        signer = "tuf/signer";
        /// Signs targets metadata (signer process only).
        targets_key = "tuf/signer/targets.key";
        /// What the signer signed last.
        signer_state = "tuf/signer/state.json";
        /// The first root of trust, as homes get it. Public.
        tuf_root = "tuf/root.json";
        /// The repository that is served: `metadata/` and `targets/`. Public.
        tuf_repository = "tuf/repository";
        /// Metadata of the repository. Public.
        tuf_metadata = "tuf/repository/metadata";
        /// Artifacts of the repository. Public.
        tuf_targets = "tuf/repository/targets";
        /// What was done in the key ceremony, for the record. Public.
        ceremony_transcript = "tuf/ceremony.txt";
        /// Signs promotion verdicts (aggregator's gate).
        gate_key = "gate/gate.key";
        /// Verifies promotion verdicts (signer). Public.
        gate_public = "gate/gate.pub";
        /// Signs which home is to run which release (aggregator's director).
        director_key = "director/director.key";
        /// Keys that homes trust for that, one a line. Public.
        director_public = "director/director.pub";
        /// Configuration of the aggregator, with paths from its own directory.
        cloud_toml = "cloud.toml";
        /// The aggregator's database, data sets and models.
        cloud_data = "data";
        /// Recorded sets that networks are trained and judged on, one folder each.
        corpus = "corpus";
        /// Where the signer process listens for the aggregator.
        signer_socket = "signer.sock";
        /// Everything that mosquitto reads and writes, and nothing else: on its machine this folder is all it needs. A link where it had
        /// to be elsewhere.
        mosquitto = "mosquitto";
        /// A copy of the authority's certificate. Public.
        mosquitto_ca = "mosquitto/ca.crt";
        /// A copy of the broker's certificate.
        mosquitto_cert = "mosquitto/server.crt";
        /// A copy of the broker's key.
        mosquitto_key = "mosquitto/server.key";
        /// A copy of the list of certificates that were taken back. Public.
        mosquitto_crl = "mosquitto/ca.crl";
        /// Configuration for mosquitto. Public.
        mosquitto_conf = "mosquitto/mosquitto.conf";
        /// Access rules for mosquitto. Public.
        mosquitto_acl = "mosquitto/acl";
        /// Where mosquitto keeps retained messages and queues.
        mosquitto_data = "mosquitto/data";
        /// One directory for each home that was added.
        homes = "homes";
        /// Claim tokens, hashed.
        claims = "claims.json";
        /// Homes whose certificate ran out and that wait for a word.
        late = "late.json";
    }

    /// Root key `number` (1 to 3).
    #[must_use]
    pub fn root_key(&self, number: usize) -> PathBuf {
        self.tuf_offline().join(format!("root-{number}.key"))
    }

    /// What one home is given.
    #[must_use]
    pub fn home(&self, home: &HomeId) -> HomeFiles {
        HomeFiles { root: self.homes().join(home.as_str()) }
    }
}

/// What one home is given: copy the directory to it, then delete `agent.key` here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeFiles {
    root: PathBuf,
}

impl HomeFiles {
    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    places! {
        /// The agent's certificate, when it was issued here.
        cert = "agent.crt";
        /// The agent's key, when it was made here.
        key = "agent.key";
        /// The authority to trust.
        ca = "ca.crt";
        /// The first TUF root to trust.
        tuf_root = "root.json";
        /// The director's keys to trust.
        director = "director.pub";
    }
}
