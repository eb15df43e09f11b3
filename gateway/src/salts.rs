//! The daily salts of visitor ids: random, shared by every gateway, and forgotten.
//!
//! A salt belongs to a day (UTC). Today's and yesterday's live, for events come late; tomorrow's is
//! made ahead, so that all gateways have it at midnight. Older ones are wiped.
//!
//! Gateways on Kafka agree through a topic: a gateway that finds no salt for a day appends one and
//! reads again, and whoever reads takes the first of the day. All records have one key, so they are
//! in one partition in one order. The topic's retention deletes them. A process with the embedded
//! log has a file of its own, which is replaced.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use runtime::Shutdown;
use serde::{Deserialize, Serialize};
use stream::{Record, Start, Stream};

/// A day's secret.
pub(crate) type Salt = [u8; 32];

/// How long a salt may stay on the topic: from the eve of its day, through the day after it, and a
/// day for a broker's own pace.
pub const RETENTION: Duration = Duration::from_secs(3 * 86_400);

/// How often the salts are looked after.
const INTERVAL: Duration = Duration::from_secs(600);

/// How soon after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// How long the topic may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the salts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of this process alone.
    File(PathBuf),
    /// A topic that every gateway reads.
    Topic(String),
}

/// The salts that live.
#[derive(Default)]
pub(crate) struct Live(BTreeMap<Date, Salt>);

impl Live {
    /// The salt of an event: yesterday's for one of yesterday, else that of the day it came.
    pub(crate) fn of(&self, client_time: Option<Timestamp>, received: Timestamp) -> Option<&Salt> {
        let today = day(received);
        let yesterday = today.saturating_sub(1.day());
        match client_time.map(day) {
            Some(own) if own == yesterday => self.0.get(&own),
            _ => self.0.get(&today),
        }
    }

    /// Takes a salt unless the day has one.
    pub(crate) fn add(&mut self, day: Date, salt: Salt) {
        self.0.entry(day).or_insert(salt);
    }

    fn forget_before(&mut self, day: Date) {
        self.0 = self.0.split_off(&day);
    }
}

pub(crate) fn day(time: Timestamp) -> Date {
    time.to_zoned_datetime(TimeZone::UTC).date()
}

/// One salt as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    day: Date,
    salt: String,
}

impl Kept {
    fn new(day: Date, salt: &Salt) -> Self {
        let salt = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { day, salt }
    }

    fn read(json: &[u8]) -> Option<(Date, Salt)> {
        let kept: Self = serde_json::from_slice(json).ok()?;
        let mut salt = Salt::default();
        if kept.salt.len() != 2 * salt.len() || !kept.salt.is_ascii() {
            return None;
        }
        for (at, byte) in salt.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&kept.salt[2 * at..2 * at + 2], 16).ok()?;
        }
        Some((kept.day, salt))
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a day and a text are JSON")
    }
}

/// Looks after the salts until shutdown; `tried` is called once the first look is over.
pub(crate) async fn keep(
    place: &Place,
    stream: &dyn Stream,
    live: &ArcSwap<Live>,
    tried: impl FnOnce(),
    shutdown: &Shutdown,
) {
    let mut tried = Some(tried);
    let mut is_good = true;
    loop {
        let today = day(Timestamp::now());
        let looked = tokio::select! {
            looked = look(place, stream, today) => looked,
            () = shutdown.started() => return,
        };
        if let Some(tried) = tried.take() {
            tried();
        }
        let wait = match looked {
            Ok(salts) => {
                is_good = true;
                live.store(salts.into());
                INTERVAL
            }
            Err(error) => {
                // Events go on without an id of ours; what is over is wiped all the same.
                let mut kept = Live(live.load().0.clone());
                kept.forget_before(today.saturating_sub(1.day()));
                live.store(kept.into());
                if std::mem::take(&mut is_good) {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "salts of visitor ids are missing"
                    );
                }
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.started() => return,
        }
    }
}

/// The salts of yesterday, today and tomorrow; those of today and tomorrow are made where missing.
async fn look(place: &Place, stream: &dyn Stream, today: Date) -> anyhow::Result<Live> {
    let wanted = [today, today.saturating_add(1.day())];
    // Once to find what is missing and once to see whose was first.
    for _ in 0..2 {
        let mut live = match place {
            Place::File(path) => read_file(path)?,
            Place::Topic(topic) => read_topic(stream, topic).await?,
        };
        live.forget_before(today.saturating_sub(1.day()));
        let missing: Vec<_> = wanted
            .into_iter()
            .filter(|day| !live.0.contains_key(day))
            .map(|day| (day, rand::random::<Salt>()))
            .collect();
        if missing.is_empty() {
            return Ok(live);
        }
        match place {
            Place::File(path) => {
                missing
                    .into_iter()
                    .for_each(|(day, salt)| live.add(day, salt));
                write_file(path, &live)?;
            }
            Place::Topic(topic) => append(stream, topic, &missing).await?,
        }
    }
    bail!("the salts were written and are not there");
}

async fn append(stream: &dyn Stream, topic: &str, salts: &[(Date, Salt)]) -> anyhow::Result<()> {
    let record = |(day, salt): &(Date, Salt)| Record {
        key: Some("salts".into()),
        value: Kept::new(*day, salt).json().into(),
        headers: Arc::default(),
        timestamp_ms: Timestamp::now().as_millisecond(),
    };
    let records: Vec<_> = salts.iter().map(record).collect();
    let appended = stream.append(topic, &records).await;
    appended.with_context(|| format!("writing topic {topic}"))
}

async fn read_topic(stream: &dyn Stream, topic: &str) -> anyhow::Result<Live> {
    let reading = async {
        let info = stream.describe(&[topic]).await?.pop().flatten();
        let info =
            info.with_context(|| format!("topic {topic} does not exist; weir topics creates it"))?;
        let mut missing: BTreeMap<u32, u64> = (0..)
            .zip(&info.offsets)
            .filter(|(_, (first, next))| first < next)
            .map(|(partition, (_, next))| (partition, *next))
            .collect();
        let mut live = Live::default();
        if missing.is_empty() {
            return Ok(live);
        }
        let mut consumer = stream.subscribe(&[topic], Start::Earliest).await?;
        while !missing.is_empty() {
            for delivered in consumer.poll(1_000, Duration::from_secs(1)).await?.records {
                let position = &delivered.position;
                let partition = position.source.partition;
                let next = missing.get(&partition).copied().unwrap_or(0);
                // One that cannot be read is a stranger's.
                if let Some((day, salt)) = Kept::read(&delivered.record.value) {
                    live.add(day, salt);
                }
                if position.offset + 1 >= next {
                    missing.remove(&partition);
                }
            }
        }
        Ok(live)
    };
    tokio::time::timeout(READ_TIMEOUT, reading)
        .await
        .with_context(|| format!("reading topic {topic} took too long"))?
}

fn read_file(path: &Path) -> anyhow::Result<Live> {
    let mut live = Live::default();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(live),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    // A line that cannot be read is of no use any more: its day gets another salt.
    let kept = text.lines().filter_map(|line| Kept::read(line.as_bytes()));
    kept.for_each(|(day, salt)| live.add(day, salt));
    Ok(live)
}

fn write_file(path: &Path, live: &Live) -> anyhow::Result<()> {
    let replace = || -> io::Result<()> {
        let draft = path.with_extension("draft");
        let mut file = std::fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&draft)?;
        for (day, salt) in &live.0 {
            file.write_all(&Kept::new(*day, salt).json())?;
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    replace().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stream::TopicSpec;
    use stream::embedded::{EmbeddedLog, Options};
    use tempfile::TempDir;

    use super::*;

    const TODAY: Date = Date::constant(2026, 3, 1);

    async fn log(folder: &TempDir) -> Arc<EmbeddedLog> {
        let options = Options {
            min_free_bytes: 0,
            ..Options::default()
        };
        let log = EmbeddedLog::open(folder.path(), options).unwrap();
        let spec = TopicSpec {
            name: "salts".into(),
            partitions: 3,
            replication_factor: None,
            min_insync_replicas: None,
            retention: None,
        };
        log.create_topics(&[spec]).await.unwrap();
        Arc::new(log)
    }

    #[tokio::test]
    async fn gateways_that_begin_at_once_agree_on_the_salts() {
        let folder = TempDir::new().unwrap();
        let log = log(&folder).await;
        let place = Place::Topic("salts".into());
        let look = || look(&place, &*log, TODAY);
        let (a, b, c) = tokio::join!(look(), look(), look());
        let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
        assert_eq!((&a.0, &a.0), (&b.0, &c.0));
        assert_eq!(a.0.len(), 2, "today's and tomorrow's");
        assert_ne!(a.0[&TODAY], a.0[&TODAY.tomorrow().unwrap()]);
        assert_eq!(look().await.unwrap().0, a.0);
    }

    #[tokio::test]
    async fn yesterdays_salt_lives_on_and_an_older_one_is_gone_from_memory_and_file() {
        let folder = TempDir::new().unwrap();
        let log = log(&folder).await;
        let path = folder.path().join("visitor-salts");
        let place = Place::File(path.clone());
        let first = look(&place, &*log, TODAY).await.unwrap();
        let text = || std::fs::read_to_string(&path).unwrap();
        let first_line = text().lines().next().unwrap().to_owned();
        let next = look(&place, &*log, TODAY.tomorrow().unwrap())
            .await
            .unwrap();
        assert_eq!(
            next.0[&TODAY], first.0[&TODAY],
            "it lives through its morrow"
        );
        assert!(text().contains(&first_line));
        let later = TODAY.saturating_add(2.days());
        let last = look(&place, &*log, later).await.unwrap();
        assert!(!last.0.contains_key(&TODAY));
        assert_eq!(last.0[&later], next.0[&later], "made the day before");
        assert!(!text().contains(&first_line), "hard deletion");
    }

    #[test]
    fn event_of_yesterday_is_hashed_with_yesterdays_salt() {
        let mut live = Live::default();
        live.add(TODAY.yesterday().unwrap(), [1; 32]);
        live.add(TODAY, [2; 32]);
        let received: Timestamp = "2026-03-01T00:00:05Z".parse().unwrap();
        let salt = |client: Option<&str>| {
            let client = client.map(|text| text.parse().unwrap());
            live.of(client, received).map(|salt| salt[0])
        };
        assert_eq!(salt(None), Some(2));
        assert_eq!(salt(Some("2026-02-28T23:59:59Z")), Some(1));
        assert_eq!(
            salt(Some("2026-02-27T23:59:59Z")),
            Some(2),
            "a clock that is wrong"
        );
        assert_eq!(salt(Some("9999-01-01T00:00:00Z")), Some(2));
    }
}
