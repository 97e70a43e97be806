//! Container images of the programs, for 64-bit ARM and x86: built from this tree on a root of our own, so that no registry is asked.
//!
//! Programs come from `chi-edge/images/programs.sh`, the files of an image from `rootfs.sh` beside it; buildah makes the images. Each
//! file has the time of the commit, and names no path of this machine: the same tree gives the same files, to the digest of the layer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use crate::{shell, speed, supply};

/// Where scripts and descriptions of images lie.
const FOLDER: &str = "chi-edge/images";

/// What `cargo xtask images` takes.
#[derive(Args)]
pub struct ImagesArguments {
    /// Architectures; the other one than this machine's is built by a cross compiler.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Architecture::Arm64, Architecture::Amd64])]
    arch: Vec<Architecture>,
    /// Build these images alone (may be repeated, or several with commas between).
    #[arg(long, value_delimiter = ',', value_name = "IMAGE", value_parser = names())]
    only: Vec<String>,
    /// The image to build upon in the place of an empty one, for production; it must be had on this machine or from its registry.
    #[arg(long, default_value = "scratch")]
    base: String,
    /// Build each image twice and compare the digests.
    #[arg(long)]
    twice: bool,
}

/// As Debian, Docker and CHI@Edge name them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Architecture {
    /// Raspberry Pi 4 and 5, Jetson.
    Arm64,
    /// Servers.
    Amd64,
}

impl Architecture {
    fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Amd64 => "amd64",
        }
    }
}

/// An image.
struct Image {
    name: &'static str,
    programs: &'static [&'static str],
    /// Whether it carries CUDA's compiler of kernels.
    cuda: bool,
    /// Most bytes of all its files, where they are limited: what a Raspberry Pi pulls within the five minutes that it is given.
    bytes_max: Option<u64>,
}

const IMAGES: [Image; 5] = [
    Image { bytes_max: Some(30_000_000), ..Image::of("agent", &["hearthwatch-edge", "hearthwatch-train-round"]) },
    Image::of("aggregator", &["hearthwatch-cloud"]),
    Image::of("provision", &["hearthwatch-provision"]),
    Image::of("emulator", &["hearthwatch-emulator"]),
    Image { cuda: true, ..Image::of("aggregator-cuda", &["hearthwatch-cloud+cuda"]) },
];

impl Image {
    const fn of(name: &'static str, programs: &'static [&'static str]) -> Self {
        Self { name, programs, cuda: false, bytes_max: None }
    }

    /// Nodes with a GPU are x86, and what is fetched for CUDA is for these.
    fn is_for(&self, arch: Architecture) -> bool {
        !self.cuda || arch == Architecture::Amd64
    }
}

fn names() -> clap::builder::PossibleValuesParser {
    IMAGES.iter().map(|image| image.name).collect::<Vec<_>>().into()
}

/// An image that was built.
struct Built {
    name: String,
    archive: PathBuf,
    /// Of the layers, each with its files' names, owners, modes and times.
    digest: String,
    bytes: u64,
}

/// Builds the images, and prints their sizes and digests.
pub fn build(arguments: &ImagesArguments) -> anyhow::Result<()> {
    let work = std::path::absolute(speed::target().join("images"))?;
    let chosen: Vec<&Image> = IMAGES
        .iter()
        .filter(|image| arguments.only.is_empty() || arguments.only.iter().any(|name| name == image.name))
        .collect();
    for image in &chosen {
        ensure!(
            arguments.arch.iter().any(|arch| image.is_for(*arch)),
            "{} is built for amd64 only: add --arch amd64",
            image.name
        );
    }
    // The build in the root has no network.
    shell::cargo(["fetch", "--locked"])?;
    let bill = work.join("sbom.cdx.json");
    supply::sbom(&bill)?;
    let commit = Commit::read()?;
    let mut built = Vec::new();
    for arch in &arguments.arch {
        let chosen: Vec<&Image> = chosen.iter().copied().filter(|image| image.is_for(*arch)).collect();
        let mut programs = vec![work.display().to_string(), arch.name().to_owned()];
        programs.extend(chosen.iter().flat_map(|image| image.programs).map(|program| (*program).to_owned()));
        // What programs say of themselves in metrics and records.
        let revision = [("HEARTHWATCH_REVISION", commit.revision.as_str())];
        shell::run_with(&format!("{FOLDER}/programs.sh"), programs, &revision)
            .with_context(|| format!("there are no programs for {}, so there is NO image", arch.name()))?;
        for image in chosen {
            let one = make(image, *arch, &work, &bill, &commit, &arguments.base)?;
            if arguments.twice {
                let again = make(image, *arch, &work, &bill, &commit, &arguments.base)?;
                ensure!(one.digest == again.digest, "{} has another digest when it is built again", one.name);
            }
            let most = image.bytes_max.unwrap_or(u64::MAX);
            ensure!(one.bytes <= most, "{} has {} bytes, {most} are allowed", one.name, one.bytes);
            built.push(one);
        }
    }
    println!("{:<44}{:>10}  digest of its files", "image", "MB");
    for Built { name, digest, bytes, archive } in &built {
        println!("{name:<44}{:>10.1}  {digest}  {}", *bytes as f64 / 1e6, archive.display());
    }
    Ok(())
}

/// The commit that is built, for labels and times.
struct Commit {
    revision: String,
    /// Unix seconds.
    at: String,
}

impl Commit {
    fn read() -> anyhow::Result<Self> {
        let of = |format: &str| -> anyhow::Result<String> {
            let read = Command::new("git").args(["log", "-1", format]).current_dir(shell::root()).output()?;
            ensure!(read.status.success(), "git does not know the commit that is built");
            Ok(String::from_utf8(read.stdout)?.trim().to_owned())
        };
        Ok(Self { revision: of("--format=%H")?, at: of("--format=%ct")? })
    }
}

fn make(
    image: &Image,
    arch: Architecture,
    work: &Path,
    bill: &Path,
    commit: &Commit,
    base: &str,
) -> anyhow::Result<Built> {
    let arch = arch.name();
    let context = work.join(arch).join(image.name);
    let rootfs = context.join("rootfs");
    std::fs::create_dir_all(&context)?;
    let mut collect = vec![work.display().to_string(), arch.to_owned(), rootfs.display().to_string()];
    collect.extend(image.programs.iter().map(|program| (*program).to_owned()));
    shell::run(&format!("{FOLDER}/rootfs.sh"), collect)?;
    if image.cuda {
        let arguments = [work.display().to_string(), rootfs.display().to_string()];
        shell::run(&format!("{FOLDER}/cuda.sh"), arguments)
            .context("CUDA's compiler could not be fetched; the image aggregator does without")?;
    }
    std::fs::copy(bill, rootfs.join("sbom.cdx.json"))?;
    let name = format!("hearthwatch-{}:{}-{arch}", image.name, env!("CARGO_PKG_VERSION"));
    let store = ["--storage-driver", "vfs", "--root"].map(str::to_owned).into_iter();
    let store: Vec<String> = store.chain([work.join("store").display().to_string()]).collect();
    let label = |key: &str, value: &str| [String::from("--label"), format!("org.opencontainers.image.{key}={value}")];
    let mut arguments = store.clone();
    // Only the form of Docker has health checks.
    arguments.extend(["bud", "--format", "docker", "--isolation", "chroot", "--layers=false"].map(str::to_owned));
    arguments.extend(["--timestamp", &commit.at, "--arch", arch, "--build-arg"].map(str::to_owned));
    arguments.push(format!("BASE={base}"));
    arguments.extend(label("revision", &commit.revision));
    arguments.extend(label("version", env!("CARGO_PKG_VERSION")));
    arguments.extend(label("licenses", "Apache-2.0"));
    arguments.extend(["--label", "org.hearthwatch.sbom=/sbom.cdx.json", "--tag", &name, "--file"].map(str::to_owned));
    arguments.push(format!("{FOLDER}/{}.Containerfile", image.name));
    arguments.push(context.display().to_string());
    shell::run("buildah", arguments)?;
    let archive = work.join(format!("hearthwatch-{}-{arch}.tar", image.name));
    // The archive's writer adds to what is there.
    let _ = std::fs::remove_file(&archive);
    let mut push = store.clone();
    push.extend(["push", "--quiet", &name].map(str::to_owned));
    push.push(format!("docker-archive:{}:{name}", archive.display()));
    shell::run("buildah", push)?;
    let mut look = store;
    // Not of the whole: the form of Docker names the container in which the image was made.
    look.extend(["inspect", "--format", "{{range .OCIv1.RootFS.DiffIDs}}{{.}} {{end}}", &name].map(str::to_owned));
    let looked = Command::new("buildah").args(look).output()?;
    ensure!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
    let digest = String::from_utf8(looked.stdout)?.trim().to_owned();
    Ok(Built { name, archive, digest, bytes: bytes_below(&rootfs)? })
}

/// Bytes of all files in a folder and below.
fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        sum += if kind.is_dir() { bytes_below(&entry.path())? } else { kind.len() };
    }
    Ok(sum)
}
