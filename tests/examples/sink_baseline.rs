//! What the sink is measured against; `bench/sink/run` runs it.
//!
//! ```text
//! sink_baseline stub ADDRESS                 an engine that takes every document and keeps none
//! sink_baseline prepare BROKERS TOPIC FILE   an enriched topic as lines of bulk requests
//! sink_baseline load URL FILE EVENTS         posts those lines, 5 MiB and two requests at a time
//! ```
//! The loader is the least that can be done: no stream, no offsets, no look at a document's outcome
//! but its count.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;

/// What Weir puts into a request at most, and how many it has under way.
const BULK_BYTES: usize = 5 << 20;
const BULKS: usize = 2;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["stub", address] => stub(address),
        ["prepare", brokers, topic, file] => prepare(brokers, topic, file),
        ["load", url, file, events] => load(url, file, events.parse()?),
        _ => bail!("stub ADDRESS, prepare BROKERS TOPIC FILE, or load URL FILE EVENTS"),
    }
}

type Count = Arc<AtomicU64>;

#[tokio::main]
async fn stub(address: &str) -> anyhow::Result<()> {
    // As Elasticsearch answers who asks what it is, and who asks anything else.
    let version = json!({
        "version": { "number": "9.5.3", "build_flavor": "default" },
        "tagline": "You Know, for Search",
    });
    let version = version.to_string();
    let routes = Router::new()
        .route("/", get(move || async { answer(version) }))
        .route("/_bulk", post(bulk))
        .route("/count", get(count))
        .fallback(any(|| async { answer("{}".into()) }))
        .layer(DefaultBodyLimit::disable())
        .with_state(Count::default());
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, routes).await?)
}

fn answer(body: String) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/json"),
        ("x-elastic-product", "Elasticsearch"),
    ];
    (headers, body)
}

async fn bulk(State(count): State<Count>, body: Bytes) -> impl IntoResponse {
    let documents = body.iter().filter(|byte| **byte == b'\n').count() / 2;
    count.fetch_add(documents as u64, Ordering::Relaxed);
    let items = vec![r#"{"create":{"status":201}}"#; documents].join(",");
    answer(format!(r#"{{"items":[{items}]}}"#))
}

async fn count(State(count): State<Count>) -> String {
    count.load(Ordering::Relaxed).to_string()
}

fn prepare(brokers: &str, topic: &str, file: &str) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "prepare")
        // A commit would look like a topic that does not answer.
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let timeout = Duration::from_secs(10);
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let partitions = metadata.topics().first().context("no such topic")?;
    let mut assignment = TopicPartitionList::new();
    for partition in partitions.partitions() {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    let mut open = assignment.count();
    while open > 0 {
        let message = match consumer
            .poll(timeout)
            .context("the topic does not answer")?
        {
            Ok(message) => message,
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => {
                open -= 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let headers = message.headers().context("a record without headers")?;
        let find = |name: &str| {
            let mut headers = headers.iter();
            let value = headers
                .find(|one| one.key == name)
                .and_then(|one| one.value);
            std::str::from_utf8(value.unwrap_or_default()).map(str::to_owned)
        };
        let index = format!("web-events-{}", find(event::header::DAY)?);
        let operation = json!({ "create": { "_index": index, "_id": find(event::header::ID)? } });
        writeln!(out, "{operation}")?;
        out.write_all(message.payload().unwrap_or_default())?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

#[tokio::main]
async fn load(url: &str, file: &str, events: usize) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{url}/_bulk?filter_path=items.*.status");
    let mut lines = BufReader::new(std::fs::File::open(file)?);
    let (mut left, since) = (events, Instant::now());
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        let (mut body, mut count) = (Vec::with_capacity(BULK_BYTES + 8_192), 0);
        while body.len() < BULK_BYTES && left > 0 {
            for _line in ["operation", "document"] {
                ensure!(
                    lines.read_until(b'\n', &mut body)? > 0,
                    "the file is too short"
                );
            }
            (count, left) = (count + 1, left - 1);
        }
        if count == 0 || under_way.len() == BULKS {
            match under_way.join_next().await {
                Some(sent) => sent??,
                None => break,
            }
        }
        if count > 0 {
            let request = client.post(&url).body(body);
            let request = request.header("content-type", "application/x-ndjson");
            under_way.spawn(async move {
                let answer = request.send().await?.bytes().await?;
                let taken = answer
                    .windows(5)
                    .filter(|window| window == b"\":201")
                    .count();
                ensure!(taken == count, "{taken} of {count} documents were taken");
                Ok(())
            });
        }
    }
    println!("{:.0}", events as f64 / since.elapsed().as_secs_f64());
    Ok(())
}
