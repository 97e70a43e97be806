//! What a parser is given.

/// One file of a set: its path within the set's folder without `.gz`, and its decompressed bytes.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// With `/` between folders, e.g. `homes/BL007-02.csv`.
    pub name: String,
    /// Decompressed; parsers check the encoding themselves.
    pub bytes: Vec<u8>,
}
