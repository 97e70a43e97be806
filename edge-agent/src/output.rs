//! Lines for whoever called a command, who may stop reading at any time (`… | head -1`).

use std::fmt::Arguments;
use std::io::{self, Write};

/// What a shell says of a program that ended because nobody read on: 128 and the number of SIGPIPE. This program ignores the signal, as
/// every Rust program does, and sees the error instead.
pub const EXIT_NOBODY_READS: i32 = 141;

/// A line on stdout, as `println!` writes it.
macro_rules! stdout_line {
    ($($words:tt)*) => { $crate::output::line(&mut std::io::stdout().lock(), format_args!($($words)*)) };
}

/// A line on stderr, as `eprintln!` writes it.
macro_rules! stderr_line {
    ($($words:tt)*) => { $crate::output::line(&mut std::io::stderr().lock(), format_args!($($words)*)) };
}

pub(crate) use {stderr_line, stdout_line};

/// Writes a line. Where nobody reads any more the program ends, quietly: all that it says from then on is for nobody. Every other failure,
/// such as a full disk behind the file that it writes to, is passed over: the exit code says how the command itself ended.
pub fn line(to: &mut impl Write, words: Arguments<'_>) {
    if is_over(&write_line(to, words)) {
        std::process::exit(EXIT_NOBODY_READS);
    }
}

/// In one piece, so that lines of several threads do not mix.
fn write_line(to: &mut impl Write, words: Arguments<'_>) -> io::Result<()> {
    to.write_all(format!("{words}\n").as_bytes())?;
    to.flush()
}

fn is_over(written: &io::Result<()>) -> bool {
    written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_who_has_gone_ends_the_program() {
        assert!(is_over(&write_line(&mut Broken(io::ErrorKind::BrokenPipe), format_args!("word"))));
        assert!(!is_over(&write_line(&mut Broken(io::ErrorKind::StorageFull), format_args!("word"))));
        let mut lines = Vec::new();
        assert!(!is_over(&write_line(&mut lines, format_args!("{} {}", "two", "words"))));
        assert_eq!(lines, b"two words\n");
    }
}
