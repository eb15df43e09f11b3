//! What the gateway is measured against; `bench/gateway/run` runs it.
//!
//! ```text
//! gateway_baseline mock                       librdkafka's mock cluster; prints its address
//! gateway_baseline null ADDRESS               an axum handler that reads the body and answers 204
//! gateway_baseline naive ADDRESS BROKERS      axum, and a FutureProducer awaited for each event
//! gateway_baseline unkeyed ADDRESS BROKERS    the same, any event to any partition
//! ```
//! The naive handler is what one writes first: it checks nothing, splits the body into lines, and
//! has the same guarantees, `acks=all` from an idempotent producer and the order of a visitor's
//! events, for which it looks for the visitor's id. Without keys librdkafka fills one partition at a
//! time, which is cheaper, and visitors' events lose their order.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use memchr::memmem;
use rdkafka::ClientConfig;
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::AsyncRuntime;

const TOPIC: &str = "raw-web-events";

/// Partitions of the topic, as `weir topics` makes them.
const PARTITIONS: i32 = 6;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["mock"] => mock(),
        ["null", address] => serve(address, Router::new().route("/collect", post(null))),
        ["naive", address, brokers] => serve_producer(address, brokers, post(naive)),
        ["unkeyed", address, brokers] => serve_producer(address, brokers, post(unkeyed)),
        _ => bail!("mock, null ADDRESS, naive ADDRESS BROKERS, or unkeyed ADDRESS BROKERS"),
    }
}

fn mock() -> anyhow::Result<()> {
    let cluster = MockCluster::new(1)?;
    for topic in [TOPIC, "dead-web-events"] {
        cluster.create_topic(topic, PARTITIONS, 1)?;
    }
    println!("{}", cluster.bootstrap_servers());
    loop {
        std::thread::park();
    }
}

#[tokio::main]
async fn serve(address: &str, routes: Router) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, routes).await?)
}

async fn null(body: Bytes) -> StatusCode {
    std::hint::black_box(&body);
    StatusCode::NO_CONTENT
}

type Producer = FutureProducer<DefaultClientContext, Tokio>;

fn producer(brokers: &str) -> anyhow::Result<Arc<Producer>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5");
    Ok(Arc::new(config.create().context("a producer")?))
}

fn serve_producer(
    address: &str,
    brokers: &str,
    handler: MethodRouter<Arc<Producer>>,
) -> anyhow::Result<()> {
    let routes = Router::new().route("/collect", handler);
    serve(address, routes.with_state(producer(brokers)?))
}

async fn naive(State(producer): State<Arc<Producer>>, body: Bytes) -> StatusCode {
    send(&producer, &body, visitor).await
}

async fn unkeyed(State(producer): State<Arc<Producer>>, body: Bytes) -> StatusCode {
    send(&producer, &body, |_| None).await
}

/// The id of an event's visitor.
fn visitor(event: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = br#""user_domain_id":""#;
    let (_, rest) = event.split_at_checked(memmem::find(event, NAME)? + NAME.len())?;
    rest.split(|byte| *byte == b'"').next()
}

async fn send(
    producer: &Producer,
    body: &[u8],
    key: impl Fn(&[u8]) -> Option<&[u8]>,
) -> StatusCode {
    let lines = body.split(|byte| *byte == b'\n');
    let records = lines.filter(|line| !line.is_empty()).map(|line| {
        let mut record = FutureRecord::<[u8], [u8]>::to(TOPIC).payload(line);
        record.key = key(line);
        producer.send(record, Duration::from_secs(10))
    });
    let sent = futures_util::future::join_all(records).await;
    match sent.iter().all(Result::is_ok) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// rdkafka's own adapter is behind a feature that Weir has no use for.
struct Tokio;

impl AsyncRuntime for Tokio {
    type Delay = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn spawn<T: Future<Output = ()> + Send + 'static>(task: T) {
        tokio::spawn(task);
    }

    fn delay_for(duration: Duration) -> Self::Delay {
        match duration.is_zero() {
            true => Box::pin(ready(())),
            false => Box::pin(tokio::time::sleep(duration)),
        }
    }
}
