//! The gateway itself: killed, without room, on a clock that steps.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use tests::faults;
use tests::process::{self, variable};
use tests::visitors::Seen;
use tests::wire;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bench::{Bench, DRAIN, seconds};

/// Rounds that the broker stays stopped at most. Each takes 12 s then, and 200 s fill the spool; a round of
/// 2 s when it is back takes less from that than such a one has brought.
const ROUNDS_AWAY: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn gateway_killed_again_and_again() {
    let seed = variable("WEIR_CHAOS_SEED", rand::rng().random_range(0..1 << 32));
    println!("WEIR_CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::start(1, &[]).await;
    let mut seen = Seen::default();
    let (mut is_up, mut slowest) = (true, Duration::ZERO);
    let mut away = 0;
    for round in 0..variable("WEIR_CHAOS_ROUNDS", 50) {
        let visitors = bench.visitors(&format!("v{round}"));
        tokio::time::sleep(Duration::from_millis(random.random_range(100..3_000))).await;
        away = if is_up { 0 } else { away + 1 };
        if random.random_bool(0.3) || away == ROUNDS_AWAY {
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

/// Requests of which half is sent when the gateway is told to stop.
const HALF_SENT: u32 = 8;

/// What a gateway may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// A request that is being answered, and waits for the rest of its body.
async fn half_sent(address: &str, id: &str) -> (TcpStream, String) {
    let body = format!(r#"{{"event_id":"{id}","event_type":"a","user_domain_id":"{id}"}}"#);
    let length = body.len();
    let head = format!(
        "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut stream = wire::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    let (now, later) = body.split_at(length / 2);
    stream.write_all(now.as_bytes()).await.unwrap();
    (stream, later.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts brokers of its own: make chaos-gateway"]
async fn gateway_told_to_stop_again_and_again() {
    let seed = variable("WEIR_CHAOS_SEED", rand::rng().random_range(0..1 << 32));
    println!("WEIR_CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::start(1, &[]).await;
    let (mut seen, mut slowest) = (Seen::default(), Duration::ZERO);
    for round in 0..variable("WEIR_CHAOS_ROUNDS", 100) {
        let visitors = bench.visitors(&format!("v{round}"));
        tokio::time::sleep(Duration::from_millis(random.random_range(100..1_000))).await;
        let ids: Vec<String> = (0..HALF_SENT)
            .map(|n| format!("half-{round}-{n}"))
            .collect();
        let half = ids.iter().map(|id| half_sent(&bench.public, id));
        let half = join_all(half).await;
        let gateway = bench.gateway.as_mut().unwrap();
        gateway.terminate().unwrap();
        let since = Instant::now();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
        for (mut stream, rest) in half {
            stream.write_all(rest.as_bytes()).await.unwrap();
            let came = wire::listen(&mut stream, STOP).await;
            assert_eq!(came.statuses(), [204], "{}", came.text);
        }
        assert!(gateway.wait_for_end().unwrap().success());
        slowest = slowest.max(since.elapsed());
        gateway.kill_and_restart().unwrap();
        seen.add(visitors.stop().await.unwrap());
        let half = ids.into_iter().map(|id| (id.clone(), vec![id]));
        seen.acknowledged.extend(half);
        bench.wait_until_ready().await;
    }
    println!(
        "stopped within {slowest:?}; {} requests cut off",
        seen.cut_off
    );
    assert!(slowest < STOP, "{slowest:?}");
    // A kept connection's last request is answered as any other.
    assert_eq!(seen.cut_off, 0);
    assert!(seen.refused_in.is_empty(), "{:?}", seen.statuses);
    bench.drained().await;
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
