//! The usual load for long: nothing may grow.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::process::{self, variable};

use crate::bench::Bench;

/// Events a second.
const RATE: u64 = 5_000;

/// Looks at the process in the course of a run.
const LOOKS: u32 = 120;

/// Memory that a gateway may hold.
const MAX_MEMORY_BYTES: u64 = 100 << 20;

/// What a process holds at a moment.
struct Held {
    seconds: f64,
    memory_bytes: u64,
    files: usize,
    threads: usize,
}

fn held(bench: &Bench, since: Instant) -> Held {
    let pid = bench.gateway.as_ref().unwrap().id();
    let count = |what| {
        std::fs::read_dir(format!("/proc/{pid}/{what}"))
            .unwrap()
            .count()
    };
    Held {
        seconds: since.elapsed().as_secs_f64(),
        memory_bytes: bench.memory_bytes(),
        files: count("fd"),
        threads: count("task"),
    }
}

/// Bytes an hour by which memory grows: the slope of the least squares.
fn growth(held: &[Held]) -> f64 {
    let count = held.len() as f64;
    let mean = |of: &dyn Fn(&Held) -> f64| held.iter().map(of).sum::<f64>() / count;
    let time = mean(&|one| one.seconds);
    let memory = mean(&|one| one.memory_bytes as f64);
    let both = mean(&|one| (one.seconds - time) * (one.memory_bytes as f64 - memory));
    both / mean(&|one| (one.seconds - time).powi(2)) * 3_600.0
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: make soak"]
async fn soak() {
    let bench = Bench::start(1, &[]).await;
    let seconds = variable("WEIR_SOAK_SECONDS", 1_800);
    let report = bench.path("report.json");
    let mut load = Command::new(process::executable("loadgen"))
        .arg(format!("http://{}/collect", bench.public))
        .args([
            "--rate",
            &RATE.to_string(),
            "--duration",
            &format!("{seconds}s"),
        ])
        .args(["--connections", "64", "--max-errors", "0", "--report"])
        .arg(&report)
        .spawn()
        .unwrap();
    let since = Instant::now();
    let pause = Duration::from_secs(seconds) / LOOKS;
    // What is allocated once, by the first bursts, is no growth.
    tokio::time::sleep(pause * (LOOKS / 4)).await;
    let mut all = Vec::new();
    while load.try_wait().unwrap().is_none() {
        all.push(held(&bench, since));
        tokio::time::sleep(pause).await;
    }
    assert!(load.wait().unwrap().success(), "loadgen");
    let of = |what: &dyn Fn(&Held) -> u64| {
        let values = || all.iter().map(what);
        (values().min().unwrap(), values().max().unwrap())
    };
    let memory = of(&|one| one.memory_bytes);
    let (files, threads) = (of(&|one| one.files as u64), of(&|one| one.threads as u64));
    let growth = growth(&all) / f64::from(1 << 20);
    let told: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    println!(
        "{} acknowledged of {} in {seconds} s, p99 {} us; {} to {} MiB, growing by {growth:.1} MiB an \
         hour; files {files:?}, threads {threads:?}",
        told["acknowledged"],
        told["sent"],
        told["latency_us"]["p99"],
        memory.0 >> 20,
        memory.1 >> 20,
    );
    assert_eq!(told["acknowledged"], told["sent"]);
    assert!(memory.1 <= MAX_MEMORY_BYTES, "{memory:?}");
    // At four MiB an hour the bound is reached within a day.
    assert!(growth < 4.0, "{growth} MiB an hour");
    // A machine that is too busy has events go through the spool, which takes some while it is used.
    let (first, last) = (&all[0], &all[all.len() - 1]);
    assert!(last.files <= first.files + 2, "{files:?}");
    assert!(last.threads <= first.threads + 2, "{threads:?}");
    bench.check_ledger().await;
    bench.stop().await;
}
