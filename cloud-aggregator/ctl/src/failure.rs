//! How a command ends when it does not succeed: an exit code that a script can go by, and sentences for a person.

use std::io;
use std::path::PathBuf;

use crate::contexts::ContextError;
use crate::problem::Problem;

/// The exit codes, for `--help` and the manual.
pub const EXIT_CODES: &str = "Exit codes:
  0    done
  1    refused by the aggregator, or a fault on its side
  2    the command line says something that cannot be, or a confirmation is missing; nothing was sent
  3    there is no such thing
  4    not logged in, or the role does not allow it
  5    not in the present state, or somebody else changed it meanwhile
  6    unreachable, or a part that this needs is off
  7    what was waited for failed, or what was verified is not sound
  8    the time limit passed before it happened
  130  ended by Ctrl-C";

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command line, or what it names on this machine, cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A context, a token's file, or who is asked.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The aggregator's own answer.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that is no answer of an aggregator.
    #[error("{0}")]
    Strange(String),
    /// What was waited for ended otherwise.
    #[error("{0}")]
    Failed(String),
    /// It did not happen in time.
    #[error("{0}")]
    Late(String),
    /// A file of this machine.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// What most of this crate returns.
pub type Done<T = ()> = Result<T, Failure>;

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Context(_) | Self::File { .. } => 2,
            Self::Refused(problem) => match problem.status {
                401 | 403 => 4,
                404 | 410 => 3,
                409 | 412 | 428 => 5,
                429 | 502 | 503 | 504 => 6,
                _ => 1,
            },
            Self::Unreachable(_) => 6,
            Self::Strange(_) => 1,
            Self::Failed(_) => 7,
            Self::Late(_) => 8,
            // As a shell shows a program that a closed pipe ended: `| head -1` is no fault.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 141,
            Self::Output(_) => 1,
        }
    }

    /// Whether the reader of the output went away, which needs no word.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_tell_refusals_apart_by_the_exit_code() {
        let code = |status| Failure::from(Problem { status, ..Problem::default() }).code();
        let codes = [400, 401, 403, 404, 409, 412, 422, 429, 500, 503].map(code);
        assert_eq!(codes, [1, 4, 4, 3, 5, 5, 1, 6, 1, 6]);
        assert_eq!(Failure::Usage(String::new()).code(), 2);
        assert_eq!(Failure::Unreachable(String::new()).code(), 6);
        assert_eq!((Failure::Failed(String::new()).code(), Failure::Late(String::new()).code()), (7, 8));
        for code in [0, 1, 2, 3, 4, 5, 6, 7, 8] {
            assert!(EXIT_CODES.contains(&format!("\n  {code}    ")), "{code} is not explained");
        }
    }
}
