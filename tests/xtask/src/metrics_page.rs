//! The page of the metrics names every metric that a source file registers.

use std::path::PathBuf;

/// The page, written by hand: what a metric means for an operator stands in no source file.
const PAGE: &str = "docs/reference/metrics.md";
/// How a metric is registered, or shown when it is asked for, without white space. Put together here, so that this file registers none.
const REGISTERED: [&str; 5] = [
    concat!("registry", ".register(\""),
    concat!("own", ".register(\""),
    concat!("encode", "_descriptor(\""),
    concat!("gauge", "(encoder,\""),
    concat!("gauge", "(&mutencoder,\""),
];

/// Notes each metric that `sources` (path and text) register and `pages` do not describe.
pub fn check(sources: &[(PathBuf, String)], pages: &[(PathBuf, String)], breaches: &mut Vec<String>) {
    let page = pages.iter().find(|(path, _)| path.as_os_str() == PAGE).map_or("", |(_, text)| text);
    for (path, text) in sources {
        for name in registered(text) {
            if !page.contains(&format!("\n| `{name}` |")) {
                breaches.push(format!("{}: {PAGE} has no row for the metric {name}", path.display()));
            }
        }
    }
}

/// The first text after each registration.
fn registered(source: &str) -> Vec<String> {
    let dense: String = source.split_whitespace().collect();
    let after = |marker| dense.split(marker).skip(1);
    let names = REGISTERED.into_iter().flat_map(after);
    names.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_without_a_row_is_told() {
        let begin = "registry.register";
        let source = format!("{begin}(\"runs\", \"x\", y); {begin}(\n  \"lost\",\n \"x\", y);");
        let sources = [(PathBuf::from("src/metrics.rs"), source)];
        let pages = [(PathBuf::from(PAGE), "\n| `runs` | counter | runs |\n".to_owned())];
        let mut breaches = Vec::new();
        check(&sources, &pages, &mut breaches);
        assert_eq!(breaches, ["src/metrics.rs: docs/reference/metrics.md has no row for the metric lost"]);
    }
}
