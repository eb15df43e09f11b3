//! Measures enrich() alone: one thread, warm caches, events as the seed's generator makes them, and
//! then events of browsers.
//!
//! ```sh
//! cargo run --release -p enricher --example enrich_speed
//! ```
//!
//! Beside it, on the same events: serde_json alone, parsing to a `Value`, adding one field and
//! writing. Both take turns every few milliseconds, so that what else the machine does hits both,
//! and the medians are compared, for the ratio is what lasts. With the argument `seed` or `browser`
//! only enrich() runs, over such events, for a profiler.

use std::time::{Duration, Instant};

use enricher::{Config, Enriched, Enricher, RecordContext, Writer, enrich};
use serde_json::Value;
use stream::{Position, TopicPartition};

mod events;

const EVENTS: usize = 5_000;
const ROUNDS: usize = 15;

/// Events of a turn: about two milliseconds, less than what a busy machine lets run undisturbed.
const TURN: usize = 250;

fn main() -> anyhow::Result<()> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let enricher = Enricher::new(Config::default())?;
    let alone = std::env::args().nth(1);
    let make: [(&str, &dyn Fn(usize) -> String); 2] = [
        ("seed", &|number| events::seed(number, now_ms)),
        ("browser", &events::browser),
    ];
    for (name, make) in make {
        if alone.as_deref().is_none_or(|wanted| wanted == name) {
            let events: Vec<String> = (0..EVENTS).map(make).collect();
            measure(&enricher, name, &events, now_ms, alone.is_some());
        }
    }
    Ok(())
}

fn measure(enricher: &Enricher, name: &str, events: &[String], now_ms: i64, is_alone: bool) {
    let position = Position {
        source: TopicPartition {
            topic: "raw-web-events".into(),
            partition: 0,
        },
        offset: 0,
    };
    let context = RecordContext {
        timestamp_ms: now_ms,
        now_ms,
        position: &position,
    };
    let (mut written, mut writer) = (0, Writer::default());
    let mut ours = |events: &[String]| {
        timed(events, |event| {
            match enrich(enricher, event.as_bytes(), context, &mut writer) {
                Ok(Enriched::Document(enriched)) => written = enriched.value.len(),
                other => panic!("{other:?}"),
            }
        })
    };
    let naive = |events: &[String]| {
        timed(events, |event| {
            let mut value: Value = serde_json::from_str(event).expect("the events are JSON");
            value["source_category"] = "search_engine".into();
            std::hint::black_box(value.to_string());
        })
    };
    ours(events);
    let (mut own, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for turn in events.chunks(TURN) {
            own.push(ours(turn));
            plain.push(if is_alone { own[0] } else { naive(turn) });
        }
    }
    let bytes: usize = events.iter().map(String::len).sum();
    println!(
        "{EVENTS} {name} events of {} B, enriched about {written} B, {ROUNDS} rounds",
        bytes / EVENTS
    );
    let own = report("enrich()", &mut own);
    let plain = report("serde_json, one field added", &mut plain);
    println!("ratio of the medians: {:.2}", own / plain);
}

fn timed(events: &[String], mut each: impl FnMut(&str)) -> Duration {
    let start = Instant::now();
    events.iter().for_each(|event| each(event));
    start.elapsed() / u32::try_from(events.len()).unwrap_or(1)
}

fn report(name: &str, turns: &mut [Duration]) -> f64 {
    turns.sort_unstable();
    let micros = |at: usize| turns[at].as_secs_f64() * 1e6;
    let (low, median, high) = (
        micros(0),
        micros(turns.len() / 2),
        micros(turns.len() * 9 / 10),
    );
    println!("{name}: {median:.2} us an event (lowest {low:.2}, nine in ten below {high:.2})");
    median
}
