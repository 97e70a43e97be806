//! Where a home without a disk keeps what it needs while it runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The home's folder in memory, removed with this value, however a test ends.
pub struct Memory(PathBuf);

impl Memory {
    /// That of the home called `home`; it need not be there yet.
    #[must_use]
    pub fn of(home: &str) -> Self {
        let shared = Path::new("/dev/shm");
        let memory = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        Self(memory.join(format!("hearthwatch-{home}")))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it, as a container's end does.
    ///
    /// # Errors
    /// The system's, also when it is not there.
    pub fn lose(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Gone already, when all went well.
        let _ = fs::remove_dir_all(&self.0);
    }
}
