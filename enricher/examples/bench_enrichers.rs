//! What the enricher is measured beside, over rdkafka: `make bench-enricher` runs it.
//!
//! ```sh
//! bench_enrichers feed BROKERS TOPIC PARTITIONS EVENTS    # fills a topic
//! BROKERS=.. FROM=.. TO=.. GROUP=.. bench_enrichers pass  # passes values through
//! BROKERS=.. FROM=.. TO=.. GROUP=.. bench_enrichers naive # adds one field with serde_json
//! ```
//!
//! Both enrich at least once: offsets are committed behind a flush.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use serde_json::{Value, json};

#[expect(dead_code, reason = "the events of the seed are needed elsewhere")]
mod events;

/// Time between two commits, as in the enricher.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["feed", brokers, topic, partitions, events] => {
            feed(brokers, topic, partitions.parse()?, events.parse()?)
        }
        ["pass"] => enrich(|value| Ok(value.to_vec())),
        ["naive"] => enrich(|value| {
            let mut event: Value = serde_json::from_slice(value)?;
            event["source_category"] = match event["utm_source"].as_str() {
                Some("google" | "bing") => "search_engine",
                Some("facebook" | "instagram") => "social_media",
                Some("mailchimp") => "email_marketing",
                _ => "other/unknown",
            }
            .into();
            Ok(serde_json::to_vec(&event)?)
        }),
        _ => bail!("feed BROKERS TOPIC PARTITIONS EVENTS, pass, or naive"),
    }
}

fn producer(brokers: &str) -> anyhow::Result<BaseProducer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4");
    Ok(config.create()?)
}

/// Sends, waiting for room where the queue is full.
fn send(
    producer: &BaseProducer<DefaultProducerContext>,
    topic: &str,
    key: &[u8],
    value: &[u8],
) -> anyhow::Result<()> {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(Duration::from_millis(5));
                record = again;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

fn enrich(each: impl Fn(&[u8]) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
    let set = |name: &str| std::env::var(name).with_context(|| name.to_owned());
    let (brokers, from, to) = (set("BROKERS")?, set("FROM")?, set("TO")?);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", set("GROUP")?)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&[&from])?;
    let producer = producer(&brokers)?;
    let mut committed = Instant::now();
    loop {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message?;
            let value = each(message.payload().unwrap_or_default())?;
            send(&producer, &to, message.key().unwrap_or_default(), &value)?;
        }
        producer.poll(Duration::ZERO);
        if committed.elapsed() > COMMIT_INTERVAL {
            producer.flush(Duration::from_secs(30))?;
            match consumer.commit_consumer_state(CommitMode::Async) {
                Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
                Err(error) => return Err(error.into()),
            }
            committed = Instant::now();
        }
    }
}

fn feed(brokers: &str, topic: &str, partitions: i32, events: usize) -> anyhow::Result<()> {
    let admin: AdminClient<_> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()?;
    let spec = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let created = admin.create_topics([&spec], &AdminOptions::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for outcome in runtime.block_on(created)? {
        outcome.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
    }
    let producer = producer(brokers)?;
    for number in 0..events {
        let event = match number % 2 {
            0 => of_seed(number).to_string(),
            _ => events::browser(number),
        };
        let visitor = format!("visitor-{}", number % 5_000);
        send(&producer, topic, visitor.as_bytes(), event.as_bytes())?;
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(())
}

const SOURCES: [&str; 5] = ["google", "bing", "facebook", "instagram", "mailchimp"];

/// An address that the demo GeoIP file knows.
fn address(number: usize) -> String {
    format!("198.18.{}.{}", number / 256 % 256, number % 256)
}

fn id(number: usize) -> String {
    uuid::Uuid::from_u128(0x0193_a1c2_7e1f_7c3a_9d7e_0000_0000_0000 + number as u128).to_string()
}

/// The members that fake-web-events makes.
fn of_seed(number: usize) -> Value {
    let source = SOURCES[number % SOURCES.len()];
    json!({
        "event_id": id(number),
        "event_timestamp": jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string(),
        "event_type": "pageview",
        "page_url": "http://www.dummywebsite.com/product_a",
        "page_url_path": "/product_a",
        "referer_url": format!("www.{source}.com"),
        "referer_url_scheme": "http",
        "referer_url_port": "80",
        "referer_medium": "internal",
        "utm_medium": "cpc",
        "utm_source": source,
        "utm_content": "ad_2",
        "utm_campaign": "campaign_1",
        "click_id": id(number % 5_000),
        "geo_latitude": "54.77937",
        "geo_longitude": "11.86743",
        "geo_country": "DK",
        "geo_timezone": "Europe/Copenhagen",
        "geo_region_name": "Nykøbing Falster",
        "ip_address": address(number),
        "browser_name": "Chrome",
        "browser_user_agent": format!(
            "Mozilla/5.0 (Linux; Android 4.2.2) AppleWebKit/536.1 (KHTML, like Gecko) Chrome/41.0.{}.0 Safari/536.1",
            number % 300
        ),
        "browser_language": "ms_MY",
        "os": "Android 5.0",
        "os_name": "Android",
        "os_timezone": "Europe/Copenhagen",
        "device_type": "Mobile",
        "device_is_mobile": true,
        "user_custom_id": format!("someone{}@gmail.com", number % 5_000),
        "user_domain_id": id(number % 5_000),
    })
}
