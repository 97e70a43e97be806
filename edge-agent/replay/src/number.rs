//! Numbers as people's programs write them: a point or a comma before the decimals, and marks between thousands.
//!
//! `52.300` alone is two numbers. The other numbers of its file show which one.

/// The decimal mark of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// `5230.03`, and `5,230.03`.
    Point,
    /// `5230,03`, and `5.230,03`.
    Comma,
}

/// A number that was not written as `5230.03`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// With a point before the decimals, and nothing between thousands.
    pub text: String,
    /// Whether a comma stood before its decimals.
    pub comma: bool,
    /// Whether it had marks between its thousands.
    pub grouped: bool,
}

/// Marks between thousands that never stand before decimals: apostrophes, and spaces of several widths.
const GROUPING: [char; 6] = ['\'', '’', ' ', '\u{a0}', '\u{202f}', '\u{2009}'];

/// Whether a letter may stand within a number.
#[must_use]
pub fn is_part(letter: char) -> bool {
    letter.is_ascii_digit() || "+-−.,".contains(letter) || GROUPING.contains(&letter)
}

/// `text` as it is usually written; none where it is so already, or no number. `decimal` is what the file's other numbers have.
#[must_use]
pub fn rewrite(text: &str, decimal: Option<Decimal>) -> Option<Rewritten> {
    let usual = |byte: u8| byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    if decimal != Some(Decimal::Comma)
        && text.bytes().all(usual)
        && text.bytes().filter(|byte| *byte == b'.').count() < 2
    {
        return None;
    }
    let number = Number::parse(text)?;
    let grouped = |mark: char| number.groups_are_thousands(mark);
    let (points, commas) = (number.count('.'), number.count(','));
    let point_decimal = match (points, commas) {
        (0, 0) => None,
        (1, 0) if decimal == Some(Decimal::Comma) && number.is_open() => None,
        (1, 0) => Some('.'),
        (0, 1) if decimal == Some(Decimal::Point) && number.is_open() => None,
        (0, 1) => Some(','),
        (_, 0) | (0, _) => None,
        _ => number.runs.last().map(|(mark, _)| *mark).filter(|mark| number.count(*mark) == 1),
    };
    // Whatever is not before the decimals must stand between thousands.
    let marks: Vec<char> =
        number.runs[1..].iter().map(|(mark, _)| *mark).filter(|mark| Some(*mark) != point_decimal).collect();
    if !marks.iter().all(|mark| grouped(*mark)) || (!marks.is_empty() && !number.begins_as_thousands()) {
        return None;
    }
    if point_decimal.is_some_and(|mark| number.runs.last().is_none_or(|(last, _)| *last != mark)) {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    plain.push_str(number.sign);
    for (mark, digits) in &number.runs {
        if Some(*mark) == point_decimal {
            plain.push('.');
        }
        plain.push_str(digits);
    }
    let comma = point_decimal == Some(',');
    (plain != text.trim()).then_some(Rewritten { text: plain, comma, grouped: !marks.is_empty() })
}

/// The decimal mark of a number, as far as the number alone shows it.
#[must_use]
pub fn evidence(text: &str) -> Option<Decimal> {
    let number = Number::parse(text)?;
    let last = number.runs.last().map(|(mark, _)| *mark)?;
    match (number.count('.'), number.count(',')) {
        (1, 0) if !number.is_open() => Some(Decimal::Point),
        (0, 1) if !number.is_open() => Some(Decimal::Comma),
        (2.., 0) if number.groups_are_thousands('.') => Some(Decimal::Comma),
        (0, 2..) if number.groups_are_thousands(',') => Some(Decimal::Point),
        (1.., 1..) if last == '.' && number.count('.') == 1 => Some(Decimal::Point),
        (1.., 1..) if last == ',' && number.count(',') == 1 => Some(Decimal::Comma),
        _ => None,
    }
}

/// Whether `text` is one number with a decimal comma and another with a decimal point: `52.300`, `52,300`.
#[must_use]
pub fn is_open(text: &str) -> bool {
    Number::parse(text).is_some_and(|number| number.is_open())
}

/// The digits of a number, each run with the mark before it.
struct Number<'a> {
    sign: &'static str,
    runs: Vec<(char, &'a str)>,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (sign, mut rest) = match text.chars().next()? {
            '-' => ("-", &text[1..]),
            '−' => ("-", &text['−'.len_utf8()..]),
            '+' => ("", &text[1..]),
            _ => ("", text),
        };
        let mut runs = Vec::new();
        let mut mark = '\0';
        loop {
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            runs.push((mark, &rest[..end]));
            rest = &rest[end..];
            let Some(letter) = rest.chars().next() else { break };
            if !(GROUPING.contains(&letter) || letter == '.' || letter == ',') {
                return None;
            }
            mark = letter;
            rest = &rest[letter.len_utf8()..];
        }
        Some(Self { sign, runs })
    }

    fn count(&self, mark: char) -> usize {
        self.runs.iter().filter(|(one, _)| *one == mark).count()
    }

    fn groups_are_thousands(&self, mark: char) -> bool {
        self.begins_as_thousands()
            && self.runs.iter().filter(|(one, _)| *one == mark).all(|(_, digits)| digits.len() == 3)
    }

    fn begins_as_thousands(&self) -> bool {
        let first = self.runs[0].1;
        first.len() <= 3 && !first.starts_with('0')
    }

    fn is_open(&self) -> bool {
        matches!(self.runs[..], [_, ('.' | ',', _)]) && self.groups_are_thousands(self.runs[1].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, decimal: Option<Decimal>) -> Option<String> {
        rewrite(text, decimal).map(|number| number.text)
    }

    #[test]
    fn thousands_are_told_from_decimals_by_what_the_file_does() {
        for (text, decimal, plain) in [
            ("52.300", Some(Decimal::Comma), Some("52300")),
            ("52.300", Some(Decimal::Point), None),
            ("52.300", None, None),
            ("52,300", Some(Decimal::Point), Some("52300")),
            ("52,300", Some(Decimal::Comma), Some("52.300")),
            ("52,300", None, Some("52.300")),
            ("5.230,03", None, Some("5230.03")),
            ("5,230.03", None, Some("5230.03")),
            ("-1,234,567", None, Some("-1234567")),
            ("5'230.03", None, Some("5230.03")),
            ("5\u{202f}230,03", None, Some("5230.03")),
            ("5\u{a0}230", None, Some("5230")),
            ("−18,2", None, Some("-18.2")),
            ("0.123", Some(Decimal::Comma), None),
            ("21.5", None, None),
            ("1.2.3", None, None),
            ("1 23", None, None),
            ("warm", None, None),
        ] {
            assert_eq!(read(text, decimal).as_deref(), plain, "{text} {decimal:?}");
        }
    }

    #[test]
    fn a_number_with_three_digits_behind_its_only_mark_is_open() {
        for (text, said) in [
            ("21,5", Some(Decimal::Comma)),
            ("0.123", Some(Decimal::Point)),
            ("1.234,5", Some(Decimal::Comma)),
            ("52.300", None),
            ("7", None),
        ] {
            assert_eq!(evidence(text), said, "{text}");
        }
        assert!(is_open("52.300") && is_open("1,234") && !is_open("1234.567") && !is_open("0.123"));
    }
}
