//! Taking back a home's certificates, and what brokers read of it.
//!
//! The ledger is the word; the revocation list and mosquitto's access rules are rendered from it. mosquitto reads both anew on
//! SIGHUP: the list then keeps the certificate from connecting, the rules silence the session that it may still have (2.0.11
//! checks the list only when a connection begins). The embedded broker watches the ledger itself and ends such sessions.

use hearthwatch_protocol::HomeId;
use jiff::Timestamp;

use crate::acl;
use crate::authority::{Authority, AuthorityError};
use crate::claims::{ClaimError, Claims};
use crate::files::{self, FileError};
use crate::layout::Layout;
use crate::ledger::{Ledger, LedgerError, Revocation};

/// What makes mosquitto read the files again.
pub const RELOAD: &str = "kill -HUP $(pidof mosquitto)";

/// Why nothing, or not everything, was taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The ledger of certificates.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The claim tokens.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The list could not be signed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A rendered file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Takes back every certificate and claim token of `home` that still holds, and renders what brokers read. A home that has none is none the
/// worse: then only the files are rendered anew.
///
/// # Errors
/// [`RevocationError`]; what the ledger has taken back stays taken back, and [`render`] can be run again.
pub fn revoke(
    layout: &Layout,
    home: &HomeId,
    now: Timestamp,
    reason: &str,
) -> Result<Vec<Revocation>, RevocationError> {
    Claims::at(layout.claims()).void(home, now)?;
    let taken = Ledger::of(layout).revoke(home, now, reason)?;
    render(layout, &Authority::load(layout)?, now)?;
    Ok(taken)
}

/// Writes the revocation list and mosquitto's access rules as the ledger has them.
///
/// # Errors
/// [`RevocationError`].
pub fn render(layout: &Layout, authority: &Authority, now: Timestamp) -> Result<(), RevocationError> {
    let ledger = Ledger::of(layout);
    let list = authority.revocation_list(&ledger.revocations()?, now)?;
    files::write_public(&layout.crl(), list.as_bytes())?;
    files::write_public(&layout.mosquitto_crl(), list.as_bytes())?;
    let rules = acl::render_mosquitto(&ledger.shut_out(now)?);
    Ok(files::write_private(&layout.mosquitto_acl(), rules.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{home, installation, now};
    use crate::homes;

    fn listed(layout: &Layout) -> Vec<String> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(layout.crl()).unwrap()).unwrap();
        let (_, list) = x509_parser::parse_x509_crl(&pem.contents).unwrap();
        list.iter_revoked_certificates().map(|row| hex::encode(row.raw_serial())).collect()
    }

    #[test]
    fn a_revoked_home_is_on_the_list_and_denied_everything_until_it_has_a_certificate_again() {
        let (_dir, layout) = installation();
        assert_eq!(listed(&layout), Vec::<String>::new());
        let home = home();
        let (bundle, _) = homes::issue(&layout, &home, now(), 30).unwrap();
        let taken = revoke(&layout, &home, now(), "stolen").unwrap();
        assert_eq!(listed(&layout), [taken[0].serial.clone()]);
        let denied = "user home-7\ntopic deny #\n";
        assert!(files::read_text(&layout.mosquitto_acl()).unwrap().contains(denied));

        std::fs::remove_file(bundle.cert()).unwrap();
        homes::issue(&layout, &home, now(), 30).unwrap();
        render(&layout, &Authority::load(&layout).unwrap(), now()).unwrap();
        assert!(!files::read_text(&layout.mosquitto_acl()).unwrap().contains(denied));
        assert_eq!(listed(&layout), [taken[0].serial.clone()], "the old one stays on the list");
    }

    #[test]
    fn the_list_is_signed_by_the_authority_and_outlives_it() {
        let (_dir, layout) = installation();
        let parse = |path| x509_parser::pem::parse_x509_pem(&std::fs::read(path).unwrap()).unwrap().1;
        let (list, ca) = (parse(layout.crl()), parse(layout.ca_cert()));
        let (_, list) = x509_parser::parse_x509_crl(&list.contents).unwrap();
        let ca = ca.parse_x509().unwrap();
        assert_eq!(list.issuer(), ca.subject());
        assert!(list.next_update().unwrap() >= ca.validity().not_after);
    }
}
