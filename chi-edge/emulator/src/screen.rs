//! What the newcomer sees while the world runs: bars on a terminal, plain lines everywhere else.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The screen: one bar for the replay, one for training, and lines that stay.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: MultiProgress,
    terminal: bool,
}

impl Screen {
    /// Draws on standard error, so that standard output carries the table alone.
    #[must_use]
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        let terminal = !bars.is_hidden();
        Self { bars, terminal }
    }

    /// A line that stays.
    pub fn say(&self, line: impl AsRef<str>) {
        if self.terminal {
            // A line that cannot be drawn is no reason to stop the world.
            let _ = self.bars.println(line.as_ref());
        } else {
            eprintln!("{}", line.as_ref());
        }
    }

    /// A bar over `total` pieces of work called `what`.
    #[must_use]
    pub fn bar(&self, what: &str, total: u64) -> Bar {
        let style = ProgressStyle::with_template("  {prefix:<9} {bar:32} {percent:>3} %  {msg}")
            .expect("the template is a constant")
            .progress_chars("━╸─");
        let bar = self.bars.add(ProgressBar::new(total).with_style(style).with_prefix(what.to_owned()));
        Bar { bar, what: what.to_owned(), screen: self.clone(), told: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// A running bar; without a terminal it says a line at each quarter.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    what: String,
    screen: Screen,
    told: std::sync::atomic::AtomicU64,
}

impl Bar {
    /// More of the work is done.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
        self.tell();
    }

    /// So much of the work is done in all.
    pub fn reach(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.tell();
    }

    /// What is being done right now.
    pub fn message(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Takes the bar away and leaves a line in its place.
    pub fn finish(self, line: impl AsRef<str>) {
        self.bar.finish_and_clear();
        self.screen.say(line);
    }

    /// Takes the bar away.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }

    fn tell(&self) {
        if self.screen.terminal {
            return;
        }
        let quarter = self.bar.position() * 4 / self.bar.length().unwrap_or(1).max(1);
        let before = self.told.fetch_max(quarter, std::sync::atomic::Ordering::Relaxed);
        if quarter > before && quarter < 4 {
            self.screen.say(format!("  {} {} % {}", self.what, quarter * 25, self.bar.message()));
        }
    }
}

/// A duration as a newcomer reads it.
#[must_use]
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) }
}
