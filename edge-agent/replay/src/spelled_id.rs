//! Ids made of names, as Home Assistant makes them: small letters, low lines for what is none, no accents.

use std::borrow::Cow;

use super::layout::looks_like_id;

/// Domains of entities that a name may already have before its point.
const DOMAINS: [&str; 7] = ["sensor", "binary_sensor", "switch", "light", "number", "input_boolean", "input_number"];

/// The id of what a file calls `name`. What is an id stays; so does what nobody would take for a name.
#[must_use]
pub fn of(name: &str) -> Cow<'_, str> {
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if looks_like_id(name) || plain(name) || name.contains(':') {
        return Cow::Borrowed(name);
    }
    let small = name.to_lowercase();
    if looks_like_id(&small) {
        return Cow::Owned(small);
    }
    if let Some((domain, rest)) = small.split_once('.')
        && DOMAINS.contains(&domain)
    {
        let spaced = rest.contains(|letter: char| letter.is_whitespace() || !letter.is_ascii());
        return if spaced { Cow::Owned(format!("{domain}.{}", slug(rest))) } else { Cow::Borrowed(name) };
    }
    match slug(name) {
        slug if slug.is_empty() => Cow::Borrowed(name),
        slug => Cow::Owned(format!("sensor.{slug}")),
    }
}

/// A name in small letters, digits and low lines.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        match plain(letter) {
            Some(text) => slug.push_str(text),
            None if letter.is_ascii_alphanumeric() => slug.push(letter),
            // Marks that stand within words are dropped, all others part them.
            None if matches!(letter, '\'' | '’') || ('\u{300}'..'\u{370}').contains(&letter) => {}
            None if !slug.ends_with('_') => slug.push('_'),
            None => {}
        }
    }
    slug.trim_matches('_').to_owned()
}

/// A small letter beyond ASCII without its accent.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ř' => "r",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        '²' | '₂' => "2",
        '³' | '₃' => "3",
        'µ' | 'μ' => "u",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_the_id_that_home_assistant_gives_it() {
        for (name, id) in [
            ("Gefrierschrank Temperatur", "sensor.gefrierschrank_temperatur"),
            ("Stromzähler (Küche)", "sensor.stromzahler_kuche"),
            ("Température extérieure", "sensor.temperature_exterieure"),
            ("CO₂ Büro", "sensor.co2_buro"),
            ("SENSOR.FREEZER_TEMPERATURE", "sensor.freezer_temperature"),
            ("Sensor.Freezer Temperature", "sensor.freezer_temperature"),
            ("Straße 5", "sensor.strasse_5"),
        ] {
            assert_eq!(of(name), id, "{name}");
        }
    }

    #[test]
    fn ids_and_what_is_no_name_stay() {
        for id in ["sensor.attic", "freezer_temperature", "sensor.a,b", "energy:prices", "-"] {
            assert_eq!(of(id), id);
        }
    }
}
