//! A home's request for its next certificate, signed with the key of the one before.
//!
//! It crosses the fleet's pinned HTTPS, not the broker. The signature, not the TLS session, says who asks: a certificate that
//! has run out opens no TLS session any more, and its key can still prove whose it was.

use serde::{Deserialize, Serialize};

use crate::id::HomeId;
use crate::limits::RENEWAL_CSR_BYTES_MAX;
use crate::statement::{Signed, Statement};

/// What a home asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The home whose present key signs.
    pub home: HomeId,
    /// PKCS#10 signing request for a new key, PEM.
    pub csr: String,
    /// When, Unix seconds: an old request is not granted again.
    pub at: i64,
}

/// A request as it travels.
pub type SignedRenewal = Signed<Renewal>;

impl Statement for Renewal {
    const CONTEXT: &'static [u8] = b"hearthwatch renewal 1";
    const NOUN: &'static str = "renewal";

    fn home(&self) -> &HomeId {
        &self.home
    }

    fn field_outside_limits(&self) -> Option<&'static str> {
        (self.csr.len() > RENEWAL_CSR_BYTES_MAX).then_some("csr")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;

    use super::*;
    use crate::seal::SigningKey;
    use crate::statement::StatementRefusal;

    /// ed25519, whose signatures are the same each time.
    fn key() -> SigningKey {
        SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()))
    }

    fn renewal() -> Renewal {
        Renewal { home: HomeId::new("home-7").unwrap(), csr: "a request".to_owned(), at: 1_790_000_000 }
    }

    #[test]
    fn the_bytes_of_a_request_are_those_of_the_golden_file_and_read_back() {
        let path = format!("{}/golden/renewal.cose.hex", env!("CARGO_MANIFEST_DIR"));
        let signed = renewal().sign(&key()).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, hex::encode(signed.as_bytes()) + "\n").unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert_eq!(hex::encode(signed.as_bytes()), golden.trim(), "differs from {path}");
        let read = SignedRenewal::from_bytes(hex::decode(golden.trim()).unwrap());
        assert_eq!(read.read(&[key().public()]), Ok(renewal()));
    }

    #[test]
    fn a_request_that_does_not_fit_is_not_signed() {
        let long = Renewal { csr: "x".repeat(RENEWAL_CSR_BYTES_MAX + 1), ..renewal() };
        assert_eq!(long.sign(&key()), Err(StatementRefusal::Field { noun: "renewal", field: "csr" }));
    }
}
