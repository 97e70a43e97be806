//! Programs whose output nobody reads any more end without a word, as `| head -1` expects.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// What a shell shows for a program that the closed pipe ended: 128 and the signal's number.
pub const CLOSED: u8 = 141;

/// From now on a `println!` into a closed pipe ends the program with [`CLOSED`] instead of a panic's report. Rust ignores the
/// signal that ends other programs there, and the standard library's macros know no other answer than a panic.
pub fn end_quietly() {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(is_closed_pipe) {
            std::process::exit(i32::from(CLOSED));
        }
        otherwise(panic);
    }));
}

/// Whether this is what `println!` or `eprintln!` say of a closed pipe.
fn is_closed_pipe(message: &str) -> bool {
    message.starts_with("failed printing to std") && message.contains("Broken pipe")
}

/// How a program ends: quietly if an error is a closed pipe, else with its words on standard error.
#[must_use]
pub fn exit(name: &str, error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::from(CLOSED);
    }
    // Standard error may be the closed pipe.
    let _ = writeln!(io::stderr(), "{name}: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_told_from_other_panics() {
        assert!(is_closed_pipe("failed printing to stdout: Broken pipe (os error 32)"));
        assert!(is_closed_pipe("failed printing to stderr: Broken pipe (os error 32)"));
        assert!(!is_closed_pipe("failed printing to stdout: No space left on device (os error 28)"));
        assert!(!is_closed_pipe("index out of bounds"));
    }
}
