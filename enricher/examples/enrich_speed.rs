//! Measures enrich() alone: one thread, warm caches, events as the seed's generator makes them.
//!
//! ```sh
//! cargo run --release -p enricher --example enrich_speed
//! ```
//!
//! Beside it, on the same events: serde_json alone, parsing to a `Value`, adding one field and
//! writing. Both take turns every few milliseconds, so that what else the machine does hits both,
//! and the medians are compared, for the ratio is what lasts. With the argument `alone` only
//! enrich() runs, for a profiler.

use std::time::{Duration, Instant};

use enricher::{Config, Enriched, Enricher, RecordContext, enrich};
use serde_json::{Value, json};
use stream::{Position, TopicPartition};

const EVENTS: usize = 5_000;
const ROUNDS: usize = 15;

/// Events of a turn: about two milliseconds, less than what a busy machine lets run undisturbed.
const TURN: usize = 250;

/// Agents that differ in their versions: browsers freeze theirs, so a site sees a few hundred.
const AGENTS: usize = 300;

fn main() -> anyhow::Result<()> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let events: Vec<String> = (0..EVENTS).map(|number| event(number, now_ms)).collect();
    let bytes: usize = events.iter().map(String::len).sum();
    let enricher = Enricher::new(Config::default())?;
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
    let mut written = 0;
    let mut ours = |events: &[String]| {
        timed(events, |event| {
            match enrich(&enricher, event.as_bytes(), context) {
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
    ours(&events);
    let (mut own, mut plain) = (Vec::new(), Vec::new());
    let is_alone = std::env::args().nth(1).as_deref() == Some("alone");
    // A profiler is slow.
    for _ in 0..if is_alone { ROUNDS / 5 } else { ROUNDS } {
        for turn in events.chunks(TURN) {
            own.push(ours(turn));
            plain.push(if is_alone { own[0] } else { naive(turn) });
        }
    }
    println!(
        "{EVENTS} events of {} B, enriched about {written} B, {ROUNDS} rounds",
        bytes / EVENTS
    );
    let own = report("enrich()", &mut own);
    let plain = report("serde_json, one field added", &mut plain);
    println!("ratio of the medians: {:.2}", own / plain);
    Ok(())
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

/// An event with its members in the seed's order.
fn event(number: usize, now_ms: i64) -> String {
    let sources = ["google", "bing", "facebook", "instagram", "mailchimp"];
    let mediums = ["organic", "cpc", "social", "affiliate"];
    let source = sources[number % sources.len()];
    let at = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let text = |name: &str| format!("{name}-{number:08}-4b4c-8bb4-2a2f6c1e9d77");
    let agent = number % AGENTS;
    let members = [
        ("event_id", json!(text("id"))),
        (
            "event_timestamp",
            json!(at.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()),
        ),
        ("event_type", json!("pageview")),
        ("page_url", json!("http://www.dummywebsite.com/product_a")),
        ("page_url_path", json!("/product_a")),
        ("referer_url", json!(format!("www.{source}.com"))),
        ("referer_url_scheme", json!("http")),
        ("referer_url_port", json!("80")),
        ("referer_medium", json!("internal")),
        ("utm_medium", json!(mediums[number % 4])),
        ("utm_source", json!(source)),
        ("utm_content", json!("ad_2")),
        ("utm_campaign", json!("campaign_1")),
        ("click_id", json!(text("click"))),
        ("geo_latitude", json!("54.77937")),
        ("geo_longitude", json!("11.86743")),
        ("geo_country", json!("DK")),
        ("geo_timezone", json!("Europe/Copenhagen")),
        ("geo_region_name", json!("Nykøbing Falster")),
        (
            "ip_address",
            json!(format!("198.18.{}.{}", number / 256 % 256, number % 256)),
        ),
        ("browser_name", json!("Chrome")),
        (
            "browser_user_agent",
            json!(format!(
                "Mozilla/5.0 (Linux; Android 4.2.2) AppleWebKit/536.1 (KHTML, like Gecko) Chrome/41.0.{agent}.0 Safari/536.1"
            )),
        ),
        ("browser_language", json!("ms_MY")),
        ("os", json!("Android 5.0")),
        ("os_name", json!("Android")),
        ("os_timezone", json!("Europe/Copenhagen")),
        ("device_type", json!("Mobile")),
        ("device_is_mobile", json!(true)),
        (
            "user_custom_id",
            json!(format!("someone{number}@gmail.com")),
        ),
        ("user_domain_id", json!(text("user"))),
    ];
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    format!("{{{}}}", members.join(", "))
}
