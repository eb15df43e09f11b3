//! Events to a topic, as a foreign producer would send them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use uuid::Uuid;

use crate::events::Events;

/// Counts what the brokers acknowledged.
#[derive(Clone, Default)]
struct Reports {
    acknowledged: Arc<AtomicU64>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Produces `count` events at `rate` a second and waits for their acknowledgements; returns the
/// ids. Keyed by nothing, with no headers.
///
/// # Errors
/// When a setting is refused or an event was not acknowledged.
pub fn run(
    brokers: &str,
    topic: &str,
    mut events: Events,
    count: u64,
    rate: f64,
) -> anyhow::Result<Vec<Uuid>> {
    let reports = Reports::default();
    let producer: ThreadedProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .create_with_context(reports.clone())?;
    let progress = crate::drive::progress(count);
    let start = Instant::now();
    let (mut line, mut ids) = (Vec::new(), Vec::new());
    for number in 0..count {
        let intended = start + Duration::from_secs_f64(number as f64 / rate);
        // Sleeping for less than this is dearer than sending early.
        if let Some(wait) = intended.checked_duration_since(Instant::now())
            && wait > Duration::from_millis(1)
        {
            std::thread::sleep(wait);
        }
        line.clear();
        ids.push(events.write(Timestamp::now(), &mut line));
        loop {
            match producer.send(BaseRecord::<(), [u8]>::to(topic).payload(&line[..])) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error).context("producing"),
            }
        }
        progress.inc(1);
    }
    producer.flush(Duration::from_secs(60)).context("brokers")?;
    progress.finish_and_clear();
    let acknowledged = reports.acknowledged.load(Ordering::Relaxed);
    ensure!(
        acknowledged == count,
        "{acknowledged} of {count} events were acknowledged"
    );
    Ok(ids)
}
