//! JSON as Python writes it: with `NaN`, `Infinity` and control characters inside texts, which the standard forbids.

use serde::de::DeserializeOwned;

/// Reads `json`; what is not JSON is mended and read once more. A number that is none becomes `null`.
///
/// # Errors
/// The result of the second reading.
pub fn parse<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    serde_json::from_str(json).or_else(|_| serde_json::from_str(&mended(json)))
}

fn mended(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = json;
    while let Some(letter) = rest.chars().next() {
        if !quoted
            && let Some(word) = ["-Infinity", "Infinity", "-NaN", "NaN"].iter().find(|word| rest.starts_with(**word))
        {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        if quoted && letter.is_control() {
            out.push(' ');
            escaped = false;
            continue;
        }
        out.push(letter);
        if letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && letter == '\\' && !escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_null_and_control_characters_spaces() {
        let value: serde_json::Value =
            parse("{\"a\": NaN, \"b\": [-Infinity, 1], \"c\": \"NaN \\\" \u{1}\", \"d\\\\\": Infinity}").unwrap();
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, 1], "c": "NaN \"  ", "d\\": null}));
    }

    #[test]
    fn what_is_not_json_at_all_stays_an_error() {
        assert!(parse::<serde_json::Value>("{NaN").is_err());
    }
}
