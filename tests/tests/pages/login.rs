//! Logging in at a real identity provider: in a real browser, by a code from the command line, and what becomes of the sessions.

use std::io::{BufRead as _, BufReader, Cursor};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_api::http::second_person::Guarded;
use hearthwatch_api::login::LoginConfig;
use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::config::Config;
use hearthwatch_cloud::serve::serve;
use hearthwatch_ctl::{Terminal, World, run_line};
use hearthwatch_store::files::private_data;
use hearthwatch_store::{Role, SqliteStore, Store as _, fixtures, token};
use hearthwatch_tests::free_address;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::chrome::{Chrome, Light};
use crate::{client, installed, pictures, text};

/// The provider's process.
struct Provider {
    child: Child,
    /// Open as long as it lives: it would end when nobody hears it.
    _said: BufReader<ChildStdout>,
    issuer: String,
}

impl Provider {
    fn start(folder: &Path, page: &str) -> Self {
        let port = free_address().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages/provider.mjs");
        // Beside its modules: there Node.js finds them.
        std::fs::copy(script, folder.join("provider.mjs")).unwrap();
        let mut child = Command::new("node")
            .args(["provider.mjs", &port.to_string(), page])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "listening");
        Self { child, _said: said, issuer: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running aggregator that believes the provider.
struct Stand {
    url: String,
    admin: String,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    _provider: Provider,
}

impl Stand {
    async fn start(modules: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = free_address();
        let url = format!("http://{listen}");
        let provider = Provider::start(modules, &url);
        let mut config = Config::in_directory(folder.path().join("cloud"));
        let store = SqliteStore::open(&private_data(&config.data, DATABASE_FILE).unwrap()).unwrap();
        let now = Timestamp::now().as_second();
        store.enrol_home(&fixtures::home("home-7"), now).unwrap();
        let (admin, _) = token::make(&store, "admin", Role::Admin, None, now).unwrap();
        drop(store);
        let secret = folder.path().join("client.secret");
        hearthwatch_provision::files::write_private(&secret, b"a-secret-of-the-test-alone").unwrap();
        let login = LoginConfig {
            issuer: provider.issuer.clone(),
            client_id: "hearthwatch".to_owned(),
            client_secret_file: Some(secret),
            ca_file: None,
            page_url: url.parse().unwrap(),
            scopes: vec!["profile".to_owned(), "groups".to_owned()],
            name_claim: "preferred_username".to_owned(),
            groups_claim: "groups".to_owned(),
            viewers: Vec::new(),
            operators: vec!["night-shift".to_owned()],
            admins: vec!["owners".to_owned()],
        };
        let second_person = vec![Guarded::Erase];
        config.http = Some(HttpConfig { second_person, login: Some(login), ..HttpConfig::new(listen) });
        let stop = CancellationToken::new();
        tokio::spawn(serve(config, stop.clone()));
        let stand = Self { url, admin, folder, stop, _provider: provider };
        let client = client();
        while client.get(format!("{}/healthz", stand.url)).send().await.is_err() {
            tokio::task::yield_now().await;
        }
        stand
    }

    async fn api(&self, path: &str) -> Value {
        let client = client();
        let answer = client.get(format!("{}{path}", self.url)).bearer_auth(&self.admin).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Runs `ctl` as its user would; what it says, and its exit code.
    fn ctl(&self, words: &[&str], said: &Arc<Mutex<Vec<u8>>>) -> (String, u8) {
        let home = self.folder.path().display().to_string();
        let (mut out, mut err) = (Vec::new(), Shared(Arc::clone(said)));
        let mut world = World {
            out: &mut out,
            err: &mut err,
            input: &mut Cursor::new(""),
            environment: &|name| (name == "HOME").then(|| home.clone()),
            now: &Timestamp::now,
            zone: TimeZone::UTC,
            terminal: Terminal::NONE,
        };
        let code = tokio::task::block_in_place(|| run_line(&[&["ctl"], words].concat(), &mut world));
        (String::from_utf8(out).unwrap(), code)
    }
}

/// What a command says while it runs.
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Types a name and a password into the provider's form, and agrees.
async fn be(chrome: &mut Chrome, name: &str) {
    chrome.until("document.querySelector('input[name=login]') !== null").await;
    let fill = format!(
        "document.querySelector('input[name=login]').value = '{name}'; document.querySelector('input[name=password]').value = 'x'"
    );
    chrome.ask(&fill).await;
    submit(chrome).await;
    submit(chrome).await;
}

/// Sends the provider's form, once it is there.
async fn submit(chrome: &mut Chrome) {
    chrome.until("document.querySelector('button[type=submit]') !== null && document.readyState === 'complete'").await;
    chrome.click_through("button[type=submit]").await;
}

/// Forgets who is logged in, here and at the provider.
async fn forget(chrome: &mut Chrome) {
    chrome.call("Network.clearBrowserCookies", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_at_a_real_provider_in_the_browser_and_from_the_command_line() {
    let Some(modules) = installed() else { return };
    let Some(mut chrome) = Chrome::start().await else { return };
    let stand = Arc::new(Stand::start(&modules).await);
    chrome.look(1280, 900, Light::Bright).await;
    in_the_browser(&mut chrome, &stand).await;
    from_the_command_line(&mut chrome, &stand).await;
    by_two_people(&mut chrome, &stand).await;
    stand.stop.cancel();
}

async fn in_the_browser(chrome: &mut Chrome, stand: &Stand) {
    chrome.open(&format!("{}/", stand.url)).await;
    chrome.picture(&pictures().join("login.png")).await;
    chrome.click_through("a[href='/login/start']").await;
    be(chrome, "kim").await;
    chrome.until("location.pathname === '/' && document.readyState === 'complete'").await;
    assert!(text(chrome).await.contains("Log out kim"));
    let session = &stand.api("/api/v1/sessions").await["items"][0];
    assert_eq!((&session["holder"], &session["role"]), (&json!("person:kim"), &json!("operator")));
    assert_eq!(session["subject"], format!("{} subject-of-kim", stand._provider.issuer));

    // What changes something asks for no token, and is written down under the name.
    chrome.open(&format!("{}/homes/home-7/exclude", stand.url)).await;
    assert_eq!(chrome.ask("document.querySelector('input[name=token]')").await, Value::Null);
    chrome.ask("document.querySelector('input[name=reason]').value = 'a party'").await;
    chrome.click_through("button.danger").await;
    let line = &stand.api("/api/v1/audit").await["items"][0];
    assert_eq!((&line["action"], &line["actor"]), (&json!("home.exclude"), &json!("person:kim")));
    // A role too low is told.
    chrome.open(&format!("{}/homes/home-7/revoke", stand.url)).await;
    chrome.ask("document.querySelector('input[name=reason]').value = 'x'").await;
    chrome.click_through("button.danger").await;
    assert!(text(chrome).await.contains("this needs the role admin"));

    // Whoever is in none of our groups is told so.
    forget(chrome).await;
    chrome.open(&format!("{}/login/start", stand.url)).await;
    be(chrome, "eve").await;
    let told = "you are known to the provider as eve, but none of your groups may do anything here";
    assert!(text(chrome).await.contains(told), "{}", text(chrome).await);
    // A code of another log-in is worth nothing.
    chrome.open(&format!("{}/login/callback?code=stolen&state=other", stand.url)).await;
    assert!(text(chrome).await.contains("this log-in has ended or was made elsewhere: begin again"));
}

async fn from_the_command_line(chrome: &mut Chrome, stand: &Arc<Stand>) {
    let nothing = || Arc::new(Mutex::new(Vec::new()));
    assert_eq!(stand.ctl(&["context", "add", "fleet", "--url", &stand.url], &nothing()).1, 0);
    let said = nothing();
    let login = tokio::task::spawn_blocking({
        let (stand, said) = (Arc::clone(stand), Arc::clone(&said));
        move || stand.ctl(&["login"], &said)
    });
    let address = loop {
        let text = String::from_utf8(said.lock().unwrap().clone()).unwrap();
        if let Some(address) =
            text.lines().find_map(|line| line.strip_prefix("open ")).filter(|_| text.contains("Ctrl-C"))
        {
            break address.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    forget(chrome).await;
    chrome.open(&address).await;
    // The provider takes the code from the address, and asks whether it is this command line.
    chrome.until("document.querySelector('#op\\.deviceConfirmForm, form[id]') !== null || document.body.innerText.includes('Confirm')").await;
    submit(chrome).await;
    be(chrome, "kim").await;
    let (_, code) = login.await.unwrap();
    let told = String::from_utf8(said.lock().unwrap().clone()).unwrap();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("logged in as kim, operator; the session is in "), "{told}");

    let stand = Arc::clone(stand);
    tokio::task::spawn_blocking(move || {
        let own: Value = serde_json::from_str(&stand.ctl(&["sessions", "own", "--json"], &nothing()).0).unwrap();
        assert_eq!((&own["holder"], &own["role"]), (&json!("person:kim"), &json!("operator")));
        let asked = stand.ctl(&["homes", "list", "--json"], &nothing());
        assert_eq!(asked.1, 0);
        assert_eq!(stand.ctl(&["logout"], &nothing()).1, 0);
        let gone = nothing();
        assert_eq!(stand.ctl(&["homes", "list"], &gone).1, 2, "its file is gone");
    })
    .await
    .unwrap();
}

async fn by_two_people(chrome: &mut Chrome, stand: &Stand) {
    let client = client();
    let asked = client
        .post(format!("{}/api/v1/homes/home-7/erase", stand.url))
        .bearer_auth(&stand.admin)
        .json(&json!({"reason": "moved out"}))
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 202);
    forget(chrome).await;
    chrome.open(&format!("{}/login/start", stand.url)).await;
    be(chrome, "ada").await;
    chrome.until("location.pathname === '/' && document.readyState === 'complete'").await;
    chrome.open(&format!("{}/approvals", stand.url)).await;
    chrome.picture(&pictures().join("approvals.png")).await;
    chrome.click_through("a[href='/approvals/1/approve']").await;
    chrome.click_through("button.danger").await;
    chrome.until("location.pathname === '/approvals' && document.readyState === 'complete'").await;
    assert!(text(chrome).await.contains("done"), "{}", text(chrome).await);
    chrome.picture(&pictures().join("approved.png")).await;
    let erased = stand.api("/api/v1/audit").await;
    let erased =
        erased["items"].as_array().unwrap().iter().find(|line| line["action"] == "home.erase").unwrap().clone();
    assert_eq!((&erased["actor"], &erased["detail"]["approved_by"]), (&json!("token:admin"), &json!("person:ada")));
    chrome.open(&format!("{}/audit", stand.url)).await;
    assert!(text(chrome).await.contains("home.erase"));
    chrome.picture(&pictures().join("audit.png")).await;
    // The provider's pages want fonts from elsewhere, and refusals were asked for; of our content policy there is nothing to complain.
    let policy = chrome.complaints.iter().filter(|text| text.contains("Content Security Policy"));
    assert_eq!(policy.count(), 0, "{:?}", chrome.complaints);
}
