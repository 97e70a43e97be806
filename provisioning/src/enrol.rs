//! Enrolment: a claim token and a signing request become a certificate.

use hearthwatch_protocol::HomeId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::acl::{Identity, IdentityError};
use crate::authority::{Authority, AuthorityError, CSR_BYTES_MAX};
use crate::claims::{ClaimError, ClaimToken, Claims, Redeemed, TOKEN_LIFE, sha256_hex};
use crate::files;
use crate::homes::HomeError;
use crate::late::WaitingRoom;
use crate::layout::Layout;
use crate::ledger::{Ledger, LedgerError};
use crate::revocation::{self, RevocationError};

/// Largest body of `POST /enroll` that is worth reading, in bytes: the request and a KiB for token and name.
pub const BODY_BYTES_MAX: usize = CSR_BYTES_MAX + 1024;

/// Body of `POST /enroll`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// Who wants in.
    pub home: HomeId,
    /// The claim token. Never logged.
    pub token: String,
    /// PKCS#10 signing request, PEM; its key never leaves the home.
    pub csr: String,
}

/// Answer to `POST /enroll`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolReply {
    /// The home's certificate, PEM.
    pub certificate: String,
    /// The authority to trust, PEM.
    pub ca: String,
    /// The first TUF root to trust, JSON text.
    pub root: String,
    /// The director's keys to trust, one a line.
    pub director: String,
    /// Certificates that the home had before and that were taken back for this one; not told to the home.
    #[serde(skip)]
    pub replaced: u64,
}

/// Why a home was not let in.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The name is kept for others.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// The signing request is no good.
    #[error(transparent)]
    Request(AuthorityError),
    /// The token is no good.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It could not be written down, so nothing is handed out.
    #[error(transparent)]
    Ledger(LedgerError),
    /// A home that was shut out comes back, and the brokers' rules cannot be rendered.
    #[error(transparent)]
    Revocation(RevocationError),
}

impl EnrolError {
    /// One word for counters and for the answer over HTTP.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name(_) => "reserved_name",
            Self::Request(error) => error.reason(),
            Self::Claim(error) => error.reason(),
            Self::Ledger(LedgerError::Certificate(_)) => "bad_request",
            Self::Ledger(_) | Self::Revocation(_) => "unavailable",
        }
    }
}

/// The desk at which homes enrol; used by the aggregator's `POST /enroll`. Blocks on small files.
pub struct Enroller {
    pub(crate) authority: Authority,
    pub(crate) layout: Layout,
    pub(crate) ledger: Ledger,
    pub(crate) late: WaitingRoom,
    pub(crate) days: u32,
    claims: Claims,
    tuf_root: String,
    director: String,
}

impl Enroller {
    /// Opens the desk for the installation in `layout`; certificates live `days` days.
    ///
    /// # Errors
    /// [`AuthorityError`] when the authority's files or the TUF root are missing, open to others or damaged.
    pub fn load(layout: &Layout, days: u32) -> Result<Self, AuthorityError> {
        let authority = Authority::load(layout)?;
        Ok(Self {
            authority,
            layout: layout.clone(),
            ledger: Ledger::of(layout),
            late: WaitingRoom::at(layout.late()),
            days,
            claims: Claims::at(layout.claims()),
            tuf_root: files::read_text(&layout.tuf_root()).map_err(AuthorityError::File)?,
            director: files::read_text(&layout.director_public()).map_err(AuthorityError::File)?,
        })
    }

    /// The claims that let homes in.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Makes a claim token for `home`, for one use or, if `reusable`, for a home without a disk; what it had before is void.
    ///
    /// # Errors
    /// [`HomeError::Name`] for a name that no home may have, [`HomeError::Claim`] when the claims cannot be kept.
    pub fn new_claim(&self, home: &HomeId, now: Timestamp, reusable: bool) -> Result<ClaimToken, HomeError> {
        Identity::home(home.clone())?;
        let made =
            if reusable { self.claims.issue_reusable(home, now) } else { self.claims.issue(home, now, TOKEN_LIFE) };
        Ok(made?)
    }

    /// Whether a request brings a claim of the home that it names: then it is that home's, and not a stranger's guess. False
    /// where the claims cannot be read, which [`Enroller::enrol`] tells.
    #[must_use]
    pub fn has_claim(&self, request: &EnrolRequest, now: Timestamp) -> bool {
        self.claims.knows(&request.token, &request.home, now).unwrap_or(false)
    }

    /// Lets a home in. The token is used up on disk before the certificate is handed out.
    ///
    /// # Errors
    /// [`EnrolError`]; a request that is no good does not use the token up.
    pub fn enrol(&self, request: &EnrolRequest, now: Timestamp) -> Result<EnrolReply, EnrolError> {
        let identity = Identity::home(request.home.clone())?;
        let certificate =
            self.authority.sign_request(&request.csr, &identity, now, self.days).map_err(EnrolError::Request)?;
        let key_sha256 = key_sha256(&certificate).map_err(EnrolError::Request)?;
        let redeemed = self.claims.redeem(&request.token, &request.home, &key_sha256, now)?;
        let shut_out = self.ledger.shut_out(now).map_err(EnrolError::Ledger)?.contains(&request.home);
        let replaced = match redeemed {
            Redeemed::Once => 0,
            // A home without a disk: whoever held its former key is gone, or ought to be.
            Redeemed::Anew => {
                let why = "replaced by its reusable claim";
                self.ledger.revoke(&request.home, now, why).map_err(EnrolError::Ledger)?.len() as u64
            }
        };
        self.ledger.record(&certificate, now).map_err(EnrolError::Ledger)?;
        if shut_out || replaced > 0 {
            revocation::render(&self.layout, &self.authority, now).map_err(EnrolError::Revocation)?;
        }
        Ok(EnrolReply {
            certificate,
            ca: self.authority.certificate_pem().to_owned(),
            root: self.tuf_root.clone(),
            director: self.director.clone(),
            replaced,
        })
    }
}

pub(crate) fn key_sha256(certificate_pem: &str) -> Result<String, AuthorityError> {
    let read = || {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()).ok()?;
        Some(sha256_hex(pem.parse_x509().ok()?.public_key().raw))
    };
    read().ok_or_else(|| AuthorityError::Request("its key cannot be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::SigningRequest;
    use crate::claims::TOKEN_LIFE;
    use crate::fixtures::{home, installation, named, now};

    #[test]
    fn a_token_and_a_request_become_a_certificate_once() {
        let (_dir, layout) = installation();
        let enroller = Enroller::load(&layout, 30).unwrap();
        let token = Claims::at(layout.claims()).issue(&home(), now(), TOKEN_LIFE).unwrap();
        let ask = |home: &HomeId, token: &str| EnrolRequest {
            home: home.clone(),
            token: token.to_owned(),
            csr: SigningRequest::new(home).unwrap().request_pem,
        };

        let bad = EnrolRequest { csr: "no request".to_owned(), ..ask(&home(), token.reveal()) };
        assert_eq!(enroller.enrol(&bad, now()).unwrap_err().reason(), "bad_request");
        assert_eq!(enroller.enrol(&ask(&home(), "hwc_guess"), now()).unwrap_err().reason(), "unknown_token");

        let good = ask(&home(), token.reveal());
        let reply = enroller.enrol(&good, now()).unwrap();
        assert!(reply.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(reply.root.contains("\"_type\": \"root\""));
        assert_eq!(hearthwatch_protocol::seal::trusted_keys(&reply.director).unwrap().len(), 1);
        enroller.enrol(&good, now()).expect("the same key may ask again");
        assert_eq!(enroller.enrol(&ask(&home(), token.reveal()), now()).unwrap_err().reason(), "used_token");

        let aggregator = ask(&named("aggregator"), token.reveal());
        assert_eq!(enroller.enrol(&aggregator, now()).unwrap_err().reason(), "reserved_name");
    }

    #[test]
    fn a_home_without_a_disk_comes_back_with_a_new_key_and_its_former_certificate_is_taken_back() {
        let (_dir, layout) = installation();
        let enroller = Enroller::load(&layout, 30).unwrap();
        let token = Claims::at(layout.claims()).issue_reusable(&home(), now()).unwrap();
        let enrol = || {
            let csr = SigningRequest::new(&home()).unwrap().request_pem;
            enroller.enrol(&EnrolRequest { home: home(), token: token.reveal().to_owned(), csr }, now())
        };
        assert_eq!(enrol().unwrap().replaced, 0);
        assert_eq!(enrol().unwrap().replaced, 1);
        let ledger = Ledger::of(&layout);
        let reasons: Vec<String> = ledger.revocations().unwrap().into_iter().map(|row| row.reason).collect();
        assert_eq!(reasons, ["replaced by its reusable claim"]);
        assert_eq!(ledger.keys().unwrap()[&home()].len(), 1, "one key speaks for the home");
        assert!(ledger.shut_out(now()).unwrap().is_empty());
        revocation::revoke(&layout, &home(), now(), "sold").unwrap();
        assert_eq!(enrol().unwrap_err().reason(), "unknown_token", "revoked with its home");
    }
}
