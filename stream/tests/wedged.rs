//! A producer whose broker does not acknowledge, against librdkafka's in-process cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use stream::kafka::{Kafka, Options};
use stream::{AppendError, Record, Stream};

const PATIENCE: Duration = Duration::from_secs(60);

const DELIVERY_TIMEOUT: Duration = Duration::from_millis(500);

type Mock = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> (Mock, Kafka) {
    let mock = MockCluster::new(1).expect("a cluster in this process");
    mock.create_topic("events", 2, 1).expect("is created");
    let mut options = Options::new(mock.bootstrap_servers());
    options.delivery_timeout = DELIVERY_TIMEOUT;
    let kafka = Kafka::new(options).expect("clients are made");
    (mock, kafka)
}

fn record(value: &str) -> Record {
    Record {
        key: Some("visitor".into()),
        value: value.to_owned().into(),
        headers: Arc::default(),
        timestamp_ms: 1,
    }
}

async fn append(kafka: &Kafka, value: &str) -> Result<(), AppendError> {
    kafka.append("events", &[record(value)]).await
}

async fn eventually_appends(kafka: &Kafka, value: &str) {
    let since = Instant::now();
    while let Err(error) = append(kafka, value).await {
        assert!(since.elapsed() < PATIENCE, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wedged_producer_fails_its_appends_and_is_made_anew() {
    let (mock, kafka) = cluster();
    eventually_appends(&kafka, "first").await;
    mock.broker_round_trip_time(1, PATIENCE).expect("is set");
    let since = Instant::now();
    let oldest = append(&kafka, "oldest");
    let younger = async {
        tokio::time::sleep(DELIVERY_TIMEOUT / 2).await;
        let since = Instant::now();
        (append(&kafka, "younger").await, since.elapsed())
    };
    let (oldest, (younger, age)) = tokio::join!(oldest, younger);
    assert!(
        matches!(oldest, Err(AppendError::Unavailable(_))),
        "{oldest:?}"
    );
    assert!(since.elapsed() >= DELIVERY_TIMEOUT, "it had its time");
    // It may not overtake the oldest, which will be appended again.
    assert!(
        matches!(younger, Err(AppendError::Unavailable(_))),
        "{younger:?}"
    );
    assert!(age < PATIENCE / 2, "{age:?}");
    mock.broker_round_trip_time(1, Duration::ZERO)
        .expect("is set");
    eventually_appends(&kafka, "second").await;
    kafka.close(PATIENCE).await.expect("is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn producer_works_again_once_the_broker_is_back() {
    let (mock, kafka) = cluster();
    eventually_appends(&kafka, "first").await;
    mock.broker_down(1).expect("goes away");
    let refused = append(&kafka, "second").await;
    assert!(
        matches!(refused, Err(AppendError::Unavailable(_))),
        "{refused:?}"
    );
    mock.broker_up(1).expect("comes back");
    eventually_appends(&kafka, "second").await;
    kafka.close(PATIENCE).await.expect("is empty");
}
