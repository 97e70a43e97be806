//! Who may use whom: crates and their folders, held against the table that ARCHITECTURE.md shows.
//!
//! Two rules. What a manifest depends on and what a folder imports must stand in the table. And no circle of imports may run through
//! files of different folders. Tests are free: they may look at everything.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use imports::Module;

/// The page with the table.
const PAGE: &str = "ARCHITECTURE.md";
/// The first cells of the table's head.
const HEAD: &str = "| crate | uses | folders, each may use those before it |";
/// What the names of our packages begin with.
const OURS: &str = "hearthwatch-";

/// A row of the table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    uses: BTreeSet<String>,
    folders: Vec<String>,
}

/// Holds manifests and sources (path and text) against the table.
pub fn check(
    manifests: &[(PathBuf, String)],
    sources: &[(PathBuf, String)],
    pages: &[(PathBuf, String)],
    breaches: &mut Vec<String>,
) {
    let Some((_, page)) = pages.iter().find(|(path, _)| path == Path::new(PAGE)) else {
        breaches.push(format!("{PAGE} is missing"));
        return;
    };
    let table = table(page);
    if table.is_empty() {
        breaches.push(format!("{PAGE}: no table begins with {HEAD:?}"));
        return;
    }
    for (manifest, text) in manifests {
        let folder = manifest.parent().unwrap_or(Path::new(""));
        let Some(name) = package(text) else { continue };
        let Some(row) = table.get(name) else {
            breaches.push(format!("{}: {name} has no row in the table of {PAGE}", manifest.display()));
            continue;
        };
        for used in dependencies(text).filter(|used| !row.uses.contains(*used)) {
            breaches.push(format!("{}: {name} may not use {used} (table of {PAGE})", manifest.display()));
        }
        let modules = imports::modules(&folder.join("src"), sources);
        order(name, row, &modules, breaches);
        circles(&modules, breaches);
    }
}

/// The rows by package, without what all names begin with.
fn table(page: &str) -> BTreeMap<&str, Row> {
    let lines = page.lines().skip_while(|line| !line.starts_with(HEAD)).skip(2);
    lines.take_while(|line| line.starts_with('|')).filter_map(row).collect()
}

fn row(line: &str) -> Option<(&str, Row)> {
    let mut cells = line.trim_matches('|').split('|').map(str::trim);
    let name = bare(cells.next()?);
    let list = |cell: &str| -> Vec<String> {
        cell.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "–").map(str::to_owned).collect()
    };
    let uses = list(cells.next()?).into_iter().collect();
    Some((name, Row { uses, folders: list(cells.next()?) }))
}

/// `[store](cloud-aggregator/store/src/lib.rs)` is `store`.
fn bare(cell: &str) -> &str {
    cell.strip_prefix('[').and_then(|cell| cell.split(']').next()).unwrap_or(cell)
}

/// The package's name, without what all of ours begin with; none where it is not ours.
fn package(manifest: &str) -> Option<&str> {
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = \""))?.trim_end_matches('"');
    name.strip_prefix(OURS)
}

/// Our packages that a manifest depends on, tests apart.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.strip_prefix(OURS)?.split(['.', ' ', '=']).next())
}

/// A folder may use those that stand before it.
fn order(name: &str, row: &Row, modules: &[Module], breaches: &mut Vec<String>) {
    let place = |folder: &str| row.folders.iter().position(|known| known == folder);
    let folders: BTreeSet<&str> = modules.iter().filter_map(|module| module.folder()).collect();
    for folder in folders.iter().filter(|folder| place(folder).is_none()) {
        breaches.push(format!("{PAGE}: the row of {name} lacks the folder {folder}"));
    }
    for folder in row.folders.iter().filter(|folder| !folders.contains(folder.as_str())) {
        breaches.push(format!("{PAGE}: {name} has no folder {folder}"));
    }
    for module in modules {
        let Some(from) = module.folder().and_then(place) else { continue };
        for used in &module.uses {
            let Some(to) = modules[*used].folder().and_then(place) else { continue };
            if to > from {
                let (from, to) = (&row.folders[from], &row.folders[to]);
                breaches.push(format!("{}: {from} may not use {to} (table of {PAGE})", module.file.display()));
            }
        }
    }
}

/// Circles through files of different folders, each listed once, by its files.
fn circles(modules: &[Module], breaches: &mut Vec<String>) {
    let reach = |from: usize| -> BTreeSet<usize> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(at) = open.pop() {
            open.extend(modules[at].uses.iter().copied().filter(|next| seen.insert(*next)));
        }
        seen
    };
    let reached: Vec<BTreeSet<usize>> = (0..modules.len()).map(reach).collect();
    let mut seen = BTreeSet::new();
    for from in 0..modules.len() {
        let circle: BTreeSet<usize> =
            reached[from].iter().copied().filter(|to| *to == from || reached[*to].contains(&from)).collect();
        let folders: BTreeSet<Option<&str>> = circle.iter().map(|at| modules[*at].folder()).collect();
        if folders.len() > 1 && seen.insert(circle.clone()) {
            let files: Vec<String> = circle.iter().map(|at| modules[*at].file.display().to_string()).collect();
            breaches.push(format!("a circle of imports runs through {}", files.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_TEXT: &str = "# A\n\n| crate | uses | folders, each may use those before it |\n|---|---|---|\n| [low](low/src/lib.rs) | – | a, b |\n| high | low | – |\n\nend\n";

    fn complaints(sources: &[(&str, &str)], manifests: &[(&str, &str)]) -> Vec<String> {
        let owned = |list: &[(&str, &str)]| -> Vec<(PathBuf, String)> {
            list.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect()
        };
        let mut breaches = Vec::new();
        check(&owned(manifests), &owned(sources), &owned(&[("ARCHITECTURE.md", PAGE_TEXT)]), &mut breaches);
        breaches
    }

    const LOW: (&str, &str) =
        ("low/Cargo.toml", "[package]\nname = \"hearthwatch-low\"\n\n[dependencies]\nserde.workspace = true\n");

    #[test]
    fn a_crate_that_uses_what_its_row_does_not_name_is_a_breach() {
        let upwards = "[package]\nname = \"hearthwatch-low\"\n\n[dependencies]\nhearthwatch-high.workspace = true\n\n[dev-dependencies]\nhearthwatch-mirror.workspace = true\n";
        let sources = [
            ("low/src/lib.rs", "//! L\nmod a;\nmod b;\n"),
            ("low/src/a/x.rs", ""),
            ("low/src/b.rs", ""),
            ("low/src/b/y.rs", ""),
        ];
        let complaints = complaints(&sources, &[("low/Cargo.toml", upwards)]);
        assert_eq!(complaints, ["low/Cargo.toml: low may not use high (table of ARCHITECTURE.md)"]);
    }

    #[test]
    fn an_import_that_runs_against_the_order_of_the_folders_is_a_breach() {
        let sources = [
            ("low/src/lib.rs", "//! L\npub mod a;\npub mod b;\n"),
            ("low/src/a.rs", "mod x;\n"),
            ("low/src/a/x.rs", "use crate::b::y::Y;\n"),
            ("low/src/b.rs", "pub mod y;\n"),
            ("low/src/b/y.rs", "pub struct Y;\n"),
        ];
        assert_eq!(complaints(&sources, &[LOW]), ["low/src/a/x.rs: a may not use b (table of ARCHITECTURE.md)"]);
    }

    #[test]
    fn a_circle_through_two_folders_is_told_once_and_one_within_a_folder_is_none() {
        let sources = [
            ("low/src/lib.rs", "//! L\npub mod a;\npub mod b;\npub mod c;\n"),
            ("low/src/a.rs", "pub mod x;\npub mod z;\n"),
            ("low/src/a/x.rs", "use super::z::Z;\n"),
            ("low/src/a/z.rs", "use super::x::X;\nuse crate::c::C;\n"),
            ("low/src/b.rs", ""),
            ("low/src/b/y.rs", ""),
            ("low/src/c.rs", "use crate::a::x;\n"),
        ];
        let complaints = complaints(&sources, &[LOW]);
        assert_eq!(complaints, ["a circle of imports runs through low/src/a/x.rs, low/src/a/z.rs, low/src/c.rs"]);
    }
}
