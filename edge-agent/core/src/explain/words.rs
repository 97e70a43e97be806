//! Names, sentences and times as a resident reads them, cut to the width of a phone.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::EntityInfo;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `sensor.kitchen_temperature` → `Kitchen temperature`.
#[must_use]
pub fn friendly_name(entity_id: &str) -> String {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name).replace('_', " ");
    let mut letters = name.trim().chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => entity_id.to_owned(),
    }
}

/// Text that may stand in XML: the five special characters escaped, characters that XML forbids left out.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Breaks `text` into at most `lines` lines that are at most `width` units wide at `size`; what is left over ends in an
/// ellipsis.
pub(super) fn wrap(text: &str, size: f32, width: f32, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    let mut line = String::new();
    // At spaces only: what a no-break space joins (21 °C) stays together.
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if text_width(&longer, size) <= width {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            wrapped.push(std::mem::take(&mut line));
        }
        line = shorten(word, size, width);
    }
    if !line.is_empty() {
        wrapped.push(line);
    }
    if wrapped.len() > lines {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            last.push('…');
            *last = shorten(last, size, width);
        }
    }
    wrapped
}

/// `text`, cut to `width` units at `size`.
pub(super) fn shorten(text: &str, size: f32, width: f32) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut cut: String = text.trim_end_matches('…').to_owned();
    while !cut.is_empty() && text_width(&cut, size) + size > width {
        cut.pop();
    }
    format!("{}…", cut.trim_end())
}

/// Width of `text` at `size`, on the wide side of what common fonts need: there is no font to ask when a browser draws.
pub(super) fn text_width(text: &str, size: f32) -> f32 {
    text.chars()
        .map(|letter| match letter {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.32,
            'f' | 'r' | 't' | '(' | ')' | ' ' | '\u{a0}' | '-' | '/' | '·' => 0.40,
            'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '—' => 0.92,
            letter if letter.is_ascii_uppercase() => 0.68,
            letter if letter.is_ascii() => 0.57,
            _ => 0.8,
        })
        .sum::<f32>()
        * size
}

/// What the vertical axis measures: `Temperature, °C`.
pub(super) fn quantity(class: DeviceClass, unit: &str) -> String {
    let name = match class {
        DeviceClass::GenericNumber => "Value".to_owned(),
        DeviceClass::GenericBinary => "State".to_owned(),
        DeviceClass::Energy | DeviceClass::Water | DeviceClass::Gas => {
            format!("{} used", friendly_name(class.as_str()))
        }
        DeviceClass::Count => "Increase".to_owned(),
        DeviceClass::Pm25 => "PM2.5".to_owned(),
        DeviceClass::Pm1 => "PM1".to_owned(),
        DeviceClass::Pm10 => "PM10".to_owned(),
        class => friendly_name(class.as_str()),
    };
    if unit.is_empty() { name } else { format!("{name}, {unit}") }
}

/// What the two states of a binary class are called, off first.
#[must_use]
pub fn state_words(class: DeviceClass) -> (&'static str, &'static str) {
    match class {
        DeviceClass::Door | DeviceClass::Window | DeviceClass::Opening => ("closed", "open"),
        DeviceClass::Motion | DeviceClass::Vibration | DeviceClass::Sound => ("none", "seen"),
        DeviceClass::Occupancy => ("empty", "in use"),
        DeviceClass::Presence => ("away", "home"),
        DeviceClass::Moisture => ("dry", "wet"),
        DeviceClass::Smoke => ("clear", "smoke"),
        DeviceClass::Heat => ("normal", "hot"),
        DeviceClass::Safety => ("safe", "unsafe"),
        DeviceClass::Tamper => ("clear", "tampered with"),
        DeviceClass::GasAlarm => ("clear", "gas"),
        DeviceClass::CarbonMonoxideAlarm => ("clear", "carbon monoxide"),
        _ => ("off", "on"),
    }
}

/// `Sat 21 Nov 14:10 – 16:20`, or with both days, or `since …` while it lasts; in the home's time.
pub(super) fn period(start: i64, end: Option<i64>, timezone: &TimeZone) -> String {
    let from = local(start, timezone, "%a %-d %b %H:%M");
    match end {
        None => format!("since {from}"),
        Some(end) if local(end, timezone, "%F") == local(start, timezone, "%F") => {
            format!("{from} – {}", local(end, timezone, "%H:%M"))
        }
        Some(end) => format!("{from} – {}", local(end, timezone, "%a %-d %b %H:%M")),
    }
}

/// `at` in the home's time, by jiff's `strftime` letters.
pub(super) fn local(at: i64, timezone: &TimeZone, format: &str) -> String {
    Timestamp::from_second(at)
        .map_or_else(|_| at.to_string(), |at| at.to_zoned(timezone.clone()).strftime(format).to_string())
}

/// What is judged of the entities that are on or off, and what is not; none where there are none.
#[must_use]
pub fn on_off_is_judged_by<'a>(entities: impl IntoIterator<Item = &'a EntityInfo>) -> Option<&'static str> {
    let is_switched = |info: &EntityInfo| info.class.is_binary() && !info.class.warns_of_danger();
    entities.into_iter().any(is_switched).then_some(
        "Of what is on or off, you are told what stays on longer than it ever did, a contact that chatters, and a motion sensor that \
         sees nobody for a day or longer while others do. Activity at an unusual hour is hardly found yet: do not count on it.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_id_becomes_a_name() {
        assert_eq!(friendly_name("sensor.kitchen_temperature"), "Kitchen temperature");
        assert_eq!(friendly_name("attic"), "Attic");
        assert_eq!(friendly_name("sensor."), "sensor.");
    }

    #[test]
    fn nothing_that_a_home_says_can_break_the_drawing() {
        assert_eq!(escape("<a b='\"'>&\u{0}\u{7}\n"), "&lt;a b=&#39;&quot;&#39;&gt;&amp; ");
    }

    #[test]
    fn long_sentences_wrap_and_end_in_an_ellipsis() {
        let lines = wrap(&"word ".repeat(80), 12.0, 330.0, 3);
        assert_eq!(lines.len(), 3);
        assert!(lines[2].ends_with('…'));
        assert!(lines.iter().all(|line| text_width(line, 12.0) <= 330.0));
        assert_eq!(wrap("short", 12.0, 330.0, 3), ["short"]);
        assert!(shorten(&"x".repeat(200), 12.0, 100.0).ends_with('…'));
    }

    #[test]
    fn a_period_is_told_in_the_homes_time() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let start = 1_690_887_600; // 2023-08-01T11:00:00Z
        assert_eq!(period(start, Some(start + 7_800), &zone), "Tue 1 Aug 12:00 – 14:10");
        assert_eq!(period(start, Some(start + 86_400), &zone), "Tue 1 Aug 12:00 – Wed 2 Aug 12:00");
        assert_eq!(period(start, None, &zone), "since Tue 1 Aug 12:00");
    }
}
