//! From a source to homes.

use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use hearthwatch_evaluation::dataset::{DATA_SETS, DataSet, RecordedHome, SourceFile};
use hearthwatch_learning::training::recordings::{FILE_BYTES_MAX, read_set};

use super::bundled;
use super::find::{DataError, Source};

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
pub fn load_set(source: &Source, set: &'static DataSet) -> Result<Vec<RecordedHome>, DataError> {
    match source {
        Source::Bundled => bundled(set),
        Source::Folder(folder) => Ok(read_set(folder, set)?),
    }
}

/// Writes the bundled sets to `folder`, one folder each, as an aggregator reads them.
///
/// # Errors
/// A file that cannot be written.
pub fn unpack(folder: &Path) -> std::io::Result<()> {
    for (set, name, packed) in bundled::FILES {
        let folder = folder.join(set);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), packed)?;
    }
    Ok(())
}

fn bundled(set: &DataSet) -> Result<Vec<RecordedHome>, DataError> {
    let fault = |cause: String| DataError::Bundled { set: set.name.to_owned(), cause };
    let mut files = Vec::new();
    for (_, name, packed) in bundled::FILES.iter().filter(|(name, _, _)| *name == set.name) {
        let mut bytes = Vec::new();
        let read = GzDecoder::new(*packed).take(FILE_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|error| fault(format!("{name}: {error}")))?;
        files.push(SourceFile { name: name.trim_end_matches(".gz").to_owned(), bytes });
    }
    if files.is_empty() {
        return Ok(Vec::new());
    }
    set.parse(&files).map_err(|error| fault(error.to_string()))
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
