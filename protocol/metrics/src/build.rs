//! Which build runs.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The commit that was built, where whoever built it said so; `git` is not asked.
const REVISION: Option<&str> = option_env!("HEARTHWATCH_REVISION");

/// Adds `build_info` with the version of the workspace and the revision, `unknown` where nobody said it at the build.
pub fn register_build(registry: &mut Registry) {
    let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION.unwrap_or("unknown"))]);
    registry.register("build", "Version and revision of this program", build);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_named_by_version_and_revision() {
        let mut registry = Registry::with_prefix("x");
        register_build(&mut registry);
        let start = format!("x_build_info{{version=\"{}\",revision=\"", env!("CARGO_PKG_VERSION"));
        assert!(crate::render(&registry).contains(&start));
    }
}
