//! The real parts that the suites need, installed once through the machine's own package clients.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::shell;

/// What a suite may need from the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The broker that production uses.
    Mosquitto,
    /// Lets a fleet's programs see time go faster.
    Faketime,
    /// Database servers that Home Assistant may keep its recorder on.
    Databases,
    /// Debian's bootstrapper: Home Assistant wants a newer Python than most machines have.
    Debootstrap,
    /// Builds and runs container images without a service.
    Buildah,
    /// Prometheus, Alertmanager and exporters.
    Monitoring,
    /// Runs container images without a service.
    Podman,
    /// Compiles the app's profile.
    AppArmor,
    /// The browser that reads the local page.
    Chromium,
    /// Judges licences, bans and sources of the dependencies.
    CargoDeny,
    /// rustfmt and clippy.
    RustComponents,
    /// A Python that can make environments: the second judge of signed metadata is written in it.
    PythonVenv,
    /// Node.js with its package client: the identity provider of the tests is written in JavaScript.
    Node,
    /// A C++ compiler: libFuzzer is written in it.
    Cxx,
}

/// Version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

impl Part {
    fn present(self) -> bool {
        match self {
            Self::Mosquitto => shell::has("mosquitto") && shell::has("mosquitto_pub"),
            Self::Faketime => shell::has("faketime"),
            Self::Databases => {
                shell::has("psql") && shell::has("mariadb-install-db") && Path::new("/usr/lib/postgresql").is_dir()
            }
            Self::Debootstrap => shell::has("debootstrap") && shell::has("unshare") && shell::has("ss"),
            Self::Buildah => shell::has("buildah"),
            Self::Monitoring => {
                let programs = ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"];
                programs.iter().all(|name| shell::has(name)) && shell::has("prometheus-blackbox-exporter")
            }
            Self::Podman => shell::has("podman") && shell::has("runc") && shell::has("losetup"),
            Self::AppArmor => shell::has("apparmor_parser"),
            Self::Chromium => ["chromium", "chromium-browser", "google-chrome"].iter().any(|name| shell::has(name)),
            Self::CargoDeny => shell::has("cargo-deny") || cargo_bin("cargo-deny").is_file(),
            Self::PythonVenv => shell::run("python3", ["-c", "import venv, ensurepip"]).is_ok(),
            Self::Node => shell::has("node") && shell::has("npm"),
            Self::Cxx => shell::has("c++") || shell::has("g++"),
            Self::RustComponents => shell::has("rustfmt") || cargo_bin("rustfmt").is_file(),
        }
    }

    fn install(self) -> anyhow::Result<()> {
        match self {
            Self::Mosquitto => apt(&["mosquitto", "mosquitto-clients"]),
            Self::Faketime => apt(&["faketime"]),
            Self::Databases => apt(&["postgresql", "mariadb-server"]),
            Self::Debootstrap => apt(&["debootstrap", "util-linux", "iproute2", "python3", "ca-certificates"]),
            Self::PythonVenv => apt(&["python3", "python3-venv"]),
            Self::Node => apt(&["nodejs", "npm"]),
            Self::Cxx => apt(&["g++"]),
            Self::Buildah => apt(&["buildah", "crun"]),
            Self::Monitoring => apt(&[
                "prometheus",
                "prometheus-alertmanager",
                "prometheus-node-exporter",
                "prometheus-blackbox-exporter",
            ]),
            Self::Podman => apt(&["podman", "runc", "mount", "curl"]),
            Self::AppArmor => apt(&["apparmor"]),
            Self::Chromium => apt(&["chromium"]),
            // A debug build of the tool is ready in half the time and judges the same.
            Self::CargoDeny => shell::cargo(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--debug"]),
            Self::RustComponents => shell::run("rustup", ["component", "add", "rustfmt", "clippy"]),
        }
    }
}

fn cargo_bin(program: &str) -> std::path::PathBuf {
    let home =
        std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap_or_default()));
    Path::new(&home).join("bin").join(program)
}

fn apt(packages: &[&str]) -> anyhow::Result<()> {
    if !shell::has("apt-get") {
        bail!("this machine has no apt-get; install {} by hand", packages.join(", "));
    }
    // RUNLEVEL=1 keeps Debian's policy from starting the broker as a system service.
    let quiet = [("DEBIAN_FRONTEND", "noninteractive"), ("RUNLEVEL", "1")];
    let as_root = |arguments: &[&str]| {
        if shell::has("sudo") && std::env::var("USER").is_ok_and(|user| user != "root") {
            shell::run_with("sudo", [&["-E", "apt-get"], arguments].concat(), &quiet)
        } else {
            shell::run_with("apt-get", arguments, &quiet)
        }
    };
    as_root(&["update", "-qq"])?;
    as_root(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

/// Makes sure that `part` is there; says what was done.
pub fn ensure(part: Part) -> anyhow::Result<()> {
    if part.present() {
        return Ok(());
    }
    eprintln!("xtask: installing {part:?}");
    part.install()?;
    if part.present() { Ok(()) } else { bail!("{part:?} was installed but does not answer") }
}

/// As [`python_packages`], and prints how long it took. Where the packages cannot be had, this is printed loudly, together with `without`:
/// what stays unchecked then; with `CI=true` it is an error. Returns whether the packages are there.
pub fn python_packages_or_say(folder: &Path, requirements: &str, without: &str) -> anyhow::Result<bool> {
    let start = Instant::now();
    match python_packages(folder, requirements) {
        Ok(Fetched::Now) => {
            println!("=== {requirements}: installed in {:.0} s", start.elapsed().as_secs_f64());
            Ok(true)
        }
        Ok(Fetched::Before) => Ok(true),
        Err(error) if std::env::var("CI").is_ok_and(|value| value == "true") => {
            Err(error.context(format!("{requirements} could not be installed")))
        }
        Err(error) => {
            println!("=== NOT CHECKED, since {requirements} could not be installed: {error:#}");
            println!("=== {without}");
            Ok(false)
        }
    }
}

/// Whether packages were installed by this call or are from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    Now,
    Before,
}

/// Makes an environment of Python's in `folder`, kept between runs, with the packages that the file `requirements` names. A copy of that
/// file in the folder says what is installed there.
pub fn python_packages(folder: &Path, requirements: &str) -> anyhow::Result<Fetched> {
    let wanted = std::fs::read_to_string(shell::root().join(requirements)).with_context(|| requirements.to_owned())?;
    let installed = folder.join("requirements.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|list| list == wanted) {
        return Ok(Fetched::Before);
    }
    let python = folder.join("bin/python").display().to_string();
    if !Path::new(&python).is_file() {
        shell::run("python3", ["-m", "venv", &folder.display().to_string()])?;
    }
    shell::run(&python, ["-m", "pip", "install", "--quiet", "--requirement", requirements])?;
    std::fs::write(&installed, wanted).with_context(|| installed.display().to_string())?;
    Ok(Fetched::Now)
}

/// Installs in `folder`, kept between runs, the packages of Node.js that the lock file in `source` names.
pub fn node_packages(folder: &Path, source: &str) -> anyhow::Result<()> {
    let source = shell::root().join(source);
    let lock = "package-lock.json";
    let wanted = std::fs::read(source.join(lock)).with_context(|| source.display().to_string())?;
    let done = folder.join("node_modules/.package-lock.json").is_file();
    if done && std::fs::read(folder.join(lock)).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for name in ["package.json", lock] {
        std::fs::copy(source.join(name), folder.join(name)).with_context(|| folder.join(name).display().to_string())?;
    }
    let folder = folder.display().to_string();
    shell::run("npm", ["ci", "--prefix", &folder, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"])
}
