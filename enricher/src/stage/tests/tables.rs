//! Tables in files while the stage runs, and what is counted of the steps.

use super::*;
use crate::config::SchemaMode;
use crate::geo::tests::{country_file, replace};

#[tokio::test]
async fn steps_are_timed_and_what_they_came_to_is_counted() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    let task = bench.start();
    bench
        .send("a", r#"{"event_type":"a","screen_width":"wide","user_domain_id":"v","event_timestamp":"2026-03-01T11:59:00Z"}"#)
        .await;
    bench
        .send(
            "a",
            r#"{"event_type":"b","utm_source":"google","browser_user_agent":"curl/8.1"}"#,
        )
        .await;
    bench.read("enriched-web-events", 2).await;
    bench.stop(task).await;
    let text = bench.runtime.metrics.text();
    for (step, outcome, count) in [
        ("consent", "open", 2),
        ("clock", "client", 1),
        ("clock", "received", 1),
        ("repair", "misfit", 1),
        ("repair", "fit", 1),
        ("agent", "known", 1),
        ("agent", "none", 1),
        ("source", "direct", 1),
        ("source", "known", 1),
        ("bots", "program", 1),
        ("bots", "person", 1),
        ("duplicates", "again", 0),
        ("privacy", "clean", 2),
    ] {
        let line =
            format!("weir_enricher_steps_total{{step=\"{step}\",outcome=\"{outcome}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    // One record in 256 of a partition is timed, the first among them.
    for step in ["read", "agent", "place", "source", "write"] {
        let line = format!("weir_enricher_step_seconds_count{{step=\"{step}\"}} 1\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[tokio::test]
async fn event_refused_by_its_schema_becomes_a_letter_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("signup.json");
    std::fs::write(&schema, r#"{"required":["site","user_domain_id"]}"#).unwrap();
    let mut bench = Bench::new();
    bench.config.schemas = [("signup".to_owned(), schema)].into();
    bench.config.schema_mode = SchemaMode::DeadLetter;
    bench.create_topics().await;
    let task = bench.start();
    bench.send("a", r#"{"event_type":"signup"}"#).await;
    let dead = bench.read("dead-web-events", 1).await.remove(0);
    let header = |name: &str| dead.header(name).map(|v| &**v);
    let letter = DeadLetter::read(dead.value.clone(), header).unwrap();
    assert_eq!(letter.code, Code::SchemaMismatch);
    assert_eq!(letter.cause.as_deref(), Some("site, user_domain_id"));
    bench.stop(task).await;
    let line = "weir_enricher_steps_total{step=\"schema\",outcome=\"invalid\"} 1";
    assert!(bench.runtime.metrics.text().contains(line));
}

/// Events come without a pause while the file is swapped for new ones and for truncated ones.
#[tokio::test]
async fn geoip_file_swapped_under_load_fails_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("geo.mmdb");
    let version = |number: usize| country_file("Test-Country", &format!("C{number}"));
    replace(&path, &version(0));
    let mut bench = Bench::new();
    bench.config.geoip = vec![path.clone()];
    bench.config.geoip_interval = Duration::from_millis(5);
    bench.create_topics().await;
    let task = bench.start();
    let at_place = |number: usize| {
        format!(r#"{{"event_type":"a","ip_address":"203.0.113.9","event_id":"{number}"}}"#)
    };
    // The stage serves from the first file before the next comes.
    bench.send("a", &at_place(0)).await;
    bench.read("enriched-web-events", 1).await;
    let mut sent = 1;
    for number in 1..6 {
        for truncated in [false, true] {
            let file = version(number);
            let length = if truncated {
                file.len() / 2
            } else {
                file.len()
            };
            replace(&path, &file[..length]);
            eventually(async || {
                bench.send("a", &at_place(sent)).await;
                sent += 1;
                bench.reason("geoip").is_some() == truncated
            })
            .await;
        }
    }
    bench.send("a", &at_place(sent)).await;
    let enriched = bench.read("enriched-web-events", sent + 1).await;
    bench.stop(task).await;
    let countries: Vec<String> = enriched
        .iter()
        .map(|record| serde_json::from_slice::<serde_json::Value>(&record.value).unwrap())
        .map(|document| {
            document["geo_country"]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        })
        .collect();
    assert_eq!(countries.len(), sent + 1);
    assert!(
        countries.is_sorted(),
        "an old file came back, or an event has no place: {countries:?}"
    );
    assert_eq!(
        countries.last().unwrap(),
        "C5",
        "the last whole file serves"
    );
    assert!(
        !bench
            .runtime
            .metrics
            .text()
            .contains("weir_dead_letters_total{")
    );
}
