//! Words of SQL dumps: names, texts and numbers, read from a stream whatever program wrote them.

use std::io::{self, BufRead};

/// Longest text that is held; Home Assistant's attributes end at 16 KiB.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// How a dump writes what dialects write otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite and PostgreSQL: a backslash is a letter.
    Standard,
    /// MySQL and MariaDB: a backslash begins an escape.
    MySql,
}

/// A token of SQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// A keyword or a name without quotation marks.
    Name(String),
    /// A name within `"` or `` ` ``.
    Quoted(String),
    /// Without its quotation marks.
    Text(String),
    /// Digits with sign, point and exponent.
    Number(String),
    /// Any other byte.
    Mark(u8),
}

/// A dump, a word at a time.
pub struct Words<R> {
    input: R,
    dialect: Dialect,
    ahead: Option<u8>,
    peeked: Option<Word>,
    /// The line that was reached, the first being 1.
    pub line: u64,
}

impl<R: BufRead> Words<R> {
    /// `input` must be at the begin of a statement.
    pub fn new(input: R, dialect: Dialect) -> Self {
        Self { input, dialect, ahead: None, peeked: None, line: 1 }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.ahead.take() {
            return Ok(Some(byte));
        }
        let Some(&byte) = self.input.fill_buf()?.first() else { return Ok(None) };
        self.input.consume(1);
        self.line += u64::from(byte == b'\n');
        Ok(Some(byte))
    }

    fn look(&mut self) -> io::Result<Option<u8>> {
        if self.ahead.is_none() {
            self.ahead = self.byte()?;
        }
        Ok(self.ahead)
    }

    /// The next word, without taking it.
    pub fn peek(&mut self) -> io::Result<Option<&Word>> {
        if self.peeked.is_none() {
            self.peeked = self.word()?;
        }
        Ok(self.peeked.as_ref())
    }

    /// The next word; none at the end.
    pub fn word(&mut self) -> io::Result<Option<Word>> {
        if let Some(word) = self.peeked.take() {
            return Ok(Some(word));
        }
        loop {
            let Some(byte) = self.byte()? else { return Ok(None) };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => {}
                b'-' if self.look()? == Some(b'-') => self.skip_line()?,
                b'#' => self.skip_line()?,
                b'/' if self.look()? == Some(b'*') => self.skip_comment()?,
                b'\'' => return self.text().map(|text| Some(Word::Text(text))),
                b'"' | b'`' => return self.quoted(byte).map(|name| Some(Word::Quoted(name))),
                b'.' if self.look()?.is_none_or(|next| !next.is_ascii_digit()) => return Ok(Some(Word::Mark(b'.'))),
                b'0'..=b'9' | b'.' | b'-' | b'+' => {
                    return self.run(byte, number_part).map(|text| Some(Word::Number(text)));
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    let name = self.run(byte, |byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))?;
                    // `X'0A'`, `E'\n'`, `_binary '…'`: a text whose kind is shown by what stands before it.
                    let prefix =
                        ["X", "E", "N", "B"].iter().any(|one| name.eq_ignore_ascii_case(one)) || name.starts_with('_');
                    while name.starts_with('_') && self.look()? == Some(b' ') {
                        self.byte()?;
                    }
                    if prefix && self.look()? == Some(b'\'') {
                        self.byte()?;
                        let text = if name.eq_ignore_ascii_case("E") { self.escaped_text(true)? } else { self.text()? };
                        // Bytes are of no column that is read.
                        return Ok(Some(Word::Text(if name.eq_ignore_ascii_case("E") { text } else { String::new() })));
                    }
                    return Ok(Some(Word::Name(name)));
                }
                other => return Ok(Some(Word::Mark(other))),
            }
        }
    }

    fn run(&mut self, first: u8, part: impl Fn(u8) -> bool) -> io::Result<String> {
        let mut text = String::from(char::from(first));
        while let Some(byte) = self.look()?.filter(|byte| part(*byte)) {
            self.byte()?;
            if text.len() < TEXT_BYTES_MAX {
                text.push(char::from(byte));
            }
        }
        Ok(text)
    }

    fn text(&mut self) -> io::Result<String> {
        self.escaped_text(self.dialect == Dialect::MySql)
    }

    /// The rest of a text whose first quotation mark was taken.
    fn escaped_text(&mut self, escapes: bool) -> io::Result<String> {
        let mut bytes = Vec::new();
        loop {
            let Some(byte) = self.byte()? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            let byte = match byte {
                b'\'' if self.look()? == Some(b'\'') => {
                    self.byte()?;
                    b'\''
                }
                b'\'' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' if escapes => match self.byte()? {
                    Some(letter) => unescaped(letter),
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                },
                other => other,
            };
            if bytes.len() < TEXT_BYTES_MAX {
                bytes.push(byte);
            }
        }
    }

    fn quoted(&mut self, mark: u8) -> io::Result<String> {
        let mut bytes = Vec::new();
        loop {
            match self.byte()? {
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(byte) if byte == mark => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Some(byte) if bytes.len() < TEXT_BYTES_MAX => bytes.push(byte),
                Some(_) => {}
            }
        }
    }

    /// Passes over the rest of the line.
    pub fn skip_line(&mut self) -> io::Result<()> {
        self.peeked = None;
        while let Some(byte) = self.byte()? {
            if byte == b'\n' {
                break;
            }
        }
        Ok(())
    }

    fn skip_comment(&mut self) -> io::Result<()> {
        let mut before = 0;
        while let Some(byte) = self.byte()? {
            if before == b'*' && byte == b'/' {
                break;
            }
            before = byte;
        }
        Ok(())
    }

    /// The next line as it stands, without its end: a row of `COPY`.
    pub fn raw_line(&mut self) -> io::Result<Option<String>> {
        let mut bytes: Vec<u8> = self.ahead.take().into_iter().collect();
        if bytes.first() != Some(&b'\n') {
            let more = self.input.read_until(b'\n', &mut bytes)?;
            self.line += u64::from(more > 0);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned()))
    }
}

fn number_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-' || byte == b'+'
}

/// What a letter behind a backslash stands for.
pub fn unescaped(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'0' => 0,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, dialect: Dialect) -> Vec<Word> {
        let mut words = Words::new(text.as_bytes(), dialect);
        let mut list = Vec::new();
        while let Some(word) = words.word().unwrap() {
            list.push(word);
        }
        list
    }

    #[test]
    fn texts_keep_what_their_dialect_means() {
        let text = |text: &str| Word::Text(text.to_owned());
        assert_eq!(words(r"'it''s' 'a\nb'", Dialect::Standard), [text("it's"), text(r"a\nb")]);
        assert_eq!(words(r"'it\'s' 'a\nb'", Dialect::MySql), [text("it's"), text("a\nb")]);
        assert_eq!(words(r"E'a\tb' X'00FF' _binary 'x'", Dialect::Standard), [text("a\tb"), text(""), text("")]);
    }

    #[test]
    fn comments_are_none_of_the_words() {
        let name = |name: &str| Word::Name(name.to_owned());
        assert_eq!(
            words("-- a\n/* b ' */ INSERT `x` -1.5e3; # c\n", Dialect::MySql),
            [name("INSERT"), Word::Quoted("x".into()), Word::Number("-1.5e3".into()), Word::Mark(b';')]
        );
    }
}
