use std::collections::HashSet;
use std::fs;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use runtime::{Health, Shutdown};

use stream::{Appending, TopicInfo, TopicOutcome};
use tempfile::TempDir;

use super::*;

const TOPIC: &str = "raw-web-events";
const DEAD: &str = "dead-web-events";

const DELIVERY_TIMEOUT: Duration = Duration::from_millis(100);

/// Longer than what a test waits for, but where it is about it.
const AFTER: Duration = Duration::from_secs(60);

/// A stream that can be away: appends wait then, and fail together, as those of Kafka do.
struct Faulty {
    inner: EmbeddedLog,
    is_away: AtomicBool,
    /// Whether an append that fails may have been written all the same.
    is_late: AtomicBool,
    /// Whether appends are written, and wait for their answer until it is back.
    is_stuck: AtomicBool,
    given_up: Notify,
    freed: Notify,
}

impl Faulty {
    async fn new(folder: &Path) -> Self {
        let options = LogOptions {
            min_free_bytes: 0,
            ..LogOptions::default()
        };
        let inner = EmbeddedLog::open(folder, options).unwrap();
        let spec = |name: &str| TopicSpec {
            name: name.into(),
            partitions: 1,
            replication_factor: None,
            min_insync_replicas: None,
            retention: None,
        };
        inner
            .create_topics(&[spec(TOPIC), spec(DEAD)])
            .await
            .unwrap();
        Self {
            inner,
            is_away: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
            given_up: Notify::new(),
            freed: Notify::new(),
        }
    }

    fn leave(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    fn give_up(&self) {
        self.given_up.notify_waiters();
    }

    fn stick(&self) {
        self.is_stuck.store(true, Ordering::SeqCst);
    }

    /// Back for what is appended from here on, and for what is stuck.
    fn come_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
        self.is_stuck.store(false, Ordering::SeqCst);
        self.give_up();
        self.freed.notify_waiters();
    }

    async fn values(&self) -> Vec<String> {
        let mut reader = self
            .inner
            .subscribe(&[TOPIC], Start::Earliest)
            .await
            .unwrap();
        let mut values = Vec::new();
        while reader.lag() > 0 {
            let batch = reader.poll(10_000, Duration::ZERO).await.unwrap();
            let text =
                |one: stream::Delivered| String::from_utf8(one.record.value.to_vec()).unwrap();
            values.extend(batch.records.into_iter().map(text));
        }
        values
    }

    /// Each value once, in the order in which it came first.
    async fn firsts(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut values = self.values().await;
        values.retain(|value| seen.insert(value.clone()));
        values
    }
}

#[async_trait]
impl Stream for Faulty {
    fn append<'a>(&'a self, topic: &'a str, records: &[Record]) -> Appending<'a> {
        let records = records.to_vec();
        Appending::by(async move {
            if !self.is_away.load(Ordering::SeqCst) {
                let freed = self.freed.notified();
                let is_stuck = self.is_stuck.load(Ordering::SeqCst);
                self.inner.append(topic, &records).await?;
                if is_stuck {
                    freed.await;
                }
                return Ok(());
            }
            // Kafka's producer ends every append within its delivery timeout.
            let _ = tokio::time::timeout(DELIVERY_TIMEOUT, self.given_up.notified()).await;
            if self.is_late.load(Ordering::SeqCst) {
                self.inner.append(topic, &records).await?;
            }
            Err(AppendError::Unavailable("the brokers are away".into()))
        })
    }

    async fn subscribe(
        &self,
        topics: &[&str],
        start: Start,
    ) -> Result<Box<dyn Consumer>, StreamError> {
        self.inner.subscribe(topics, start).await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicOutcome>, StreamError> {
        self.inner.create_topics(specs).await
    }

    async fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, StreamError> {
        self.inner.describe(topics).await
    }

    async fn close(&self, deadline: Duration) -> Result<(), StreamError> {
        self.inner.close(deadline).await
    }
}

/// A gateway's lanes over a stream that can be away.
struct Bench {
    folder: TempDir,
    stream: Arc<Faulty>,
    options: Options,
}

/// The lanes while they are kept.
struct Running {
    raw: Arc<Lane>,
    spool: Arc<Spool>,
    done: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let stream = Arc::new(Faulty::new(&folder.path().join("log")).await);
        let options = Options {
            after: AFTER,
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(3_600),
            min_free_bytes: 0,
            durability: Durability::Os,
        };
        Self {
            folder,
            stream,
            options,
        }
    }

    fn spool_folder(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    async fn open(&self) -> Spool {
        let folder = self.spool_folder();
        let opened = Spool::open(&folder, self.options.clone()).await;
        opened.unwrap()
    }

    async fn start(&self) -> Running {
        let spool = Arc::new(self.open().await);
        let lane = |topic: &str, kind| {
            let stream: Arc<dyn Stream> = self.stream.clone();
            let spool = Some(spool.clone());
            let timeout = Duration::from_secs(10);
            Arc::new(Lane::new(topic.into(), kind, stream, spool, timeout))
        };
        let (raw, dead) = (lane(TOPIC, Kind::Raw), lane(DEAD, Kind::Dead));
        let done = Shutdown::default();
        let kept = (spool.clone(), raw.clone(), dead, done.clone());
        let task = tokio::spawn(async move {
            let (spool, raw, dead, done) = kept;
            let metrics = Metrics::new(&runtime::Metrics::default());
            let health = Health::default().component("spool");
            keep(&spool, [&raw, &dead], metrics, health, &done).await;
        });
        Running {
            raw,
            spool,
            done,
            task,
        }
    }
}

impl Running {
    async fn append(&self, value: &str) -> Result<(), AppendError> {
        self.raw.append(|| vec![record(value)]).await
    }

    async fn is_direct(&self) {
        eventually(|| async { self.raw.detour().is_none() }).await;
        assert_eq!(self.spool.report().await.unwrap().events, 0);
    }

    async fn stop(self) {
        self.done.start();
        self.task.await.unwrap();
        self.spool.close(Duration::from_secs(10)).await.unwrap();
    }
}

fn record(value: &str) -> Record {
    Record {
        key: Some("visitor".into()),
        value: value.to_owned().into(),
        headers: Arc::default(),
        timestamp_ms: Timestamp::now().as_millisecond(),
    }
}

fn names(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{number:04}")).collect()
}

/// What comes within the time that any of it may take.
async fn within<T>(coming: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(Duration::from_secs(30), coming).await;
    came.expect("it comes in time")
}

async fn eventually<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let since = std::time::Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < Duration::from_secs(30), "it never was so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn events_of_an_outage_arrive_in_order_once_the_stream_is_back() {
    let bench = Bench::new().await;
    let running = bench.start().await;
    running.append("0000").await.unwrap();
    bench.stream.leave();
    let (on_the_way, behind) = (names(1..20), names(20..40));
    let appending = join_all(on_the_way.iter().map(|name| running.append(name)));
    let giving_up = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        bench.stream.give_up();
    };
    let (appended, ()) = tokio::join!(appending, giving_up);
    assert!(appended.iter().all(Result::is_ok), "kept on disk");
    for name in &behind {
        running.append(name).await.unwrap();
    }
    assert_eq!(bench.stream.values().await, ["0000"]);
    let report = running.spool.report().await.unwrap();
    assert_eq!(report.events, 39);
    assert!(report.bytes > 0 && report.oldest_seconds.is_some());
    bench.stream.come_back();
    running.spool.nudge();
    running.is_direct().await;
    running.append("0040").await.unwrap();
    assert_eq!(bench.stream.firsts().await, names(0..41));
    running.stop().await;
}

#[tokio::test]
async fn order_of_a_visitor_holds_whenever_the_stream_comes_and_goes() {
    let seed = std::env::var("WEIR_TEST_SEED").ok();
    let seed = seed.map_or_else(|| rand::rng().random(), |text| text.parse().unwrap());
    println!("WEIR_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new().await;
    bench.options.after = Duration::from_millis(2);
    let running = bench.start().await;
    bench.stream.is_late.store(true, Ordering::SeqCst);
    let mut sent = Vec::new();
    for round in 0..100 {
        // Several of the visitor's events are on the way at once, in order of their first poll.
        let some = names(round * 20..round * 20 + random.random_range(1..20));
        let appending = join_all(some.iter().map(|name| running.append(name)));
        let weather = async {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..4))).await;
            match random.random_range(0..4) {
                0 => bench.stream.leave(),
                1 => bench.stream.come_back(),
                2 => bench.stream.stick(),
                _ => {}
            }
            running.spool.nudge();
        };
        let both = async { tokio::join!(appending, weather) };
        let (appended, ()) = within(both).await;
        assert!(appended.iter().all(Result::is_ok));
        sent.extend(some);
    }
    bench.stream.come_back();
    eventually(|| async {
        running.spool.nudge();
        running.raw.detour().is_none()
    })
    .await;
    assert_eq!(bench.stream.firsts().await, sent);
    running.stop().await;
}

#[tokio::test]
async fn stream_that_answers_late_is_not_waited_for() {
    let mut bench = Bench::new().await;
    bench.options.after = Duration::from_millis(20);
    let running = bench.start().await;
    running.append("0000").await.unwrap();
    bench.stream.stick();
    let (on_the_way, behind) = (names(1..20), names(20..40));
    let appending = join_all(on_the_way.iter().map(|name| running.append(name)));
    let appended = within(appending).await;
    assert!(appended.iter().all(Result::is_ok), "kept on disk");
    for name in &behind {
        within(running.append(name)).await.unwrap();
    }
    assert_eq!(running.spool.report().await.unwrap().events, 39);
    assert!(running.raw.detour().unwrap().contains("within 20ms"));
    bench.stream.come_back();
    running.is_direct().await;
    running.append("0040").await.unwrap();
    // By way of the spool where the machine is too busy for 20 ms.
    eventually(|| async { bench.stream.firsts().await == names(0..41) }).await;
    running.stop().await;
}

#[tokio::test]
async fn stream_that_answers_late_is_waited_for_where_the_spool_refuses() {
    let mut bench = Bench::new().await;
    bench.options.after = Duration::from_millis(20);
    bench.options.min_free_bytes = u64::MAX;
    let running = bench.start().await;
    running.append("0000").await.unwrap();
    is_waited_for(&bench, &running, "0001").await;
    assert_eq!(bench.stream.values().await, names(0..2));
    running.stop().await;
}

#[tokio::test]
async fn stream_that_has_not_answered_yet_is_given_time() {
    let mut bench = Bench::new().await;
    bench.options.after = Duration::from_millis(20);
    let running = bench.start().await;
    is_waited_for(&bench, &running, "0000").await;
    assert_eq!(bench.stream.values().await, ["0000"]);
    running.stop().await;
}

/// Appends to a stream that answers late, which the lane must stay with.
async fn is_waited_for(bench: &Bench, running: &Running, value: &str) {
    bench.stream.stick();
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(running.raw.detour(), None);
        bench.stream.come_back();
    };
    let (appended, ()) = tokio::join!(running.append(value), freeing);
    appended.unwrap();
}

#[tokio::test]
async fn what_waits_is_sent_on_after_a_restart() {
    let bench = Bench::new().await;
    bench.stream.leave();
    let running = bench.start().await;
    let appending = running.append("0000");
    let giving_up = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        bench.stream.give_up();
    };
    tokio::join!(appending, giving_up).0.unwrap();
    running.stop().await;
    bench.stream.come_back();
    let running = bench.start().await;
    running.append("0001").await.unwrap();
    running.is_direct().await;
    assert_eq!(bench.stream.firsts().await, names(0..2));
    running.stop().await;
}

#[tokio::test]
async fn full_spool_refuses_until_it_is_drained() {
    let bench = Bench::new().await;
    bench.stream.leave();
    let running = bench.start().await;
    let large = "x".repeat(10_000);
    let filling = async {
        let mut kept = 0;
        loop {
            match running.append(&large).await {
                Ok(()) => kept += 1,
                Err(AppendError::Full(words)) => return (kept, words),
                Err(other) => panic!("{other}"),
            }
        }
    };
    let giving_up = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            bench.stream.give_up();
        }
    };
    let (kept, words) = tokio::select! {
        filled = filling => filled,
        () = giving_up => unreachable!(),
    };
    assert!((50..110).contains(&kept), "{kept} of 10 kB in 1 MiB");
    assert!(words.contains("gateway.spool_max_bytes"), "{words}");
    assert!(running.spool.refusal().is_some());
    bench.stream.come_back();
    running.spool.nudge();
    running.is_direct().await;
    assert_eq!(bench.stream.values().await.len(), kept);
    assert_eq!(running.spool.refusal(), None);
    running.stop().await;
}

#[tokio::test]
async fn spool_that_cannot_be_used_is_refused_by_the_name_of_its_folder() {
    let bench = Bench::new().await;
    let folder = bench.spool_folder();
    let check = async |words: &str| {
        let opened = Spool::open(&folder, bench.options.clone()).await;
        let Err(StreamError::Configuration(error)) = opened else {
            panic!("{words}: it was opened");
        };
        let name = folder.display().to_string();
        assert!(error.contains(&name) && error.contains(words), "{error}");
    };
    let held = bench.open().await;
    check("in use").await;
    held.close(Duration::from_secs(10)).await.unwrap();
    drop(held);
    fs::write(folder.join("format"), "9\n").unwrap();
    check("log format 9").await;
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    check("").await;
}

#[tokio::test]
async fn old_spool_refuses() {
    let mut bench = Bench::new().await;
    bench.options.max_age = Duration::from_millis(50);
    let spool = bench.open().await;
    spool.append(Kind::Raw, &[record("a")]).await.unwrap();
    eventually(|| async { spool.refusal().is_some() }).await;
    let refused = spool.append(Kind::Raw, &[record("b")]).await;
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("gateway.spool_max_age"), "{words}");
}

/// Appends `count` records to a spool that is drained of the first `drained`.
async fn spooled(bench: &Bench, count: u32, drained: usize) {
    let spool = bench.open().await;
    for name in names(0..count) {
        spool.append(Kind::Raw, &[record(&name)]).await.unwrap();
    }
    let mut reader = spool.reader(Kind::Raw).await.unwrap();
    let batch = reader.poll(drained, Duration::ZERO).await.unwrap();
    let last = batch.records.last().map(|one| one.position.offset + 1);
    let next = last.map(|offset| (Kind::Raw.source(), offset));
    reader.commit(next.as_slice()).await.unwrap();
    spool.close(Duration::from_secs(10)).await.unwrap();
}

fn segment(bench: &Bench) -> PathBuf {
    let folder = bench.spool_folder().join("raw/0");
    folder.join("00000000000000000000.log")
}

#[tokio::test]
async fn damage_is_counted_and_set_aside_and_whole_records_are_kept() {
    let bench = Bench::new().await;
    spooled(&bench, 10, 2).await;
    let mut bytes = fs::read(segment(&bench)).unwrap();
    let length = bytes.len();
    let frame = length / 10;
    bytes[frame * 4 + frame / 2] ^= 0x40;
    bytes.extend_from_slice(b"WLR\x01torn");
    fs::write(segment(&bench), bytes).unwrap();
    fs::write(bench.spool_folder().join("groups.json"), b"{\"dr\xff").unwrap();
    fs::write(bench.spool_folder().join("topics.json"), b"[]").unwrap();
    let running = bench.start().await;
    running.append("0010").await.unwrap();
    running.is_direct().await;
    let report = running.spool.report().await.unwrap();
    assert_eq!(report.damaged_files, 2);
    let mut expected = names(0..11);
    expected.remove(4);
    assert_eq!(bench.stream.firsts().await, expected);
    running.stop().await;
    // With its topics known, the log counts the damage when it opens.
    let bytes = fs::read(segment(&bench)).unwrap();
    fs::write(segment(&bench), [&bytes[..], b"WLR\x01torn"].concat()).unwrap();
    let running = bench.start().await;
    assert!(running.spool.report().await.unwrap().damaged_bytes > 0);
    running.stop().await;
}

#[tokio::test]
async fn records_behind_a_lost_tail_are_sent_on() {
    let bench = Bench::new().await;
    spooled(&bench, 10, 10).await;
    let bytes = fs::read(segment(&bench)).unwrap();
    fs::write(segment(&bench), &bytes[..bytes.len() / 2]).unwrap();
    bench.stream.leave();
    let running = bench.start().await;
    let names = names(10..20);
    let appending = join_all(names.iter().map(|name| running.append(name)));
    let giving_up = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        bench.stream.give_up();
    };
    tokio::join!(appending, giving_up);
    bench.stream.come_back();
    running.spool.nudge();
    running.is_direct().await;
    assert_eq!(bench.stream.firsts().await, names);
    running.stop().await;
}

#[tokio::test]
async fn record_that_the_stream_can_never_take_becomes_a_dead_letter() {
    let bench = Bench::new().await;
    let spool = bench.open().await;
    for value in ["0000", "refused", "0001"] {
        spool.append(Kind::Raw, &[record(value)]).await.unwrap();
    }
    let stream: Arc<dyn Stream> = Arc::new(Picky(bench.stream.clone()));
    assert_eq!(empty(&spool, &stream, TOPIC, DEAD).await.unwrap(), 3);
    assert_eq!(bench.stream.values().await, names(0..2));
    let dead = bench.stream.describe(&[DEAD]).await.unwrap();
    assert_eq!(dead[0].as_ref().unwrap().offsets, [(0, 1)]);
}

/// A stream that takes no record of seven bytes.
struct Picky(Arc<Faulty>);

#[async_trait]
impl Stream for Picky {
    fn append<'a>(&'a self, topic: &'a str, records: &[Record]) -> Appending<'a> {
        let is_refused = |record: &Record| topic == TOPIC && record.value.len() == 7;
        match records.iter().position(is_refused) {
            Some(index) => Appending::by(async move {
                let reason = "too large".into();
                Err(AppendError::Rejected { index, reason })
            }),
            None => self.0.append(topic, records),
        }
    }

    async fn subscribe(
        &self,
        topics: &[&str],
        start: Start,
    ) -> Result<Box<dyn Consumer>, StreamError> {
        self.0.subscribe(topics, start).await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicOutcome>, StreamError> {
        self.0.create_topics(specs).await
    }

    async fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, StreamError> {
        self.0.describe(topics).await
    }

    async fn close(&self, deadline: Duration) -> Result<(), StreamError> {
        self.0.close(deadline).await
    }
}
