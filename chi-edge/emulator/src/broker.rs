//! An MQTT 5 broker inside this process: in memory, on loopback, mutual TLS, the access rules of the provisioning crate.
//!
//! For the demo and the fast tests; one machine in production runs mosquitto with rules rendered from the same table,
//! and one conformance suite holds for both. It lives in a runtime of its own, because the library has no way to stop
//! a server: stopping is ending that runtime.

mod access;
mod revoked;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_provision::Layout;
use hearthwatch_provision::ledger::Ledger;
use hearthwatch_provision::mosquitto::PACKET_BYTES_MAX;
use rmqtt::context::ServerContext;
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use revoked::Revoked;

/// Threads of the broker: it is one of several busy parts on a small machine.
const WORKERS: usize = 2;
/// How long starting may take: 30 ms were measured cold; a loaded build machine is a hundred times slower at worst.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long stopping waits for the broker's tasks.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a message waits for a session that is away. The library's five minutes would lose a retained release.
const MESSAGE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a session outlives its connection.
const SESSION_LIFE: Duration = Duration::from_secs(3600);
/// Messages queued for one session, as in mosquitto's configuration. 1000 × 8 KiB = 8 MiB for one that is away.
const QUEUED_MAX: usize = 1000;
/// Unacknowledged messages sent ahead to one client.
const INFLIGHT_MAX: u16 = 100;
/// Connections at once: the emulated homes, aggregators and a test's strangers, each 100 KiB at most.
const CONNECTIONS_MAX: usize = 2000;
/// Kept forever: retained are one release and one status a home.
const RETAINER_CONFIG: &str = "storage.type = \"ram\"\nretained_message_ttl = \"0s\"\nmax_payload_size = \"64KB\"\n";
/// In turn over the whole group.
const SHARED_CONFIG: &str = "strategy = \"round_robin\"\n";

/// The files that a broker needs.
#[derive(Debug, Clone)]
pub struct BrokerFiles {
    /// Authority that client certificates must come from, PEM.
    pub ca: PathBuf,
    /// The broker's certificate, PEM.
    pub cert: PathBuf,
    /// The broker's key, PEM.
    pub key: PathBuf,
    /// Which certificates were taken back.
    pub ledger: Ledger,
}

impl BrokerFiles {
    /// Those that `hearthwatch-provision init` made.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        Self { ca: layout.ca_cert(), cert: layout.broker_cert(), key: layout.broker_key(), ledger: Ledger::of(layout) }
    }
}

/// Why no broker runs. When this is returned, nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No threads to run on.
    #[error("cannot start the broker's threads: {0}")]
    Runtime(std::io::Error),
    /// A file that is not what it should be, a port in use, a plugin that fails.
    #[error("cannot start the broker: {0}")]
    Start(String),
    /// It neither started nor failed.
    #[error("the broker was not ready after {} s", START_TIMEOUT.as_secs())]
    Timeout,
}

/// A running broker; stops when dropped.
pub struct EmbeddedBroker {
    // Taken on stopping only.
    runtime: Option<Runtime>,
    port: u16,
}

impl EmbeddedBroker {
    /// Starts a broker on loopback; `port` 0 takes a free one. Returns when it is ready; may be called from
    /// asynchronous code, which it holds up for some milliseconds.
    ///
    /// # Errors
    /// [`BrokerError`]; whatever had been started is ended before this returns.
    pub fn start(files: BrokerFiles, port: u16) -> Result<Self, BrokerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("broker")
            .enable_all()
            .build()
            .map_err(BrokerError::Runtime)?;
        // From here on, an early return ends the runtime and everything in it.
        let mut broker = Self { runtime: Some(runtime), port };
        let (ready, told) = std::sync::mpsc::sync_channel(1);
        if let Some(runtime) = &broker.runtime {
            runtime.spawn(async move {
                let started = serve(&files, port).await.map_err(|error| BrokerError::Start(format!("{error:#}")));
                // Nobody waits any more after the timeout; the runtime is gone then too.
                let _ = ready.send(started);
            });
        }
        broker.port = told.recv_timeout(START_TIMEOUT).map_err(|_| BrokerError::Timeout)??;
        Ok(broker)
    }

    /// Where it listens, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection and frees the port before it returns.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // A runtime must not be waited for on a thread of another one.
        let waiter = std::thread::Builder::new().name("broker-stop".to_owned());
        if let Ok(waiting) = waiter.spawn(move || runtime.shutdown_timeout(STOP_TIMEOUT)) {
            // A panic while stopping leaves nothing to do: the threads are gone.
            let _ = waiting.join();
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Everything in the order that fails closed: storage, then the rules, then the listener, then its loop.
async fn serve(files: &BrokerFiles, port: u16) -> rmqtt::Result<u16> {
    let context = ServerContext::new()
        // A refusal because the machine is busy would look like a refusal by the rules.
        .busy_check_enable(false)
        .plugins_config_map_add("rmqtt-retainer", RETAINER_CONFIG)
        .plugins_config_map_add("rmqtt-shared-subscription", SHARED_CONFIG)
        .build()
        .await;
    rmqtt_retainer::register(&context, true, true).await?;
    rmqtt_shared_subscription::register(&context, true, true).await?;
    let started = Arc::new(Notify::new());
    let revoked = Revoked::read(files.ledger.clone());
    let register = access::install(&context, &revoked, started.clone()).await;
    tokio::spawn(revoked.enforce(context.clone()));

    let listener = Builder::new()
        .name("embedded")
        .laddr(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .reuseaddr(Some(true))
        .nodelay(true)
        .max_connections(CONNECTIONS_MAX)
        .max_packet_size(u32::try_from(PACKET_BYTES_MAX)?)
        .max_inflight(NonZeroU16::new(INFLIGHT_MAX).unwrap_or(NonZeroU16::MIN))
        .max_mqueue_len(QUEUED_MAX)
        .message_expiry_interval(MESSAGE_LIFE)
        .session_expiry_interval(SESSION_LIFE)
        .max_session_expiry_interval(SESSION_LIFE)
        .allow_anonymous(false)
        .tls_cross_certificate(true)
        .tls_client_ca_certs(Some(text(&files.ca)?))
        .tls_cert(Some(text(&files.cert)?))
        .tls_key(Some(text(&files.key)?))
        .cert_cn_as_username(true)
        .collect_cert_info(true)
        .bind()?
        .tls()?;
    let port = listener.local_addr()?.port();
    let server = MqttServer::new(context).listener_by_id(listener, port).build();
    tokio::spawn(async move {
        // Handlers are taken off when their register is dropped, so it lives as long as the server.
        let _register = register;
        if let Err(error) = server.run().await {
            tracing::error!("the embedded broker ended: {error:#}");
        }
    });
    started.notified().await;
    Ok(port)
}

fn text(path: &Path) -> rmqtt::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| rmqtt::Error::msg(format!("{} is not UTF-8 text", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provisioned() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        let now = jiff::Timestamp::now();
        hearthwatch_provision::init::run(&layout, &hearthwatch_provision::init::Options::default(), now).unwrap();
        (dir, layout)
    }

    fn connects(port: u16) -> bool {
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    }

    #[test]
    fn a_stopped_broker_frees_its_port_and_can_be_started_on_it_again() {
        let (_dir, layout) = provisioned();
        let broker = EmbeddedBroker::start(BrokerFiles::of(&layout), 0).unwrap();
        let port = broker.port();
        assert!(connects(port));
        broker.stop();
        assert!(!connects(port));
        let again = EmbeddedBroker::start(BrokerFiles::of(&layout), port).unwrap();
        assert_eq!(again.port(), port);
    }

    #[tokio::test]
    async fn it_starts_and_stops_inside_asynchronous_code() {
        let (_dir, layout) = provisioned();
        let broker = EmbeddedBroker::start(BrokerFiles::of(&layout), 0).unwrap();
        broker.stop();
        drop(EmbeddedBroker::start(BrokerFiles::of(&layout), 0).unwrap());
    }

    #[test]
    fn a_missing_key_leaves_no_broker_and_says_so() {
        let (_dir, layout) = provisioned();
        let probe = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        let files = BrokerFiles { key: layout.root().join("missing.key"), ..BrokerFiles::of(&layout) };
        let error = EmbeddedBroker::start(files, port).err().unwrap();
        assert!(matches!(error, BrokerError::Start(_)), "{error}");
        assert!(!connects(port));
    }

    #[test]
    fn a_port_in_use_is_an_error_and_not_the_end_of_the_process() {
        let (_dir, layout) = provisioned();
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(EmbeddedBroker::start(BrokerFiles::of(&layout), port), Err(BrokerError::Start(_))));
    }
}
