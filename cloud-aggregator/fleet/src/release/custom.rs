//! What a target's `custom` field says: enough to decide about a release before downloading it.

use std::collections::HashMap;

use hearthwatch_protocol::ModelVersion;
use serde_json::Value;

/// Custom metadata of a released model. Canonical JSON has no fractions, so figures of the gate are texts.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetCustom {
    /// The version; equals the one in the target's name.
    pub model_version: ModelVersion,
    /// Canonical hash of the tensors: two releases of the same weights have the same id.
    pub weights_id: String,
    /// The gate's summary, any JSON; numbers with fractions are written as texts.
    pub gate: Value,
}

impl TargetCustom {
    /// The form that tough keeps.
    #[must_use]
    pub fn to_map(&self) -> HashMap<String, Value> {
        HashMap::from([
            ("model_version".to_owned(), Value::from(self.model_version.0)),
            ("weights_id".to_owned(), Value::from(self.weights_id.as_str())),
            ("gate".to_owned(), without_fractions(&self.gate)),
        ])
    }
}

/// `value` with every number that is not an integer replaced by its text, rounded to six places.
fn without_fractions(value: &Value) -> Value {
    match value {
        Value::Number(number) if !(number.is_i64() || number.is_u64()) => {
            Value::from(format!("{:.6}", number.as_f64().unwrap_or(f64::NAN)))
        }
        Value::Array(items) => items.iter().map(without_fractions).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), without_fractions(field))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fractions_become_texts_since_canonical_json_has_none() {
        let custom = TargetCustom {
            model_version: ModelVersion(3),
            weights_id: "ab".to_owned(),
            gate: json!({"recall": 0.75, "homes": 4, "classes": [{"power": 0.5}]}),
        };
        let expected = json!({"recall": "0.750000", "homes": 4, "classes": [{"power": "0.500000"}]});
        assert_eq!(custom.to_map()["gate"], expected);
        assert_eq!(custom.to_map()["model_version"], json!(3));
    }
}
