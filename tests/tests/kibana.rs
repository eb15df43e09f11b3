//! Every panel of Kibana's dashboards, run on seeded documents in a real engine.
//!
//! The expected numbers are the table in `docs/kibana.md`, which follows from the seed below by
//! counting. With WEIR_UPDATE=1 the table is written anew.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fmt::Write as _;

use serde_json::{Value, json};
use tests::cluster::service;
use tests::{panels, process};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kibana.md");

/// Sixty visitors; visitor `n` walks so far through the shop that 60, 40, 24, 12 and 6 reach its
/// steps. Every tenth is a bot.
fn events() -> Vec<Value> {
    let walk = ["/home", "/product_a", "/cart", "/payment", "/confirmation"];
    let reach = [60, 40, 24, 12, 6];
    let pick = |of: &[&str], n: usize| of[n % of.len()].to_owned();
    let mut events = Vec::new();
    for visitor in 0..60 {
        for (step, path) in walk
            .iter()
            .enumerate()
            .take_while(|(s, _)| visitor < reach[*s])
        {
            let is_bot = visitor % 10 == 9;
            let hour = 8 + visitor % 3;
            let at = format!("2026-03-10T{hour:02}:{:02}:{step:02}Z", visitor % 60);
            let mut event = json!({
                "event_id": format!("{visitor}-{step}"),
                "event_type": "pageview",
                "site": pick(&["shop", "blog"], visitor),
                "@timestamp": at,
                "received_at": at,
                "enriched_at": at,
                "user_domain_id": format!("visitor-{visitor}"),
                "session_id": format!("session-{visitor}"),
                "page_url_path": path,
                "engaged_ms": 1_000 * (step + 1),
                "scroll_percent": 20 * (step + 1),
                "channel": pick(&["Direct", "Organic Search", "Paid Social"], visitor),
                "source_category": pick(&["direct", "search_engine", "social_media"], visitor),
                "geo_country": pick(&["DE", "FR", "US"], visitor),
                "geo_location": { "lat": 50.0, "lon": f64::from(u8::try_from(visitor).unwrap()) - 30.0 },
                "device_type": pick(&["Mobile", "Computer"], visitor),
                "os_name": pick(&["iOS", "Windows"], visitor),
                "browser_name": pick(&["Safari", "Firefox", "Chrome"], visitor),
                "browser_language": pick(&["de-DE", "en-US"], visitor),
                "is_bot": is_bot,
                "is_late": visitor == 5,
            });
            if visitor % 3 == 2 {
                event["utm_campaign"] = "spring".into();
                event["utm_source"] = "facebook".into();
                event["referer_host"] = "facebook.com".into();
            }
            if step == 4 {
                event["revenue_amount"] = json!(10.5);
            }
            if is_bot {
                event["bot_name"] = "Crawler".into();
                event["bot_class"] = "search".into();
            }
            if visitor == 7 {
                event["invalid_fields"] = json!(["screen_width"]);
            }
            events.push(event);
        }
    }
    events
}

fn letters() -> Vec<Value> {
    let letter = |n: usize| {
        json!({
            "@timestamp": format!("2026-03-10T09:{n:02}:00Z"),
            "stage": if n < 4 { "gateway" } else { "sink" },
            "code": if n < 4 { "too_old" } else { "store_refused" },
            "detail": "The event is older than max_event_age.",
            "source": format!("raw-0-{n}"),
            "length": 100,
        })
    };
    (0..7).map(letter).collect()
}

fn health() -> Vec<Value> {
    let figures = |n: usize| {
        json!({
            "@timestamp": format!("2026-03-10T{:02}:00:00Z", 8 + n),
            "instance": "one",
            "created": 50 * n,
            "duplicate": n,
            "dead_lettered": 1,
            "retried": 2 * n,
            "lag": 100 - 10 * n,
            "set_aside": n,
            "end_to_end_p50_ms": 500 + n,
            "end_to_end_p99_ms": 900 + 10 * n,
        })
    };
    (0..3).map(figures).collect()
}

struct Engine {
    client: reqwest::Client,
    url: String,
}

impl Engine {
    async fn post(&self, path: &str, body: String) -> Value {
        let request = self.client.post(format!("{}/{path}", self.url));
        let request = request.header("content-type", "application/x-ndjson");
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }
}

async fn table(variable: &str, prefix: &str) -> String {
    let engine = Engine {
        client: process::client(),
        url: service(variable),
    };
    let folder = tempfile::tempdir().unwrap();
    let setup = |arguments: &[&str]| {
        let mut command = process::weir();
        let output = command
            .current_dir(folder.path())
            .arg("setup")
            .args(arguments)
            .env("XDG_DATA_HOME", folder.path())
            .env("WEIR_STORE", &engine.url)
            .env("WEIR_INDEX_PREFIX", prefix)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap()
    };
    setup(&[]);
    let mut bulk = String::new();
    for (kind, documents) in [("", events()), ("dead-", letters()), ("health-", health())] {
        for (n, document) in documents.iter().enumerate() {
            let index = format!("{kind}{prefix}-2026.03.10");
            let action = json!({ "create": { "_index": index, "_id": n.to_string() } });
            writeln!(bulk, "{action}\n{document}").unwrap();
        }
    }
    let answer = engine.post("_bulk?refresh=true", bulk).await;
    assert_eq!(answer["errors"], false, "{answer}");
    let mut table = String::new();
    for panel in panels::read(&setup(&["--print"])).unwrap() {
        let path = format!("{}/_search", panel.indices);
        let answer = engine.post(&path, panel.body.to_string()).await;
        let labels: Vec<&str> = panel.values.iter().map(|(_, label)| &**label).collect();
        let title = panel.title.replace(&format!(" ({prefix})"), "");
        let summary = panel.summary(&answer);
        assert!(!summary.is_empty(), "{title} shows something: {answer}");
        writeln!(table, "| {title} | {} | {summary} |", labels.join(" / ")).unwrap();
    }
    for kind in ["", "dead-", "health-"] {
        let url = format!("{}/{kind}{prefix}-2026.03.10", engine.url);
        engine.client.delete(url).send().await.unwrap();
        let url = format!("{}/_index_template/{kind}{prefix}", engine.url);
        engine.client.delete(url).send().await.unwrap();
    }
    table
}

async fn shows_what_was_counted(variable: &str) {
    let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let found = table(variable, &format!("k{time}")).await;
    let text = std::fs::read_to_string(TABLE).unwrap();
    let marker = "|---|---|---|\n";
    let (head, expected) = text.split_once(marker).unwrap();
    if std::env::var_os("WEIR_UPDATE").is_some() {
        std::fs::write(TABLE, format!("{head}{marker}{found}")).unwrap();
        return;
    }
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn panels_show_the_seed_on_elasticsearch() {
    shows_what_was_counted("WEIR_TEST_ELASTICSEARCH").await;
}

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn panels_show_the_seed_on_opensearch() {
    shows_what_was_counted("WEIR_TEST_OPENSEARCH").await;
}
