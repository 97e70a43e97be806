//! Pages as a whole: every link leads somewhere, to a heading that is there, and every page can be reached from the first one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Where readers begin.
const FIRST_PAGES: [&str; 2] = ["README.md", "docs/README.md"];
/// Each page below this folder must be reachable from the first pages.
const DOCS: &str = "docs";

/// What is not edited after its day.
const EARLIER_DAYS: [&str; 3] = ["docs/measurements", "CHANGELOG.md", "model/shipped"];

/// A page: where its links lead, and the anchors of its headings.
struct Page {
    targets: Vec<String>,
    anchors: BTreeSet<String>,
}

/// Holds all pages (path and text) against each other. `exists` says whether a path of the tree is there.
pub fn check(pages: &[(PathBuf, String)], exists: impl Fn(&Path) -> bool, breaches: &mut Vec<String>) {
    let read: BTreeMap<&Path, Page> = pages.iter().map(|(path, text)| (path.as_path(), page(text))).collect();
    let mut leads: BTreeMap<&Path, Vec<PathBuf>> = BTreeMap::new();
    for (path, page) in &read {
        for target in &page.targets {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').map_or((target.as_str(), None), |(file, a)| (file, Some(a)));
            let Some(at) = resolve(path, file) else {
                breaches.push(format!("{}: the link to {target} leaves the tree", path.display()));
                continue;
            };
            if !exists(&at) {
                breaches.push(format!("{}: the link to {target} leads nowhere", path.display()));
                continue;
            }
            if let (Some(anchor), Some(other)) = (anchor, read.get(at.as_path()))
                && !other.anchors.contains(anchor)
            {
                breaches.push(format!("{}: {} has no heading #{anchor}", path.display(), at.display()));
            }
            leads.entry(path).or_default().push(at);
        }
    }
    let reached = reached(&leads);
    for path in read.keys() {
        if path.starts_with(DOCS) && !reached.contains(*path) {
            breaches.push(format!("{}: no way leads here from {}", path.display(), FIRST_PAGES.join(" or ")));
        }
    }
}

/// Source files that pages name in code style must be there under that name; pages of earlier days name those of their day.
pub fn check_sources(pages: &[(PathBuf, String)], sources: &[(PathBuf, String)], breaches: &mut Vec<String>) {
    for (path, text) in pages.iter().filter(|(path, _)| !EARLIER_DAYS.iter().any(|day| path.starts_with(day))) {
        let named = text.split('`').skip(1).step_by(2).filter(|word| {
            word.ends_with(".rs") && word.chars().all(|letter| letter.is_alphanumeric() || "_/.-".contains(letter))
        });
        for name in named.filter(|name| !sources.iter().any(|(source, _)| source.ends_with(name))) {
            breaches.push(format!("{}: there is no source file {name}", path.display()));
        }
    }
}

/// The path in the tree that `target`, written in `page`, means; an empty one is the page itself.
fn resolve(page: &Path, target: &str) -> Option<PathBuf> {
    if target.is_empty() {
        return Some(page.to_owned());
    }
    let mut at = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => at.push(name),
            Component::ParentDir => {
                if !at.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(at)
}

fn reached(leads: &BTreeMap<&Path, Vec<PathBuf>>) -> BTreeSet<PathBuf> {
    let mut open: Vec<PathBuf> = FIRST_PAGES.iter().map(PathBuf::from).collect();
    let mut reached = BTreeSet::new();
    while let Some(path) = open.pop() {
        if reached.insert(path.clone()) {
            open.extend(leads.get(path.as_path()).into_iter().flatten().cloned());
        }
    }
    reached
}

/// Links and headings of a page; what stands in a block of code is neither.
fn page(text: &str) -> Page {
    let mut page = Page { targets: Vec::new(), anchors: BTreeSet::new() };
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        if in_code {
            continue;
        }
        let heading = line.trim_start_matches('#');
        if heading.len() < line.len() && heading.starts_with(' ') {
            let anchor = anchor(heading.trim());
            // A heading that is there twice gets a number.
            let free = (0..).map(|n| if n == 0 { anchor.clone() } else { format!("{anchor}-{n}") });
            page.anchors.extend(free.into_iter().find(|one| !page.anchors.contains(one)));
        }
        let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let html = [" src=\"", " href=\""].into_iter().flat_map(|key| line.split(key).skip(1));
        page.targets.extend(links.map(str::to_owned));
        page.targets.extend(html.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    page
}

/// The anchor that forges make of a heading: small letters, digits and hyphens.
fn anchor(heading: &str) -> String {
    let mut text = String::new();
    // Of a link only its words are shown.
    for (place, part) in heading.split("](").enumerate() {
        text.push_str(if place == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) });
    }
    text.chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ if letter.is_alphanumeric() => Some(letter),
            _ => None,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: Vec<_> = pages.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        let mut breaches = Vec::new();
        let there = |path: &Path| pages.iter().any(|(page, _)| page == path) || path == Path::new("docs");
        check(&pages, there, &mut breaches);
        breaches
    }

    #[test]
    fn links_between_pages_hold() {
        let first = "# A\n[b](docs/b.md#two-words) [up](#a)\n```\n[no](nowhere.md)\n```\n[out](https://example.org/x)";
        assert_eq!(said(&[("README.md", first), ("docs/b.md", "## Two words\n[a](../README.md)")]), [""; 0]);
    }

    #[test]
    fn a_link_to_nothing_a_missing_heading_and_a_lost_page_are_told() {
        let first = "[a](gone.md) [b](docs/b.md#three) [c](../out.md) <img src=\"docs/no.png\">";
        let breaches = said(&[("README.md", first), ("docs/b.md", "## Two"), ("docs/lost.md", "")]);
        assert_eq!(
            breaches,
            [
                "README.md: the link to gone.md leads nowhere",
                "README.md: docs/b.md has no heading #three",
                "README.md: the link to ../out.md leaves the tree",
                "README.md: the link to docs/no.png leads nowhere",
                "docs/lost.md: no way leads here from README.md or docs/README.md",
            ]
        );
    }

    #[test]
    fn a_source_file_that_a_page_names_must_be_there() {
        let page = |path: &str| (PathBuf::from(path), "In `a/b.rs`, `c.rs` and `d::e`.".to_owned());
        let sources = [(PathBuf::from("x/src/a/b.rs"), String::new())];
        let mut breaches = Vec::new();
        check_sources(&[page("README.md"), page("docs/measurements/one.md")], &sources, &mut breaches);
        assert_eq!(breaches, ["README.md: there is no source file c.rs"]);
    }

    #[test]
    fn anchors_are_those_of_forges() {
        assert_eq!(anchor("The aggregators' group"), "the-aggregators-group");
        assert_eq!(anchor("Messages (CDDL, RFC 8610)"), "messages-cddl-rfc-8610");
        assert_eq!(anchor("`init` and [a page](x.md), v2"), "init-and-a-page-v2");
        let twice = page("## One\n## One\n").anchors;
        assert_eq!(twice.into_iter().collect::<Vec<_>>(), ["one", "one-1"]);
    }
}
