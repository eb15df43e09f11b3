//! Ten times what the broker takes: what cannot be kept is refused at once, and the rest is acknowledged
//! from the disk.
//!
//! A broker slows a client down that is above its quota by answering it late. The requests that are
//! under way when it begins to wait for `spool_after`, and those behind them are spooled.

use std::time::{Duration, Instant};

use tests::visitors::{Seen, Visitors, percentile};

use crate::bench::{Bench, seconds};

/// Bytes a second that the broker takes from the gateway: a twentieth of what the visitors send.
const BROKER_BYTES: u64 = 200_000;
const VISITORS: usize = 64;
const PAUSE: Duration = Duration::from_millis(25);

const MAX_ACKNOWLEDGED: Duration = Duration::from_millis(250);
const MAX_WAITED: Duration = Duration::from_secs(2);
const MAX_REFUSED: Duration = Duration::from_millis(50);
const MAX_RECOVERY: Duration = Duration::from_secs(5);
const MORE_MEMORY_BYTES: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn ten_times_overload() {
    // The spool is full within seconds.
    let bench = Bench::start(1, &[("WEIR_GATEWAY__SPOOL_MAX_BYTES", "4 MiB")]).await;
    bench.quota(0, BROKER_BYTES);
    let before = bench.memory_bytes();
    let visitors = Visitors::start(&bench.public, "v", VISITORS, PAUSE);
    let (since, mut most) = (Instant::now(), before);
    while since.elapsed() < seconds(60) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        most = most.max(bench.memory_bytes());
    }
    let seen = visitors.stop().await.unwrap();
    let more = most - before;
    let offered: u64 = seen.statuses.values().sum();
    println!(
        "{offered} requests, {:?}; {}; {} KiB more",
        seen.statuses,
        seen.times(),
        more >> 10
    );
    let mut all = seen.clone();
    let recovery = recovery(&bench, &mut all).await;
    println!("as ever after {recovery:?}");
    bench.drained().await;
    let repeated = bench.check(&all).await;
    bench.check_ledger().await;
    bench.stop().await;

    let kinds: Vec<u16> = seen.statuses.keys().copied().collect();
    assert_eq!(kinds, [204, 503]);
    assert!(offered > 10 * seen.statuses[&204], "it was no overload");
    assert!(percentile(&seen.acknowledged_in, 0.99) <= MAX_ACKNOWLEDGED);
    assert!(percentile(&seen.acknowledged_in, 1.0) <= MAX_WAITED);
    assert!(percentile(&seen.refused_in, 0.99) <= MAX_REFUSED);
    assert_eq!(all.without_retry_after, 0);
    // Those that were under way when the broker became slow.
    assert!(repeated <= all.ids().len() / 20, "{repeated} repetitions");
    assert!(more < MORE_MEMORY_BYTES, "{more} bytes more");
    assert!(recovery <= MAX_RECOVERY, "{recovery:?}");
}

/// Lets a visitor come now and then until a second has passed without a refusal; returns the time
/// until that second began.
async fn recovery(bench: &Bench, seen: &mut Seen) -> Duration {
    let (since, mut last) = (Instant::now(), Instant::now());
    for n in 0..1_000 {
        let usual = Visitors::start(&bench.public, &format!("u{n}"), 1, PAUSE);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let usual = usual.stop().await.unwrap();
        if usual.refused() > 0 {
            last = Instant::now();
        }
        seen.add(usual);
        if last.elapsed() > Duration::from_secs(1) {
            break;
        }
    }
    last - since
}
