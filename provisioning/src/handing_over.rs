//! What mosquitto reads, given to the user that it becomes when root starts it.
//!
//! That user gets the broker's own folders and may pass through the two above what else it reads, without looking into them: the
//! authority's key and all that is the aggregator's stay root's.

use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown};
use std::path::{Path, PathBuf};

use crate::files::FileError;
use crate::layout::Layout;

/// Where the system lists its users.
pub const USERS: &str = "/etc/passwd";
/// Its owner's, and its group may pass through.
const PASSED_THROUGH: u32 = 0o710;

/// A user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
}

impl Owner {
    /// The user called `name` in a text like that of `/etc/passwd`.
    #[must_use]
    pub fn find(users: &str, name: &str) -> Option<Self> {
        let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        // password:uid:gid:…
        let mut fields = line.split(':').skip(1);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }
}

/// What becomes the broker's own: its certificate and key, its configuration, its rules, its memory.
fn given(layout: &Layout) -> Vec<PathBuf> {
    let folder = |name: &str| layout.root().join(name);
    vec![
        folder("broker"),
        layout.broker_cert(),
        layout.broker_key(),
        folder("mosquitto"),
        layout.mosquitto_conf(),
        layout.mosquitto_acl(),
        layout.mosquitto_data(),
    ]
}

/// What it may pass through, on the way to the above and to the authority's certificate and list, which anybody may read.
fn passed_through(layout: &Layout) -> [PathBuf; 2] {
    [layout.root().to_owned(), layout.root().join("ca")]
}

/// Gives `owner` what a broker must read. Only root may give anything to somebody else.
///
/// # Errors
/// [`FileError::Io`] for the first that cannot be given.
pub fn hand_over(layout: &Layout, owner: Owner) -> Result<(), FileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause: io::Error| FileError::Io { what: "give to the broker's user", path, cause }
    };
    for path in given(layout) {
        // Not through a link: these folders may be the broker's already.
        lchown(&path, Some(owner.uid), Some(owner.gid)).map_err(failed(&path))?;
    }
    for path in passed_through(layout) {
        chown(&path, None, Some(owner.gid)).map_err(failed(&path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(PASSED_THROUGH)).map_err(failed(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use jiff::Timestamp;

    use super::*;
    use crate::{files, init, inspect};

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nmosquitto-2:x:7:7::/:\nmosquitto:x:104:107::/:/usr/sbin/nologin\nodd:x:-1:3\n";
        assert_eq!(Owner::find(users, "mosquitto"), Some(Owner { uid: 104, gid: 107 }));
        assert_eq!(Owner::find(users, "mosq"), None);
        assert_eq!(Owner::find(users, "odd"), None);
    }

    #[test]
    fn the_brokers_files_are_given_and_the_keys_of_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("keys"));
        init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
        let foreign = [layout.ca_key(), layout.http_key(), layout.gate_key(), layout.targets_key(), layout.tuf()];
        assert!(given(&layout).iter().all(|path| path.exists() && !foreign.contains(path)));

        // To ourselves, which anybody may.
        let own = std::fs::metadata(layout.root()).unwrap();
        hand_over(&layout, Owner { uid: own.uid(), gid: own.gid() }).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(passed_through(&layout).map(|path| mode(&path)), [0o710, 0o710]);
        assert_eq!((mode(&layout.broker_key()), mode(&layout.ca_key())), (0o600, 0o600));
        assert_eq!(mode(&layout.root().join("cloud")), 0o700);
        assert!(files::check_private(&layout.root().join("ca")).is_ok(), "passing through is not looking");
        let found = inspect::look(&layout, Timestamp::now()).findings;
        assert!(!found.iter().any(|finding| finding.text.contains("open to others")), "{found:?}");
    }
}
