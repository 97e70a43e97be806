//! What one party signs as a whole, a COSE_Sign1 structure each: what assignments, manifests and renewals have in common.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::id::HomeId;
use crate::seal::{self, PublicKey, SealError, SigningKey};

/// A kind of statement about one home.
pub trait Statement: Serialize + DeserializeOwned {
    /// Signed with each, so that its signature means nothing for another kind.
    const CONTEXT: &'static [u8];
    /// The kind, as errors name it.
    const NOUN: &'static str;

    /// The home that it is about.
    fn home(&self) -> &HomeId;

    /// The name of a field that is outside its limits, if there is one.
    fn field_outside_limits(&self) -> Option<&'static str>;

    /// Signs it.
    ///
    /// # Errors
    /// [`StatementRefusal::Field`] when the reader would refuse it, [`StatementRefusal::Seal`] when the key cannot sign.
    fn sign(&self, key: &SigningKey) -> Result<Signed<Self>, StatementRefusal> {
        check(self)?;
        Ok(Signed { bytes: seal::seal_value(self, Self::CONTEXT, key)?, kind: PhantomData })
    }
}

/// A signed statement as it travels: bytes that nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    bytes: Vec<u8>,
    kind: PhantomData<T>,
}

/// Why a statement proves nothing. The order of the variants is the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementRefusal {
    /// Not signed by a key that may.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A field outside its limits, though signed.
    #[error("the {noun}'s {field} is outside its limits")]
    Field {
        /// [`Statement::NOUN`].
        noun: &'static str,
        /// Its name on the wire.
        field: &'static str,
    },
    /// Another home's.
    #[error("the {noun} is of {found}")]
    OtherHome {
        /// [`Statement::NOUN`].
        noun: &'static str,
        /// Whose it is.
        found: HomeId,
    },
}

impl<T: Statement> Signed<T> {
    /// Takes bytes as they came; nothing is looked at yet.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, kind: PhantomData }
    }

    /// The COSE_Sign1 structure.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says of whatever home, if one of the `keys` signed it.
    ///
    /// # Errors
    /// [`StatementRefusal::Seal`] or [`StatementRefusal::Field`].
    pub fn read(&self, keys: &[PublicKey]) -> Result<T, StatementRefusal> {
        let statement: T = seal::open_value(&self.bytes, T::CONTEXT, keys)?;
        check(&statement)?;
        Ok(statement)
    }

    /// What it says of `home`, if one of the `keys` signed it. Whether it is fresh is for the caller to see.
    ///
    /// # Errors
    /// The first [`StatementRefusal`] that applies.
    pub fn read_of(&self, home: &HomeId, keys: &[PublicKey]) -> Result<T, StatementRefusal> {
        let statement = self.read(keys)?;
        if statement.home() != home {
            return Err(StatementRefusal::OtherHome { noun: T::NOUN, found: statement.home().clone() });
        }
        Ok(statement)
    }
}

fn check<T: Statement>(statement: &T) -> Result<(), StatementRefusal> {
    match statement.field_outside_limits() {
        Some(field) => Err(StatementRefusal::Field { noun: T::NOUN, field }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    use super::*;
    use crate::assignment::Assignment;
    use crate::manifest::Manifest;
    use crate::renewal::{Renewal, SignedRenewal};
    use crate::round::{GroupRequest, RoundAnswer, RoundOffer, RoundPlan};

    fn key() -> SigningKey {
        SigningKey::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    fn home(name: &str) -> HomeId {
        HomeId::new(name).unwrap()
    }

    fn renewal() -> Renewal {
        Renewal { home: home("home-7"), csr: "a request".to_owned(), at: 1_790_000_000 }
    }

    #[test]
    fn a_statement_reads_back_with_the_key_that_signed_it_and_no_other() {
        let key = key();
        let signed = renewal().sign(&key).unwrap();
        assert_eq!(signed.read_of(&home("home-7"), &[key.public()]), Ok(renewal()));
        let unknown = SealError::UnknownKey(hex::encode(key.public().id()));
        assert_eq!(signed.read_of(&home("home-7"), &[self::key().public()]), Err(unknown.into()));
    }

    #[test]
    fn a_statement_of_another_home_is_refused_with_whose_it_is() {
        let key = key();
        let signed = renewal().sign(&key).unwrap();
        let refused = signed.read_of(&home("home-8"), &[key.public()]).unwrap_err();
        assert_eq!(refused, StatementRefusal::OtherHome { noun: "renewal", found: home("home-7") });
    }

    #[test]
    fn a_statement_of_one_kind_is_not_taken_for_one_of_another() {
        let rounds = [RoundOffer::CONTEXT, RoundPlan::CONTEXT, RoundAnswer::CONTEXT, GroupRequest::CONTEXT];
        let contexts = [[Assignment::CONTEXT, Manifest::CONTEXT, Renewal::CONTEXT].as_slice(), &rounds].concat();
        for other in [[Assignment::CONTEXT, Manifest::CONTEXT].as_slice(), &rounds].concat() {
            assert_eq!(contexts.iter().filter(|context| **context == other).count(), 1);
            let key = key();
            let sealed = seal::seal(serde_cbor::to_vec(&renewal()).unwrap(), other, &key).unwrap();
            let refused = SignedRenewal::from_bytes(sealed).read(&[key.public()]).unwrap_err();
            assert_eq!(refused, StatementRefusal::Seal(SealError::Signature));
        }
    }
}
