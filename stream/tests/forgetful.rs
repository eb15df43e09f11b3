//! Consumers that are told of a cluster without brokers, as one that starts or ends tells it:
//! librdkafka's in-process cluster behind a proxy that alters its metadata.

mod proxy;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy::Proxy;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use stream::kafka::{Kafka, Options};
use stream::{Consumer, Position, Record, Start, Stream};

const PATIENCE: Duration = Duration::from_secs(90);

/// It is a matter of who comes first whether librdkafka forgets its brokers.
const ROUNDS: u32 = 3;

/// Topics beside the one that is read, and partitions of each: so many that reading the metadata
/// takes a while, in which that happens.
const OTHERS: (u32, i32) = (10, 2_000);

const TOPIC: &str = "events";

type Mock = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> (Mock, Proxy, Kafka) {
    let mock = MockCluster::new(1).expect("a cluster in this process");
    mock.create_topic(TOPIC, 12, 1).expect("is created");
    for n in 0..OTHERS.0 {
        let name = format!("other{n}");
        mock.create_topic(&name, OTHERS.1, 1).expect("is created");
    }
    let proxy = Proxy::new(mock.bootstrap_servers());
    let mut options = Options::new(proxy.address());
    options.delivery_timeout = Duration::from_secs(2);
    let refresh = ("topic.metadata.refresh.interval.ms", "200");
    options.properties = vec![(refresh.0.into(), refresh.1.into())];
    let kafka = Kafka::new(options).expect("clients are made");
    (mock, proxy, kafka)
}

async fn append(kafka: &Kafka, value: &str) {
    let record = Record {
        key: None,
        value: value.to_owned().into(),
        headers: Arc::default(),
        timestamp_ms: 1,
    };
    let since = Instant::now();
    while let Err(error) = kafka.append(TOPIC, std::slice::from_ref(&record)).await {
        assert!(since.elapsed() < PATIENCE, "{error}");
    }
}

/// Reads until the record with this value comes, whatever fails before.
async fn read(reader: &mut dyn Consumer, value: &str) -> Vec<Position> {
    let since = Instant::now();
    let mut positions = Vec::new();
    loop {
        if let Ok(batch) = reader.poll(1, Duration::from_millis(100)).await
            && let Some(delivered) = batch.records.into_iter().next()
        {
            let position = delivered.position;
            let next = [(position.source.clone(), position.offset + 1)];
            // A reader without a group has nothing to commit.
            drop(reader.commit(&next).await);
            positions.push(position);
            if delivered.record.value == value {
                return positions;
            }
        }
        assert!(since.elapsed() < PATIENCE, "{value} did not come");
    }
}

/// Reads on through the absences of a cluster; returns where what came lay, in order.
async fn find_the_cluster_again(start: Start) -> Vec<Position> {
    let (_mock, proxy, kafka) = cluster();
    append(&kafka, "0").await;
    let mut reader = kafka.subscribe(&[TOPIC], start).await.expect("subscribes");
    let mut positions = read(&mut *reader, "0").await;
    for round in 1..=ROUNDS {
        proxy.be_away(true);
        proxy.name_brokers(false);
        tokio::time::sleep(Duration::from_secs(3)).await;
        proxy.be_away(false);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        proxy.name_brokers(true);
        let value = round.to_string();
        append(&kafka, &value).await;
        positions.extend(read(&mut *reader, &value).await);
    }
    drop(reader);
    kafka.close(PATIENCE).await.expect("closes");
    positions
}

#[tokio::test(flavor = "multi_thread")]
async fn member_of_a_group_finds_a_cluster_again_that_named_no_brokers() {
    find_the_cluster_again(Start::Group("group".into())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_goes_on_behind_what_it_read_before_the_cluster_named_no_brokers() {
    let positions = find_the_cluster_again(Start::Earliest).await;
    let distinct: HashSet<String> = positions.iter().map(|it| format!("{it:?}")).collect();
    assert_eq!(distinct.len(), positions.len(), "{positions:?}");
}
