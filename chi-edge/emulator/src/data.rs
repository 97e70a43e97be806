//! Where recordings come from: the bundled sets inside this binary, or folders of larger ones.

mod bundled;
mod find;
mod load;

pub use find::{DataError, Source, find};
pub use load::{homes, load_set};
