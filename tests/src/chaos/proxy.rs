//! A line between homes and broker that can be cut, stopped, slowed and made lossy.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// One way of [`Line::Delay`].
const DELAY: Duration = Duration::from_secs(2);
/// Share of the pieces that come late on a lossy line.
const LOST: f64 = 0.2;
/// How late: about TCP's first retransmission timeout.
const RETRANSMITTED_AFTER: Duration = Duration::from_millis(300);
/// Bytes carried at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// As it should be.
    Good,
    /// Connections end, and new ones are not taken.
    Cut,
    /// Connections stay and carry nothing.
    HalfOpen,
    /// Everything comes [`DELAY`] later.
    Delay,
    /// Some pieces come later than others.
    Lossy,
}

/// The proxy, on a thread of its own; ends when it is dropped.
pub struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    // Taken down last.
    _runtime: Runtime,
}

impl Proxy {
    /// Listens on a free port of this machine and passes on to `broker`.
    ///
    /// # Errors
    /// When there is no port, or no thread.
    pub fn start(broker: u16, seed: u64) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = listener.local_addr()?.port();
        let (line, seen) = watch::channel(Line::Good);
        runtime.spawn(accept(listener, (Ipv4Addr::LOCALHOST, broker).into(), seen, seed));
        Ok(Self { port, line, _runtime: runtime })
    }

    /// Where homes connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the line, for open connections too.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn accept(listener: TcpListener, broker: SocketAddr, line: watch::Receiver<Line>, seed: u64) {
    let mut number = seed;
    while let Ok((home, _)) = listener.accept().await {
        number = number.wrapping_add(1);
        if *line.borrow() == Line::Cut {
            continue;
        }
        // A broker that is down refuses, and so does the proxy then.
        let Ok(broker) = TcpStream::connect(broker).await else { continue };
        let (up, down) = (home.into_split(), broker.into_split());
        let ended = Arc::new(tokio::sync::Notify::new());
        tokio::spawn(carry(up.0, down.1, line.clone(), SmallRng::seed_from_u64(number), Arc::clone(&ended)));
        tokio::spawn(carry(down.0, up.1, line.clone(), SmallRng::seed_from_u64(!number), ended));
    }
}

/// One direction, until either end closes or the line is cut. When one direction ends, so does the other.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
    mut rng: SmallRng,
    ended: Arc<tokio::sync::Notify>,
) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = tokio::select! {
            read = from.read(&mut piece) => match read {
                Ok(length) if length > 0 => length,
                _ => break,
            },
            cut = line.wait_for(|line| *line == Line::Cut) => {
                drop(cut);
                break;
            }
            () = ended.notified() => break,
        };
        let now = *line.borrow();
        match now {
            Line::Delay => tokio::time::sleep(DELAY).await,
            Line::Lossy if rng.random_bool(LOST) => tokio::time::sleep(RETRANSMITTED_AFTER).await,
            // Held until the line is good again: TCP loses nothing, it only waits.
            Line::HalfOpen => drop(line.wait_for(|line| *line != Line::HalfOpen).await),
            Line::Good | Line::Cut | Line::Lossy => {}
        }
        if *line.borrow() == Line::Cut || to.write_all(&piece[..length]).await.is_err() {
            break;
        }
    }
    ended.notify_waiters();
    ended.notify_one();
}
