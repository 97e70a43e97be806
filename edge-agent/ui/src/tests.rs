//! The page, called without a socket: what it shows, what it refuses, what it changes.

use axum::body::{Body, to_bytes};
use hearthwatch_detector::alarm::{Alarm, DeciderMemory, Verdict, Withheld};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::alarm::StoredAlarm;
use hearthwatch_edge_core::fixtures::{self, thermometer};
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::fixtures::parts;
use hearthwatch_edge_detection::service::{self, DetectorCommand, DetectorService};
use hearthwatch_edge_store::history::{History, StoredQuestion};
use hearthwatch_protocol::ModelVersion;
use tower::ServiceExt;

use super::*;

const NOW: i64 = 1_700_000_000;

struct World {
    dir: tempfile::TempDir,
    router: Router,
    detection: DetectorHandle,
    health: Arc<Board>,
    leaving: mpsc::Receiver<()>,
}

fn alarm(entity_id: &str, reason: &str) -> StoredAlarm {
    let alarm =
        Alarm { start: NOW - 7_200, reason: reason.to_owned(), ..fixtures::alarm("3f5c0d9a71b2e684", NOW - 6_000) };
    fixtures::stored(alarm, &thermometer(entity_id))
}

/// A home with one open alarm of `entity_id`, without a fleet.
async fn world(entity_id: &str, reason: &str, door: Door) -> World {
    world_with(entity_id, reason, door, DeciderMemory::default()).await
}

async fn world_with(entity_id: &str, reason: &str, door: Door, memory: DeciderMemory) -> World {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.sqlite");
    let mut history = History::open(&file).unwrap();
    history.save_alarm(&alarm(entity_id, reason), None).unwrap();
    history.set_note("decider", &serde_json::to_string(&memory).unwrap()).unwrap();
    let (view, view_seen) = watch::channel(HomeView::default());
    let detection = DetectorService::new(parts(history), view, mpsc::channel(16).0).unwrap();
    let (detection, _) = service::start(detection).unwrap();
    add(&detection, thermometer(entity_id)).await;
    let (leave, leaving) = mpsc::channel(1);
    let health = Arc::<Board>::default();
    let page = PageParts {
        door,
        detection: detection.clone(),
        view: view_seen,
        requests: UpdateRequests::open(&dir.path().join("wishes.json")).unwrap(),
        updates: watch::channel(UpdateView::default()).1,
        mode: watch::channel(listening()).1,
        history: file,
        uplink: None,
        rounds: None,
        leave,
        token: "secret".to_owned(),
        clock: || NOW,
        health: Arc::clone(&health),
        metrics: true,
    };
    World { dir, router: router(page, CancellationToken::new()), detection, health, leaving }
}

async fn add(detection: &DetectorHandle, info: EntityInfo) {
    detection.request(|reply| DetectorCommand::AddEntities(vec![info], reply)).await.unwrap();
}

async fn own() -> World {
    world("sensor.room", "sensor.room is 30 °C.", Door::Loopback { hosts: vec![] }).await
}

#[tokio::test]
async fn what_the_allowance_held_back_is_listed_with_its_reason() {
    let withheld = Withheld { entity: 0, from: NOW - 7_200, until: NOW - 3_600, kind: AnomalyKind::Level, excess: 1.0 };
    let entity_ids = vec!["sensor.room".to_owned()];
    let memory = DeciderMemory { entity_ids, withheld: vec![withheld], ..DeciderMemory::default() };
    let world = world_with("sensor.room", "sensor.room is 30 °C.", Door::Loopback { hosts: vec![] }, memory).await;
    // What was remembered is restored when the agent begins to listen.
    world.detection.send(DetectorCommand::Listening(true, NOW)).await.unwrap();
    let (_, _, page) = send(&world, get_of("/")).await;
    assert!(page.contains("Not told: 1 finding"), "{page}");
    assert!(page.contains("You asked for at most 1 alarm a week, and"), "{page}");
    assert!(page.contains("Room, an unusual value"), "{page}");
    let (_, _, page) = send(&own().await, get_of("/")).await;
    assert!(!page.contains("Not told"), "{page}");
}

#[tokio::test]
async fn a_home_with_a_door_is_told_what_on_and_off_are_judged_by() {
    let world = own().await;
    let words = "Activity at an unusual hour is hardly found yet";
    assert!(!send(&world, get_of("/")).await.2.contains(words), "a thermometer alone");
    add(&world.detection, fixtures::info("binary_sensor.door", DeviceClass::Door, "")).await;
    assert!(send(&world, get_of("/")).await.2.contains(words));
}

fn listening() -> Mode {
    let session = SessionState::Listening { version: "2026.11.0".to_owned(), entities: 1 };
    Mode { session, ..Mode::default() }
}

fn get_of(path: &str) -> Request {
    Request::get(path).header("host", "127.0.0.1:8099").body(Body::empty()).unwrap()
}

fn post_of(path: &str, form: &str) -> Request {
    Request::post(path)
        .header("host", "127.0.0.1:8099")
        .header("origin", "http://127.0.0.1:8099")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap()
}

async fn send_from(world: &World, peer: [u8; 4], mut request: Request) -> (StatusCode, HeaderMap, String) {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 40_000))));
    let response = world.router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn send(world: &World, request: Request) -> (StatusCode, HeaderMap, String) {
    send_from(world, [127, 0, 0, 1], request).await
}

/// Where a form leads that is posted.
async fn led_to(world: &World, path: &str, form: &str) -> (StatusCode, String) {
    let (status, headers, _) = send(world, post_of(path, form)).await;
    (status, headers[header::LOCATION].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_page_shows_what_is_open_and_carries_its_policy() {
    let world = own().await;
    let (status, headers, body) = send(&world, get_of("/")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
    for part in [
        "What was it?",
        "Room",
        "It is 30 °C.",
        "False alarm",
        "Nothing. No fleet is configured",
        "listening to Home Assistant 2026.11.0",
    ] {
        assert!(body.contains(part), "{part}");
    }
    let (status, headers, svg) = send(&world, get_of("/alarm/3f5c0d9a71b2e684.svg")).await;
    assert_eq!((status, &headers[header::CONTENT_TYPE]), (StatusCode::OK, &HeaderValue::from_static("image/svg+xml")));
    assert!(svg.starts_with("<svg"));
    assert_eq!(send(&world, get_of("/alarm/other.svg")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nothing_that_a_home_says_becomes_markup() {
    let evil = "sensor.\"><script>alert(1)</script>";
    let world = world(evil, "<img src=x onerror=alert(1)>", Door::Loopback { hosts: vec![] }).await;
    let (_, _, body) = send(&world, get_of("/?said=%3Cscript%3E&entity=%3Cb%3E&days=%3Ci%3E&per_week=%3Cu%3E")).await;
    assert!(!body.contains("<script>alert") && !body.contains("<img src=x") && !body.contains("<b>"), "{body}");
    assert!(body.contains("&lt;script&gt;"));
}

#[tokio::test]
async fn an_answer_given_on_the_page_is_the_alarms_answer() {
    let world = own().await;
    let form = "token=secret&alarm=3f5c0d9a71b2e684&verdict=dismissed";
    assert_eq!(led_to(&world, "/answer", form).await, (StatusCode::SEE_OTHER, "/?said=answered#timeline".to_owned()));
    let detail = world.detection.request(DetectorCommand::Look).await.unwrap();
    assert_eq!(detail.alarms[0].answer, Some((Verdict::Dismissed, NOW)));
    let (_, _, body) = send(&world, get_of("/?said=answered")).await;
    assert!(body.contains("Thank you. It counts at once"));
}

#[tokio::test]
async fn an_answer_that_names_no_alarm_is_refused_in_words() {
    let world = own().await;
    let (status, _, body) = send(&world, post_of("/answer", "token=secret&alarm=+&verdict=dismissed")).await;
    let words = "Not taken: it does not say which alarm it answers. Load the page again.\n";
    assert_eq!((status, body.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, words));
    let detail = world.detection.request(DetectorCommand::Look).await.unwrap();
    assert_eq!(detail.alarms[0].answer, None);
}

#[tokio::test]
async fn a_sensor_that_warns_of_danger_is_not_said_to_be_quiet_for_good() {
    let world = own().await;
    add(&world.detection, fixtures::info("binary_sensor.leak", DeviceClass::Moisture, "")).await;
    let (_, headers, _) = send(&world, post_of("/mute", "token=secret&entity=binary_sensor.leak&hours=0")).await;
    assert_eq!(headers[header::LOCATION], "/?said=quiet-but-danger#calm");
    let (_, headers, _) = send(&world, post_of("/mute", "token=secret&entity=sensor.room&hours=0")).await;
    assert_eq!(headers[header::LOCATION], "/?said=wished#calm");
    let words = "Done for everything but danger: when this sensor warns, it is told all the same.";
    assert!(send(&world, get_of("/?said=quiet-but-danger")).await.2.contains(words));
}

#[tokio::test]
async fn the_page_does_not_say_that_it_watches_while_nothing_is_heard() {
    let world = own().await;
    let (_, _, body) = send(&world, get_of("/")).await;
    assert!(body.contains("It knows 0 entities, with 0 days of memory."), "{body}");
    world.detection.send(DetectorCommand::Listening(true, NOW)).await.unwrap();
    world.detection.request(DetectorCommand::Look).await.unwrap();
    let (_, _, body) = send(&world, get_of("/")).await;
    assert!(body.contains("Watching 1 entity, with 0 days of memory."), "{body}");
    let first = "How unusual each is shows after the first step, at 22:20. Danger is told at once.";
    assert!(body.contains(first), "{body}");
    assert!(body.contains("<article class=\"alarm warning\">") && !body.contains("class=\"alarm\" class"), "{body}");
}

#[tokio::test]
async fn a_reason_given_on_the_page_is_shown_beside_its_answer_and_what_was_learnt_and_is_no_markup() {
    let world = own().await;
    let form = "token=secret&alarm=3f5c0d9a71b2e684&verdict=dismissed&reason=the+%3Cb%3Eboiler%3C%2Fb%3E";
    assert_eq!(send(&world, post_of("/answer", form)).await.0, StatusCode::SEE_OTHER);
    let (_, _, body) = send(&world, get_of("/")).await;
    assert!(body.contains("False alarm, “the &lt;b&gt;boiler&lt;/b&gt;”"), "{body}");
    assert!(!body.contains("<b>boiler"));
}

#[tokio::test]
async fn a_question_drawn_by_chance_is_put_and_can_be_answered() {
    let world = own().await;
    let question = StoredQuestion {
        id: "9c5c0d9a71b2e684".to_owned(),
        info: thermometer("sensor.room"),
        at: NOW - 86_400,
        observed: Some(20.5),
        score: -3.0,
        threshold: 3.0,
        model_version: ModelVersion::ROUTINE,
        propensity: 0.01,
        answer: None,
    };
    let mut history = History::open(&world.dir.path().join("history.sqlite")).unwrap();
    history.save_question(&question, None).unwrap();
    let (_, _, body) = send(&world, get_of("/")).await;
    assert!(body.contains("It was <strong>20.5\u{a0}°C</strong>, and nothing was said."), "{body}");
    let form = "token=secret&alarm=9c5c0d9a71b2e684&verdict=dismissed";
    let (status, ..) = send(&world, post_of("/answer", form)).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    world.detection.request(DetectorCommand::Look).await.unwrap();
    let answer = history.questions(0).unwrap()[0].answer;
    assert_eq!(answer, Some((Verdict::Dismissed, NOW)));
}

#[tokio::test]
async fn a_change_without_the_pages_secret_or_from_another_site_is_refused() {
    let world = own().await;
    let form = "token=guess&alarm=3f5c0d9a71b2e684&verdict=dismissed";
    assert_eq!(send(&world, post_of("/answer", form)).await.0, StatusCode::FORBIDDEN);
    let mut foreign = post_of("/answer", &form.replace("guess", "secret"));
    foreign.headers_mut().insert("origin", HeaderValue::from_static("http://evil.example"));
    assert_eq!(send(&world, foreign).await.0, StatusCode::FORBIDDEN);
    let detail = world.detection.request(DetectorCommand::Look).await.unwrap();
    assert_eq!(detail.alarms[0].answer, None);
}

#[tokio::test]
async fn strangers_learn_nothing_but_that_the_agent_lives() {
    let world = own().await;
    let (status, _, body) = send_from(&world, [192, 168, 1, 9], get_of("/")).await;
    assert_eq!((status, body.as_str()), (StatusCode::FORBIDDEN, "this page is served to this machine only\n"));
    for path in ["/healthz", "/readyz"] {
        let (status, _, body) = send_from(&world, [192, 168, 1, 9], get_of(path)).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"status":"able","parts":[]}"#));
    }
}

#[tokio::test]
async fn behind_ingress_every_path_begins_with_the_one_in_the_address_bar() {
    let world = world("sensor.room", "sensor.room is 30 °C.", Door::Ingress).await;
    let mut request = get_of("/");
    request.headers_mut().insert("x-ingress-path", HeaderValue::from_static("/api/hassio_ingress/abc"));
    let (status, _, body) = send_from(&world, [172, 30, 32, 2], request).await;
    assert_eq!(status, StatusCode::OK);
    for tag in ["href=\"/", "src=\"/", "action=\"/"] {
        let ours = format!("{tag}api/hassio_ingress/abc/");
        assert_eq!(body.matches(tag).count(), body.matches(&ours).count(), "{tag}");
    }
}

#[tokio::test]
async fn a_miss_that_cannot_be_looked_at_is_refused_in_words() {
    let world = own().await;
    let miss = |entity: &str, when: &str| format!("token=secret&entity={entity}&when={when}");
    let (status, _, body) = send(&world, post_of("/miss", &miss("sensor.other", "2023-11-14T20:00"))).await;
    let words = "Not taken: there is no watched entity of that name.\n";
    assert_eq!((status, body.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, words));
    let (status, _, _) = send(&world, post_of("/miss", &miss("sensor.room", "2021-01-01T00:00"))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let taken = led_to(&world, "/miss", &miss("sensor.room", "2023-11-14T20:00")).await;
    assert_eq!(taken, (StatusCode::SEE_OTHER, "/?said=miss-kept#miss".to_owned()));
}

#[tokio::test]
async fn a_miss_is_noted_before_it_is_looked_up_and_the_page_then_shows_what_was_seen() {
    let world = own().await;
    // Nobody may look while this is held.
    let turn = world.detection.miss_turn().lock().await;
    let miss = post_of("/miss", "token=secret&entity=sensor.room&when=2023-11-14T20:00");
    assert_eq!(send(&world, miss).await.0, StatusCode::SEE_OTHER);
    let waits = "<ul class=\"plain\" data-waits><li>Room, Tue 14 Nov, 20:00<span class=\"faint\"> · what was seen then is \
                 being looked up</span></li></ul>";
    assert_eq!(send(&world, get_of("/misses")).await.2, waits);
    assert!(send(&world, get_of("/")).await.2.contains(waits));
    // The detector service answers meanwhile: no alarm waits for a look back.
    world.detection.request(DetectorCommand::Look).await.unwrap();
    drop(turn);
    let all = u32::try_from(hearthwatch_edge_detection::service::LOOKS_MAX).unwrap();
    drop(world.detection.miss_looks().acquire_many(all).await.unwrap());
    let seen = "<ul class=\"plain\"><li>Room, Tue 14 Nov, 20:00<span class=\"faint\"> · too little is remembered of that \
                time to say what was seen · stays here</span></li></ul>";
    assert_eq!(send(&world, get_of("/misses")).await.2, seen);
}

#[tokio::test]
async fn more_misses_than_can_be_looked_up_are_refused_in_words() {
    let world = own().await;
    let all = u32::try_from(hearthwatch_edge_detection::service::LOOKS_MAX).unwrap();
    let _places = world.detection.miss_looks().acquire_many(all).await.unwrap();
    let (status, _, body) =
        send(&world, post_of("/miss", "token=secret&entity=sensor.room&when=2023-11-14T20:00")).await;
    let words = "Not taken: 16 others are still being looked up; say it again in a minute.\n";
    assert_eq!((status, body.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, words));
}

#[tokio::test]
async fn leaving_takes_the_word() {
    let mut world = own().await;
    assert_eq!(send(&world, post_of("/leave", "token=secret&word=Leave+it")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(world.leaving.try_recv().is_err());
    assert_eq!(send(&world, post_of("/leave", "token=secret&word=leave")).await.0, StatusCode::OK);
    assert_eq!(world.leaving.try_recv(), Ok(()));
}

#[tokio::test]
async fn a_budget_and_a_mute_chosen_on_the_page_are_the_homes_and_can_be_lifted() {
    let world = own().await;
    assert_eq!(send(&world, post_of("/budget", "token=secret&per_week=3.5")).await.0, StatusCode::SEE_OTHER);
    assert!((world.detection.request(DetectorCommand::Look).await.unwrap().budget - 3.5).abs() < 1e-9);
    assert_eq!(send(&world, post_of("/budget", "token=secret&per_week=-1")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let mute = post_of("/mute", "token=secret&entity=sensor.room&hours=0");
    assert_eq!(send(&world, mute).await.0, StatusCode::SEE_OTHER);
    assert!(send(&world, get_of("/")).await.2.contains("for good, except danger"));
    assert_eq!(send(&world, post_of("/unmute", "token=secret&id=1")).await.0, StatusCode::SEE_OTHER);
    assert!(send(&world, get_of("/")).await.2.contains("Everything is mentioned."));
}

#[tokio::test]
async fn what_a_restart_mends_is_told_apart_from_what_it_does_not() {
    use hearthwatch_supervision::{Condition, Grade};
    let world = own().await;
    let status = async |path| send_from(&world, [192, 168, 1, 9], get_of(path)).await.0;
    let row = |condition| world.health.probe("detector", Grade::Vital, move || condition);
    row(Condition::Unable);
    assert_eq!((status("/healthz").await, status("/readyz").await), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    row(Condition::Stuck);
    assert_eq!(status("/healthz").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_numbers_are_given_on_this_machine_and_name_no_entity() {
    let world = own().await;
    let (status, _, text) = send(&world, get_of("/metrics")).await;
    assert_eq!(status, StatusCode::OK);
    for sample in [
        "hearthwatch_edge_home_assistant_info{version=\"2026.11.0\"} 1",
        "hearthwatch_edge_home_assistant_connected 1.0",
        "hearthwatch_edge_alarms_total{kind=\"level\"} 0",
        "hearthwatch_edge_answers_total{verdict=\"confirmed\"} 0",
        "hearthwatch_edge_updates_total{end=\"rolled_back\"} 0",
        "hearthwatch_edge_alarms_month{end=\"unanswered\"} 1.0",
    ] {
        assert!(text.contains(&format!("\n{sample}\n")), "{sample} is missing:\n{text}");
    }
    assert!(text.contains("# TYPE hearthwatch_edge_alarms_total counter\n") && !text.contains("room"), "{text}");
    for absent in ["fleet_connected", "home_broker_connected", "outbox_records", "rounds_total"] {
        assert!(!text.contains(absent), "this home has no {absent}");
    }
}

#[tokio::test]
async fn the_numbers_are_refused_under_a_foreign_name_and_served_behind_ingress_to_who_gathers_them() {
    let foreign = || Request::get("/metrics").header("host", "evil.example").body(Body::empty()).unwrap();
    assert_eq!(send(&own().await, foreign()).await.0, StatusCode::FORBIDDEN);
    let ingress = world("sensor.room", "sensor.room is 30 °C.", Door::Ingress).await;
    assert_eq!(send(&ingress, foreign()).await.0, StatusCode::OK);
    assert_eq!(send(&ingress, get_of("/")).await.0, StatusCode::FORBIDDEN);
}
