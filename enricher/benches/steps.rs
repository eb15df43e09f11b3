//! What each step of the enrichment takes, warm, on events of the seed and of browsers.
//!
//! ```sh
//! cargo bench --workspace --bench steps
//! ```
//!
//! A step's time is taken where it runs, within the whole, and holds one look at the clock: about 30
//! nanoseconds. `whole` is enrich() without any.

#[path = "../examples/events/mod.rs"]
mod events;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use enricher::{Config, Enricher, RecordContext, Writer, enrich, enrich_timed};
use stream::{Position, TopicPartition};

/// Events that take turns: few enough for all agents and places to be in the caches.
const EVENTS: usize = 1_000;

fn steps(criterion: &mut Criterion) {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let of_seed = (0..EVENTS).map(|number| events::seed(number, now_ms));
    let of_browser = (0..EVENTS).map(events::browser);
    each(criterion, "seed", &of_seed.collect::<Vec<_>>(), now_ms);
    each(
        criterion,
        "browser",
        &of_browser.collect::<Vec<_>>(),
        now_ms,
    );
}

fn each(criterion: &mut Criterion, kind: &str, events: &[String], now_ms: i64) {
    let enricher = Enricher::new(Config::default()).expect("the demo file");
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
    let mut writer = Writer::default();
    let mut group = criterion.benchmark_group(kind);
    group.bench_function("whole", |bencher| {
        bencher.iter_custom(|count| {
            let start = Instant::now();
            for event in turns(events, count) {
                black_box(enrich(&enricher, event.as_bytes(), context, &mut writer))
                    .expect("fit events");
            }
            start.elapsed()
        });
    });
    let (_, steps) = enrich_timed(&enricher, events[0].as_bytes(), context, &mut writer);
    for (place, (step, _)) in steps.iter().enumerate() {
        group.bench_function(*step, |bencher| {
            bencher.iter_custom(|count| {
                let mut sum = Duration::ZERO;
                for event in turns(events, count) {
                    sum +=
                        enrich_timed(&enricher, event.as_bytes(), context, &mut writer).1[place].1;
                }
                sum
            });
        });
    }
    group.finish();
}

fn turns(events: &[String], count: u64) -> impl Iterator<Item = &String> {
    (0..count).map(|number| &events[number as usize % events.len()])
}

criterion_group! {
    name = benches;
    // A step is a fraction of the whole that runs for it, so that a short time is long enough.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(50))
        .sample_size(20);
    targets = steps
}
criterion_main!(benches);
