//! The attributes that show what an entity measures.

use serde::{Deserialize, Deserializer};

use super::lenient_json;

/// Device class, unit and state class in Home Assistant's words; empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// Such as `temperature`.
    #[serde(deserialize_with = "text")]
    pub device_class: String,
    /// Such as `°C`.
    #[serde(rename = "unit_of_measurement", deserialize_with = "text")]
    pub unit: String,
    /// `measurement`, `total` or `total_increasing`.
    #[serde(deserialize_with = "text")]
    pub state_class: String,
}

impl Attributes {
    /// Reads them from JSON; what is not JSON gives no attributes.
    #[must_use]
    pub fn parse(json: &str) -> Self {
        lenient_json::parse(json).unwrap_or_default()
    }
}

/// A text; anything else counts as none.
fn text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(input)? {
        serde_json::Value::String(text) => text,
        _ => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_or_no_json_says_nothing() {
        let unit_only = Attributes { unit: "W".to_owned(), ..Attributes::default() };
        assert_eq!(Attributes::parse(r#"{"unit_of_measurement": "W", "device_class": null, "slope": NaN}"#), unit_only);
        assert_eq!(Attributes::parse(r#"{"device_class": 3}"#), Attributes::default());
        assert_eq!(Attributes::parse("["), Attributes::default());
    }
}
