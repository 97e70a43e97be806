//! Contexts: which aggregator is meant by what name, kept in a file of this user alone.
//!
//! A context holds the place of a token's file and never a token: neither this file nor a command line carries a secret.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Largest file that is read here: a thousand contexts are 200 KB, a token is 100 bytes.
const BYTES_MAX: u64 = 1 << 20;

/// Access by anybody but the owner.
const OTHERS: u32 = 0o077;

/// What is wrong with a file of contexts or of a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// Others can read or change it.
    #[error(
        "{path} can be read by others (mode {mode:o}): if nobody did, `chmod 600 {path}`; otherwise make a new token"
    )]
    Wide {
        /// Which file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// It cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// It is not of the form that `context add` writes.
    #[error("{path} is not a file of contexts: {cause}. Mend it, or remove it and add the contexts again")]
    Form {
        /// Which file.
        path: String,
        /// What its reader says.
        cause: String,
    },
    /// It is larger than any such file.
    #[error("{0} is larger than {BYTES_MAX} bytes: name another file")]
    Large(String),
    /// A token's file without a token.
    #[error("{0} holds no token: it is to hold one line of visible characters")]
    NoToken(String),
    /// No context of this name.
    #[error("there is no context {name:?}: {}", known(names))]
    Unknown {
        /// As it was asked for.
        name: String,
        /// Those there are.
        names: Vec<String>,
    },
    /// A name that cannot be one.
    #[error("{0:?} cannot be a context's name: 1 to 64 characters of a-z, A-Z, 0-9, '.', '_' and '-'")]
    Name(String),
    /// A context of this name is there already.
    #[error("there is a context {0:?} already: `context remove {0}` first, or take another name")]
    Taken(String),
    /// The user has no home directory.
    #[error("neither XDG_CONFIG_HOME nor HOME is set: there is no place for contexts; use --url and --token-file")]
    NoPlace,
}

fn known(names: &[String]) -> String {
    if names.is_empty() {
        "there is none yet; `context add NAME --url URL --token-file FILE` makes one".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    }
}

/// One aggregator and how to be let in there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Where its API is.
    pub url: String,
    /// The file with the token, a whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Who certified it, if that is not an authority of this machine; a whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// All contexts, and which one is in use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The name of the one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// Where the contexts of this user are kept.
///
/// # Errors
/// [`ContextError::NoPlace`].
pub fn place(variable: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, ContextError> {
    let set = |name| variable(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    // The XDG specification: a path that is not absolute is to be ignored.
    let config = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let config = config.or_else(|| set("HOME").map(|home| home.join(".config"))).ok_or(ContextError::NoPlace)?;
    Ok(config.join("hearthwatch/contexts.toml"))
}

impl Contexts {
    /// Reads the file; none of it there means no contexts.
    ///
    /// # Errors
    /// [`ContextError`] where others can read it, it cannot be read, or it has another form.
    pub fn read(path: &Path) -> Result<Self, ContextError> {
        match read_private(path) {
            Err(ContextError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            read => toml::from_str(&read?).map_err(|error| ContextError::Form {
                path: path.display().to_string(),
                cause: error.message().to_owned(),
            }),
        }
    }

    /// Writes the file, 0600, in one step.
    ///
    /// # Errors
    /// [`ContextError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), ContextError> {
        let text = toml::to_string(self)
            .map_err(|error| ContextError::Form { path: path.display().to_string(), cause: error.to_string() })?;
        write_private(path, text.as_bytes())
    }

    /// The context of this name.
    ///
    /// # Errors
    /// [`ContextError::Unknown`].
    pub fn named(&self, name: &str) -> Result<&Context, ContextError> {
        let unknown =
            || ContextError::Unknown { name: name.to_owned(), names: self.contexts.keys().cloned().collect() };
        self.contexts.get(name).ok_or_else(unknown)
    }

    /// Adds one; the first is put in use.
    ///
    /// # Errors
    /// [`ContextError::Name`] or [`ContextError::Taken`].
    pub fn add(&mut self, name: &str, context: Context) -> Result<(), ContextError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(ContextError::Name(name.to_owned()));
        }
        if self.contexts.contains_key(name) {
            return Err(ContextError::Taken(name.to_owned()));
        }
        self.contexts.insert(name.to_owned(), context);
        self.current.get_or_insert_with(|| name.to_owned());
        Ok(())
    }

    /// Removes one; the token's file stays.
    ///
    /// # Errors
    /// [`ContextError::Unknown`].
    pub fn remove(&mut self, name: &str) -> Result<(), ContextError> {
        self.named(name)?;
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        Ok(())
    }

    /// Puts one in use.
    ///
    /// # Errors
    /// [`ContextError::Unknown`].
    pub fn put_in_use(&mut self, name: &str) -> Result<(), ContextError> {
        self.named(name)?;
        self.current = Some(name.to_owned());
        Ok(())
    }
}

/// The token in a file of its owner alone. What is no file, such as the end of a pipe, has nobody else's access.
///
/// # Errors
/// [`ContextError`] where others can read it, it cannot be read, or it holds no token.
pub fn read_token(path: &Path) -> Result<String, ContextError> {
    token_of(&read_private(path)?).ok_or_else(|| ContextError::NoToken(path.display().to_string()))
}

/// The token in a text: one line of visible characters.
#[must_use]
pub fn token_of(text: &str) -> Option<String> {
    let token = text.trim();
    (!token.is_empty() && token.chars().all(|c| c.is_ascii_graphic())).then(|| token.to_owned())
}

/// Writes a file of the owner alone (0600) in one step, in place of one that is there; makes its folder (0700).
///
/// # Errors
/// [`ContextError::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), ContextError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error(folder))?;
    let aside = folder.join(format!(".new.{}", std::process::id()));
    let written = write_new(&aside, bytes).and_then(|()| fs::rename(&aside, path).map_err(io_error(path)));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

/// Writes a new file of the owner alone (0600); one that is there is not replaced.
///
/// # Errors
/// [`ContextError::Io`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), ContextError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io_error(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error(path))
}

fn read_private(path: &Path) -> Result<String, ContextError> {
    let file = File::open(path).map_err(io_error(path))?;
    let metadata = file.metadata().map_err(io_error(path))?;
    if metadata.is_file() && metadata.mode() & OTHERS != 0 {
        return Err(ContextError::Wide { path: path.display().to_string(), mode: metadata.mode() & 0o777 });
    }
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(io_error(path))?;
    if text.len() as u64 > BYTES_MAX { Err(ContextError::Large(path.display().to_string())) } else { Ok(text) }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ContextError {
    move |cause| ContextError::Io { path: path.display().to_string(), cause }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn context(url: &str) -> Context {
        Context { url: url.to_owned(), token_file: Some("/tokens/kim".into()), ca_file: None }
    }

    #[test]
    fn contexts_are_kept_in_a_file_of_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hearthwatch/contexts.toml");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        let mut contexts = Contexts::default();
        contexts.add("home", context("https://one.example/")).unwrap();
        contexts.add("other", context("https://two.example/")).unwrap();
        contexts.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(Contexts::read(&path).unwrap(), contexts);
        assert_eq!(contexts.current.as_deref(), Some("home"), "the first is put in use");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        Contexts::default().write(&path).unwrap();
        for mode in [0o640, 0o604, 0o622] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let name = path.display();
            let expected = format!(
                "{name} can be read by others (mode {mode:o}): if nobody did, `chmod 600 {name}`; otherwise make a new token"
            );
            assert_eq!(Contexts::read(&path).unwrap_err().to_string(), expected);
            assert_eq!(read_token(&path).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_token_is_one_line_of_visible_characters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_new(&path, b"hw_s3cret\n").unwrap();
        assert_eq!(read_token(&path).unwrap(), "hw_s3cret");
        assert!(matches!(write_new(&path, b"other"), Err(ContextError::Io { .. })), "it is not replaced");
        assert_eq!((token_of(""), token_of("two words")), (None, None));
    }

    #[test]
    fn names_are_checked_and_known_ones_are_told() {
        let mut contexts = Contexts::default();
        let error = |result: Result<(), ContextError>| result.unwrap_err().to_string();
        assert!(
            error(contexts.put_in_use("home")).ends_with("`context add NAME --url URL --token-file FILE` makes one")
        );
        contexts.add("home", context("https://one.example/")).unwrap();
        assert_eq!(error(contexts.put_in_use("flat")), "there is no context \"flat\": there are home");
        let taken = error(contexts.add("home", context("x")));
        assert_eq!(taken, "there is a context \"home\" already: `context remove home` first, or take another name");
        assert!(error(contexts.add("a b", context("x"))).starts_with("\"a b\" cannot be a context's name"));
        contexts.remove("home").unwrap();
        assert_eq!(contexts, Contexts::default());
    }

    #[test]
    fn the_place_follows_the_xdg_specification() {
        let of = |pairs: &'static [(&'static str, &'static str)]| {
            place(&move |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        let file = |path: &str| PathBuf::from(path);
        assert_eq!(of(&[("HOME", "/h")]).unwrap(), file("/h/.config/hearthwatch/contexts.toml"));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]).unwrap(), file("/c/hearthwatch/contexts.toml"));
        assert_eq!(
            of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "c")]).unwrap(),
            file("/h/.config/hearthwatch/contexts.toml")
        );
        assert!(matches!(of(&[]), Err(ContextError::NoPlace)));
    }
}
