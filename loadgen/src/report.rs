//! What a run did, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::drive::{Load, Outcome};
use crate::verify::Verdict;

/// The percentiles told.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 100.0];

/// Lines for people.
#[must_use]
pub fn text(outcome: &Outcome, verdict: Option<&Verdict>) -> String {
    let seconds = outcome.elapsed.as_secs_f64().max(1e-9);
    let mut out = format!(
        "sent          {} events in {seconds:.1} s, {:.0}/s\nacknowledged  {}\n",
        outcome.sent,
        outcome.sent as f64 / seconds,
        outcome.acknowledged
    );
    // Writing to a string cannot fail.
    for (status, count) in &outcome.statuses {
        let _ = match status {
            0 => writeln!(out, "no answer     {count} requests"),
            status => writeln!(out, "status {status}    {count} requests"),
        };
    }
    out.push_str("latency      ");
    for percentile in PERCENTILES {
        let name = match percentile {
            100.0 => "max".to_owned(),
            percentile => format!("p{percentile}"),
        };
        let millis = outcome.latency_us.value_at_percentile(percentile) as f64 / 1e3;
        let _ = write!(out, " {name} {millis:.1} ms");
    }
    out.push_str(", from the intended time\n");
    if let Some(verdict) = verdict {
        let _ = writeln!(
            out,
            "stored        {} once, {} missing, {} more than once",
            verdict.once,
            verdict.missing.len(),
            verdict.doubled.len()
        );
    }
    out
}

/// One JSON object for programs; latencies in microseconds.
#[must_use]
pub fn json(load: &Load, seed: u64, outcome: &Outcome, verdict: Option<&Verdict>) -> Value {
    let latency = PERCENTILES.map(|percentile| {
        let name = format!("p{percentile}");
        (
            name,
            json!(outcome.latency_us.value_at_percentile(percentile)),
        )
    });
    json!({
        "seed": seed,
        "rate": load.rate,
        "duration_seconds": load.duration.as_secs_f64(),
        "batch": load.batch,
        "connections": load.connections,
        "sent": outcome.sent,
        "acknowledged": outcome.acknowledged,
        "statuses": outcome.statuses,
        "elapsed_seconds": outcome.elapsed.as_secs_f64(),
        "latency_us": latency.into_iter().collect::<serde_json::Map<_, _>>(),
        "verified": verdict.map(|verdict| json!({
            "once": verdict.once,
            "missing": verdict.missing,
            "doubled": verdict.doubled,
        })),
    })
}
