//! What keeps the process small, slow to take the machine from others, and silent about what it has read.
//!
//! Elsewhere than on Linux its functions do what the system offers, in part nothing.

use std::time::Duration;

use hearthwatch_edge_core::round_job::JobLimits;

use crate::error::RoundError;

/// The lowest priority there is. Linux derives that of the disk from it: the lowest of those that share a disk.
#[cfg(unix)]
const NICE: i32 = 19;

/// What the system itself refuses to give, as a multiple of the owner's limit: between two looks at the memory a mistake of this
/// program must not take the machine's. Twice, for it counts what is reserved but never touched.
#[cfg(unix)]
const DATA_FACTOR: u64 = 2;

/// Beside that, for stacks and the C library's own reserve.
#[cfg(unix)]
const DATA_EXTRA_BYTES: u64 = 64 * 1024 * 1024;

/// No core file, no debugger and no words in a panic but its place: what is in memory is a home's history. Call it first.
pub fn keep_silent() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _refused = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        eprintln!("hearthwatch-train-round: ended by a fault of this program at {place}");
    }));
}

/// Takes the lowest priority, and has the system refuse memory far beyond the limit. A system that refuses either is left as it is.
/// Threads that are started later have the same.
pub fn restrain(limits: &JobLimits) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
        let _refused = setpriority_process(None, NICE);
        let data = (u64::from(limits.memory_mib) << 20).saturating_mul(DATA_FACTOR).saturating_add(DATA_EXTRA_BYTES);
        let _refused = setrlimit(Resource::Data, Rlimit { current: Some(data), maximum: Some(data) });
    }
    #[cfg(not(unix))]
    let _ = limits;
}

/// Whether a job that ran so long, and whose process took so much memory at its highest, is beyond its limits.
///
/// # Errors
/// [`RoundError::TooSlow`], [`RoundError::OutOfMemory`].
pub(crate) fn within(limits: &JobLimits, elapsed: Duration, peak_kib: Option<u64>) -> Result<(), RoundError> {
    if elapsed >= Duration::from_secs(u64::from(limits.seconds)) {
        return Err(RoundError::TooSlow { seconds: limits.seconds });
    }
    if peak_kib.is_some_and(|peak| peak > u64::from(limits.memory_mib) * 1024) {
        return Err(RoundError::OutOfMemory { mebibytes: limits.memory_mib });
    }
    Ok(())
}

/// The process that started this one; another one, once that has ended. None where the system has no such number.
#[must_use]
pub(crate) fn parent() -> Option<u32> {
    #[cfg(unix)]
    let parent = Some(std::os::unix::process::parent_id());
    #[cfg(not(unix))]
    let parent = None;
    parent
}

/// Highest resident memory of this process so far, in KiB; none where the system does not report it.
#[must_use]
pub(crate) fn peak_kib() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: JobLimits = JobLimits { seconds: 60, memory_mib: 2, entities: 24 };

    #[test]
    fn a_job_beyond_its_time_or_its_memory_is_named_and_one_within_goes_on() {
        let after = |seconds, peak| within(&LIMITS, Duration::from_secs(seconds), peak);
        assert_eq!(after(59, Some(2048)), Ok(()));
        assert_eq!(after(60, Some(1)), Err(RoundError::TooSlow { seconds: 60 }));
        assert_eq!(after(1, Some(2049)), Err(RoundError::OutOfMemory { mebibytes: 2 }));
        assert_eq!(after(1, None), Ok(()), "a system that does not report it");
    }

    #[test]
    fn the_highest_memory_is_read_from_what_the_system_reports() {
        assert_eq!(peak_in("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t   812 kB\n"), Some(812));
        assert_eq!(peak_in("VmHWM:\t many\n"), None);
        #[cfg(target_os = "linux")]
        assert!(peak_kib().is_some_and(|peak| peak > 100));
    }
}
