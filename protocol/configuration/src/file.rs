//! The configuration file as a whole: its size and its syntax.

use std::path::Path;

use toml::Table;

/// Largest configuration file that is read, in bytes. The longest honest one has a few dozen lines.
const BYTES_MAX: u64 = 64 * 1024;

/// The text of a configuration file.
///
/// # Errors
/// The problem in words, without the path: it cannot be read, is no text, or is larger than 64 KiB.
pub fn read_text(file: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.len() > BYTES_MAX {
        return Err(format!("has {} bytes, more than {BYTES_MAX}", metadata.len()));
    }
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

/// The table that `text` writes.
///
/// # Errors
/// The problem in words, with the line and the column.
pub fn read_table(text: &str) -> Result<Table, String> {
    text.parse().map_err(|error: toml::de::Error| format!("is not TOML: {}", error.to_string().trim_end()))
}
