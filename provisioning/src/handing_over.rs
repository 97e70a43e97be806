//! The folder that mosquitto reads, given to the user that it becomes when root starts it.
//!
//! That user gets the one folder with the broker's copies and may pass through the installation's, without looking into it: all keys but
//! the broker's stay root's. Where it could not even pass through what lies above (root's own home, for example), the folder is made
//! elsewhere and the installation holds a link to it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::files::FileError;
use crate::layout::Layout;

/// Where the system lists its users.
pub const USERS: &str = "/etc/passwd";
/// Where the folder is made when the broker's user cannot reach the installation's.
pub const ELSEWHERE: &str = "/var/lib/hearthwatch/mosquitto";
/// The installation's folder: its owner's, and the broker's group may pass through.
const PASSED_THROUGH: u32 = 0o710;
/// What lies above the folder elsewhere: everybody may pass through and look.
const OPEN: u32 = 0o755;
/// The folder itself.
const PRIVATE: u32 = 0o700;

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

    /// Whether this user may pass through a directory of that owner and mode. Further groups of the user are not looked at.
    #[must_use]
    fn may_pass(self, directory: Self, mode: u32) -> bool {
        let bit = match directory {
            Self { uid, .. } if uid == self.uid => 0o100,
            Self { gid, .. } if gid == self.gid => 0o010,
            _ => 0o001,
        };
        self.uid == 0 || mode & bit != 0
    }
}

/// The first directory above `path` that `owner` cannot pass through.
///
/// # Errors
/// [`FileError::Io`] when one cannot be looked at.
pub fn barred(path: &Path, owner: Owner) -> Result<Option<PathBuf>, FileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause: io::Error| FileError::Io { what: "look at", path, cause }
    };
    let whole = std::fs::canonicalize(path).map_err(failed(path))?;
    for above in whole.ancestors().skip(1) {
        let found = std::fs::metadata(above).map_err(failed(above))?;
        if !owner.may_pass(Owner { uid: found.uid(), gid: found.gid() }, found.mode()) {
            return Ok(Some(above.to_owned()));
        }
    }
    Ok(None)
}

/// Makes the broker's folder at `elsewhere` and the installation's link to it. Both must not be there yet.
///
/// # Errors
/// [`FileError::Io`]; one that is there already belongs to somebody else.
pub fn make_elsewhere(layout: &Layout, elsewhere: &Path) -> Result<(), FileError> {
    let failed = |what| move |cause: io::Error| FileError::Io { what, path: elsewhere.to_owned(), cause };
    // From the top, each by itself: the umask must not close what the broker has to pass through, and what is there stays as it is.
    let mut above: Vec<&Path> = elsewhere.ancestors().skip(1).filter(|above| !above.exists()).collect();
    above.reverse();
    for above in above.into_iter().filter(|above| !above.as_os_str().is_empty()) {
        std::fs::create_dir(above).map_err(failed("make the directory above"))?;
        let open = std::fs::Permissions::from_mode(OPEN);
        std::fs::set_permissions(above, open).map_err(failed("open the directory above"))?;
    }
    DirBuilder::new().mode(PRIVATE).create(elsewhere).map_err(failed("make the broker's directory"))?;
    symlink(elsewhere, layout.mosquitto()).map_err(failed("make the link to"))
}

/// What becomes the broker's own, in its folder.
fn given(layout: &Layout) -> [PathBuf; 7] {
    [
        layout.mosquitto_ca(),
        layout.mosquitto_cert(),
        layout.mosquitto_key(),
        layout.mosquitto_crl(),
        layout.mosquitto_conf(),
        layout.mosquitto_acl(),
        layout.mosquitto_data(),
    ]
}

/// Gives `owner` the broker's folder. Only root may give anything to somebody else.
///
/// # Errors
/// [`FileError::Io`] for the first that cannot be given.
pub fn hand_over(layout: &Layout, owner: Owner) -> Result<(), FileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause: io::Error| FileError::Io { what: "give to the broker's user", path, cause }
    };
    for path in given(layout) {
        // Not through a link: the folder may be the broker's already.
        lchown(&path, Some(owner.uid), Some(owner.gid)).map_err(failed(&path))?;
    }
    // The folder may be a link, which is ours; it is what it leads to that is given.
    let folder = layout.mosquitto();
    chown(&folder, Some(owner.uid), Some(owner.gid)).map_err(failed(&folder))?;
    if !folder.is_symlink() {
        let root = layout.root();
        chown(root, None, Some(owner.gid)).map_err(failed(root))?;
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(PASSED_THROUGH)).map_err(failed(root))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixtures::{installation, now};
    use crate::{files, init, inspect};

    /// Which anybody may.
    fn hand_over_to_ourselves(layout: &Layout) {
        let own = std::fs::metadata(layout.root()).unwrap();
        hand_over(layout, Owner { uid: own.uid(), gid: own.gid() }).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nmosquitto-2:x:7:7::/:\nmosquitto:x:104:107::/:/usr/sbin/nologin\nodd:x:-1:3\n";
        assert_eq!(Owner::find(users, "mosquitto"), Some(Owner { uid: 104, gid: 107 }));
        assert_eq!(Owner::find(users, "mosq"), None);
        assert_eq!(Owner::find(users, "odd"), None);
    }

    #[test]
    fn who_may_pass_is_decided_by_owner_then_group_then_others() {
        let (root, broker) = (Owner { uid: 0, gid: 0 }, Owner { uid: 104, gid: 107 });
        let (of_root, given) = (root, Owner { uid: 0, gid: 107 });
        assert!(broker.may_pass(of_root, 0o755) && !broker.may_pass(of_root, 0o700) && root.may_pass(broker, 0o000));
        assert!(broker.may_pass(given, 0o710) && !broker.may_pass(given, 0o701), "the group's bits come first");
        assert!(broker.may_pass(broker, 0o700) && !broker.may_pass(broker, 0o077));
    }

    #[test]
    fn a_directory_that_bars_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        // Somebody who owns nothing here.
        let stranger = Owner { uid: 4_000_000_000, gid: 4_000_000_000 };
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(dir.path().join("a"), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(barred(&inner, stranger).unwrap(), Some(std::fs::canonicalize(dir.path().join("a")).unwrap()));
    }

    #[test]
    fn the_brokers_files_are_given_and_the_keys_of_others_are_not() {
        let (_dir, layout) = installation();
        let folder = std::fs::read_dir(layout.mosquitto()).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(folder.collect::<BTreeSet<_>>(), BTreeSet::from_iter(given(&layout)));

        hand_over_to_ourselves(&layout);
        let modes = [layout.mosquitto(), layout.mosquitto_key(), layout.root().join("ca"), layout.root().join("cloud")]
            .map(|path| mode(&path));
        assert_eq!((mode(layout.root()), modes), (0o710, [0o700, 0o600, 0o700, 0o700]));
        assert!(files::check_private(layout.root()).is_ok(), "passing through is not looking");
        let found = inspect::look(&layout, now()).findings;
        assert!(!found.iter().any(|finding| finding.text.contains("open to others")), "{found:?}");
    }

    #[test]
    fn a_folder_elsewhere_is_linked_to_and_leaves_the_installations_folder_closed() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, elsewhere) = (Layout::new(dir.path().join("keys")), dir.path().join("lib/hearthwatch/mosquitto"));
        files::make_dir(layout.root()).unwrap();
        make_elsewhere(&layout, &elsewhere).unwrap();
        init::run(&layout, &init::Options::default(), now()).unwrap();
        hand_over_to_ourselves(&layout);
        assert_eq!((mode(layout.root()), mode(&elsewhere)), (0o700, 0o700));
        let conf = std::fs::read_to_string(elsewhere.join("mosquitto.conf")).unwrap();
        let key = std::fs::canonicalize(&elsewhere).unwrap().join("server.key");
        assert!(conf.contains(&format!("keyfile {}\n", key.display())), "{conf}");
        assert!(make_elsewhere(&Layout::new(dir.path().join("other")), &elsewhere).is_err(), "it is another's");
    }
}
