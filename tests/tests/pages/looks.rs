//! Every page, from a phone to a desktop, in both themes, with a fleet of ten thousand homes and with none: nothing runs out of the window,
//! everything that can be used has a name, and axe finds no serious fault.

use std::path::Path;

use base64::Engine as _;
use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::config::{Config, RolloutConfig};
use hearthwatch_cloud::serve::serve;
use hearthwatch_detector::grid::Feature;
use hearthwatch_fleet::rollout::Policy;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::{FeatureWindow, UpdateOutcome, UpdateResult, UpdateStage, Verdict};
use hearthwatch_provision::{Layout, init};
use hearthwatch_store::files::private_data;
use hearthwatch_store::rollouts::RolloutRow;
use hearthwatch_store::{
    FeedbackRow, IngestBatch, NewModel, ReleaseRow, Role, RolloutStore as _, RunRow, RunState, SnapshotRow,
    SqliteStore, Store as _, fixtures, token,
};
use hearthwatch_tests::{free_address, promtool};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::chrome::{Chrome, Light};
use crate::{client, complaints, installed, pictures, text};

/// Homes of the large fleet.
const HOMES: usize = 10_000;

/// Of these some have answered.
const ANSWERING: usize = 300;

/// The report of a real run.
const REPORT: &str = include_str!("../../../cloud-aggregator/ctl/src/explain/golden/run-held.json");

/// Widths that are looked at: the narrowest phone in use, a desktop.
const WIDTHS: [(u32, u32); 2] = [(360, 740), (1280, 900)];

/// Nothing on the page is wider than the window.
const FITS: &str = "document.documentElement.scrollWidth <= window.innerWidth";

/// The pages of a fleet with a model that goes out.
const PAGES: [(&str, &str); 14] = [
    ("overview", "/"),
    ("homes", "/homes"),
    ("homes-found", "/homes?q=home-00012&sort=-records"),
    ("home", "/homes/home-000001"),
    ("home-exclude", "/homes/home-000001/exclude"),
    ("labels", "/labels"),
    ("models", "/models"),
    ("rollouts", "/rollouts"),
    ("rollout", "/rollouts/1"),
    ("rollout-halt", "/rollouts/1/halt"),
    ("runs", "/runs"),
    ("evaluation", "/evaluation"),
    ("alerts", "/alerts"),
    ("audit", "/audit"),
];

struct Stand {
    url: String,
    secret: String,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Stand {
    async fn start(fill: impl FnOnce(&SqliteStore, &Path, i64)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("keys"));
        init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
        let mut config = Config::in_directory(folder.path().join("cloud"));
        let file = private_data(&config.data, DATABASE_FILE).unwrap();
        let store = SqliteStore::open(&file).unwrap();
        let now = Timestamp::now().as_second();
        fill(&store, &file, now);
        let (secret, _) = token::make(&store, "operator", Role::Operator, None, now).unwrap();
        drop(store);
        let listen = free_address();
        config.http = Some(HttpConfig { calls_per_minute: 1_000_000, ..HttpConfig::new(listen) });
        let policy = Policy::named("staged").unwrap();
        config.rollout = Some(RolloutConfig { director_key: layout.director_key(), policy });
        let stop = CancellationToken::new();
        tokio::spawn(serve(config, stop.clone()));
        let (url, client) = (format!("http://{listen}"), client());
        while client.get(format!("{url}/healthz")).send().await.is_err() {
            tokio::task::yield_now().await;
        }
        Self { url, secret, stop, _folder: folder }
    }

    async fn log_in(&self, chrome: &mut Chrome) {
        chrome.open(&format!("{}/login", self.url)).await;
        chrome.ask(&format!("document.querySelector('input[name=token]').value = {:?}", self.secret)).await;
        chrome.click_through("main button").await;
        chrome.until("location.pathname === '/' && document.readyState === 'complete'").await;
    }
}

/// Ten thousand homes, of which some answered; a held run, a released model, a rollout on its way.
fn large(store: &SqliteStore, file: &Path, now: i64) {
    let name = |number: usize| format!("home-{number:06}");
    // In one transaction: each of its own would take minutes.
    let mut connection = rusqlite::Connection::open(file).unwrap();
    let transaction = connection.transaction().unwrap();
    for number in 0..HOMES {
        let values = rusqlite::params![name(number), now - 90 * 86_400];
        transaction.execute("INSERT INTO homes (home, enrolled_at) VALUES (?1, ?2)", values).unwrap();
    }
    transaction.commit().unwrap();
    let snapshot = SnapshotRow { created_at: now - 7_200, homes: 300, ..fixtures::snapshot(&"5a".repeat(32)) };
    store.put_snapshot(&snapshot).unwrap();
    let report: Value = serde_json::from_str(REPORT).unwrap();
    let report = report["run"]["report"].to_string();
    let run = RunRow {
        started_at: now - 7_200,
        ended_at: Some(now - 7_000),
        challenger: Some("e1".repeat(32)),
        report: Some(report),
        ..fixtures::run(&"b7".repeat(16), RunState::Promoted)
    };
    store.put_run(&run).unwrap();
    let model = NewModel { at: now - 7_000, ..fixtures::model(&"b7".repeat(16), &"e1".repeat(32)) };
    let version = store.add_model(&model).unwrap().version;
    store
        .put_release(&ReleaseRow { released_at: now - 6_900, ..fixtures::release(version, &"e1".repeat(32)) })
        .unwrap();
    let policy = Policy::named("staged").unwrap().to_toml();
    store.put_rollout(&RolloutRow { policy, started_at: now - 6_800, ..fixtures::rollout(version) }).unwrap();
    let mut batch = IngestBatch { at: now - 60, ..IngestBatch::default() };
    for number in 0..ANSWERING {
        let home = fixtures::home(&name(number));
        for sequence in 1..=4 {
            let mut record = fixtures::record(&name(number), sequence);
            (record.raised_at, record.answered_at) = (now - 86_400 * i64::try_from(sequence).unwrap(), now - 3_600);
            record.verdict =
                if (number as u64 + sequence).is_multiple_of(3) { Verdict::Dismissed } else { Verdict::Confirmed };
            record.window = window(number as u64 * 4 + sequence);
            if sequence == 4 {
                record.model_version = version;
            }
            batch.feedback.push(FeedbackRow { received_at: now - 3_600, ..fixtures::row(record) });
        }
        let mut status = fixtures::status(0);
        status.model_version = if number % 3 == 0 { version } else { ModelVersion(0) };
        if number % 3 == 0 {
            let (stage, result) = (Some(UpdateStage::Run), UpdateResult::Installed);
            batch
                .outcomes
                .push((home.clone(), UpdateOutcome { model_version: version, stage, result, at: now - 3_000 }));
        }
        batch.statuses.push((home, status));
    }
    store.apply(&batch).unwrap();
}

/// A window in which a residual rises at the end, with some noise.
fn window(seed: u64) -> FeatureWindow {
    let (steps, features) = (96_u16, 20_u16);
    let mut values = vec![0.0; usize::from(steps) * usize::from(features)];
    for (step, row) in values.chunks_mut(usize::from(features)).enumerate() {
        let noise = ((seed * 31 + step as u64 * 17) % 13) as f32 / 13.0 - 0.5;
        row[Feature::Residual.index()] = noise + if step > 80 { (step - 80) as f32 / 2.0 } else { 0.0 };
        row[Feature::DayAgo.index()] = -noise;
    }
    FeatureWindow { steps, features, values }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_ten_thousand_homes_can_be_read_on_a_phone_and_by_a_screen_reader() {
    let Some(modules) = installed() else { return };
    let Some(mut chrome) = Chrome::start().await else { return };
    let axe = std::fs::read_to_string(modules.join("node_modules/axe-core/axe.min.js")).unwrap();
    let stand = Stand::start(large).await;
    let metrics = client().get(format!("{}/metrics", stand.url)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("# TYPE hearthwatch_cloud_build_info gauge"), "{metrics}");
    assert_eq!(promtool::findings(&metrics), "");
    stand.log_in(&mut chrome).await;
    println!("pictures in {}", pictures().display());
    for (name, path) in PAGES {
        for (width, height) in WIDTHS {
            for (light, theme) in [(Light::Bright, "light"), (Light::Dark, "dark")] {
                chrome.look(width, height, light).await;
                chrome.open(&format!("{}{path}", stand.url)).await;
                assert_eq!(chrome.ask(FITS).await, json!(true), "{path} is wider than {width}");
                if light_is_kept(width, theme) {
                    chrome.picture(&pictures().join(format!("{name}-{width}-{theme}.png"))).await;
                }
                assert_eq!(serious(&mut chrome, &axe).await, json!([]), "{path}, {width} wide, {theme}");
            }
        }
        assert_eq!(chrome.nameless().await, Vec::<String>::new(), "{path}");
    }
    reads_without_scripts(&mut chrome, &stand).await;
    prints_the_evaluation(&mut chrome, &stand).await;
    finds_a_home_by_keyboard(&mut chrome, &stand).await;
    assert_eq!(
        complaints(&chrome),
        Vec::<String>::new(),
        "the browser complains of nothing, its content policy included"
    );
    stand.stop.cancel();
}

/// One picture of each theme for each page is enough to look at.
fn light_is_kept(width: u32, theme: &str) -> bool {
    (width == 1280) == (theme == "light")
}

/// What axe finds that keeps somebody from reading or using the page.
async fn serious(chrome: &mut Chrome, axe: &str) -> Value {
    chrome.ask(&format!("{axe}; true")).await;
    chrome
        .ask(
            "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations \
             .filter(one => ['serious', 'critical'].includes(one.impact)) \
             .map(one => one.id + ': ' + one.nodes.map(node => node.target.join(' ')).join(', ')))",
        )
        .await
}

/// The report on models as it is printed: a file for people who were not there.
async fn prints_the_evaluation(chrome: &mut Chrome, stand: &Stand) {
    chrome.look(1280, 900, Light::Bright).await;
    chrome.open(&format!("{}/evaluation?days=28", stand.url)).await;
    let printed = chrome
        .call("Page.printToPDF", json!({"printBackground": true, "paperWidth": 8.27, "paperHeight": 11.69}))
        .await;
    let pdf = base64::engine::general_purpose::STANDARD.decode(printed["data"].as_str().unwrap()).unwrap();
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 10_000, "{} bytes", pdf.len());
    std::fs::write(pictures().join("evaluation.pdf"), pdf).unwrap();
    // What is for the screen alone is not on paper.
    chrome.call("Emulation.setEmulatedMedia", json!({"media": "print"})).await;
    let shown = "[...document.querySelectorAll('nav, header form')].filter(one => one.offsetParent !== null).length";
    assert_eq!(chrome.ask(shown).await, json!(0), "the navigation is not printed");
    chrome.call("Emulation.setEmulatedMedia", json!({"media": ""})).await;
}

async fn reads_without_scripts(chrome: &mut Chrome, stand: &Stand) {
    chrome.scripts(false).await;
    chrome.look(360, 740, Light::Bright).await;
    chrome.open(&format!("{}/homes", stand.url)).await;
    assert!(text(chrome).await.contains("home-000000"));
    chrome.scripts(true).await;
}

/// From the list to one home among ten thousand, without a mouse.
async fn finds_a_home_by_keyboard(chrome: &mut Chrome, stand: &Stand) {
    chrome.look(1280, 900, Light::Bright).await;
    chrome.open(&format!("{}/homes", stand.url)).await;
    chrome.ask("document.querySelector('input[name=q]').focus()").await;
    chrome.ask("document.activeElement.value = 'home-009999'").await;
    chrome.enter_through().await;
    assert!(text(chrome).await.contains("home-009999"));
    chrome.ask("document.querySelector(\"a[href='/homes/home-009999']\").focus()").await;
    chrome.enter_through().await;
    assert_eq!(chrome.ask("location.pathname").await, "/homes/home-009999");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_without_homes_says_on_every_page_what_comes_next() {
    let Some(modules) = installed() else { return };
    let Some(mut chrome) = Chrome::start().await else { return };
    let axe = std::fs::read_to_string(modules.join("node_modules/axe-core/axe.min.js")).unwrap();
    let stand = Stand::start(|_, _, _| ()).await;
    stand.log_in(&mut chrome).await;
    chrome.look(1280, 900, Light::Bright).await;
    for (name, path) in PAGES.into_iter().filter(|(_, path)| path.matches('/').count() == 1) {
        chrome.open(&format!("{}{path}", stand.url)).await;
        chrome.picture(&pictures().join(format!("empty-{name}.png"))).await;
        assert_eq!(serious(&mut chrome, &axe).await, json!([]), "{path}");
    }
    // What is not there is told, and leads back.
    chrome.open(&format!("{}/homes/nobody", stand.url)).await;
    assert!(text(&mut chrome).await.contains("nobody"), "{}", text(&mut chrome).await);
    stand.stop.cancel();
}
