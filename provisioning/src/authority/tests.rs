//! What a certificate of ours says, whatever a request asked for.

use rcgen::SanType;
use x509_parser::certificate::X509Certificate;

use super::*;
use crate::fixtures::{home, named, now};

fn identity() -> Identity {
    Identity::home(home()).unwrap()
}

fn authority() -> Authority {
    Authority::create(now()).unwrap().0
}

fn with_certificate<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    look(&pem.parse_x509().unwrap())
}

#[test]
fn a_request_gets_our_subject_usage_and_validity_not_its_own() {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::default();
    greedy.distinguished_name = name("home-7");
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    greedy.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    let request = greedy.serialize_request(&key).unwrap().pem().unwrap();
    let pem = authority.sign_request(&request, &identity(), now(), 30).unwrap();
    with_certificate(&pem, |certificate| {
        assert_eq!(certificate.subject().to_string(), "CN=home-7");
        assert!(!certificate.is_ca());
        assert!(certificate.subject_alternative_name().unwrap().is_none());
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !usage.any);
        assert_eq!(certificate.validity().not_after.timestamp(), now().as_second() + 30 * DAY);
        assert_eq!(&certificate.public_key().subject_public_key.data[..], key.public_key_raw());
    });
}

#[test]
fn a_request_in_anothers_name_is_refused_with_both_names() {
    let authority = authority();
    let request = SigningRequest::new(&named("home-8")).unwrap();
    let error = authority.sign_request(&request.request_pem, &identity(), now(), 30).unwrap_err();
    assert!(
        matches!(&error, AuthorityError::RequestName { found, expected } if found == "home-8" && expected == "home-7")
    );
}

#[test]
fn a_request_that_is_damaged_or_huge_is_refused() {
    let authority = authority();
    let request = SigningRequest::new(&home()).unwrap().request_pem;
    let mut damaged = request.clone().into_bytes();
    // In the key, well past the header line: the request's own signature no longer fits.
    damaged[150] = if damaged[150] == b'A' { b'B' } else { b'A' };
    let damaged = String::from_utf8(damaged).unwrap();
    for bad in [damaged, "-----".to_owned(), request + &" ".repeat(CSR_BYTES_MAX)] {
        let error = authority.sign_request(&bad, &identity(), now(), 30).unwrap_err();
        assert!(matches!(error, AuthorityError::Request(_)), "{error}");
    }
}

#[test]
fn a_lifetime_of_no_or_too_many_days_is_refused() {
    let authority = authority();
    for days in [0, DAYS_MAX + 1] {
        let error = authority.issue_client(&identity(), now(), days).err().unwrap();
        assert_eq!(error.to_string(), format!("a certificate lives 1 to 825 days, not {days}"));
    }
}

#[test]
fn a_server_is_known_by_loopback_and_by_each_given_name_once() {
    let authority = authority();
    let hosts = ["broker.home.arpa", "192.0.2.7", "localhost"].map(str::to_owned);
    let issued = authority.issue_server("broker", &hosts, now(), 30).unwrap();
    with_certificate(&issued.certificate_pem, |certificate| {
        let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth);
    });
}

#[test]
fn an_authority_whose_key_belongs_to_another_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let one = authority();
    let (_, other_key) = Authority::create(now()).unwrap();
    files::make_dir(&dir.path().join("ca")).unwrap();
    files::write_public(&layout.ca_cert(), one.certificate_pem().as_bytes()).unwrap();
    files::write_private(&layout.ca_key(), other_key.as_bytes()).unwrap();
    assert!(matches!(Authority::load(&layout), Err(AuthorityError::Mismatch(_))));
}
