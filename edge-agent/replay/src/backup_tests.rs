//! Archives made here, as Home Assistant and its Supervisor make them.

use flate2::Compression;

use super::*;
use crate::fixtures;

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    fixtures::gzip(bytes, Compression::fast())
}

fn database_of(archive: &[u8]) -> Result<Vec<u8>, String> {
    unpack(Path::new("backup.tar"), &mut Cursor::new(archive))
        .map(|unpacked| std::fs::read(unpacked.database()).unwrap())
        .map_err(|error| error.to_string())
}

#[test]
fn the_database_is_found_in_the_configuration_within_the_backup_packed_or_not() {
    let inner = tar(&[("data/configuration.yaml", b"a: 1"), ("data/home-assistant_v2.db", b"SQLite")]);
    for (name, bytes) in [("./homeassistant.tar.gz", gzip(&inner)), ("homeassistant.tar", inner.clone())] {
        let backup = tar(&[("./backup.json", br#"{"protected": false}"#), (name, &bytes)]);
        assert!(is_tar(&backup[..BLOCK]));
        assert_eq!(database_of(&backup), Ok(b"SQLite".to_vec()), "{name}");
    }
}

#[test]
fn of_a_backup_that_breaks_off_within_its_database_what_stands_before_the_break_is_kept() {
    // Bytes that do not pack, so that half of the archive is half of the database.
    let bytes: Vec<u8> = (0..200_000_u64).map(|place| (place * place % 251 * place % 256) as u8).collect();
    let inner = tar(&[("data/home-assistant_v2.db", &bytes)]);
    for (name, inner) in [("homeassistant.tar.gz", gzip(&inner)), ("homeassistant.tar", inner.clone())] {
        let backup = tar(&[(name, &inner)]);
        let kept = database_of(&backup[..backup.len() / 2]).unwrap();
        assert!(kept.len() > 10_000 && bytes.starts_with(&kept), "{name}: {}", kept.len());
    }
}

#[test]
fn an_encrypted_backup_says_how_to_make_another() {
    for backup in [
        tar(&[("./backup.json", br#"{"protected": true}"#)]),
        tar(&[("homeassistant.tar.gz", b"SecureTar\x02 and bytes")]),
    ] {
        let error = database_of(&backup).unwrap_err();
        assert!(
            error.starts_with("backup.tar: is an encrypted backup, which cannot be read; make one without"),
            "{error}"
        );
    }
}

#[test]
fn an_archive_of_other_things_and_a_damaged_one_say_so() {
    let error = database_of(&tar(&[("a.txt", b"a")])).unwrap_err();
    assert!(error.starts_with("backup.tar: is an archive without home-assistant_v2.db; make a backup with"), "{error}");
    let mut damaged = tar(&[("a.txt", b"a"), ("b.txt", b"b")]);
    damaged[2 * BLOCK] ^= 1;
    assert_eq!(
        database_of(&damaged).unwrap_err(),
        "backup.tar: is a tar archive that is cut short or damaged; download the backup again"
    );
}
