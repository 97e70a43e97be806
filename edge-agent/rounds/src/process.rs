//! Runs the program that trains: the job on its standard input, one line of JSON on its standard output, and nothing else.
//!
//! It gets no environment, no socket and no arguments. What it writes on its standard error goes nowhere: a crash could hold a piece of
//! the history. When this is dropped, the process is ended.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{Builder, JoinHandle};

use hearthwatch_edge_core::round_job::{JobReport, RoundJob};

/// Name of the program beside the agent's own.
const PROGRAM: &str = "hearthwatch-train-round";

/// Longest report, in bytes: some figures, or a reason in one line.
pub const REPORT_BYTES_MAX: u64 = 4 * 1024;

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program is not there, or the system has no room for it.
    #[error("{path}: {source}")]
    Start {
        /// File of the program.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The job cannot be written as JSON.
    #[error("the job: {0}")]
    Job(#[from] serde_json::Error),
}

/// How it ended.
#[derive(Debug, PartialEq)]
pub enum Ended {
    /// With a report.
    Report(JobReport),
    /// Without one that can be read: it was killed, or it failed; in one line.
    Silent(String),
}

/// The program that trains: `chosen`, or the one beside the agent's own. None where there is none.
#[must_use]
pub fn find(chosen: Option<&Path>) -> Option<PathBuf> {
    let own = || Some(std::env::current_exe().ok()?.parent()?.join(PROGRAM));
    chosen.map(Path::to_owned).or_else(own).filter(|path| path.is_file())
}

/// A run of the program.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Reads what it writes, so that it never waits for us.
    report: Option<JoinHandle<Vec<u8>>>,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Begins it.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn begin(program: &Path, job: &RoundJob) -> Result<Self, ProcessError> {
        let text = serde_json::to_vec(job)?;
        let failed = |source| ProcessError::Start { path: program.to_owned(), source };
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        // From here on a return ends the child.
        let mut running = Self { child, report: None, ended: None };
        let write = move || {
            // A program that does not read its job ends without a report.
            let _ = input.map(|mut input| input.write_all(&text));
        };
        Builder::new().name("round-job".to_owned()).spawn(write).map_err(failed)?;
        let read = move || output.map(bounded).unwrap_or_default();
        running.report = Some(Builder::new().name("round-report".to_owned()).spawn(read).map_err(failed)?);
        Ok(running)
    }

    /// How it ended; none while it runs. Does not wait.
    pub fn poll(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            match self.child.try_wait() {
                Ok(ended) => self.ended = ended,
                Err(error) => return Some(Ended::Silent(error.to_string())),
            }
        }
        let status = self.ended?;
        // What it began itself may hold its output open for longer.
        let report = self.report.take_if(|report| report.is_finished())?;
        let bytes = report.join().unwrap_or_default();
        Some(read_report(&bytes, status))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // It may have ended by itself meanwhile.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads to the end, and keeps one byte more than a report may have.
fn bounded(mut output: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = output.by_ref().take(REPORT_BYTES_MAX + 1).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut output, &mut std::io::sink());
    bytes
}

fn read_report(bytes: &[u8], status: ExitStatus) -> Ended {
    if bytes.len() as u64 > REPORT_BYTES_MAX {
        return Ended::Silent(format!("its report is longer than {REPORT_BYTES_MAX} bytes"));
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice(line) {
        Ok(report) => Ended::Report(report),
        // Nothing of the line is quoted: whatever it holds stays here.
        Err(_) if line.is_empty() => Ended::Silent(format!("no report, {status}")),
        Err(_) => Ended::Silent(format!("no report that can be read, {status}")),
    }
}

#[cfg(test)]
mod tests;
