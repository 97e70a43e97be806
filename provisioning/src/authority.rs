//! The certificate authority of one installation: makes itself, servers, clients, and signs requests.

use hearthwatch_protocol::HomeId;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use x509_parser::time::ASN1Time;

use crate::acl::Identity;
use crate::files::{self, FileError};
use crate::layout::Layout;
use crate::ledger::Revocation;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Life of the authority. Longer than any device's; replacing it means visiting every home.
pub const CA_DAYS: u32 = 3650;
/// Life of server and aggregator certificates: the longest that public authorities still granted in 2025.
pub const SERVER_DAYS: u32 = 398;
/// Default life of a home's certificate. The agent renews it at two thirds, so a home may be away for ten days and
/// notice nothing; after that an operator says whether it may come back.
pub const HOME_DAYS: u32 = 30;
/// What the enrolment desk may be told to give instead. Shorter, and a weekend offline ends a home's certificate; longer,
/// and a stolen key serves its thief for longer than a month where nobody reads revocation lists.
pub const HOME_DAYS_RANGE: std::ops::RangeInclusive<u32> = 7..=30;
/// Longest life that may be asked for.
pub const DAYS_MAX: u32 = 825;
/// Certificates start this much in the past, so that a device whose clock is a little slow accepts them, in seconds.
const BACKDATED: i64 = 300;
/// Largest signing request that is parsed, in bytes: a P-256 request has 500, an RSA-4096 one 1,800.
pub const CSR_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a serial number; 16 random ones never meet (RFC 5280 allows 20).
const SERIAL_BYTES: usize = 16;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key or certificate file is not usable.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate library refused.
    #[error("cannot {what}: {cause}")]
    Certificate {
        /// What was tried, as a verb and its object: `sign the certificate`.
        what: &'static str,
        /// The library's words.
        cause: rcgen::Error,
    },
    /// The authority's own files do not hold what they should.
    #[error("{} does not hold a usable {what}: {cause}", .path.display())]
    Damaged {
        /// `certificate` or `key`.
        what: &'static str,
        /// `ca.crt` or `ca.key`.
        path: std::path::PathBuf,
        /// The library's words.
        cause: String,
    },
    /// The authority's certificate belongs to another key.
    #[error("ca.crt and ca.key in {} do not belong together; restore the pair from a backup", .0.display())]
    Mismatch(std::path::PathBuf),
    /// A lifetime of no or too many days.
    #[error("a certificate lives 1 to {DAYS_MAX} days, not {0}")]
    Lifetime(u32),
    /// A request that is not one.
    #[error("the signing request is not usable: {0}")]
    Request(String),
    /// A request in another's name.
    #[error("the signing request names {found:?}, the claim is for {expected:?}")]
    RequestName {
        /// What the request says.
        found: String,
        /// What the claim says.
        expected: String,
    },
}

impl AuthorityError {
    /// One word for what came of a signing request.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Request(_) => "bad_request",
            Self::RequestName { .. } => "other_name",
            _ => "unavailable",
        }
    }
}

fn certificate_error(what: &'static str) -> impl FnOnce(rcgen::Error) -> AuthorityError {
    move |cause| AuthorityError::Certificate { what, cause }
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key, PKCS#8. Never logged.
    pub key_pem: String,
}

/// A key and a request to certify it, both PEM: what an agent makes to enrol.
#[derive(Clone)]
pub struct SigningRequest {
    /// The request, to be sent.
    pub request_pem: String,
    /// The private key, to be kept. Never logged.
    pub key_pem: String,
}

impl SigningRequest {
    /// Makes a fresh P-256 key and a request for it in the home's name.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] when the library cannot make a key.
    pub fn new(home: &HomeId) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(certificate_error("make a key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(home.as_str());
        let request = params.serialize_request(&key).map_err(certificate_error("make a signing request"))?;
        let request_pem = request.pem().map_err(certificate_error("write a signing request"))?;
        Ok(Self { request_pem, key_pem: key.serialize_pem() })
    }
}

/// The certificate authority, key in memory.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl Authority {
    /// Makes a new authority; nothing is written. The second value is its private key, PEM.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] when the library cannot make a key.
    pub fn create(now: Timestamp) -> Result<(Self, String), AuthorityError> {
        let key = KeyPair::generate().map_err(certificate_error("make the authority's key"))?;
        let key_pem = key.serialize_pem();
        let mut params = base("Hearthwatch CA", now, CA_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(certificate_error("sign the authority's certificate"))?;
        Ok((Self { certificate_pem: certificate.pem(), issuer: Issuer::new(params, key) }, key_pem))
    }

    /// Loads the authority of an installation.
    ///
    /// # Errors
    /// [`AuthorityError`] when the files are missing, open to others, damaged, or no pair.
    pub fn load(layout: &Layout) -> Result<Self, AuthorityError> {
        let (cert_path, key_path) = (layout.ca_cert(), layout.ca_key());
        let damaged = |what, path: &std::path::Path, cause: String| AuthorityError::Damaged {
            what,
            path: path.to_owned(),
            cause,
        };
        let certificate_pem = files::read_text(&cert_path)?;
        let key_pem = String::from_utf8(files::read_private(&key_path)?)
            .map_err(|_| damaged("key", &key_path, "not text".to_owned()))?;
        let key = KeyPair::from_pem(&key_pem).map_err(|error| damaged("key", &key_path, error.to_string()))?;
        let public: Vec<u8> = key.public_key_raw().to_vec();
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)
            .map_err(|error| damaged("certificate", &cert_path, error.to_string()))?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
            .map_err(|error| damaged("certificate", &cert_path, error.to_string()))?;
        let parsed = pem.parse_x509().map_err(|error| damaged("certificate", &cert_path, error.to_string()))?;
        if parsed.public_key().subject_public_key.data[..] != public[..] {
            return Err(AuthorityError::Mismatch(cert_path.parent().unwrap_or(&cert_path).to_owned()));
        }
        Ok(Self { issuer, certificate_pem })
    }

    /// The authority's certificate, PEM: what everybody trusts.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A server's certificate, for `localhost`, the loopback addresses and `hosts` (names or addresses).
    ///
    /// # Errors
    /// [`AuthorityError`] when a host is not a name, or the lifetime is out of range.
    pub fn issue_server(
        &self,
        common_name: &str,
        hosts: &[String],
        now: Timestamp,
        days: u32,
    ) -> Result<Issued, AuthorityError> {
        let names = CertificateParams::new(server_names(hosts)).map_err(certificate_error("read the host names"))?;
        let mut params = base(common_name, now, days)?;
        params.subject_alt_names = names.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.issue(&params)
    }

    /// A client's certificate and key.
    ///
    /// # Errors
    /// [`AuthorityError::Lifetime`], or the library's refusal.
    pub fn issue_client(&self, identity: &Identity, now: Timestamp, days: u32) -> Result<Issued, AuthorityError> {
        self.issue(&client(identity, now, days)?)
    }

    /// Certifies the key of a request. Subject, usage and validity are ours; the request's are only compared.
    ///
    /// # Errors
    /// [`AuthorityError::Request`] when it is too large, unreadable or not signed by its own key,
    /// [`AuthorityError::RequestName`] when it asks for another name.
    pub fn sign_request(
        &self,
        request_pem: &str,
        identity: &Identity,
        now: Timestamp,
        days: u32,
    ) -> Result<String, AuthorityError> {
        if request_pem.len() > CSR_BYTES_MAX {
            return Err(AuthorityError::Request(format!("{} bytes, at most {CSR_BYTES_MAX}", request_pem.len())));
        }
        let mut request = CertificateSigningRequestParams::from_pem(request_pem)
            .map_err(|error| AuthorityError::Request(error.to_string()))?;
        if let Some(found) = common_name_of(&request.params.distinguished_name)
            && found != identity.common_name()
        {
            let expected = identity.common_name().to_owned();
            return Err(AuthorityError::RequestName { found: found.chars().take(80).collect(), expected });
        }
        request.params = client(identity, now, days)?;
        Ok(request.signed_by(&self.issuer).map_err(certificate_error("sign the certificate"))?.pem())
    }

    /// The list of what was taken back (a CRL, RFC 5280), PEM, for brokers.
    ///
    /// It is made anew with each revocation and holds until the authority itself ends: a list that ran out would shut out the
    /// whole fleet, and what it guards against is already bounded by the certificates' short lives.
    ///
    /// # Errors
    /// [`AuthorityError`] when a serial number in `taken` is not one of ours, or the library refuses.
    pub fn revocation_list(&self, taken: &[Revocation], now: Timestamp) -> Result<String, AuthorityError> {
        let at = |seconds: i64| {
            ASN1Time::from_timestamp(seconds)
                .map(|time| time.to_datetime())
                .map_err(|_| AuthorityError::Request(format!("{now} is no time for a revocation list")))
        };
        let row = |row: &Revocation| {
            let serial = hex::decode(&row.serial)
                .map_err(|_| AuthorityError::Request(format!("{:?} is no serial number", row.serial)))?;
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial),
                revocation_time: at(row.at.as_second())?,
                reason_code: None,
                invalidity_date: None,
            })
        };
        let params = CertificateRevocationListParams {
            this_update: at(now.as_second() - BACKDATED)?,
            next_update: at(now.as_second() + i64::from(CA_DAYS) * DAY)?,
            // Counts up with time; two lists of one second hold the same or more.
            crl_number: SerialNumber::from(now.as_second().unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: taken.iter().map(row).collect::<Result<_, AuthorityError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(certificate_error("sign the revocation list"))?;
        list.pem().map_err(certificate_error("write the revocation list"))
    }

    fn issue(&self, params: &CertificateParams) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate().map_err(certificate_error("make a key"))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(certificate_error("sign the certificate"))?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

/// The names that a server's certificate for `hosts` carries.
#[must_use]
pub fn server_names(hosts: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(hosts.iter().cloned());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn client(identity: &Identity, now: Timestamp, days: u32) -> Result<CertificateParams, AuthorityError> {
    let mut params = base(identity.common_name(), now, days)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn base(common_name: &str, now: Timestamp, days: u32) -> Result<CertificateParams, AuthorityError> {
    if days == 0 || (days > DAYS_MAX && days != CA_DAYS) {
        return Err(AuthorityError::Lifetime(days));
    }
    let at = |seconds: i64| {
        ASN1Time::from_timestamp(seconds)
            .map(|time| time.to_datetime())
            .map_err(|_| AuthorityError::Request(format!("{now} is no time for a certificate")))
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.not_before = at(now.as_second() - BACKDATED)?;
    params.not_after = at(now.as_second() + i64::from(days) * DAY)?;
    params.serial_number = Some(serial());
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn common_name_of(name: &DistinguishedName) -> Option<String> {
    use rcgen::DnValue;
    Some(match name.get(&DnType::CommonName)? {
        DnValue::Utf8String(text) => text.clone(),
        DnValue::PrintableString(text) => text.as_str().to_owned(),
        DnValue::Ia5String(text) => text.as_str().to_owned(),
        DnValue::TeletexString(text) => text.as_str().to_owned(),
        // Anything else cannot be one of our names.
        _ => "(in another encoding)".to_owned(),
    })
}

fn serial() -> SerialNumber {
    let mut bytes: [u8; SERIAL_BYTES] = random();
    // Positive and never shortened: RFC 5280 wants a positive integer.
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests;
