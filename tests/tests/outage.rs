//! What three processes do while the broker or the engine is away.
//!
//! `make test` runs this after the other tests, for it stops and starts their services.

use std::time::{Duration, Instant};

use tests::cluster::{Cluster, run_script, service, signal_engine};
use tests::process::{PATIENCE, printed};
use tests::visitors::Visitors;

/// Waits until a metric of the gateway is as wanted.
async fn wait_for(cluster: &Cluster, name: &str, is_so: impl Fn(f64) -> bool) {
    let since = Instant::now();
    loop {
        let value = cluster.metric(name).await;
        if value.as_ref().is_ok_and(|value| is_so(*value)) {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "{name}: {value:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const EVENTS: &str = "weir_gateway_spool_events";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine of its own: make test"]
async fn nothing_is_lost_while_the_broker_or_the_engine_is_away() {
    let mut cluster = Cluster::start().await.unwrap();
    let (broker, engine) = (
        service("WEIR_TEST_KAFKA"),
        service("WEIR_TEST_ELASTICSEARCH"),
    );
    // Out of the broker's time into that of its absence and back, without a pause.
    let staying = start(&cluster, "staying");
    tokio::time::sleep(Duration::from_secs(1)).await;
    run_script("kafka", "stop", "WEIR_TEST_KAFKA_FOLDER", &[]).unwrap();
    wait_for(&cluster, EVENTS, |events| events > 1_000.0).await;

    let report = printed(cluster.command("spool", &["list"]).unwrap()).unwrap();
    assert!(!report.contains("oldest        none"), "{report}");
    let exported = printed(cluster.command("spool", &["export"]).unwrap()).unwrap();
    assert!(exported.lines().count() > 1_000);
    assert!(
        exported.contains(r#""event_id":"staying-0-"#),
        "{exported:.300}"
    );
    let drained = cluster.command("spool", &["drain"]).unwrap();
    assert_eq!(drained.status.code(), Some(1), "there is no broker");
    assert!(cluster.public_is_ready().await, "it takes events");

    let staying = staying.stop().await.unwrap();
    assert_eq!(staying.refused(), 0, "{:?}", staying.statuses);

    // Killed while it spools, and again while it drains.
    cluster.stages[0].kill_and_restart().unwrap();
    let gateway = cluster.admin[0].clone();
    cluster.stages[0].wait_until_ready(&gateway).await.unwrap();
    let spooling = start(&cluster, "spooling");
    wait_for(&cluster, EVENTS, |events| events > 3_000.0).await;
    run_script("kafka", "start", "WEIR_TEST_KAFKA_FOLDER", &["--secure"]).unwrap();
    wait_for(&cluster, "weir_gateway_drained_events_total", |n| n > 0.0).await;
    cluster.stages[0].kill_and_restart().unwrap();
    cluster.stages[0].wait_until_ready(&gateway).await.unwrap();
    wait_for(&cluster, EVENTS, |events| events == 0.0).await;
    let spooling = spooling.stop().await.unwrap();
    assert!(spooling.statuses[&204] > 0);

    let url = engine.clone();
    let port = url.rsplit(':').next().unwrap();
    let folder = "WEIR_TEST_ELASTICSEARCH_FOLDER";
    run_script("elasticsearch", "stop", folder, &[]).unwrap();
    let without_engine = start(&cluster, "without");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let without_engine = without_engine.stop().await.unwrap();
    assert_eq!(without_engine.refused(), 0, "the gateway needs no engine");
    run_script("elasticsearch", "start", folder, &["--port", port]).unwrap();
    cluster.wait_until_ready().await.unwrap();

    let mut ids = Vec::new();
    for seen in [staying, spooling, without_engine] {
        seen.check(&broker, &cluster.raw_topic(), PATIENCE)
            .await
            .unwrap();
        ids.extend(seen.ids());
    }
    cluster.wait_for_documents(ids.len() as u64).await.unwrap();
    let copies = cluster.copies(&ids).await.unwrap();
    let missing = copies.iter().filter(|count| **count == 0).count();
    let doubled = copies.iter().filter(|count| **count > 1).count();
    assert_eq!((missing, doubled), (0, 0), "of {} acknowledged", ids.len());
    let dead = cluster.command("dlq", &["list"]).unwrap();
    assert!(dead.stdout.is_empty(), "an outage is no dead letter");
    for stage in &mut cluster.stages {
        assert!(stage.stop().unwrap().success());
    }
    cluster.clean().await.unwrap();
}

/// How long the engine is stopped by a signal.
const STOPPED: Duration = Duration::from_secs(20);

/// What an outage may add to the memory of a process.
const MORE_MEMORY_BYTES: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine of its own: make test"]
async fn engine_that_is_stopped_by_a_signal_costs_nothing_but_time() {
    let mut cluster = Cluster::start().await.unwrap();
    let visitors = Visitors::start(cluster.public(), "v", 4, Duration::from_millis(50));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = cluster.memory_bytes().unwrap();
    signal_engine("-STOP").unwrap();
    tokio::time::sleep(STOPPED).await;
    signal_engine("-CONT").unwrap();
    let back = Instant::now();
    let after = cluster.memory_bytes().unwrap();
    let seen = visitors.stop().await.unwrap();
    assert_eq!(seen.refused(), 0, "{:?}", seen.statuses);

    let ids = seen.ids();
    cluster.wait_for_documents(ids.len() as u64).await.unwrap();
    let caught_up = back.elapsed();
    println!(
        "{STOPPED:?} stopped: {} events, all stored {caught_up:?} after the return; \
         resident bytes {before:?} before, {after:?} after",
        ids.len(),
    );
    let copies = cluster.copies(&ids).await.unwrap();
    assert!(copies.iter().all(|count| *count == 1), "lost or doubled");
    let dead = cluster.command("dlq", &["list"]).unwrap();
    assert!(dead.stdout.is_empty(), "an outage is no dead letter");
    for (before, after) in before.iter().zip(&after) {
        let more = after.saturating_sub(*before);
        assert!(more < MORE_MEMORY_BYTES, "{more} bytes more");
    }
    for stage in &mut cluster.stages {
        assert!(stage.stop().unwrap().success());
    }
    cluster.clean().await.unwrap();
}

fn start(cluster: &Cluster, name: &str) -> Visitors {
    Visitors::start(cluster.public(), name, 8, Duration::from_millis(10))
}
