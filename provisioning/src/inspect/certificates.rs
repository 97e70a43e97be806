//! Certificates: whom they name, until when, and whether the authority here signed them.

use std::path::PathBuf;

use hearthwatch_protocol::HomeId;
use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::{CERTIFICATE_DAYS, Report, row};
use crate::authority::Authority;
use crate::files::{self, FileError};
use crate::layout::Layout;

/// The DNS names and addresses that a certificate is for; none when it cannot be read.
#[must_use]
pub fn names_of(certificate_pem: &str) -> Vec<String> {
    with_certificate(certificate_pem, names).unwrap_or_default()
}

/// From when to when a certificate holds, Unix seconds; none when it cannot be read.
#[must_use]
pub fn validity(certificate_pem: &str) -> Option<(i64, i64)> {
    with_certificate(certificate_pem, |certificate| {
        let validity = certificate.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp())
    })
}

pub(super) fn look(report: &mut Report, layout: &Layout, now: Timestamp) {
    let root = layout.root().display();
    if let Err(error) = Authority::load(layout) {
        report.problem(match error {
            crate::authority::AuthorityError::File(missing @ FileError::Missing(_)) => {
                format!("{missing}; hearthwatch-provision init --out {root}, or restore it from a backup")
            }
            other => other.to_string(),
        });
    }
    let ca_pem = files::read_text(&layout.ca_cert()).unwrap_or_default();
    let (what, remedy) =
        ("certificate authority", "every certificate must be made anew under a new authority".to_owned());
    one(report, layout, now, &Subject { what, cert: layout.ca_cert(), key: None, remedy, ca_pem: &ca_pem });
    for (what, cert, key) in [
        ("broker's server certificate", layout.broker_cert(), layout.broker_key()),
        ("aggregator's HTTPS certificate", layout.http_cert(), layout.http_key()),
        ("aggregator's client certificate", layout.aggregator_cert(), layout.aggregator_key()),
    ] {
        let remedy = format!("rm {} {}; hearthwatch-provision init --out {root}", cert.display(), key.display());
        one(report, layout, now, &Subject { what, cert, key: Some(key), remedy, ca_pem: &ca_pem });
    }
    for home in homes(layout) {
        let files = layout.home(&home);
        if !files.cert().exists() {
            report.rows.push(row(layout, "home, certificate not made here", files.root(), home.to_string(), None));
            continue;
        }
        let (cert, key) = (files.cert(), files.key().exists().then(|| files.key()));
        let remedy = format!("rm {}; hearthwatch-provision home add {home} --issue --out {root}", cert.display());
        one(report, layout, now, &Subject { what: "home's certificate", cert, key, remedy, ca_pem: &ca_pem });
    }
}

struct Subject<'a> {
    what: &'a str,
    cert: PathBuf,
    /// A home's may have been handed over and deleted here.
    key: Option<PathBuf>,
    remedy: String,
    ca_pem: &'a str,
}

struct Seen {
    subject: String,
    expires: Timestamp,
    ours: bool,
    fits_key: bool,
}

fn one(report: &mut Report, layout: &Layout, now: Timestamp, subject: &Subject<'_>) {
    let Subject { what, cert, key, remedy, ca_pem } = subject;
    let pem = match files::read_text(cert) {
        Ok(pem) => pem,
        Err(error) => return report.problem(format!("{error}; {remedy}")),
    };
    let private = match key.as_ref().map(|key| files::read_private(key)) {
        None => None,
        Some(Ok(bytes)) => Some(bytes),
        Some(Err(error)) => {
            report.problem(match error {
                FileError::Missing(_) => format!("{error}; {remedy}"),
                other => other.to_string(),
            });
            None
        }
    };
    let Some(seen) = with_certificate(&pem, |certificate| see(certificate, ca_pem, private.as_deref())) else {
        return report.problem(format!("{} holds no certificate; {remedy}", cert.display()));
    };
    if !seen.ours {
        report.problem(format!("{what} at {} was not signed by the authority here; {remedy}", cert.display()));
    }
    if !seen.fits_key {
        report.problem(format!("{what} at {} does not belong to its key; {remedy}", cert.display()));
    }
    report.expiry(&format!("{what} of {}", seen.subject), seen.expires, now, CERTIFICATE_DAYS, remedy);
    report.rows.push(row(layout, what, cert, seen.subject, Some(seen.expires)));
    if let Some(key) = key.as_ref().filter(|key| key.exists()) {
        report.rows.push(row(layout, "  its key", key, String::new(), None));
    }
}

fn see(certificate: &X509Certificate<'_>, ca_pem: &str, key: Option<&[u8]>) -> Seen {
    let common_name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let mut subject = common_name.unwrap_or("(no name)").to_owned();
    let names = names(certificate);
    if !names.is_empty() {
        subject = format!("{subject} ({})", names.join(", "));
    }
    let ours =
        with_certificate(ca_pem, |ca| certificate.verify_signature(Some(ca.public_key())).is_ok()).unwrap_or(false);
    let public = |key: &[u8]| {
        let pair = rcgen::KeyPair::from_pem(std::str::from_utf8(key).ok()?).ok()?;
        Some(pair.public_key_raw() == &certificate.public_key().subject_public_key.data[..])
    };
    let fits_key = key.is_none_or(|key| public(key).unwrap_or(false));
    let expires = Timestamp::from_second(certificate.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX);
    Seen { subject, expires, ours, fits_key }
}

fn homes(layout: &Layout) -> Vec<HomeId> {
    let entries = std::fs::read_dir(layout.homes()).into_iter().flatten().flatten();
    let mut homes: Vec<HomeId> =
        entries.filter_map(|entry| HomeId::new(entry.file_name().to_string_lossy()).ok()).collect();
    homes.sort();
    homes
}

fn with_certificate<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    Some(look(&pem.parse_x509().ok()?))
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names.value.general_names.iter().filter_map(name_text).collect()
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| std::net::Ipv6Addr::from(sixteen).to_string())
}
