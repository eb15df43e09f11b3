//! Brokers that die, stop, and are restarted in turn.

use std::time::Duration;

use crate::bench::{Bench, seconds};

/// What an outage may add to the memory.
const MORE_MEMORY_BYTES: u64 = 64 << 20;

/// A fault of the broker from a second on, and its end; nothing may be refused.
async fn outage(fault: &str, cure: impl Fn(&Bench), time: Duration) {
    let bench = Bench::start(1, &[]).await;
    let visitors = bench.visitors("v");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = bench.memory_bytes();
    bench.signal(0, fault);
    tokio::time::sleep(time).await;
    let spooled = bench.metric("weir_gateway_spool_events").await;
    assert!(spooled > 0.0, "events lie in the spool");
    cure(&bench);
    let drained = bench.drained().await;
    let more = bench.memory_bytes().saturating_sub(before);
    println!(
        "{spooled} spooled, drained in {drained:?}, {} KiB more",
        more >> 10
    );
    assert!(more < MORE_MEMORY_BYTES, "{more} bytes more");
    bench.end(visitors).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn broker_killed() {
    let cure = |bench: &Bench| bench.broker(0, "start");
    outage("-KILL", cure, seconds(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn broker_stopped_and_continued() {
    let cure = |bench: &Bench| bench.signal(0, "-CONT");
    outage("-STOP", cure, seconds(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn three_brokers_restarted_in_turn() {
    let bench = Bench::start(3, &[]).await;
    let visitors = bench.visitors("v");
    for number in 0..3 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        bench.broker(number, "stop");
        tokio::time::sleep(Duration::from_secs(3)).await;
        bench.broker(number, "start");
    }
    // And one that is lost.
    bench.signal(2, "-KILL");
    tokio::time::sleep(seconds(20)).await;
    bench.end(visitors).await;
}
