//! Why a part has ended.

use std::any::Any;
use std::error::Error;

/// Longest text of a cause, in bytes: one line of a log.
const TEXT_BYTES_MAX: usize = 500;

/// The output of a part's future or thread.
pub trait Ending {
    /// What went wrong, in one line; none where nothing did.
    fn fault(self) -> Option<String>;
}

impl Ending for () {
    fn fault(self) -> Option<String> {
        None
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Ending for Result<(), E> {
    fn fault(self) -> Option<String> {
        self.err().map(|error| chain(error.into().as_ref()))
    }
}

/// Why a part ended before the program was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// It returned without an error.
    #[error("ended although nobody had stopped it")]
    Ended,
    /// It returned this error, with its sources in one line.
    #[error("failed: {0}")]
    Failed(String),
    /// It panicked, with this message.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// The first part that has stopped the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the part {part} {cause}")]
pub struct PartFailed {
    /// Name of the part, as in [`Report`](crate::Report).
    pub part: &'static str,
    /// Why it ended.
    pub cause: Cause,
}

/// The message of a panic, in one line.
#[must_use]
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    one_line(text.unwrap_or("without a message"))
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    one_line(&text)
}

fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        line.truncate(end);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the socket is gone")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_is_told_with_its_causes_in_one_line() {
        let error = Outer(std::io::Error::other("no such\nfile"));
        assert_eq!(Err::<(), _>(error).fault().as_deref(), Some("the socket is gone: no such file"));
        assert_eq!(Ok::<(), Outer>(()).fault(), None);
        assert_eq!(().fault(), None);
    }

    #[test]
    fn a_long_cause_is_cut_between_two_characters() {
        let text = "é".repeat(TEXT_BYTES_MAX);
        assert_eq!(panic_text(&text).len(), TEXT_BYTES_MAX);
        assert_eq!(panic_text(&7_u8), "without a message");
    }
}
