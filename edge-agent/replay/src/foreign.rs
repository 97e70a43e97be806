//! Files that are none of those that are read, and what they are.

use std::path::Path;

use super::error::ReplayError;

/// First bytes of files that programs know by them, what they are and what to give instead.
const MAGIC: [(&[u8], &str); 14] = [
    (b"PK\x03\x04", "is a zip archive or a spreadsheet; unpack it, or save it as CSV, and give that"),
    (b"BZh", "is a bzip2 archive; unpack it (bunzip2) and give what is in it"),
    (b"\xfd7zXZ\0", "is an xz archive; unpack it (unxz) and give what is in it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive; unpack it and give what is in it"),
    (b"\x28\xb5\x2f\xfd", "is a zstd archive; unpack it (unzstd) and give what is in it"),
    (b"Rar!", "is a rar archive; unpack it and give what is in it"),
    (b"\xff\xd8\xff", "is a picture (JPEG)"),
    (b"\x89PNG", "is a picture (PNG)"),
    (b"GIF8", "is a picture (GIF)"),
    (b"RIFF", "is a picture or a recording of sound"),
    (b"%PDF", "is a PDF document"),
    (b"\xd0\xcf\x11\xe0", "is a document of an old Office program; save it as CSV, and give that"),
    (b"\x7fELF", "is a program"),
    (b"version https://git-lfs", "is a pointer of Git LFS to a file elsewhere; fetch it (git lfs pull) and give that"),
];
/// What is given instead of what has no history in it.
const INSTEAD: &str =
    "give a CSV file, the answer of /api/history/period, home-assistant_v2.db or an unencrypted backup";
/// Control characters in so many bytes of a beginning are no text.
const BINARY_SHARE: usize = 20;

/// What a file that begins so is, and what to give instead; none for what may be read.
#[must_use]
pub fn named(head: &[u8]) -> Option<String> {
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(if what.contains(';') { (*what).to_owned() } else { format!("{what}; {INSTEAD}") });
    }
    let start = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head).trim_ascii();
    let small = String::from_utf8_lossy(&start[..start.len().min(64)]).to_ascii_lowercase();
    if small.starts_with("<!doctype html") || small.starts_with("<html") {
        return Some("is a web page, perhaps one to log in; download the file itself and give that".to_owned());
    }
    if small.starts_with("<?xml") {
        return Some(format!("is XML; {INSTEAD}"));
    }
    let refused = ["401", "403", "404", "405", "500", "502"].iter().any(|code| small.starts_with(&format!("{code}: ")));
    if refused {
        return Some(format!(
            "holds `{}`, with which Home Assistant refused the download; ask again with a valid access token",
            String::from_utf8_lossy(&start[..start.len().min(40)]).lines().next().unwrap_or_default()
        ));
    }
    if small.starts_with("{\"message\":") {
        return Some(
            "holds a message of Home Assistant's instead of a history; ask /api/history/period again".to_owned(),
        );
    }
    binary(head).then(|| format!("is neither text nor a database; {INSTEAD}"))
}

/// Whether bytes are of no text in any character set: control characters, and no zeros between letters.
fn binary(head: &[u8]) -> bool {
    let odd = |byte: &u8| *byte < 0x20 && !b"\n\r\t\x0c\x1b\x1e\x1f\0".contains(byte);
    let letters = head.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ').count();
    head.iter().filter(|byte| odd(byte)).count() * BINARY_SHARE > head.len()
        || (head.contains(&0) && letters * 3 < head.len())
}

/// The note on a folder.
///
/// # Errors
/// [`ReplayError::Format`] where `path` is one.
pub fn not_a_folder(path: &Path) -> Result<(), ReplayError> {
    if !path.is_dir() {
        return Ok(());
    }
    let database = path.join("home-assistant_v2.db");
    let what = if database.is_file() {
        "is a folder; give home-assistant_v2.db in it".to_owned()
    } else {
        "is a folder; give the file in it".to_owned()
    };
    Err(ReplayError::Format { path: path.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named_without_their_bytes() {
        for (head, what) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF\x01\x02"[..], format!("is a picture (JPEG); {INSTEAD}")),
            (b"%PDF-1.7\n\x80", format!("is a PDF document; {INSTEAD}")),
            (b"BZh91AY", "is a bzip2 archive; unpack it (bunzip2) and give what is in it".to_owned()),
            (b"<!DOCTYPE html><html>", "is a web page, perhaps one to log in; download the file itself and give that".to_owned()),
            (
                b"401: Unauthorized",
                "holds `401: Unauthorized`, with which Home Assistant refused the download; ask again with a valid access token"
                    .to_owned(),
            ),
            (b"\x01\x02\x03\x04", format!("is neither text nor a database; {INSTEAD}")),
        ] {
            assert_eq!(named(head), Some(what), "{head:?}");
        }
        let utf16: Vec<u8> = "entity_id,state".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for head in [b"entity_id,state\n".as_slice(), b"a\x1fb\x1e", &utf16, "Küche\u{b0}".as_bytes()] {
            assert_eq!(named(head), None);
        }
    }
}
