//! What is shipped: its bill of materials, and that two builds of it are the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::shell;

/// What is shipped.
const SHIPPED: [&str; 3] = ["hearthwatch-edge", "hearthwatch-cloud", "hearthwatch-provision"];

/// Writes a CycloneDX 1.5 bill of materials: every crate that a shipped program is built from, with version, licence and the
/// checksum of `Cargo.lock`.
pub fn sbom(file: &Path) -> anyhow::Result<()> {
    let metadata = metadata()?;
    let reached = reached(&metadata)?;
    let checksums = checksums()?;
    let packages = metadata["packages"].as_array().context("cargo metadata has packages")?;
    let mut components: Vec<Value> = packages
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| reached.contains(id)))
        .map(|package| component(package, &checksums))
        .collect();
    components.sort_by_key(|component| component["purl"].as_str().unwrap_or_default().to_owned());
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": { "type": "application", "name": "hearthwatch", "version": env!("CARGO_PKG_VERSION") } },
        "components": components,
    });
    let path = shell::root().join(file);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, serde_json::to_vec_pretty(&bill)?).with_context(|| path.display().to_string())?;
    println!("{} components in {}", components.len(), path.display());
    Ok(())
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let (name, version) = (text("name"), text("version"));
    let mut component = json!({
        "type": "library",
        "name": name,
        "version": version,
        "purl": format!("pkg:cargo/{name}@{version}"),
    });
    // An older way to write a choice, which is no SPDX expression. Who names a file instead of a licence has none here.
    let licence = text("license").replace('/', " OR ");
    if !licence.is_empty() {
        component["licenses"] = json!([{ "expression": licence }]);
    }
    if let Some(checksum) = checksums.get(&(name, version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn metadata() -> anyhow::Result<Value> {
    let output = Command::new(shell::cargo_path())
        // What other systems would need is not in these programs.
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform"])
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .current_dir(shell::root())
        .output()
        .context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The packages that the shipped ones are built from, tests' own left out.
fn reached(metadata: &Value) -> anyhow::Result<BTreeSet<String>> {
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo metadata resolves")?;
    let by_id: BTreeMap<&str, &Value> = nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let packages = metadata["packages"].as_array().context("cargo metadata has packages")?;
    let shipped = packages.iter().filter(|package| SHIPPED.iter().any(|name| package["name"] == *name));
    let mut open: Vec<&str> = shipped.filter_map(|package| package["id"].as_str()).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !reached.insert(id.to_owned()) {
            continue;
        }
        let Some(node) = by_id.get(id) else { continue };
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds.into_iter().any(|kind| kind["kind"] != "dev") {
                open.extend(dependency["pkg"].as_str());
            }
        }
    }
    Ok(reached)
}

/// Checksums by name and version, as `Cargo.lock` has them.
fn checksums() -> anyhow::Result<BTreeMap<(String, String), String>> {
    let lock = std::fs::read_to_string(shell::root().join("Cargo.lock")).context("Cargo.lock")?;
    let mut checksums = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")))?;
            Some(line.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(checksum)) = (field("name"), field("version"), field("checksum")) {
            checksums.insert((name, version), checksum);
        }
    }
    Ok(checksums)
}

/// Builds the shipped programs twice, in two directories, and compares them byte for byte; then writes the bill of materials.
pub fn reproducible() -> anyhow::Result<()> {
    let root = shell::root();
    let mut built = Vec::new();
    for place in ["target/reproducible-1", "target/reproducible-2"] {
        let target = root.join(place);
        if target.is_dir() {
            std::fs::remove_dir_all(&target)?;
        }
        // Where the sources and the registry lie on this machine must not get into the programs.
        let home =
            std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
        let flags = format!("--remap-path-prefix={}=/src --remap-path-prefix={home}=/cargo", root.display());
        let (target_text, mut build) = (target.to_string_lossy(), vec!["build", "--profile", "dist", "--locked"]);
        build.extend(SHIPPED.iter().flat_map(|name| ["--bin", name]));
        build.push("--workspace");
        let environment = [("CARGO_TARGET_DIR", &*target_text), ("RUSTFLAGS", &flags), ("SOURCE_DATE_EPOCH", "0")];
        shell::run_with(&shell::cargo_path(), build, &environment)?;
        built.push(target.join("dist"));
    }
    for name in SHIPPED {
        let bytes = built.iter().map(|folder| std::fs::read(folder.join(name))).collect::<Result<Vec<_>, _>>()?;
        if bytes[0] != bytes[1] {
            bail!("{name} differs between two builds");
        }
        println!("{name}: {} bytes, the same twice", bytes[0].len());
    }
    sbom(Path::new("target/hearthwatch.cdx.json"))
}
