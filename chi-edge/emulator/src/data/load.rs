//! From a source to homes.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use hearthwatch_model::dataset::{DATA_SETS, DataSet, RecordedHome, SourceFile};

use super::bundled;
use super::find::{DataError, Source};

/// Largest decompressed file that is read, bytes. The largest known one (a home's minutes) has 60 MB.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Reads the homes of every set that `source` has and `wanted` names, in the registry's order.
///
/// # Errors
/// [`DataError`] with the file or set at fault.
pub fn homes(source: &Source, wanted: &[&str]) -> Result<Vec<RecordedHome>, DataError> {
    let mut homes = Vec::new();
    for set in DATA_SETS.iter().filter(|set| wanted.contains(&set.name)) {
        homes.extend(load_set(source, set)?);
    }
    Ok(homes)
}

/// Reads one set; none of its homes if the source does not have it.
///
/// # Errors
/// [`DataError`].
pub fn load_set(source: &Source, set: &DataSet) -> Result<Vec<RecordedHome>, DataError> {
    let files = match source {
        Source::Bundled => bundled(set)?,
        Source::Folder(folder) => {
            let folder = folder.join(set.name);
            let mut files = Vec::new();
            if folder.is_dir() {
                collect(set, &folder, "", &mut files)?;
            }
            files
        }
    };
    if files.is_empty() {
        return Ok(Vec::new());
    }
    set.parse(&files).map_err(|error| DataError::Parse { set: set.name.to_owned(), cause: error.to_string() })
}

fn bundled(set: &DataSet) -> Result<Vec<SourceFile>, DataError> {
    let of_set = bundled::FILES.iter().filter(|(name, _, _)| *name == set.name);
    of_set
        .map(|(_, name, bytes)| {
            let bytes = text_of(name, *bytes)?;
            Ok(SourceFile { name: name.trim_end_matches(".gz").to_owned(), bytes })
        })
        .collect()
}

/// Every wanted file below `folder`; `prefix` is the path within the set, with a slash at its end.
fn collect(set: &DataSet, folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<(), DataError> {
    let fault =
        |error: std::io::Error| DataError::Read { path: folder.display().to_string(), cause: error.to_string() };
    let mut entries: Vec<_> = std::fs::read_dir(folder).map_err(fault)?.collect::<Result<_, _>>().map_err(fault)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            collect(set, &path, &format!("{prefix}{name}/"), files)?;
            continue;
        }
        let inner = format!("{prefix}{}", name.trim_end_matches(".gz"));
        if set.wants(&inner) {
            let bytes = std::fs::File::open(&path)
                .map_err(|error| DataError::Read { path: path.display().to_string(), cause: error.to_string() })?;
            let bytes = text_of(&path.display().to_string(), bytes)?;
            files.push(SourceFile { name: inner, bytes });
        }
    }
    Ok(())
}

/// Decompresses what is named `.gz`, within bounds.
fn text_of(name: &str, reader: impl Read) -> Result<Vec<u8>, DataError> {
    let fault = |cause: String| DataError::Read { path: name.to_owned(), cause };
    let mut bytes = Vec::new();
    let read = if name.ends_with(".gz") {
        GzDecoder::new(reader).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    };
    read.map_err(|error| fault(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(fault(format!("more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_sets_hold_seventeen_homes_the_motes_and_a_water_main() {
        let homes = homes(&Source::Bundled, &["citylearn_2022_homes", "suthaharan_wsn", "river_water_flow"]).unwrap();
        let of = |set: &str| homes.iter().filter(|home| home.set == set).count();
        assert_eq!(of("citylearn_2022_homes"), 17);
        assert_eq!(of("suthaharan_wsn"), 2);
        assert_eq!(of("river_water_flow"), 1);
    }
}
