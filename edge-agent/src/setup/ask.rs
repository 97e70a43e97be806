//! Questions on a terminal, or on anything that has lines.

use std::io::{BufRead, IsTerminal, Write};
use std::process::{Command, Stdio};

use hearthwatch_configuration::Secret;

use super::SetupError;

/// Longest answer; a token has about 180 characters.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Asks on one side and reads on the other.
pub(super) struct Asker<R, W> {
    input: R,
    output: W,
}

impl<R: BufRead, W: Write> Asker<R, W> {
    pub(super) fn new(input: R, output: W) -> Self {
        Self { input, output }
    }

    pub(super) fn say(&mut self, line: &str) -> Result<(), SetupError> {
        writeln!(self.output, "{line}")?;
        Ok(())
    }

    /// Asks; an empty line means `usual`.
    pub(super) fn ask(&mut self, question: &str, usual: &str) -> Result<String, SetupError> {
        if usual.is_empty() {
            write!(self.output, "{question}: ")?;
        } else {
            write!(self.output, "{question} [{usual}]: ")?;
        }
        let answer = self.line()?;
        Ok(if answer.is_empty() { usual.to_owned() } else { answer })
    }

    /// Asks for what must not be seen, until there is an answer.
    pub(super) fn ask_secret(&mut self, question: &str) -> Result<Secret, SetupError> {
        loop {
            write!(self.output, "{question}: ")?;
            self.output.flush()?;
            let hidden = Echo::off();
            let answer = self.line()?;
            if hidden.is_some() {
                writeln!(self.output)?;
            }
            if !answer.is_empty() {
                return Ok(Secret::new(answer));
            }
        }
    }

    fn line(&mut self) -> Result<String, SetupError> {
        self.output.flush()?;
        let mut line = String::new();
        let mut limited = std::io::Read::take(&mut self.input, ANSWER_BYTES_MAX);
        if limited.read_line(&mut line)? == 0 {
            return Err(SetupError::End);
        }
        Ok(line.trim().to_owned())
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Echo;

impl Echo {
    /// None where there is no terminal, or its mode cannot be read.
    fn off() -> Option<Self> {
        (std::io::stdin().is_terminal() && stty("-echo")).then_some(Self)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It was told once already.
        stty("echo");
    }
}

fn stty(mode: &str) -> bool {
    let told = Command::new("stty").arg(mode).stdout(Stdio::null()).stderr(Stdio::null()).status();
    told.is_ok_and(|status| status.success())
}
