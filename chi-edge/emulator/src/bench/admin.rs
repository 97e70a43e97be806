//! `bench admin`: a large fleet's store behind the real HTTP server, looked at by several people while homes report and a run
//! takes its snapshot.

mod fill;

use fill::CLASSES;
pub(super) use fill::answer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use hearthwatch_api::http::Http;
use hearthwatch_api::http::config::HttpConfig;
use hearthwatch_api::http::state::AppState;
use hearthwatch_api::server::Bound;
use hearthwatch_fleet::hook::NoRelease;
use hearthwatch_fleet::release_service::ReleaseService;
use hearthwatch_fleet::rollout::{Director, Policy};
use hearthwatch_ingest::BatchTaker;
use hearthwatch_learning::dataset::Consumed;
use hearthwatch_learning::training::{TrainingHandle, take_snapshot};
use hearthwatch_protocol::seal::SigningKey;
use hearthwatch_provision::{Layout, init};
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::clock::{Clock, SystemClock};
use hearthwatch_store::token;
use hearthwatch_store::{Role, Store};
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Requests of each kind that are timed: the hundredth part of them is two.
const REQUESTS: u64 = 200;

/// Calls that one token may make a minute here: the bench is not to be slowed down by the limit that it does not measure.
const CALLS: u32 = 1_000_000;

/// Messages of a batch, as intake makes them under load.
const BATCH: u64 = 100;

/// How large, and how hard.
#[derive(Debug, Args)]
pub struct AdminArguments {
    /// Homes of the fleet.
    #[arg(long, default_value_t = 10_000)]
    homes: u64,
    /// Answers in the store, spread over the homes.
    #[arg(long, default_value_t = 1_000_000)]
    answers: u64,
    /// People who look at the page all the time.
    #[arg(long, default_value_t = 4)]
    viewers: usize,
    /// How long each of them rests between two pages, in milliseconds. The page's live part moves four times a second at most.
    #[arg(long, default_value_t = 250)]
    pause_ms: u64,
    /// Seconds for which intake is measured, with viewers and without.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Decides about the answers.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Where the store is made, or taken from if it is there: 9 KB for each answer. A directory that goes away if not given.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// Whatever part of it failed.
pub fn run(arguments: &AdminArguments) -> anyhow::Result<()> {
    ensure!(arguments.homes > 0, "--homes must be at least 1");
    let temporary = tempfile::tempdir()?;
    let data = arguments.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(arguments, data))
}

async fn measure(arguments: &AdminArguments, data: PathBuf) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let store: Arc<dyn Store> = {
        let (homes, answers, seed, data) = (arguments.homes, arguments.answers, arguments.seed, data.clone());
        let filled = tokio::task::spawn_blocking(move || fill::store(&data, homes, answers, seed, now));
        Arc::new(filled.await??)
    };
    let director = director(&data, &store)?;
    let working = {
        let (director, store) = (director.clone(), Arc::clone(&store));
        tokio::task::spawn_blocking(move || director.work(store.as_ref(), now))
    };
    working.await??;
    let server = Server::start(data.clone(), Arc::clone(&store), director, now).await?;
    println!("{} homes, {} answers, {} viewers", arguments.homes, arguments.answers, arguments.viewers);

    let alone = ingest(&store, arguments, now, 0).await?;
    forget_peak();
    let looking = Arc::new(AtomicBool::new(true));
    let viewers: Vec<_> = (0..arguments.viewers)
        .map(|_| tokio::spawn(view(server.client.clone(), Arc::clone(&looking), arguments.pause_ms)))
        .collect();
    let mut kinds = Vec::new();
    for (name, limit_ms, path) in [
        ("list of homes", Some(50.0), Path::Homes),
        ("homes by name, state and model, latest first", Some(50.0), Path::HomesFiltered),
        ("list of answers", Some(50.0), Path::Answers),
        ("answers of a class and verdict, newest first", Some(50.0), Path::AnswersFiltered),
        ("answers of one model in a week", Some(50.0), Path::AnswersOfWeek),
        ("totals", None, Path::Totals),
        ("/healthz", Some(5.0), Path::Health),
    ] {
        kinds.push((name, limit_ms, server.client.time(path, arguments.homes).await?));
    }
    let watched = ingest(&store, arguments, now, 1).await?;
    looking.store(false, Ordering::SeqCst);
    let mut pages = Vec::new();
    for viewer in viewers {
        pages.extend(viewer.await??);
    }
    kinds.push(("page", Some(100.0), pages));
    let serving = peak()?;
    forget_peak();
    let (taken, took) = snapshot(&data, &store).await?;
    let snapshot = peak()?;
    server.stop.cancel();

    println!("{:<44} {:>10} {:>10} {:>10}", "", "p50", "p99", "goal p99");
    for (name, limit, mut times) in kinds {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        let goal = limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.0} ms"));
        println!("{name:<44} {:>7.1} ms {:>7.1} ms {goal:>10}", at(0.5), at(0.99));
    }
    println!("{:<44} {:>10} {:>10} {:>10}", "", "", "measured", "goal");
    println!("{:<44} {:>10} {serving:>7.0} MB {:>10}", "memory at most, while serving", "", "300 MB");
    println!("{:<44} {:>10} {snapshot:>7.0} MB {:>10}", "memory at most, while a snapshot is taken", "", "300 MB");
    println!("{:<44} {:>10} {:>10.2} {:>10}", "intake with viewers, of intake without", "", watched / alone, "0.90");
    println!(
        "intake alone {alone:.0} answers/s, with viewers {watched:.0}; snapshot of {taken} examples in {took:.1} s"
    );
    Ok(())
}

/// Signs with a key made for the day.
fn director(data: &std::path::Path, store: &Arc<dyn Store>) -> anyhow::Result<Director> {
    let layout = Layout::new(data.join("keys"));
    if !layout.director_key().exists() {
        init::run(&layout, &init::Options::default(), jiff::Timestamp::now()).context("making keys")?;
    }
    let key = SigningKey::from_pkcs8(&std::fs::read(layout.director_key())?)?;
    let policy = Policy::named("immediate").context("the bench's policy")?;
    let metrics = Arc::new(Metrics::new());
    Ok(Director::new(Arc::clone(store), metrics, Arc::new(SystemClock), key, policy, None))
}

/// The aggregator's HTTP server on loopback, with its director at work.
struct Server {
    client: Client,
    stop: CancellationToken,
}

impl Server {
    async fn start(data: PathBuf, store: Arc<dyn Store>, director: Director, now: i64) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (artifact_store, hook) = (ArtifactStore::new(&data), Arc::new(NoRelease));
        let releases =
            ReleaseService::new(hook, Arc::clone(&store), Arc::clone(&metrics), Arc::clone(&clock), artifact_store);
        // The trainer's ends are kept, so that nobody is told that it is gone.
        let (training, requests, status) = TrainingHandle::channel(Arc::clone(&store), Arc::clone(&clock));
        let stop = CancellationToken::new();
        tokio::spawn({
            let (stop, notices, connections) = (stop.clone(), releases.notices(), watch::channel(0).1);
            let director = director.clone();
            async move { director.run(None, connections, notices, Arc::default(), stop).await }
        });
        let (secret, _) = token::make(store.as_ref(), &format!("viewer-{now}"), Role::Viewer, None, now)?;
        let app = AppState {
            store,
            metrics,
            clock,
            training,
            releases,
            director: Some(director),
            health: Arc::default(),
            repository: None,
            settings: Arc::default(),
            trusted_proxies: Arc::default(),
        };
        let bound = Bound::bind(&HttpConfig { calls_per_minute: CALLS, ..HttpConfig::new("127.0.0.1:0".parse()?) })?;
        let url = format!("http://{}", bound.address());
        tokio::spawn({
            let stop = stop.clone();
            async move {
                let _trainer = (requests, status);
                if let Err(error) =
                    bound.serve(Http::new(app, false).with_calls_per_minute(CALLS), stop.cancelled_owned()).await
                {
                    tracing::error!(%error, "the server ended");
                }
            }
        });
        Ok(Self { client: Client { http: reqwest::Client::new(), url, secret, now }, stop })
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Path {
    Homes,
    HomesFiltered,
    Answers,
    AnswersFiltered,
    AnswersOfWeek,
    Totals,
    Health,
}

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
    secret: String,
    now: i64,
}

impl Client {
    /// Asks once and reads the answer whole. In milliseconds.
    async fn get(&self, path: &str) -> anyhow::Result<f64> {
        let start = Instant::now();
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.secret);
        let answer = request.send().await?.error_for_status()?;
        ensure!(!answer.bytes().await?.is_empty(), "{path} answers nothing");
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }

    /// Asks [`REQUESTS`] times, each time for another place in the list.
    async fn time(&self, path: Path, homes: u64) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::new();
        for number in 0..REQUESTS {
            // Places all over the list, the deepest included.
            let home = fill::name(number * (homes - 1) / REQUESTS);
            let path = match path {
                Path::Homes => format!("/api/v1/homes?after={home}"),
                Path::HomesFiltered => {
                    let digit = number % 10;
                    format!("/api/v1/homes?q={digit}&state=online&model_version=1&sort=-heard_at")
                }
                Path::Answers => format!("/api/v1/feedback?after={home}/0"),
                Path::AnswersFiltered => {
                    let (class, verdict) =
                        (CLASSES[number as usize % CLASSES.len()], ["confirmed", "dismissed"][number as usize % 2]);
                    format!("/api/v1/feedback?device_class={class}&verdict={verdict}&sort=-received_at")
                }
                Path::AnswersOfWeek => {
                    let until = self.now - (number as i64 % 8) * 86_400;
                    let since = until - 7 * 86_400;
                    format!("/api/v1/feedback?model_version=0&since={since}&until={until}&sort=-received_at")
                }
                Path::Totals => "/api/v1/feedback/totals".to_owned(),
                Path::Health => "/healthz".to_owned(),
            };
            times.push(self.get(&path).await?);
        }
        Ok(times)
    }
}

/// Looks at the page until told to stop.
async fn view(client: Client, looking: Arc<AtomicBool>, pause_ms: u64) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    while looking.load(Ordering::SeqCst) {
        times.push(client.get("/").await?);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
    Ok(times)
}

/// Takes in answers for some seconds, as intake does: checks, stores, receipts. Answers a second.
async fn ingest(store: &Arc<dyn Store>, arguments: &AdminArguments, now: i64, round: u64) -> anyhow::Result<f64> {
    let (homes, seconds) = (arguments.homes, Duration::from_secs(arguments.seconds));
    let first = arguments.answers / arguments.homes + 2 + round * 1_000_000;
    let store = Arc::clone(store);
    let work = move || -> anyhow::Result<f64> {
        let taker = BatchTaker::new(store, Arc::new(Metrics::new())).with_quota(u64::MAX);
        let (mut taken, mut working) = (0_u64, Duration::ZERO);
        while working < seconds {
            let batch: Vec<(String, Bytes)> = (taken..taken + BATCH)
                .map(|number| fill::message(number % homes, first + number / homes, now))
                .collect::<anyhow::Result<_>>()?;
            let start = Instant::now();
            taker.take(&batch, now)?;
            working += start.elapsed();
            taken += BATCH;
        }
        Ok(taken as f64 / working.as_secs_f64())
    };
    tokio::task::spawn_blocking(work).await?
}

/// Takes a run's snapshot; how many examples, and how many seconds.
async fn snapshot(data: &std::path::Path, store: &Arc<dyn Store>) -> anyhow::Result<(usize, f64)> {
    let (artifact_store, store) = (ArtifactStore::new(data), Arc::clone(store));
    let work = move || {
        let start = Instant::now();
        let snapshot = take_snapshot(store.as_ref(), &artifact_store, "bench", &Consumed::default(), None)?;
        anyhow::Ok((snapshot.rows, start.elapsed().as_secs_f64()))
    };
    tokio::task::spawn_blocking(work).await?
}

/// Lets the kernel count this process's peak memory anew.
fn forget_peak() {
    // Where that is not allowed, the peak is that of the whole run: too high, never too low.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process has held since, in MB.
fn peak() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1e3)
}
