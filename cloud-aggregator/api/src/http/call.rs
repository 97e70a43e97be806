//! What is true of a call by its path alone.

/// Calls that answer with a secret, which is kept nowhere: a second one of the same name is refused anyway.
pub(crate) const SECRET: [&str; 2] = ["/api/v1/tokens", "/api/v1/claims"];

/// The nearest thing above a path, itself included, that has a name and can be `shown`.
pub(crate) fn thing_of(path: &str, shown: impl Fn(&str) -> bool) -> Option<String> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect::<Vec<_>>();
    let parts = ends.into_iter().rev().map(|end| &path[..end]).filter(|part| part.contains('{'));
    parts.into_iter().find(|part| shown(part)).map(str::to_owned)
}
