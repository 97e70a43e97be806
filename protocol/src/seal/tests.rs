//! What a seal keeps out, each by its own name.

use proptest::prelude::*;

use super::*;

const CONTEXT: &[u8] = b"test 1";

fn director() -> SigningKey {
    SigningKey::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()))
}

fn home() -> SigningKey {
    SigningKey::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
}

#[test]
fn either_kind_of_key_signs_what_its_public_half_opens() {
    for key in [director(), home()] {
        let sealed = seal(b"payload".to_vec(), CONTEXT, &key).unwrap();
        assert_eq!(open(&sealed, CONTEXT, &[key.public()]), Ok(b"payload".to_vec()));
    }
}

#[test]
fn a_signature_means_nothing_in_another_context() {
    let sealed = seal(b"payload".to_vec(), CONTEXT, &director()).unwrap();
    assert_eq!(open(&sealed, b"test 2", &[director().public()]), Err(SealError::Signature));
}

#[test]
fn a_key_that_is_not_trusted_is_named() {
    let sealed = seal(b"payload".to_vec(), CONTEXT, &director()).unwrap();
    let name = hex::encode(director().public().id());
    assert_eq!(open(&sealed, CONTEXT, &[home().public()]), Err(SealError::UnknownKey(name.clone())));
    assert_eq!(open(&sealed, CONTEXT, &[]), Err(SealError::UnknownKey(name)));
}

#[test]
fn an_algorithm_that_is_not_the_keys_is_refused_before_the_signature_is_looked_at() {
    let key = director();
    let protected = HeaderBuilder::new().algorithm(iana::Algorithm::ES256).key_id(key.public().id().to_vec()).build();
    let sealed = CoseSign1Builder::new()
        .protected(protected)
        .payload(b"payload".to_vec())
        .try_create_signature(CONTEXT, |message| key.sign(message))
        .unwrap()
        .build();
    assert_eq!(open(&sealed.to_vec().unwrap(), CONTEXT, &[key.public()]), Err(SealError::Algorithm));
}

#[test]
fn a_key_name_outside_the_protected_header_counts_for_nothing() {
    let key = director();
    let sealed = CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build())
        .unprotected(HeaderBuilder::new().key_id(key.public().id().to_vec()).build())
        .payload(b"payload".to_vec())
        .try_create_signature(CONTEXT, |message| key.sign(message))
        .unwrap()
        .build();
    let refused = open(&sealed.to_vec().unwrap(), CONTEXT, &[key.public()]);
    assert_eq!(refused, Err(SealError::UnknownKey(String::new())));
}

#[test]
fn a_statement_that_asks_for_more_than_is_understood_is_refused() {
    let key = director();
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(key.public().id().to_vec())
        .add_critical(iana::HeaderParameter::ContentType)
        .build();
    let sealed = CoseSign1Builder::new()
        .protected(protected)
        .payload(b"payload".to_vec())
        .try_create_signature(CONTEXT, |message| key.sign(message))
        .unwrap()
        .build();
    assert_eq!(open(&sealed.to_vec().unwrap(), CONTEXT, &[key.public()]), Err(SealError::Critical));
}

#[test]
fn an_oversized_statement_is_refused_unread() {
    let found = SEALED_BYTES_MAX + 1;
    assert_eq!(open(&vec![0; found], CONTEXT, &[]), Err(SealError::TooLarge { found }));
}

#[test]
fn trailing_bytes_are_refused() {
    let mut sealed = seal(b"payload".to_vec(), CONTEXT, &director()).unwrap();
    sealed.push(0);
    assert!(matches!(open(&sealed, CONTEXT, &[director().public()]), Err(SealError::NotCose(_))));
}

#[test]
fn a_file_of_trusted_keys_holds_one_to_four() {
    let line = director().public().to_string();
    assert_eq!(trusted_keys(&format!("# in use\n{line}\n\n")), Ok(vec![director().public()]));
    assert_eq!(trusted_keys(""), Err(KeyError::Public));
    assert_eq!(trusted_keys(&format!("{line}\n").repeat(5)), Err(KeyError::Public));
    assert_eq!(trusted_keys("ed25519:00"), Err(KeyError::Public));
}

proptest! {
    #[test]
    fn a_public_key_reads_back_as_itself(bytes in any::<[u8; 32]>()) {
        let key = PublicKey::Ed25519(bytes);
        prop_assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn no_changed_byte_goes_unnoticed(at in 0usize..512, with in 1u8..=255) {
        let key = director();
        let mut sealed = seal(b"payload".to_vec(), CONTEXT, &key).unwrap();
        let at = at % sealed.len();
        sealed[at] ^= with;
        // Some changes leave the meaning alone (another way to write the same structure); none may change the payload.
        if let Ok(payload) = open(&sealed, CONTEXT, &[key.public()]) {
            prop_assert_eq!(payload, b"payload".to_vec());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = open(&bytes, CONTEXT, &[director().public()]);
    }
}
