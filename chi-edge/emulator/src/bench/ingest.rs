//! `bench ingest`: records stored durably and receipted, against what a bare subscriber gets from the same broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use hearthwatch_learning::training::{Corpora, ModelLearner};
use hearthwatch_link::{LinkConfig, LinkEvent, LinkHandle, Publication, TlsFiles};
use hearthwatch_protocol::messages::Verdict;
use hearthwatch_protocol::{HomeId, Message, Sequence, Topic, encode};

use super::admin::answer;
use crate::demo::Stage;

/// After this long without the last publication it has been dropped.
const STALL: Duration = Duration::from_secs(20);

/// Records that a home has in flight at a time.
const IN_FLIGHT: usize = 16;

/// How much is sent.
#[derive(Debug, Args)]
pub struct IngestArguments {
    /// Homes that send at the same time.
    #[arg(long, default_value_t = 10)]
    homes: usize,
    /// Records of each home. The broker's queue holds about 1,000 in all; what it drops of more, the bare subscriber never gets.
    #[arg(long, default_value_t = 100)]
    records: u64,
}

/// Measures and prints.
///
/// # Errors
/// Whatever part of the world failed.
pub fn run(arguments: &IngestArguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let ids: Vec<HomeId> =
            (0..arguments.homes).map(|number| HomeId::new(format!("home-{number}"))).collect::<Result<_, _>>()?;
        let learner = Arc::new(ModelLearner::new(Corpora::Directory(None)));
        let now = jiff::Timestamp::now().as_second();
        let program = std::env::current_exe().context("finding this program")?;
        let stage = Stage::build(&program, folder.path(), &ids, learner, 1, now).await?;
        let links = connect(&stage, &ids).await?;
        let total = arguments.records * arguments.homes as u64;

        // Once each to warm up, then measured: first the bare subscriber, then the aggregator.
        let bare = bare(&stage, &links, &ids, arguments.records).await?;
        let start = Instant::now();
        send(&links, &ids, 1, arguments.records, now, false).await?;
        let wanted: BTreeMap<HomeId, Sequence> =
            ids.iter().map(|home| (home.clone(), Sequence(arguments.records))).collect();
        anyhow::ensure!(stage.aggregator.heard(&wanted).await, "the aggregator stopped");
        let stored = start.elapsed();
        let totals = stage.aggregator.state().store.feedback_totals()?;
        let rate = |time: Duration| total as f64 / time.as_secs_f64();
        println!("{total} records of {} homes, {} bytes each", ids.len(), payload(&ids[0], 1, now)?.len());
        println!("bare subscriber  {:>8.0} records/s", rate(bare));
        println!("stored, deduplicated, receipted  {:>8.0} records/s ({} in the store)", rate(stored), totals.records);
        println!("ratio {:.2}", rate(stored) / rate(bare));
        for (link, _) in links {
            link.close().await;
        }
        stage.strike().await;
        Ok(())
    })
}

type Connected = (LinkHandle, tokio::task::JoinHandle<()>);

async fn connect(stage: &Stage, ids: &[HomeId]) -> anyhow::Result<Vec<Connected>> {
    let mut links = Vec::new();
    for home in ids {
        let files = stage.layout.home(home);
        let tls = TlsFiles { ca: files.ca(), cert: Some(files.cert()), key: Some(files.key()) };
        let config = LinkConfig { tls: Some(tls), ..LinkConfig::new("localhost", stage.broker.port(), home.as_str()) };
        let (handle, mut events) = hearthwatch_link::open(config)?;
        while !matches!(events.next().await.context("the link ended")?, LinkEvent::Connected { .. }) {}
        let drain = tokio::spawn(async move { while events.next().await.is_some() {} });
        links.push((handle, drain));
    }
    Ok(links)
}

/// The same payloads on topics that nobody stores, to a subscriber that only counts.
async fn bare(stage: &Stage, links: &[Connected], ids: &[HomeId], records: u64) -> anyhow::Result<Duration> {
    let layout = &stage.layout;
    let tls =
        TlsFiles { ca: layout.ca_cert(), cert: Some(layout.aggregator_cert()), key: Some(layout.aggregator_key()) };
    let config = LinkConfig {
        tls: Some(tls),
        subscriptions: vec!["hw/v1/home/+/up/+".to_owned()],
        ..LinkConfig::new("localhost", stage.broker.port(), "aggregator-2")
    };
    let (handle, mut events) = hearthwatch_link::open(config)?;
    while !matches!(events.next().await.context("the link ended")?, LinkEvent::Connected { .. }) {}
    let total = records * ids.len() as u64;
    let count = tokio::spawn(async move {
        let mut seen = 0;
        while seen < total {
            match events.next().await {
                Some(LinkEvent::Message { .. }) => seen += 1,
                Some(_) => {}
                None => break,
            }
        }
    });
    let start = Instant::now();
    send(links, ids, 1, records, 0, true).await?;
    tokio::time::timeout(STALL, count).await.context("the broker dropped publications; send fewer records")??;
    let took = start.elapsed();
    handle.close().await;
    Ok(took)
}

/// Every home sends its records, some at a time, on its own connection.
async fn send(
    links: &[Connected],
    ids: &[HomeId],
    first: u64,
    records: u64,
    now: i64,
    bare: bool,
) -> anyhow::Result<()> {
    let mut homes = Vec::new();
    for ((link, _), home) in links.iter().zip(ids) {
        let (link, home) = (link.clone(), home.clone());
        homes.push(tokio::spawn(async move {
            let mut flying = tokio::task::JoinSet::new();
            for sequence in first..first + records {
                if flying.len() >= IN_FLIGHT
                    && let Some(landed) = flying.join_next().await
                {
                    landed??;
                }
                let topic = match bare {
                    true => format!("hw/v1/home/{home}/up/bench"),
                    false => Topic::Feedback(home.clone()).to_string(),
                };
                let publication = Publication { topic, payload: payload(&home, sequence, now)?, retain: false };
                let link = link.clone();
                flying.spawn(async move { link.publish(publication).await });
            }
            while let Some(landed) = flying.join_next().await {
                landed??;
            }
            anyhow::Ok(())
        }));
    }
    for home in homes {
        home.await??;
    }
    Ok(())
}

fn payload(home: &HomeId, sequence: u64, now: i64) -> anyhow::Result<Vec<u8>> {
    let record = answer(home, sequence, now, 0.0, Verdict::Dismissed)?;
    Ok(encode(&Message::Feedback(record))?)
}
