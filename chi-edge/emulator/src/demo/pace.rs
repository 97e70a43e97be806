//! `--speed`: holding virtual time back to a multiple of real time.

use std::time::{Duration, Instant};

/// Virtual seconds in a real one; `None` runs as fast as the machine can.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    speed: Option<f64>,
    real: Instant,
    virtual_start: i64,
}

impl Pace {
    /// Starts both clocks at virtual `start`. A speed of 0 (or below, or not a number) is no limit.
    #[must_use]
    pub fn new(speed: f64, start: i64) -> Self {
        let speed = (speed.is_finite() && speed > 0.0).then_some(speed);
        Self { speed, real: Instant::now(), virtual_start: start }
    }

    /// How long to wait before virtual time may pass `at`, when `elapsed` has passed since the start.
    #[must_use]
    fn wait(&self, at: i64, elapsed: Duration) -> Duration {
        let Some(speed) = self.speed else { return Duration::ZERO };
        let due = Duration::from_secs_f64(((at - self.virtual_start).max(0) as f64) / speed);
        due.saturating_sub(elapsed)
    }

    /// Waits until virtual time may pass `at`.
    pub async fn reach(&self, at: i64) {
        let wait = self.wait(at, self.real.elapsed());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_hour_at_speed_3600_takes_a_second() {
        let pace = Pace::new(3600.0, 1000);
        assert_eq!(pace.wait(1000 + 3600, Duration::ZERO), Duration::from_secs(1));
        assert_eq!(pace.wait(1000 + 3600, Duration::from_millis(400)), Duration::from_millis(600));
        assert_eq!(pace.wait(1000 + 3600, Duration::from_secs(5)), Duration::ZERO);
    }

    #[test]
    fn no_speed_never_waits() {
        assert_eq!(Pace::new(0.0, 0).wait(i64::MAX / 2, Duration::ZERO), Duration::ZERO);
        assert_eq!(Pace::new(f64::NAN, 0).wait(i64::MAX / 2, Duration::ZERO), Duration::ZERO);
    }
}
