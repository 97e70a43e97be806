//! Whether a broker can be reached and takes our certificate, without a word of MQTT: a second client of the same name would end the first
//! one's session.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::config::TlsFiles;
use crate::tls::client_config;

/// How long the broker may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it is listened to after the handshake: TLS 1.3 refuses a client's certificate only then.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Connects, and greets by TLS where `tls` is given. Blocks for some seconds.
///
/// # Errors
/// One sentence: no address, no connection, TLS refused by either side.
pub fn reach(host: &str, port: u16, tls: Option<&TlsFiles>) -> Result<(), String> {
    let place = format!("{host}:{port}");
    let addresses = (host, port).to_socket_addrs().map_err(|error| format!("{place} has no address: {error}"))?;
    let mut last = format!("{place} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return tls.map_or(Ok(()), |tls| greet(host, tls, stream)),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

fn greet(host: &str, tls: &TlsFiles, mut stream: TcpStream) -> Result<(), String> {
    let config = client_config(tls).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))?;
    let mut session = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(|error| format!("TLS: {error}"))?;
    }
    stream.set_read_timeout(Some(AFTERWARDS)).map_err(|error| error.to_string())?;
    let mut open = rustls::Stream::new(&mut session, &mut stream);
    open.flush().map_err(|error| format!("TLS: {error}"))?;
    match open.read(&mut [0; 1]) {
        // It waits for our first word, as it should.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(format!("TLS: {error}")),
        Ok(0) => Err("it closed the connection after the handshake: it does not accept our certificate".to_owned()),
        Ok(_) => Ok(()),
    }
}
