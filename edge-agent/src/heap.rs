//! How the C library keeps this program's heap: so that what is given back goes back to the system.
//!
//! Left alone, glibc raises its thresholds with the largest piece that was ever freed (a picture is 2 MB, a slice of history up to
//! 4 MiB), and from then on keeps that much and more of each thread's heap for itself. Its settings can be had without foreign calls
//! only by environment, which it reads before `main`: so the program sets them and starts itself once more, in the same process.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Variable and value. A piece of 64 KiB and more is a mapping of its own and unmapped when freed; of the end of a heap 64 KiB are kept.
const SETTINGS: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")];

/// Has the heap kept small: from here on for a program on glibc that was not started with settings of its own. Call it first, while
/// nothing is open. Where it cannot be done the program goes on as it is.
pub fn keep_small() {
    let missing = missing(|name| std::env::var_os(name).is_some());
    if !cfg!(target_env = "gnu") || missing.is_empty() {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    // Comes back only with an error: memory is then kept as the C library likes.
    let _ = Command::new(program).arg0(AsRef::<OsStr>::as_ref(&name)).args(arguments).envs(missing).exec();
}

/// The settings to be made; none once any of them is there, so that nobody's own are overruled and nothing starts twice.
fn missing(is_set: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    if SETTINGS.iter().any(|(name, _)| is_set(name)) { Vec::new() } else { SETTINGS.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_made_once_and_never_over_somebodys_own() {
        assert_eq!(missing(|_| false), SETTINGS);
        assert_eq!(missing(|name| name == "MALLOC_TRIM_THRESHOLD_"), []);
        assert_eq!(missing(|_| true), []);
    }
}
