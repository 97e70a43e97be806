//! Judges an ID token: OpenID Connect Core 1.0, 3.1.3.7. Pure.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

/// Signatures that are taken. None of them can be made with a key that is public, as those by a shared secret can.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// How far the provider's clock may be from ours, seconds.
const LEEWAY: i64 = 60;

/// What the token has to say.
pub(crate) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// What was sent along in the browser; none for a device code, which has none.
    pub nonce: Option<&'a str>,
    /// Unix seconds.
    pub now: i64,
}

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdTokenError {
    /// It is no token, or of an algorithm that is not taken.
    #[error("the provider's token cannot be read: {0}")]
    Form(String),
    /// It is signed by a key that the provider does not publish (any more).
    #[error("the provider's token is signed by a key that it does not publish")]
    UnknownKey,
    /// Signature, issuer or audience is wrong.
    #[error("the provider's token does not verify: {0}")]
    Wrong(String),
    /// It is of another time.
    #[error("the provider's token has ended: set both clocks right, then log in again")]
    Ended,
    /// It answers another log-in.
    #[error("the provider's token belongs to another log-in")]
    Nonce,
    /// It was made for another program, though we are among its readers.
    #[error("the provider's token was made for another program")]
    Party,
}

/// The claims of a token that is what it should be.
///
/// # Errors
/// [`IdTokenError`].
pub(crate) fn claims(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Map<String, Value>, IdTokenError> {
    let header = decode_header(token).map_err(|error| IdTokenError::Form(error.to_string()))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(IdTokenError::Form(format!("its algorithm is {:?}", header.alg)));
    }
    let key = match &header.kid {
        Some(kid) => keys.find(kid),
        // Without a name only where there is nothing to choose.
        None => keys.keys.first().filter(|_| keys.keys.len() == 1),
    };
    let key = DecodingKey::from_jwk(key.ok_or(IdTokenError::UnknownKey)?).map_err(|error| wrong(&error))?;
    let mut rules = Validation::new(header.alg);
    rules.set_issuer(&[expected.issuer]);
    rules.set_audience(&[expected.client_id]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // By our own clock, below.
    rules.validate_exp = false;
    let claims = decode::<Map<String, Value>>(token, &key, &rules).map_err(|error| wrong(&error))?.claims;
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    let in_time = number("exp").is_some_and(|end| expected.now < end.saturating_add(LEEWAY))
        && number("iat").is_none_or(|made| made.saturating_sub(LEEWAY) <= expected.now);
    if !in_time {
        return Err(IdTokenError::Ended);
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if expected.nonce.is_some_and(|nonce| text("nonce") != Some(nonce)) {
        return Err(IdTokenError::Nonce);
    }
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    let party = text("azp");
    if party.is_some_and(|party| party != expected.client_id) || (several && party.is_none()) {
        return Err(IdTokenError::Party);
    }
    Ok(claims)
}

fn wrong(error: &jsonwebtoken::errors::Error) -> IdTokenError {
    IdTokenError::Wrong(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    static KEY: LazyLock<EncodingKey> = LazyLock::new(|| {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        EncodingKey::from_ec_der(pair.as_ref())
    });

    fn keys(kid: &str) -> JwkSet {
        let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&KEY, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        JwkSet { keys: vec![jwk] }
    }

    fn good() -> Value {
        json!({
            "iss": "https://id.example", "aud": "hearthwatch", "sub": "7", "exp": NOW + 300, "iat": NOW, "nonce": "n-1",
        })
    }

    fn judged(claims: &Value, kid: &str) -> Result<Map<String, Value>, IdTokenError> {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        let token = encode(&header, claims, &KEY).unwrap();
        let expected =
            Expected { issuer: "https://id.example", client_id: "hearthwatch", nonce: Some("n-1"), now: NOW };
        super::claims(&token, &keys("k1"), &expected)
    }

    fn with(name: &str, value: Value) -> String {
        let mut claims = good();
        claims[name] = value;
        judged(&claims, "k1").map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    }

    #[test]
    fn a_token_that_is_right_in_everything_is_taken() {
        assert_eq!(judged(&good(), "k1").unwrap()["sub"], "7");
        assert_eq!(with("azp", json!("hearthwatch")), "taken");
    }

    #[test]
    fn what_is_wrong_with_a_token_is_found() {
        assert_eq!(with("iss", json!("https://evil.example")), "the provider's token does not verify: InvalidIssuer");
        assert_eq!(with("aud", json!("other")), "the provider's token does not verify: InvalidAudience");
        assert_eq!(
            with("exp", json!(NOW - 61)),
            "the provider's token has ended: set both clocks right, then log in again"
        );
        assert_eq!(
            with("iat", json!(NOW + 61)),
            "the provider's token has ended: set both clocks right, then log in again"
        );
        assert_eq!(with("nonce", json!("n-2")), "the provider's token belongs to another log-in");
        assert_eq!(with("azp", json!("other")), "the provider's token was made for another program");
        assert_eq!(with("aud", json!(["hearthwatch", "other"])), "the provider's token was made for another program");
        assert_eq!(
            judged(&good(), "k2").unwrap_err().to_string(),
            "the provider's token is signed by a key that it does not publish"
        );
    }

    #[test]
    fn a_token_signed_with_what_is_public_or_with_nothing_is_not_taken() {
        let shared =
            encode(&Header::new(Algorithm::HS256), &good(), &EncodingKey::from_secret(b"public").unwrap()).unwrap();
        let expected = Expected { issuer: "https://id.example", client_id: "hearthwatch", nonce: None, now: NOW };
        let refused = super::claims(&shared, &keys("k1"), &expected).unwrap_err().to_string();
        assert_eq!(refused, "the provider's token cannot be read: its algorithm is HS256");
        let unsigned = "eyJhbGciOiJub25lIn0.e30.";
        assert!(matches!(super::claims(unsigned, &keys("k1"), &expected), Err(IdTokenError::Form(_))));
    }
}
