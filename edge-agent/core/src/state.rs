//! A Home Assistant state is text; here it becomes a value, a gap or a stated fault.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::Value;

/// Largest magnitude that is taken for a measurement. The widest honest readings of a home are energy counters in Wh
/// (a hundred years at 100 kW is below 1e11); beyond 1e15 squares no longer fit the model's 32-bit arithmetic safely.
pub const MAGNITUDE_MAX: f64 = 1e15;

/// Why a state is not a value of its device class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A measured quantity whose state is text.
    #[error("is not a number")]
    NotANumber,
    /// A number with a decimal comma: `20,5`.
    #[error("is not a number: use a point, not a comma, before the decimals")]
    DecimalComma,
    /// Not a number, infinite, or beyond [`MAGNITUDE_MAX`].
    #[error("is not a finite number below {MAGNITUDE_MAX:e}")]
    NotFinite,
    /// A yes/no entity whose state is neither.
    #[error("is neither on nor off")]
    NotBinary,
}

/// True for `unknown`, `unavailable` and their like: nothing may be concluded from them.
#[must_use]
pub fn is_gap(state: &str) -> bool {
    let state = state.trim();
    state.is_empty() || ["unavailable", "unknown", "none", "null"].iter().any(|word| state.eq_ignore_ascii_case(word))
}

/// Reads `state` as a value of `class`.
///
/// Binary classes take `on`/`off`, `1`/`0` (also written `1.0`/`0.0`), `true`/`false`, `open`/`closed`,
/// `home`/`not_home`, and the German, Dutch and French words for them; all others a decimal number.
///
/// # Errors
/// [`StateError`] when the state is neither a gap nor a value of the class.
pub fn value_of(class: DeviceClass, state: &str) -> Result<Value, StateError> {
    if is_gap(state) {
        return Ok(Value::Gap);
    }
    let state = state.trim();
    if class.is_binary() {
        return binary_of(state).map(Value::Binary).ok_or(StateError::NotBinary);
    }
    match state.parse::<f64>() {
        Ok(number) if number.is_finite() && number.abs() <= MAGNITUDE_MAX => Ok(Value::Number(number)),
        Ok(_) => Err(StateError::NotFinite),
        Err(_) if state.matches(',').count() == 1 && state.replace(',', ".").parse::<f64>().is_ok() => {
            Err(StateError::DecimalComma)
        }
        Err(_) => Err(StateError::NotANumber),
    }
}

fn binary_of(state: &str) -> Option<bool> {
    let small = state.strip_suffix(".0").unwrap_or(state).to_lowercase();
    match small.as_str() {
        "on" | "1" | "true" | "open" | "home" | "yes" | "ein" | "an" | "offen" | "geöffnet" | "ja" | "wahr"
        | "erkannt" | "aan" | "waar" | "marche" | "ouvert" | "ouverte" | "oui" | "vrai" | "allumé" | "activé" => {
            Some(true)
        }
        "off" | "0" | "false" | "closed" | "not_home" | "no" | "aus" | "geschlossen" | "zu" | "nein" | "falsch"
        | "nicht erkannt" | "uit" | "dicht" | "gesloten" | "nee" | "onwaar" | "arrêt" | "fermé" | "fermée" | "non"
        | "faux" | "éteint" | "désactivé" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unavailable_unknown_and_empty_states_are_gaps_whatever_the_class() {
        for class in [DeviceClass::Temperature, DeviceClass::Door] {
            for state in ["", "  ", "unavailable", "unknown", "Unknown", "None"] {
                assert!(matches!(value_of(class, state), Ok(Value::Gap)), "{state:?}");
            }
        }
    }

    #[test]
    fn binaries_take_words_and_digits() {
        for (state, expected) in [("on", true), ("OFF", false), ("1", true), ("0.0", false), ("True", true)] {
            assert!(matches!(value_of(DeviceClass::Motion, state), Ok(Value::Binary(value)) if value == expected));
        }
        assert_eq!(value_of(DeviceClass::Motion, "2").err(), Some(StateError::NotBinary));
    }

    #[test]
    fn binaries_take_the_words_that_people_read() {
        for (on, off) in [
            ("Ein", "Aus"),
            ("An", "Aus"),
            ("Offen", "Geschlossen"),
            ("aan", "uit"),
            ("Ouvert", "Fermé"),
            ("Oui", "Non"),
        ] {
            assert!(matches!(value_of(DeviceClass::Door, on), Ok(Value::Binary(true))), "{on}");
            assert!(matches!(value_of(DeviceClass::Door, off), Ok(Value::Binary(false))), "{off}");
        }
    }

    #[test]
    fn numbers_must_be_finite_and_written_with_a_point() {
        assert!(matches!(value_of(DeviceClass::Temperature, " 21.5 "), Ok(Value::Number(number)) if number == 21.5));
        let fault = |state| value_of(DeviceClass::Temperature, state).err();
        assert_eq!(fault("21,5"), Some(StateError::DecimalComma));
        assert_eq!(fault("NaN"), Some(StateError::NotFinite));
        assert_eq!(fault("inf"), Some(StateError::NotFinite));
        assert_eq!(fault("1e16"), Some(StateError::NotFinite));
        assert_eq!(fault("warm"), Some(StateError::NotANumber));
    }
}
