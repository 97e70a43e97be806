//! The modules of a crate and which of them each one imports, as far as the text of its sources tells.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A source file as a module.
#[derive(Debug)]
pub struct Module {
    /// Its path in the tree.
    pub file: PathBuf,
    /// Its names below the crate; none for the crate's root.
    path: Vec<String>,
    /// Whether there are files in a folder of its first name.
    in_folder: bool,
    /// Places in the list of the modules that it imports from, without itself.
    pub uses: BTreeSet<usize>,
}

impl Module {
    /// The folder of the crate's that it belongs to; `a.rs` belongs to `a/`. None for a file beside the folders.
    pub fn folder(&self) -> Option<&str> {
        self.in_folder.then(|| self.path.first().map(String::as_str)).flatten()
    }
}

/// The modules below `source`, a crate's folder of sources, without those that hold tests or fixtures.
pub fn modules(source: &Path, files: &[(PathBuf, String)]) -> Vec<Module> {
    let mut found: Vec<(Module, String)> = Vec::new();
    for (file, text) in files {
        let Ok(below) = file.strip_prefix(source) else { continue };
        let path = names(below);
        if path.iter().any(|name| name.contains("test") || name == "fixtures") {
            continue;
        }
        let text = code(text);
        found.push((Module { file: file.clone(), path, in_folder: false, uses: BTreeSet::new() }, text));
    }
    let folders: BTreeSet<String> =
        found.iter().filter(|(module, _)| module.path.len() > 1).map(|(module, _)| module.path[0].clone()).collect();
    let places: BTreeMap<Vec<String>, usize> =
        found.iter().enumerate().map(|(place, (module, _))| (module.path.clone(), place)).collect();
    let reexports: Vec<BTreeMap<String, Vec<String>>> =
        found.iter().map(|(module, text)| reexports(&module.path, text)).collect();
    let uses: Vec<BTreeSet<usize>> = found
        .iter()
        .enumerate()
        .map(|(own, (module, text))| {
            let paths = imported(text).into_iter().filter_map(|path| absolute(&module.path, path));
            paths.filter_map(|path| resolve(&path, &places, &reexports)).filter(|place| *place != own).collect()
        })
        .collect();
    let with = |((module, _), uses): ((Module, String), _)| {
        let in_folder = module.path.first().is_some_and(|first| folders.contains(first));
        Module { in_folder, uses, ..module }
    };
    let mut modules: Vec<Module> = found.into_iter().zip(uses).map(with).collect();
    // The root names everything; whoever takes a name from it was resolved to where the name comes from.
    for module in modules.iter_mut().filter(|module| module.path.is_empty()) {
        module.uses.clear();
    }
    modules
}

/// `a/b/mod.rs` and `a/b.rs` are `a`, `b`; `lib.rs` and `main.rs` are the root.
fn names(below: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        below.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| last == "mod") || (names.len() == 1 && ["lib", "main"].contains(&&*names[0])) {
        names.pop();
    }
    names
}

/// The text without comments, without what stands between quotes, and without the tests at its end.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut quoted = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{')) {
            break;
        }
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if quoted => drop(letters.next()),
                '"' => quoted = !quoted,
                '\'' if !quoted && letters.peek() == Some(&'"') => drop(letters.next()),
                '/' if !quoted && letters.peek() == Some(&'/') => break,
                _ if quoted => {}
                other => code.push(other),
            }
        }
        code.push('\n');
    }
    code
}

/// Every path of the crate's own that the code names.
fn imported(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let within = code[..at].chars().next_back();
            // Part of a longer path, which is found from its beginning, or of a longer name.
            if within.is_some_and(|letter| letter == ':' || letter == '_' || letter.is_alphanumeric()) {
                continue;
            }
            tree(&code[at..], &[], &mut paths);
        }
    }
    paths
}

/// Reads a tree of names, `a::{b, c::d}`, from the beginning of `code`, and gives the rest.
fn tree<'a>(code: &'a str, before: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            match rest.strip_prefix('}') {
                Some(rest) => return rest,
                None if rest.is_empty() => return rest,
                None => {
                    let next = tree(rest, before, paths);
                    // Nothing that is a name: not a list of imports.
                    if next.len() == rest.len() {
                        return "";
                    }
                    rest = next;
                }
            }
        }
    }
    let end = code.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(code.len());
    let (name, rest) = code.split_at(end);
    let rest = if name.is_empty() { rest.strip_prefix('*').unwrap_or(rest) } else { rest };
    let mut path = before.to_vec();
    path.extend((!name.is_empty()).then(|| name.to_owned()));
    if let Some(rest) = rest.strip_prefix("::") {
        return tree(rest, &path, paths);
    }
    paths.push(path);
    let alias =
        rest.strip_prefix(" as ").map(|rest| rest.trim_start_matches(|c: char| c == '_' || c.is_alphanumeric()));
    alias.unwrap_or(rest)
}

/// A path that begins with `crate`, `super` or `self`, from the crate's root.
fn absolute(own: &[String], path: Vec<String>) -> Option<Vec<String>> {
    let mut base = match path.first()?.as_str() {
        "crate" => Vec::new(),
        _ => own.to_vec(),
    };
    let mut rest = path.into_iter().peekable();
    while let Some(name) = rest.next_if(|name| ["crate", "super", "self"].contains(&name.as_str())) {
        if name == "super" {
            base.pop()?;
        }
    }
    base.extend(rest);
    Some(base)
}

/// What a module gives under another path: name → path from the crate's root.
fn reexports(own: &[String], code: &str) -> BTreeMap<String, Vec<String>> {
    let mut given = BTreeMap::new();
    for (at, _) in code.match_indices("pub use ").chain(code.match_indices("pub(crate) use ")) {
        let statement = code[at..].split_once("use ").map_or("", |(_, rest)| rest);
        let mut paths = Vec::new();
        tree(statement, &[], &mut paths);
        for path in paths {
            let Some(name) = path.last().cloned() else { continue };
            let rooted = ["crate", "super", "self"].contains(&path[0].as_str());
            let path = if rooted { absolute(own, path) } else { Some([own, &path].concat()) };
            if let Some(path) = path {
                given.insert(name, path);
            }
        }
    }
    given
}

/// The module that a path means: the longest that there is, or where what it gives under that name comes from.
fn resolve(
    path: &[String],
    places: &BTreeMap<Vec<String>, usize>,
    reexports: &[BTreeMap<String, Vec<String>>],
) -> Option<usize> {
    let known = (0..=path.len()).rev().find_map(|length| places.get(&path[..length]).map(|place| (length, *place)));
    let (length, place) = known?;
    let from = path.get(length).and_then(|name| reexports[place].get(name));
    match from {
        Some(from) if from != path => resolve(from, places, reexports),
        _ => Some(place),
    }
}
