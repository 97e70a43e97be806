//! The file that leaves the home: whole or not there.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use hearthwatch_edge_core::round_job::BODY_FILE;
use hearthwatch_protocol::limits::ROUND_BODY_BYTES_MAX;

use crate::error::RoundError;

/// Its name while it is written.
const PART_FILE: &str = "body.part";

/// Writes the body into `folder`; after a power cut it is there whole, or not at all.
///
/// # Errors
/// [`RoundError::TooLong`], [`RoundError::Disk`]; then there is no body.
pub fn write(folder: &Path, bytes: &[u8]) -> Result<(), RoundError> {
    if bytes.len() > ROUND_BODY_BYTES_MAX {
        return Err(RoundError::TooLong { bytes: bytes.len(), most: ROUND_BODY_BYTES_MAX });
    }
    let (part, body) = (folder.join(PART_FILE), folder.join(BODY_FILE));
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&part, &body))
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|error| {
        // A piece only takes space, and a whole body that may not be on disk is none.
        for file in [&part, &body] {
            let _gone = std::fs::remove_file(file);
        }
        RoundError::Disk(error.kind())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_there_whole_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), b"counts").unwrap();
        assert_eq!(std::fs::read(folder.path().join(BODY_FILE)).unwrap(), b"counts");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_and_a_body_beyond_the_limit_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        assert_eq!(write(&missing, b"counts"), Err(RoundError::Disk(std::io::ErrorKind::NotFound)));
        let long = vec![0; ROUND_BODY_BYTES_MAX + 1];
        let refused = RoundError::TooLong { bytes: long.len(), most: ROUND_BODY_BYTES_MAX };
        assert_eq!(write(folder.path(), &long), Err(refused));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
