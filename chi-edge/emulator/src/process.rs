//! One program that can be killed and started again the same way.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// Lines of a log that are shown when something is lost.
const TAIL_LINES: usize = 15;
/// A program that stops has five seconds for that; the rest is for a machine that has other work.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A program with its arguments and, while it runs, its process.
pub struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    /// What is logged, as `RUST_LOG` has it.
    level: &'static str,
    environment: Vec<(OsString, OsString)>,
    child: Option<Child>,
}

impl Process {
    /// A program that does not run yet; what it says goes to `log`.
    pub fn new<S: Into<OsString>>(program: PathBuf, arguments: impl IntoIterator<Item = S>, log: PathBuf) -> Self {
        Self {
            program,
            arguments: arguments.into_iter().map(Into::into).collect(),
            log,
            level: "warn",
            environment: Vec::new(),
            child: None,
        }
    }

    /// Has it log what is at this level; warnings only, otherwise.
    #[must_use]
    pub fn with_level(mut self, level: &'static str) -> Self {
        self.level = level;
        self
    }

    /// Sets a variable of its environment, from its next start on.
    pub fn set_variable(&mut self, name: &str, value: impl Into<OsString>) {
        self.unset_variable(name);
        self.environment.push((name.into(), value.into()));
    }

    /// Leaves a variable as this process has it, from its next start on.
    pub fn unset_variable(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the program or its log cannot be opened.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_with(&[])
    }

    /// Starts it with more arguments, this once.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_with(&mut self, more: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(more);
        self.spawn(command)
    }

    /// Starts it where no file may grow beyond `blocks` of 512 bytes: its writes fail as on a full disk.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_with_full_disk(&mut self, blocks: u32) -> anyhow::Result<()> {
        let mut command = Command::new("sh");
        // An ignored signal stays ignored over exec: writes then fail with EFBIG instead of ending the program.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(&self.program).args(&self.arguments);
        self.spawn(command)
    }

    /// From now on no file of the running program may grow beyond `bytes`. Only for one that was started by [`Self::start_with_full_disk`]:
    /// another would be ended by its first write.
    ///
    /// # Errors
    /// It does not run, or `prlimit` of util-linux cannot.
    pub fn limit_files(&self, bytes: u64) -> anyhow::Result<()> {
        let id = self.id().context("it does not run")?;
        let limited = Command::new("prlimit").args([format!("--pid={id}"), format!("--fsize={bytes}")]).status();
        ensure!(
            limited.context("prlimit, of the package util-linux")?.success(),
            "prlimit could not limit process {id}"
        );
        Ok(())
    }

    fn spawn(&mut self, mut command: Command) -> anyhow::Result<()> {
        self.kill();
        let log = OpenOptions::new().create(true).append(true).open(&self.log).context("a log")?;
        let child = command
            .env("HEARTHWATCH_LOG", self.level)
            .env("RUST_LOG", self.level)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // Open as long as the process is held: orders may come by it.
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        self.child = Some(child);
        Ok(())
    }

    /// Has a part of it end, like `panic intake`: for programs that take orders on standard input.
    ///
    /// # Errors
    /// When it does not run, or cannot be told.
    pub fn order(&mut self, fault: &str) -> anyhow::Result<()> {
        let child = self.child.as_mut().context("it does not run")?;
        writeln!(child.stdin.as_mut().context("its standard input")?, "{fault}")?;
        Ok(())
    }

    /// Waits until it has ended by itself, and gives its exit code.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    pub fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let mut child = self.child.take().context("it does not run")?;
        let code = ended(&mut child);
        if code.is_err() {
            self.child = Some(child);
        }
        code
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// Asks it to read its files again, as mosquitto does.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let asked = Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status().context("kill")?;
        if asked.success() { Ok(()) } else { anyhow::bail!("kill -s HUP {} failed", child.id()) }
    }

    /// Asks it to end, and waits until it has; a program that does not end within a minute is killed.
    pub fn end(&mut self) {
        self.ask_to_end();
        self.wait_until_ended();
    }

    /// Asks it to end, and does not wait.
    pub fn ask_to_end(&self) {
        if let Some(child) = &self.child {
            // Whoever cannot be asked is killed by `wait_until_ended`.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
        }
    }

    /// Waits until a program that was [asked](Self::ask_to_end) has ended; one that does not within a minute is killed.
    pub fn wait_until_ended(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = ended(child);
        }
        self.kill();
    }

    /// Its process; none while it does not run.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already dead is dead enough.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Resident memory in KiB; 0 when it does not run.
    pub fn memory_kib(&self) -> u64 {
        let Some(child) = &self.child else { return 0 };
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    /// Its log, of all its lives.
    pub fn log(&self) -> String {
        File::open(&self.log).and_then(std::io::read_to_string).unwrap_or_default()
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until a process has ended by itself, and gives its exit code.
///
/// # Errors
/// When it does not end.
pub fn ended(child: &mut Child) -> anyhow::Result<Option<i32>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        ensure!(begun.elapsed() < ENDS_WITHIN, "the process has not ended after {} s", ENDS_WITHIN.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}
