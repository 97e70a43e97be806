//! Where recordings come from: the bundled sets inside this binary, or folders of larger ones.

mod bundled;
mod export;
mod fetch;
mod find;
mod load;

pub use find::{DataError, Source, find};
pub use load::{homes, load_set, unpack};

use clap::Subcommand;
use hearthwatch_evaluation::dataset::{DATA_SETS, Use};

/// What can be asked about recordings.
#[derive(Debug, Subcommand)]
pub enum DataTask {
    /// The sets, what each may be used for, and where it was found.
    List {
        /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
        #[arg(long, value_name = "DIR")]
        data: Option<std::path::PathBuf>,
    },
    /// Download sets from their publishers, each file checked by its SHA-256.
    Fetch(fetch::FetchArguments),
    /// Write a recorded home as a file that `hearthwatch-edge replay` reads.
    Export(export::ExportArguments),
}

/// Answers.
///
/// # Errors
/// [`DataError`] when a named folder holds nothing; what could not be downloaded.
pub fn run(task: &DataTask) -> anyhow::Result<()> {
    match task {
        DataTask::List { data } => list(data.as_deref()),
        DataTask::Fetch(arguments) => fetch::run(arguments),
        DataTask::Export(arguments) => export::run(arguments),
    }
}

fn list(data: Option<&std::path::Path>) -> anyhow::Result<()> {
    let names: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let source = find(data, &names)?;
    for set in DATA_SETS {
        let usage = match set.usage {
            Use::Bundled => "bundled",
            Use::Release => "release",
            Use::EvaluateOnly => "evaluate only",
        };
        let found = match &source {
            Source::Bundled if set.usage == Use::Bundled => "in this program".to_owned(),
            Source::Folder(folder) if folder.join(set.name).is_dir() => folder.join(set.name).display().to_string(),
            _ => "not here".to_owned(),
        };
        println!("{:<24} {usage:<14} {:<24} {found}\n    {}", set.name, set.licence, set.title);
    }
    Ok(())
}
