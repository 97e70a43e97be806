//! Recordings from their publishers: pinned revisions, checked by SHA-256, kept as [`super::load`] reads them.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hearthwatch_evaluation::dataset::{DATA_SETS, DataSet, Use};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use url::Url;

use crate::screen::Screen;

/// How long a publisher may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What to download, and where to.
#[derive(Debug, Args)]
pub struct FetchArguments {
    /// Sets to download; without any, those whose weights may ship. `data list` names them.
    #[arg(value_name = "SET")]
    sets: Vec<String>,
    /// Folder that gets a sub-folder for each set.
    #[arg(long, value_name = "DIR", default_value = "hearthwatch-data")]
    out: PathBuf,
    /// Download `URL/SET/FILE` from a mirror instead of the publishers; the hashes are the same.
    #[arg(long, value_name = "URL")]
    mirror: Option<Url>,
}

/// A set's files at one revision of its publisher's repository.
#[derive(Debug, serde::Deserialize)]
struct Publication {
    set: String,
    base: String,
    files: Vec<RemoteFile>,
}

/// One file as its publisher serves it.
#[derive(Debug, serde::Deserialize)]
struct RemoteFile {
    /// Below [`Publication::base`].
    from: String,
    /// Within the set's folder.
    name: String,
    bytes: u64,
    sha256: String,
}

/// Why a file was not kept.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}: {1}; run the command again to go on, or name a mirror with --mirror")]
    Network(Url, reqwest::Error),
    #[error("{url} has {got}, where the recording has {wanted}: nothing was kept of it")]
    NotTheRecording { url: String, got: String, wanted: String },
    #[error("{0}: {1}")]
    Write(PathBuf, std::io::Error),
}

/// Downloads what is missing; files that are there and right are left alone.
///
/// # Errors
/// A set that cannot be downloaded, or the first file that failed.
pub fn run(arguments: &FetchArguments) -> anyhow::Result<()> {
    let catalogue = catalogue();
    let wanted = choose(&catalogue, &arguments.sets)?;
    let screen = Screen::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = reqwest::Client::builder().connect_timeout(SILENCE_MAX).read_timeout(SILENCE_MAX).build()?;
    for (set, publication) in wanted {
        screen.say(format!("{}: {}; licence: {}", set.name, set.title, set.licence));
        if set.usage == Use::EvaluateOnly {
            screen.say("  no licence was found: for your own evaluation, and not to be passed on");
        }
        let total = publication.files.iter().map(|file| file.bytes).sum();
        let bar = screen.bar("download", total);
        let (mut done, mut kept) = (0, 0);
        for file in &publication.files {
            let target = target(&arguments.out.join(set.name), &file.name);
            bar.message(file.name.clone());
            if is_right(&target, file) {
                kept += 1;
            } else {
                let url = address(publication, file, arguments.mirror.as_ref())?;
                runtime
                    .block_on(download(&client, &url, file, &target, &mut |bytes| bar.reach(done + bytes, total)))?;
            }
            done += file.bytes;
            bar.reach(done, total);
        }
        bar.finish(format!("{} files, {kept} of them were there", publication.files.len()));
    }
    println!("recordings are in {0}; use them with --data {0}, or HEARTHWATCH_DATA={0}", arguments.out.display());
    Ok(())
}

fn catalogue() -> Vec<Publication> {
    serde_json::from_str(include_str!("sources.json")).expect("a constant that a test reads")
}

/// The asked-for sets in the registry's order.
fn choose<'c>(
    catalogue: &'c [Publication],
    asked: &[String],
) -> anyhow::Result<Vec<(&'static DataSet, &'c Publication)>> {
    let available = || catalogue.iter().map(|publication| publication.set.as_str()).collect::<Vec<_>>().join(", ");
    for name in asked {
        let known = DATA_SETS.iter().find(|set| set.name == name);
        if known.is_some_and(|set| set.usage == Use::Bundled) {
            anyhow::bail!("{name} travels with this program: there is nothing to download");
        }
        if known.is_some() && !catalogue.iter().any(|publication| publication.set == *name) {
            anyhow::bail!(
                "{name} is not published in the form that is read here: docs/reference/data.md says how it is made; \
                 these can be downloaded: {}",
                available()
            );
        }
        if known.is_none() {
            anyhow::bail!("no set is called {name}; these can be downloaded: {}", available());
        }
    }
    let wanted = |set: &DataSet| {
        if asked.is_empty() { set.usage == Use::Release } else { asked.iter().any(|name| name == set.name) }
    };
    let with_publication = |set: &'static DataSet| {
        catalogue.iter().find(|publication| publication.set == set.name).map(|publication| (set, publication))
    };
    Ok(DATA_SETS.iter().filter(|set| wanted(set)).filter_map(with_publication).collect())
}

fn address(publication: &Publication, file: &RemoteFile, mirror: Option<&Url>) -> anyhow::Result<Url> {
    match mirror {
        None => Url::parse(&format!("{}{}", publication.base, file.from)).context("an address in the catalogue"),
        Some(mirror) => {
            let below = format!("{}/{}/{}", mirror.as_str().trim_end_matches('/'), publication.set, file.name);
            Url::parse(&below).with_context(|| format!("--mirror {mirror}"))
        }
    }
}

/// Archives stay as they are, everything else is gzipped.
fn target(folder: &Path, name: &str) -> PathBuf {
    folder.join(if is_archive(name) { name.to_owned() } else { format!("{name}.gz") })
}

fn is_archive(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "zip")
}

/// Whether the file is there with the publisher's bytes in it.
fn is_right(target: &Path, file: &RemoteFile) -> bool {
    let Ok(found) = std::fs::File::open(target) else { return false };
    let mut bytes = Vec::new();
    let limit = file.bytes + 1;
    let read = if is_archive(&file.name) {
        found.take(limit).read_to_end(&mut bytes)
    } else {
        GzDecoder::new(found).take(limit).read_to_end(&mut bytes)
    };
    read.is_ok() && hex::encode(Sha256::digest(&bytes)) == file.sha256
}

async fn download(
    client: &reqwest::Client,
    url: &Url,
    file: &RemoteFile,
    target: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let network = |error: reqwest::Error| FetchError::Network(url.clone(), error.without_url());
    let disk = |error: std::io::Error| FetchError::Write(target.to_owned(), error);
    let folder = target.parent().expect("a target lies in its set's folder");
    std::fs::create_dir_all(folder).map_err(disk)?;
    // Beside the target, so that it becomes the target in one step or not at all.
    let mut part = NamedTempFile::new_in(folder).map_err(disk)?;
    let mut response =
        client.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status).map_err(network)?;
    let level = if is_archive(&file.name) { None } else { Some(Compression::default()) };
    let mut encoder = level.map(|level| GzEncoder::new(Vec::new(), level));
    let (mut hasher, mut received) = (Sha256::new(), 0_u64);
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        received += chunk.len() as u64;
        if received > file.bytes {
            return Err(FetchError::NotTheRecording {
                url: url.to_string(),
                got: format!("more than {} bytes", file.bytes),
                wanted: format!("{} bytes", file.bytes),
            });
        }
        hasher.update(&chunk);
        match &mut encoder {
            None => part.write_all(&chunk),
            Some(encoder) => {
                encoder.write_all(&chunk).and_then(|()| part.write_all(&std::mem::take(encoder.get_mut())))
            }
        }
        .map_err(disk)?;
        progress(received);
    }
    let sha256 = hex::encode(hasher.finalize());
    if sha256 != file.sha256 {
        return Err(FetchError::NotTheRecording {
            url: url.to_string(),
            got: format!("SHA-256 {sha256}"),
            wanted: format!("SHA-256 {}", file.sha256),
        });
    }
    if let Some(encoder) = encoder {
        part.write_all(&encoder.finish().map_err(disk)?).map_err(disk)?;
    }
    part.persist(target).map_err(|error| disk(error.error))?;
    Ok(())
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
