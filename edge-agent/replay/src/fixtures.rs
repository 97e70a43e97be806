//! Files made for tests, and the rows that are read from one.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

use crate::error::ReplayError;
use crate::source::Row;

pub fn file(suffix: &str, bytes: impl AsRef<[u8]>) -> NamedTempFile {
    let file = NamedTempFile::with_suffix(suffix).unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

pub fn gzip(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), compression);
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// What `each` makes of every row that `read` gives.
pub fn rows<T>(
    read: impl FnOnce(&mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError>,
    each: impl Fn(Row<'_>) -> T,
) -> Result<Vec<T>, ReplayError> {
    let mut rows = Vec::new();
    read(&mut |row| {
        rows.push(each(row));
        Ok(())
    })?;
    Ok(rows)
}
