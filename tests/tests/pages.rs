//! The operator's pages in a real browser: what they look like with a fleet of ten thousand homes, and logging in at a real identity provider.
//!
//! Pictures are kept in the folder that the tests name. The suite `pages` installs what they need (Chromium, Node.js, the packages of
//! `tests/pages`); where it is not there each test says so and does nothing; with `HEARTHWATCH_REQUIRE_PAGES` set it fails.

#[path = "../../edge-agent/tests/browser/chrome.rs"]
mod chrome;
#[path = "pages/login.rs"]
mod login;
#[path = "pages/looks.rs"]
mod looks;

use std::path::{Path, PathBuf};

use chrome::Chrome;

/// Where the suite puts the packages of Node.js.
fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pages");
    if folder.join("node_modules/oidc-provider").is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("HEARTHWATCH_REQUIRE_PAGES").is_none(), "{} holds no packages", folder.display());
    eprintln!("NOT CHECKED: `cargo xtask test --only pages` installs what this needs");
    None
}

fn pictures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A client of HTTP.
fn client() -> reqwest::Client {
    // Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// What can be read on the page.
async fn text(chrome: &mut Chrome) -> String {
    chrome.ask("document.body.innerText").await.as_str().unwrap().to_owned()
}

/// What the browser complained about. Its hints for password managers are none: a token has no name beside it.
fn complaints(chrome: &Chrome) -> Vec<String> {
    chrome.complaints.iter().filter(|text| !text.starts_with("\"[DOM]")).cloned().collect()
}
