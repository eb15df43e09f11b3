//! The whole way under faults: every stage is killed and the engine is killed and restarted while
//! events come in, one in a hundred of them unfit for the index. Then the ledger must balance, and
//! a replay restores what was refused once the mapping is mended.
//!
//! `make chaos-delivery` takes ten minutes; `make test` runs a short form. The seed is printed, and
//! WEIR_CHAOS_SEED repeats a run.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use event::{Code, DeadLetter, Stage};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use stream::kafka::{Kafka, Options};
use stream::{Record, Start, Stream as _};
use tests::cluster::{Cluster, run_script, service, signal_engine};
use tests::process::{printed, variable};
use tests::visitors::Visitors;

/// What the last kills leave behind: a group that waits for its dead members, an engine that starts.
const CALM: Duration = Duration::from_secs(240);

const ENGINE: &str = "WEIR_TEST_ELASTICSEARCH_FOLDER";

/// One in a hundred.
fn is_poison(id: &str) -> bool {
    id.ends_with("37")
}

fn event(id: &str, visitor: &str) -> Value {
    let title = if is_poison(id) { "a title" } else { "7" };
    json!({ "event_id": id, "event_type": "a", "user_domain_id": visitor, "page_title": title })
}

/// Titles as numbers: a mistake of the operator, or mended.
async fn map_titles(cluster: &Cluster, is_mended: bool) {
    let mapping = json!({ "properties": {
        "page_title": { "type": "long", "ignore_malformed": is_mended },
    } });
    let template = json!({ "template": { "mappings": mapping } });
    let path = "_component_template/PREFIX@custom";
    cluster.put(path, &template).await.unwrap();
    if is_mended {
        cluster.put("PREFIX-*/_mapping", &mapping).await.unwrap();
    }
}

/// Kills the engine, or stops it, and starts it again, until `is_over`; returns how often each.
fn disturb_engine(mut random: StdRng, pause: u64, is_over: &AtomicBool) -> (u32, u32) {
    let url = service("WEIR_TEST_ELASTICSEARCH");
    let port = url.rsplit(':').next().unwrap();
    let (mut killed, mut stopped) = (0, 0);
    loop {
        let until = Instant::now() + Duration::from_secs(random.random_range(pause / 2..=pause));
        while Instant::now() < until {
            if is_over.load(Ordering::Acquire) {
                return (killed, stopped);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if killed <= stopped {
            signal_engine("-9").unwrap();
            killed += 1;
        } else {
            run_script("elasticsearch", "stop", ENGINE, &[]).unwrap();
            stopped += 1;
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..5_000)));
        run_script("elasticsearch", "start", ENGINE, &["--port", port]).unwrap();
    }
}

/// Everything that lies on a topic.
async fn read(topic: &str) -> Vec<Record> {
    let kafka = Kafka::new(Options::new(service("WEIR_TEST_KAFKA"))).unwrap();
    let mut reader = kafka.subscribe(&[topic], Start::Earliest).await.unwrap();
    let mut records = Vec::new();
    loop {
        let batch = reader.poll(10_000, Duration::from_secs(2)).await.unwrap();
        let is_end = batch.records.is_empty() && reader.lag() == 0;
        records.extend(batch.records.into_iter().map(|one| one.record));
        if is_end {
            break;
        }
    }
    drop(reader);
    kafka.close(Duration::from_secs(5)).await.unwrap();
    records
}

fn id_of(value: &[u8]) -> String {
    let event: Value = serde_json::from_slice(value).unwrap();
    event["event_id"].as_str().unwrap().to_owned()
}

async fn letters(cluster: &Cluster) -> Vec<DeadLetter> {
    let read_one = |record: Record| {
        let header = |name: &str| record.header(name).map(|value| &value[..]);
        DeadLetter::read(record.value.clone(), header).unwrap()
    };
    let records = read(&cluster.dead_topic()).await;
    records.into_iter().map(read_one).collect()
}

/// Waits until the engine has as many documents as `ids`; they must be each of them once, and no more.
/// Returns how long they took to come.
async fn check_documents(cluster: &Cluster, ids: &[String]) -> Duration {
    let since = Instant::now();
    let query = json!({ "size": 0, "track_total_hits": true });
    let count = loop {
        let found = cluster.search(&query).await.ok();
        let count = found.and_then(|answer| answer["hits"]["total"]["value"].as_u64());
        if count.is_some_and(|count| count >= ids.len() as u64) || since.elapsed() > CALM {
            break count;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let taken = since.elapsed();
    let copies = cluster.copies(ids).await.unwrap();
    let missing = copies.iter().filter(|count| **count == 0).count();
    let doubled = copies.iter().filter(|count| **count > 1).count();
    assert_eq!((missing, doubled), (0, 0), "of {}", ids.len());
    assert_eq!(count, Some(ids.len() as u64), "documents that nobody sent");
    taken
}

/// Replays, is killed on the way, goes on, and replays all once more.
async fn replay(cluster: &Cluster, count: usize) {
    let progress = std::env::temp_dir().join(cluster.dead_topic());
    let file = progress.to_str().unwrap();
    let all = ["replay", "--code", "store_refused"];
    // Six seconds at this rate.
    let rate = (count / 6).max(1).to_string();
    let arguments = [&all[..], &["--rate", &rate, "--progress", file]].concat();
    let mut interrupted = cluster.prepared("dlq", &arguments);
    let mut interrupted = interrupted.stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while !progress.exists() {
        assert!(since.elapsed() < CALM, "no way is kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    interrupted.kill().unwrap();
    interrupted.wait().unwrap();
    let output = cluster.command("dlq", &arguments).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("goes on where it stopped"), "{said}");
    let sent = printed(output).unwrap();
    assert!(!sent.starts_with(&format!("{count} ")), "{sent}");
    println!("after {}: {}", said.trim(), sent.trim());
    let sent = printed(cluster.command("dlq", &all).unwrap()).unwrap();
    assert!(sent.starts_with(&format!("{count} sent again")), "{sent}");
}

/// What an absence of the engine may add to the memory of a stage.
const MORE_MEMORY_BYTES: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine of its own: make test"]
async fn engine_that_is_away_for_long_loses_nothing_and_fills_nothing() {
    let time = Duration::from_secs(variable("WEIR_CHAOS_SECONDS", 30));
    let mut cluster = Cluster::start().await.unwrap();
    let url = service("WEIR_TEST_ELASTICSEARCH");
    let port = url.rsplit(':').next().unwrap().to_owned();
    let pause = Duration::from_millis(50);
    let visitors = Visitors::start(cluster.public(), "v", 12, pause);
    tokio::time::sleep(Duration::from_secs(5)).await;
    run_script("elasticsearch", "stop", ENGINE, &[]).unwrap();
    // What fills in the first seconds is bulks and buffers with a cap.
    tokio::time::sleep(time / 4).await;
    let before = cluster.memory_bytes().unwrap();
    tokio::time::sleep(time - time / 4).await;
    let after = cluster.memory_bytes().unwrap();
    let seen = visitors.stop().await.unwrap();
    assert_eq!(seen.refused(), 0, "{:?}", seen.statuses);
    let ids = seen.ids();
    run_script("elasticsearch", "start", ENGINE, &["--port", &port]).unwrap();
    let taken = check_documents(&cluster, &ids).await;
    let (input, output) = (time.as_secs_f64() + 5.0, taken.as_secs_f64());
    println!(
        "{} events, {:.0} a second; written {:.0} a second; memory {before:?} to {after:?}",
        ids.len(),
        ids.len() as f64 / input,
        ids.len() as f64 / output,
    );
    for (before, after) in before.iter().zip(&after) {
        assert!(after.saturating_sub(*before) < MORE_MEMORY_BYTES);
    }
    assert!(
        letters(&cluster).await.is_empty(),
        "an absence is no dead letter"
    );
    for stage in &mut cluster.stages {
        assert!(stage.stop().unwrap().success());
    }
    cluster.clean().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine of its own: make test"]
async fn what_is_produced_is_indexed_or_dead_lettered_and_a_replay_restores_the_rest() {
    let time = Duration::from_secs(variable("WEIR_CHAOS_SECONDS", 30));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let seed = variable("WEIR_CHAOS_SEED", now.as_secs());
    println!(
        "WEIR_CHAOS_SEED={seed} WEIR_CHAOS_SECONDS={}",
        time.as_secs()
    );
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start().await.unwrap();
    map_titles(&cluster, false).await;

    let pause = Duration::from_millis(50);
    let visitors = Visitors::start_with(cluster.public(), "v", 12, pause, event);
    let is_over = Arc::new(AtomicBool::new(false));
    let engine = tokio::task::spawn_blocking({
        let (is_over, random) = (is_over.clone(), StdRng::seed_from_u64(seed));
        // The short form has time for one kill; an engine takes 20 seconds to start.
        let pause = (time.as_secs() / 5).min(60);
        move || disturb_engine(random, pause, &is_over)
    });
    // Longer for those of a group, which waits ten seconds for a member that was killed.
    let longest = [12, 18, 18];
    let mut next_after = |stage: usize| {
        let wait = random.random_range(3_000..longest[stage] * 1_000);
        Instant::now() + Duration::from_millis(wait)
    };
    let (mut due, mut kills) = ([0, 1, 2].map(&mut next_after), [0; 3]);
    let since = Instant::now();
    while since.elapsed() < time {
        for stage in 0..3 {
            if due[stage] < Instant::now() {
                let process = &mut cluster.stages[stage];
                assert!(process.is_running().unwrap(), "stage {stage} gave up");
                process.kill_and_restart().unwrap();
                kills[stage] += 1;
                due[stage] = next_after(stage);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_over.store(true, Ordering::Release);
    let engine_faults = engine.await.unwrap();
    let seen = visitors.stop().await.unwrap();
    cluster.wait_until_ready().await.unwrap();
    println!(
        "kills of gateway, enricher, sink: {kills:?}; engine killed, restarted: {engine_faults:?}"
    );
    assert!(kills.iter().all(|count| *count > 0) && engine_faults.0 > 0);

    // Also what nobody heard of may have been accepted. What the gateway's disk holds follows.
    let spooled = "weir_gateway_spool_events";
    while cluster.metric(spooled).await.unwrap() > 0.0 {
        assert!(since.elapsed() < time + CALM, "the spool is not sent on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let raw = read(&cluster.raw_topic()).await;
    let produced: HashSet<String> = raw.iter().map(|record| id_of(&record.value)).collect();
    let acknowledged = seen.ids();
    let lost = acknowledged
        .iter()
        .filter(|id| !produced.contains(*id))
        .count();
    assert_eq!(lost, 0, "acknowledged and not on the topic");
    let (poison, good): (Vec<_>, Vec<_>) = produced.iter().cloned().partition(|id| is_poison(id));
    assert!(!poison.is_empty(), "{} produced", produced.len());
    check_documents(&cluster, &good).await;
    let mut dead = letters(&cluster).await;
    while dead
        .iter()
        .map(|one| id_of(&one.original))
        .collect::<HashSet<_>>()
        .len()
        < poison.len()
    {
        assert!(since.elapsed() < time + 2 * CALM, "{} letters", dead.len());
        tokio::time::sleep(Duration::from_secs(1)).await;
        dead = letters(&cluster).await;
    }
    for letter in &dead {
        assert!(is_poison(&id_of(&letter.original)), "{}", letter.detail);
        assert_eq!(
            (letter.stage, letter.code),
            (Stage::Sink, Code::StoreRefused)
        );
        assert!(
            letter.detail.contains("field page_title"),
            "{}",
            letter.detail
        );
    }
    let places: HashSet<&str> = dead.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(
        cluster.wait_for_copies(places.len() as u64).await.unwrap(),
        places.len() as u64
    );
    println!(
        "{} acknowledged, {} produced in {} records = {} indexed + {} dead-lettered in {} letters; {:?}",
        acknowledged.len(),
        produced.len(),
        raw.len(),
        good.len(),
        poison.len(),
        dead.len(),
        seen.statuses,
    );

    map_titles(&cluster, true).await;
    replay(&cluster, dead.len()).await;
    let all: Vec<String> = produced.into_iter().collect();
    check_documents(&cluster, &all).await;
    assert_eq!(
        letters(&cluster).await.len(),
        dead.len(),
        "none was refused again"
    );
    println!("{} restored", poison.len());
    for stage in &mut cluster.stages {
        assert!(stage.stop().unwrap().success());
    }
    cluster.clean().await.unwrap();
}
