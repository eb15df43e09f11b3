//! The gateway itself: killed, without room, on a clock that steps.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use tests::faults;
use tests::process;
use tests::visitors::Seen;

use crate::bench::{Bench, DRAIN, seconds, variable};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn gateway_killed_again_and_again() {
    let seed = variable("WEIR_CHAOS_SEED", rand::rng().random_range(0..1 << 32));
    println!("WEIR_CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::start(1, &[]).await;
    let mut seen = Seen::default();
    let (mut is_up, mut slowest) = (true, Duration::ZERO);
    for round in 0..variable("WEIR_CHAOS_ROUNDS", 50) {
        let visitors = bench.visitors(&format!("v{round}"));
        tokio::time::sleep(Duration::from_millis(random.random_range(100..3_000))).await;
        if random.random_bool(0.3) {
            bench.signal(0, if is_up { "-STOP" } else { "-CONT" });
            is_up = !is_up;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..3_000))).await;
        }
        bench.gateway.as_mut().unwrap().kill_and_restart().unwrap();
        let since = Instant::now();
        bench.wait_until_ready().await;
        slowest = slowest.max(since.elapsed());
        seen.add(visitors.stop().await.unwrap());
    }
    if !is_up {
        bench.signal(0, "-CONT");
    }
    bench.drained().await;
    println!("ready again within {slowest:?}");
    bench.check(&seen).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn spool_on_a_full_disk() {
    // A file system of 8 MiB that goes with the process.
    let mount = "mkdir -p weir && mount -t tmpfs -o size=8m tmpfs weir && exec \"$0\" \"$@\"";
    let by = ["unshare", "-rm", "sh", "-c", mount];
    let bench = Bench::start_by(1, &[], &by).await;
    bench.signal(0, "-STOP");
    let visitors = bench.visitors("v");
    let client = process::client();
    let url = format!("http://{}/readyz", bench.public);
    let is_ready = || async {
        let answer = client.get(&url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    let since = Instant::now();
    while is_ready().await {
        assert!(since.elapsed() < 2 * DRAIN, "the disk is never full");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.signal(0, "-CONT");
    bench.drained().await;
    let since = Instant::now();
    while !is_ready().await {
        assert!(since.elapsed() < DRAIN, "it does not go on by itself");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seen = visitors.stop().await.unwrap();
    assert!(seen.statuses[&503] > 0, "{:?}", seen.statuses);
    let kinds: Vec<u16> = seen.statuses.keys().copied().collect();
    assert_eq!(kinds, [204, 503]);
    bench.check(&seen).await;
    bench.check_ledger().await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn clock_that_steps() {
    let folder = TempDir::new().unwrap();
    let library = faults::compile("clock", folder.path()).unwrap();
    let offset = folder.path().join("offset");
    let variables = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("CLOCK_OFFSET", offset.to_str().unwrap()),
    ];
    let bench = Bench::start(1, &variables).await;
    let visitors = bench.visitors("v");
    // Forward, further than brokers take, back below where it started, and on by more than a day.
    for seconds_off in ["7200", "-7200", "90000", "0"] {
        std::fs::write(&offset, seconds_off).unwrap();
        tokio::time::sleep(seconds(20) / 4).await;
    }
    bench.end(visitors).await;
}
