//! Hostile clients against a real `weir up`: bytes as no client would send them. After each attack
//! the process lives, has not panicked, and serves the next good request.
//!
//! - `connections`: too many, too slow, too idle, without reading
//! - `heads`: request lines, headers, framing, routes
//! - `bodies`: bombs, endless ones, JSON that is meant to break readers
//! - `clients`: who says what of themselves: addresses, origins, keys, rates
//! - `tls`: TLS in the process
//! - `addresses`: what events name is not dialled
//! - `proxy_protocol`: whom a proxy says that it connects for
//! - `proxies`: requests that a proxy and the gateway may read differently

mod addresses;
mod bodies;
mod clients;
mod connections;
mod heads;
mod proxies;
mod proxy_protocol;
mod tls;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::process::PATIENCE;
use tests::weir::Weir;
use tests::wire;

/// Deadlines short enough for a test, and long enough for a loaded machine to answer within.
const SHORT: [(&str, &str); 4] = [
    ("WEIR_GATEWAY__HEADER_TIMEOUT", "2s"),
    ("WEIR_GATEWAY__BODY_TIMEOUT", "3s"),
    ("WEIR_GATEWAY__IDLE_TIMEOUT", "3s"),
    ("WEIR_LOG__LEVEL", "debug"),
];

async fn start() -> Weir {
    start_with(&[]).await
}

/// With variables of the environment beside those of the deadlines.
async fn start_with(variables: &[(&'static str, &'static str)]) -> Weir {
    let variables = [&SHORT[..], variables].concat();
    let set = move |command: &mut Command, _: &Path| {
        command.envs(variables.iter().copied());
    };
    Weir::start_with(set).await.expect("it starts")
}

/// Sends a good event as any client would; returns the time that it took.
async fn good_request(weir: &Weir) -> Duration {
    let since = Instant::now();
    let event = json!({ "event_type": "good" }).to_string();
    let came = wire::exchange(weir.public(), &wire::post("", event.as_bytes())).await;
    let came = came.expect("an answer");
    assert_eq!(came.statuses(), [204], "{}", came.text);
    since.elapsed()
}

/// What every attack must leave behind.
async fn unharmed(weir: &Weir) {
    good_request(weir).await;
    let words = weir.process().words();
    let panic = words.lines().find(|line| line.contains("panicked"));
    assert_eq!(panic, None);
}

/// Waits until `is_so`.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Open files of the process.
fn files(weir: &Weir) -> usize {
    let folder = format!("/proc/{}/fd", weir.process().id());
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Memory of the process that is in use, in MiB.
fn resident_mib(weir: &Weir) -> u64 {
    weir.process().memory_bytes().map_or(0, |bytes| bytes >> 20)
}

/// The most memory that the process has had in use since its peak was forgotten, in KiB.
fn peak_kib(weir: &Weir) -> u64 {
    let path = format!("/proc/{}/status", weir.process().id());
    let status = std::fs::read_to_string(path).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
    number.expect("a number of KiB")
}

/// Forgets the peak; returns what is in use, in KiB.
fn forget_peak(weir: &Weir) -> u64 {
    let path = format!("/proc/{}/clear_refs", weir.process().id());
    std::fs::write(path, "5").expect("the process is this one's child");
    peak_kib(weir)
}

/// Processor time that the process has used, in milliseconds.
fn processor_ms(weir: &Weir) -> u64 {
    let path = format!("/proc/{}/stat", weir.process().id());
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    // utime and stime, in hundredths of a second.
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    (ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)) * 10
}
