//! A home renews, comes back late, and is refused.

use hearthwatch_protocol::renewal::Renewal;
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_protocol::statement::Statement as _;

use super::*;
use crate::authority::SigningRequest;
use crate::claims::{Claims, TOKEN_LIFE};
use crate::enrol::EnrolRequest;
use crate::files;
use crate::fixtures::{home, installation, named, now as start};

const DAYS: u32 = 30;

fn after(days: i64) -> Timestamp {
    start() + SignedDuration::from_hours(days * 24)
}

fn key_of(pem: &str) -> SigningKey {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    SigningKey::from_pkcs8(&pem.contents).unwrap()
}

/// An installation with `home-7` enrolled at the start; its key.
fn enrolled() -> (tempfile::TempDir, Enroller, SigningKey) {
    let (dir, enroller, request) = enrolled_by();
    (dir, enroller, key_of(&request.key_pem))
}

/// The same, and what it enrolled with.
fn enrolled_by() -> (tempfile::TempDir, Enroller, SigningRequest) {
    let (dir, layout) = installation();
    let enroller = Enroller::load(&layout, DAYS).unwrap();
    let token = Claims::at(layout.claims()).issue(&home(), start(), TOKEN_LIFE).unwrap();
    let request = SigningRequest::new(&home()).unwrap();
    let asked = EnrolRequest { home: home(), token: token.reveal().to_owned(), csr: request.request_pem.clone() };
    enroller.enrol(&asked, start()).unwrap();
    (dir, enroller, request)
}

fn wish(csr: &str, key: &SigningKey, at: Timestamp) -> RenewRequest {
    let wish = Renewal { home: home(), csr: csr.to_owned(), at: at.as_second() }.sign(key).unwrap();
    RenewRequest { home: home(), wish: STANDARD.encode(wish.as_bytes()) }
}

fn fresh() -> (String, SigningKey) {
    let request = SigningRequest::new(&home()).unwrap();
    (request.request_pem, key_of(&request.key_pem))
}

#[test]
fn the_present_key_vouches_for_the_next_and_that_one_for_the_one_after() {
    let (_dir, enroller, first) = enrolled();
    let (csr, second) = fresh();
    let Renewed::Given { certificate } = enroller.renew(&wish(&csr, &first, after(20)), after(20)).unwrap() else {
        panic!("a certificate that holds is renewed at once")
    };
    let issue = crate::ledger::read_certificate(&certificate, after(20)).unwrap();
    assert_eq!((issue.home, issue.until), (home(), after(20 + i64::from(DAYS))));
    // The answer was lost: the same wish again.
    assert!(matches!(enroller.renew(&wish(&csr, &first, after(20)), after(20)), Ok(Renewed::Given { .. })));
    let (csr, _) = fresh();
    assert!(matches!(enroller.renew(&wish(&csr, &second, after(40)), after(40)), Ok(Renewed::Given { .. })));
}

#[test]
fn a_home_that_comes_late_waits_for_an_operators_word() {
    let (_dir, enroller, first) = enrolled();
    let (csr, _) = fresh();
    let late = after(31);
    assert_eq!(enroller.renew(&wish(&csr, &first, late), late).unwrap(), Renewed::Waits);
    let waiting = enroller.waiting().unwrap();
    assert_eq!((&waiting[0].home, waiting[0].expired_at), (&home(), after(30)));
    assert_eq!(enroller.renew(&wish(&csr, &first, late), late).unwrap(), Renewed::Waits, "nobody has said yes");
    enroller.approve(&home(), "ada", late).unwrap();
    assert!(matches!(enroller.renew(&wish(&csr, &first, late), late), Ok(Renewed::Given { .. })));
    assert_eq!(enroller.waiting().unwrap(), []);

    let (csr, _) = fresh();
    let much_later = after(30 + 181);
    assert_eq!(enroller.renew(&wish(&csr, &first, much_later), much_later).unwrap_err().reason(), "too_late");
}

#[test]
fn whoever_has_no_key_of_the_home_gets_nothing() {
    let (_dir, enroller, first) = enrolled();
    let (csr, stranger) = fresh();
    let refused = |request: &RenewRequest, now| enroller.renew(request, now).unwrap_err().reason();
    assert_eq!(refused(&wish(&csr, &stranger, start()), start()), "bad_signature");
    assert_eq!(refused(&RenewRequest { home: home(), wish: "?".to_owned() }, start()), "bad_request");
    let other = RenewRequest { home: named("home-8"), ..wish(&csr, &first, start()) };
    assert_eq!(refused(&other, start()), "unknown_home");
    assert_eq!(refused(&wish(&csr, &first, start()), after(2)), "stale");
    assert_eq!(refused(&wish("no request", &first, start()), start()), "bad_request");
}

#[test]
fn each_certificate_is_for_a_new_key() {
    let (_dir, enroller, request) = enrolled_by();
    let same = wish(&request.request_pem, &key_of(&request.key_pem), start());
    assert_eq!(enroller.renew(&same, start()).unwrap_err().reason(), "same_key");
}

#[test]
fn a_revoked_home_renews_nothing() {
    let (_dir, enroller, first) = enrolled();
    assert_eq!(enroller.revoke(&home(), start(), "stolen").unwrap().len(), 1);
    let (csr, _) = fresh();
    assert_eq!(enroller.renew(&wish(&csr, &first, start()), start()).unwrap_err().reason(), "revoked");
    let rules = files::read_text(&enroller.layout.mosquitto_acl()).unwrap();
    assert!(rules.contains("user home-7\ntopic deny #"), "{rules}");
}

#[test]
fn one_home_cannot_fill_the_ledger() {
    let (_dir, enroller, first) = enrolled();
    for _ in 1..A_DAY_MAX {
        enroller.renew(&wish(&fresh().0, &first, start()), start()).unwrap();
    }
    assert_eq!(enroller.renew(&wish(&fresh().0, &first, start()), start()).unwrap_err().reason(), "too_often");
}
