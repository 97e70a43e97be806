//! Recorded homes as values, and the parsers that make them from published files.
//!
//! A parser takes the bytes of a set's files (already decompressed) and gives [`RecordedHome`]s; it reads no disk.
//! [`registry`] says which sets there are, which files each wants, under which licence, and what each may be used for.

mod ampds2;
mod builder;
mod casas;
mod citylearn;
mod daiad;
mod ethz_heatpump;
mod hass;
mod home;
mod kasteren;
mod keti;
mod nab;
mod open_smart_home;
pub mod registry;
mod river;
mod source;
mod southwark;
mod suthaharan;
mod table;
mod tracebase;
mod uci_appliances;
mod uci_household;
mod uci_occupancy;
mod windesheim;

pub use home::{Label, LabelOrigin, RecordedHome};
pub use registry::{DATA_SETS, DataSet, Use};
pub use source::SourceFile;

/// Why a set's files could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DatasetError {
    /// A file that the set cannot do without was not given.
    #[error("{set}: the file `{file}` is missing")]
    FileMissing {
        /// The set's folder name.
        set: &'static str,
        /// The file's name in it.
        file: String,
    },
    /// A file's first line does not name the expected column.
    #[error("{file}: no column is called `{column}`")]
    ColumnMissing {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// A cell that does not read as what its column holds.
    #[error("{file}, line {line}: `{text}` is not {expected}")]
    Cell {
        /// The file.
        file: String,
        /// Its line, counted from 1.
        line: usize,
        /// The cell's text.
        text: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// No set has this name.
    #[error("no data set is called `{0}`")]
    UnknownSet(String),
}
