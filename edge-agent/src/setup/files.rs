//! What set-up writes: a configuration without a secret in it, and a file for each secret.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hearthwatch_configuration::{Faults, SECRET_BYTES_MAX, Secret, SecretError};

use super::answers::Answers;
use crate::config::Config;

/// The configuration's name.
pub(super) const CONFIG: &str = "edge.toml";
/// Home Assistant's token.
const TOKEN: &str = "token";
/// The broker's password.
const PASSWORD: &str = "broker-password";
/// The automation that asks on phones, for Home Assistant's folder of blueprints.
pub(super) const BLUEPRINT: &str = "hearthwatch-alarm.yaml";
const BLUEPRINT_TEXT: &str = include_str!("../../home-assistant/blueprints/automation/hearthwatch/alarm.yaml");

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is empty.
    #[error("{0} holds no token or password: one line of at most {SECRET_BYTES_MAX} bytes")]
    NoSecret(PathBuf),
    /// What was written does not read back; then it is not left there.
    #[error("what was answered makes no configuration: {0}")]
    Unusable(Faults),
}

/// Reads a secret from a file that a person made.
pub(super) fn secret(path: &Path) -> Result<Secret, FilesError> {
    let secret = Secret::read(path).map_err(|error| match error {
        SecretError::Unreadable { file, cause } => FilesError::Io { path: file, source: cause },
        SecretError::Empty(file) | SecretError::Long(file) => FilesError::NoSecret(file),
    })?;
    // Written into another file: where this one was read does not matter from here on.
    let word = Secret::new(secret.expose());
    if word.expose().lines().count() > 1 { Err(FilesError::NoSecret(path.to_owned())) } else { Ok(word) }
}

/// Writes everything into `dir`, the configuration last and at once, and reads it back.
pub(super) fn write(dir: &Path, answers: &Answers) -> Result<(), FilesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FilesError::Io { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
    keep(&dir.join(TOKEN), answers.home_assistant.token.expose(), 0o600)?;
    if let Some((_, password)) = answers.broker.as_ref().and_then(|broker| broker.credentials.as_ref()) {
        keep(&dir.join(PASSWORD), password.expose(), 0o600)?;
    }
    // Also without a broker: somebody may add one by hand.
    keep(&dir.join(BLUEPRINT), BLUEPRINT_TEXT, 0o644)?;
    let file = dir.join(CONFIG);
    let text = config_text(answers);
    Config::parse(&text, &file).map_err(FilesError::Unusable)?;
    let staged = dir.join("edge.toml.new");
    keep(&staged, &text, 0o644)?;
    fs::rename(&staged, &file).map_err(failed(&file))
}

fn config_text(answers: &Answers) -> String {
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let mut lines = vec![
        "# Written by `hearthwatch-edge setup`; `hearthwatch-edge run --help` shows all that may stand here."
            .to_owned(),
        "state = \"state\"".to_owned(),
        format!("budget = {:?}", answers.alarms),
        format!("sharing = {}", text(answers.sharing.as_str())),
        String::new(),
        "[home_assistant]".to_owned(),
        format!("url = {}", text(&answers.home_assistant.url)),
        format!("token_file = {}", text(TOKEN)),
    ];
    if let Some(broker) = &answers.broker {
        lines.extend([
            String::new(),
            "[home.mqtt]".to_owned(),
            format!("host = {}", text(&broker.door.host)),
            format!("port = {}", broker.door.port),
        ]);
        if let Some((user, _)) = &broker.credentials {
            lines.extend([format!("username = {}", text(user)), format!("password_file = {}", text(PASSWORD))]);
        }
    }
    lines.join("\n") + "\n"
}

fn keep(path: &Path, text: &str, mode: u32) -> Result<(), FilesError> {
    let failed = |source| FilesError::Io { path: path.to_owned(), source };
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path).map_err(failed)?;
    // A file that was there before keeps its rights otherwise.
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}
