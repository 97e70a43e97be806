//! The local page in a real browser: read, clicked, typed, without scripts, in both themes, from a phone to a desktop.
//!
//! Pictures are kept in the folder that the test names. Without Chromium on the machine each test says so and does
//! nothing; with `HEARTHWATCH_REQUIRE_CHROMIUM` set it fails.

#[path = "browser/chrome.rs"]
mod chrome;
#[path = "browser/home.rs"]
mod home;
#[path = "../../tests/src/promtool.rs"]
mod promtool;
#[path = "browser/rounds.rs"]
mod rounds;

use std::path::PathBuf;

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_edge_detection::service::DetectorCommand;
use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_edge_update::UpdateRequest;
use hearthwatch_protocol::messages::WithdrawalReceipt;
use hearthwatch_protocol::{ModelVersion, Sequence};
use serde_json::json;

use chrome::{Chrome, Light};

/// Widths that are looked at: the narrowest phone in use, a tablet, a desktop.
const WIDTHS: [(u32, u32); 3] = [(360, 740), (800, 1000), (1280, 900)];

/// Nothing on the page is wider than the window.
const FITS: &str = "document.documentElement.scrollWidth <= window.innerWidth";

fn pictures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What `/metrics` answers.
async fn numbers(page: &str) -> String {
    // Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(format!("{page}metrics")).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resident_reads_answers_previews_shares_withdraws_and_leaves() {
    let Some(mut chrome) = Chrome::start().await else { return };
    let mut home = home::lived().await;
    let page = format!("http://{}/", home.address);
    let folder = pictures();
    println!("pictures in {}", folder.display());

    // Not through the browser: what a collector gets.
    let metrics = numbers(&page).await;
    assert!(metrics.contains("# TYPE hearthwatch_edge_build_info gauge"), "{metrics}");
    assert_eq!(promtool::findings(&metrics), "");

    for (width, height) in WIDTHS {
        for (light, name) in [(Light::Bright, "light"), (Light::Dark, "dark")] {
            chrome.look(width, height, light).await;
            chrome.open(&page).await;
            assert_eq!(chrome.ask(FITS).await, json!(true), "{width} wide");
            chrome.picture(&folder.join(format!("page-{width}-{name}.png"))).await;
        }
    }
    assert_eq!(chrome.nameless().await, Vec::<String>::new());

    reads_without_scripts(&mut chrome, &page).await;
    answers_by_mouse_and_changes_it_by_keyboard(&mut chrome, &page, &home).await;
    previews_a_budget(&mut chrome, &page).await;
    reports_a_miss(&mut chrome, &page, &home).await;
    reads_and_takes_back_a_record(&mut chrome, &page, &home, &folder).await;
    chooses_what_is_shared(&mut chrome, &page, &home).await;
    gives_a_reason(&mut chrome, &page, &home).await;
    goes_back_to_the_model_before(&mut chrome, &page, &mut home).await;
    hears_of_a_change_without_loading_again(&mut chrome, &page, &home).await;

    assert_eq!(
        chrome.complaints,
        Vec::<String>::new(),
        "the browser complains of nothing, its content policy included"
    );
    chrome.open(&page).await;
    chrome.ask("document.querySelector('#leave details').open = true; document.querySelector('#leave input[name=word]').value = 'leave'").await;
    chrome.click_through("#leave button.danger").await;
    assert_eq!(chrome.ask("document.querySelector('h1').textContent").await, "Goodbye.");
    assert_eq!(home.leaving.recv().await, Some(()));
    home.stop.cancel();
}

async fn reads_without_scripts(chrome: &mut Chrome, page: &str) {
    chrome.scripts(false).await;
    chrome.look(360, 740, Light::Bright).await;
    chrome.open(&format!("{page}?entity=sensor.freezer_temperature&days=30&per_week=6")).await;
    chrome.scripts(true).await;
    let shown = chrome.ask("document.querySelector('#history svg.plot').getAttribute('aria-label')").await;
    assert!(shown.as_str().unwrap().starts_with("Freezer temperature over 30 days"), "{shown}");
    assert!(chrome.ask("document.querySelector('#preview strong').textContent").await == "6");
}

async fn answers_by_mouse_and_changes_it_by_keyboard(chrome: &mut Chrome, page: &str, home: &home::Home) {
    chrome.look(360, 740, Light::Bright).await;
    chrome.open(page).await;
    let id = chrome.ask("document.querySelector('#questions input[name=alarm]').value").await;
    chrome.click_through("#questions button[value=confirmed]").await;
    chrome.until("document.querySelector('.said') !== null").await;
    assert_eq!(answer_of(home, id.as_str().unwrap()).await, Some(Verdict::Confirmed));
    // From the link at the top to the pressed answer, by keyboard alone.
    chrome.look(1280, 900, Light::Bright).await;
    chrome.open(page).await;
    let field = format!("[name=alarm][value='{}']", id.as_str().unwrap());
    chrome.press("Tab", 9).await;
    assert_eq!(chrome.ask("document.activeElement.className").await, "skip");
    chrome
        .ask(&format!("document.querySelector(\"{field}\").closest('details').querySelector('summary').focus()"))
        .await;
    chrome.press("Enter", 13).await;
    for _ in 0..2 {
        chrome.press("Tab", 9).await;
    }
    assert_eq!(chrome.ask("document.activeElement.value").await, "dismissed");
    chrome.enter_through().await;
    assert_eq!(answer_of(home, id.as_str().unwrap()).await, Some(Verdict::Dismissed));
}

async fn answer_of(home: &home::Home, id: &str) -> Option<Verdict> {
    let detail = home.detection.request(DetectorCommand::Look).await.unwrap();
    let alarm = detail.alarms.iter().find(|alarm| alarm.alarm.id == id).unwrap();
    alarm.answer.map(|(verdict, _)| verdict)
}

async fn previews_a_budget(chrome: &mut Chrome, page: &str) {
    chrome.open(page).await;
    let slide = |value: &str| {
        format!(
            "(() => {{ const s = document.getElementById('per-week'); s.value = '{value}'; \
             s.dispatchEvent(new Event('input')); }})()"
        )
    };
    let alarms = "Number(document.querySelectorAll('#preview strong')[1].textContent.split(' ')[0])";
    let mut counts = Vec::new();
    for value in ["0.25", "14"] {
        chrome.ask(&slide(value)).await;
        chrome.until(&format!("document.querySelector('#preview strong').textContent === '{value}'")).await;
        counts.push(chrome.ask(alarms).await.as_f64().unwrap());
    }
    assert!(counts[0] >= 1.0 && counts[1] > counts[0], "more may be said where more is allowed: {counts:?}");
}

async fn reports_a_miss(chrome: &mut Chrome, page: &str, home: &home::Home) {
    chrome.open(page).await;
    chrome.ask("document.querySelector('#miss').open = true; document.querySelector('#miss select').value = 'sensor.bathroom_humidity'").await;
    chrome.click_through("#miss button").await;
    let said = chrome.ask("document.querySelector('.said').textContent").await;
    let noted =
        "Thank you. It is noted. What was seen then is being looked up, and will stand under “Was something missed?”.";
    assert_eq!(said, noted);
    // The page asks for it by itself.
    chrome.until("document.querySelector('#misses').textContent.endsWith(' · kept for the fleet')").await;
    assert_eq!(home.uplink.with_outbox(|outbox| outbox.unsent()).await.unwrap(), 2, "the changed answer and the miss");
}

async fn reads_and_takes_back_a_record(chrome: &mut Chrome, page: &str, home: &home::Home, folder: &std::path::Path) {
    chrome.open(page).await;
    chrome.click_through("#sharing td.actions a").await;
    let sequence: u64 =
        chrome.ask("Number(document.querySelector('dl.fields dd:nth-of-type(2)').textContent)").await.as_u64().unwrap();
    let entry = home.uplink.with_outbox(move |outbox| outbox.ledger_entry(Sequence(sequence))).await.unwrap().unwrap();
    let dump = chrome.ask("[...document.querySelectorAll('pre.hex')].pop().textContent.replace(/^[0-9a-f]{4}  (.{48}).*$/gm, '$1').replace(/\\s/g, '')").await;
    assert_eq!(dump, hex::encode(&entry.payload), "byte for byte");
    chrome.look(360, 740, Light::Dark).await;
    assert_eq!(chrome.ask(FITS).await, json!(true));
    chrome.picture(&folder.join("record-360-dark.png")).await;
    chrome.click_through("button.danger").await;
    chrome.until("document.body.textContent.includes(\"waits for the aggregator's receipt\")").await;
    let receipt = WithdrawalReceipt { id: 1, removed: 1, models: vec![ModelVersion(14)], at: 1_795_100_400 };
    home.uplink.with_outbox(move |outbox| outbox.withdrawal_done(&receipt)).await.unwrap();
    chrome.open(page).await;
    chrome.until("document.body.textContent.includes('1 record deleted, and not in any data set taken since')").await;
    chrome.ask("document.querySelector('#sharing').scrollIntoView()").await;
    chrome.picture(&folder.join("withdrawn-360-dark.png")).await;
}

async fn chooses_what_is_shared(chrome: &mut Chrome, page: &str, home: &home::Home) {
    chrome.open(page).await;
    let bars = "document.querySelectorAll('#sharing svg.levels')[0].querySelectorAll('rect').length";
    assert_eq!(chrome.ask(bars).await, json!(32));
    chrome.ask("document.querySelector('#sharing input[value=learning]').checked = true").await;
    chrome.click_through("#sharing fieldset + button").await;
    assert_eq!(*home.uplink.sharing().borrow(), SharingLevel::Learning);
    chrome.open(&format!("{page}sample/verdicts")).await;
    assert!(chrome.ask("document.body.textContent.includes('0 steps × 0 features')").await == true);
    chrome.open(page).await;
    chrome.ask("document.querySelector('#sharing input[value=verdicts]').checked = true").await;
    chrome.click_through("#sharing fieldset + button").await;
    assert_eq!(home.uplink.with_outbox(|outbox| outbox.sharing()).await.unwrap(), SharingLevel::Verdicts);
}

async fn gives_a_reason(chrome: &mut Chrome, page: &str, home: &home::Home) {
    chrome.open(page).await;
    chrome
        .ask(
            "document.querySelector('#timeline details').open = true; \
             document.querySelector('#timeline textarea').value = 'the <b>boiler</b> was serviced'",
        )
        .await;
    chrome.click_through("#timeline button[value=expected]").await;
    chrome.open(page).await;
    assert_eq!(chrome.ask("document.querySelector('#timeline article b')").await, json!(null), "no markup of it");
    let said = "document.querySelector('#timeline').textContent.includes('“the <b>boiler</b> was serviced”')";
    assert_eq!(chrome.ask(said).await, json!(true));
    let detail = home.detection.request(DetectorCommand::Look).await.unwrap();
    assert!(detail.alarms.iter().any(|alarm| alarm.reasoned().is_some()));
}

async fn goes_back_to_the_model_before(chrome: &mut Chrome, page: &str, home: &mut home::Home) {
    chrome.open(page).await;
    let button = "#learnt form[action$='/roll-back'] button";
    assert_eq!(chrome.ask(&format!("document.querySelector(\"{button}\").textContent")).await, "Go back to: Model 13");
    chrome.click_through(button).await;
    let said = chrome.ask("document.querySelector('.said').textContent").await;
    assert_eq!(said, "Asked for, and written down. Under Learnt stands what comes of it.");
    assert_eq!(home.requests.pending().unwrap().request, UpdateRequest::RollBack);
}

async fn hears_of_a_change_without_loading_again(chrome: &mut Chrome, page: &str, home: &home::Home) {
    chrome.open(page).await;
    chrome.ask("window.sameAsBefore = true").await;
    let said = "document.querySelector('.sentence').textContent";
    let before = chrome.ask(said).await;
    home.detection.send(DetectorCommand::Listening(false, home::NOW)).await.unwrap();
    chrome.until(&format!("{said} !== {before}")).await;
    assert_eq!(chrome.ask("window.sameAsBefore").await, json!(true));
    assert_eq!(chrome.ask(said).await, "Getting to know the home.");
}
