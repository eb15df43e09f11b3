//! Visitors who post one event after another, and what they were told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use stream::kafka::{Kafka, Options};
use stream::{Start, Stream as _};
use tokio::task::JoinHandle;

use crate::process::client;

/// Events of a request.
const BATCH: u64 = 5;

/// Visitors at work. Each waits for the answer before it posts again.
pub struct Visitors {
    is_over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Seen>>,
}

/// What visitors were told.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Ids of acknowledged events by visitor, in the order in which they were sent.
    pub acknowledged: BTreeMap<String, Vec<String>>,
    /// Requests by status; 0 stands for no answer.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that found the gateway there and got no answer.
    pub cut_off: u64,
    /// The time to each acknowledgement.
    pub acknowledged_in: Vec<Duration>,
    /// The time to each refusal.
    pub refused_in: Vec<Duration>,
    /// Refusals that do not say when to come again.
    pub without_retry_after: u64,
}

impl Visitors {
    /// Starts `count` visitors, who wait for `pause` between requests to the collect route at
    /// `address`.
    #[must_use]
    pub fn start(address: &str, name: &str, count: usize, pause: Duration) -> Self {
        Self::start_with(address, name, count, pause, event)
    }

    /// The same with events that `event` makes of an id and its visitor.
    #[must_use]
    pub fn start_with(
        address: &str,
        name: &str,
        count: usize,
        pause: Duration,
        event: fn(&str, &str) -> Value,
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let visit = |number| {
            let (url, id) = (
                format!("http://{address}/collect"),
                format!("{name}-{number}"),
            );
            tokio::spawn(visit(url, id, pause, event, is_over.clone()))
        };
        let tasks = (0..count).map(visit).collect();
        Self { is_over, tasks }
    }

    /// Lets them go home and gathers what they were told.
    ///
    /// # Errors
    /// When one of them came to grief.
    pub async fn stop(self) -> anyhow::Result<Seen> {
        self.is_over.store(true, Ordering::Release);
        let mut all = Seen::default();
        for task in self.tasks {
            all.add(task.await?);
        }
        Ok(all)
    }
}

impl Seen {
    /// Adds what other visitors were told.
    pub fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.acknowledged_in.extend(other.acknowledged_in);
        self.refused_in.extend(other.refused_in);
        self.cut_off += other.cut_off;
        self.without_retry_after += other.without_retry_after;
    }

    /// Times to an acknowledgement and to a refusal, in words.
    #[must_use]
    pub fn times(&self) -> String {
        let words = |times| {
            let of = |share| percentile(times, share);
            format!(
                "median {:?}, p99 {:?}, slowest {:?}",
                of(0.5),
                of(0.99),
                of(1.0)
            )
        };
        let (acknowledged, refused) = (words(&self.acknowledged_in), words(&self.refused_in));
        format!("acknowledged in {acknowledged}; refused in {refused}")
    }

    /// Requests that were not acknowledged.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let others = self.statuses.iter().filter(|(status, _)| **status != 204);
        others.map(|(_, count)| count).sum()
    }

    /// The acknowledged ids of all visitors.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.acknowledged.values().flatten().cloned().collect()
    }

    /// Checks that every acknowledged event lies on a topic, a visitor's in the order in which they
    /// were sent (a repetition is known by its id and does not count). Returns how many records
    /// were repetitions.
    ///
    /// # Errors
    /// Names what is missing or out of order.
    pub async fn check(
        &self,
        broker: &str,
        topic: &str,
        patience: Duration,
    ) -> anyhow::Result<usize> {
        let kafka = Kafka::new(Options::new(broker))?;
        let mut reader = kafka.subscribe(&[topic], Start::Earliest).await?;
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut records = 0;
        let wanted = self.ids();
        let since = Instant::now();
        let mut missing = wanted.len();
        while missing > 0 && since.elapsed() < patience {
            let batch = reader.poll(10_000, Duration::from_millis(500)).await?;
            for one in batch.records {
                let event: Value = serde_json::from_slice(&one.record.value)?;
                let id = event["event_id"].as_str().unwrap_or_default().to_owned();
                places.entry(id).or_insert(records);
                records += 1;
            }
            if reader.lag() == 0 {
                missing = wanted.iter().filter(|id| !places.contains_key(*id)).count();
            }
        }
        drop(reader);
        kafka.close(Duration::from_secs(5)).await?;
        ensure!(
            missing == 0,
            "{missing} of {} acknowledged are missing",
            wanted.len()
        );
        for (visitor, ids) in &self.acknowledged {
            // A visitor's records share a partition, so their places are in order of offset.
            let places: Vec<usize> = ids.iter().map(|id| places[id]).collect();
            let at = places.windows(2).position(|pair| pair[0] >= pair[1]);
            ensure!(
                at.is_none(),
                "{visitor}: out of order at {:?}",
                at.map(|at| &ids[at])
            );
        }
        Ok(records - places.len())
    }
}

/// The time within which so large a share of `times` lies; none of none.
#[must_use]
pub fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(at.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

fn event(id: &str, visitor: &str) -> Value {
    // What cannot be packed makes a record as large as usual ones are.
    let filler: String = (0..16)
        .map(|_| format!("{:016x}", rand::random::<u64>()))
        .collect();
    json!({ "event_id": id, "event_type": "a", "user_domain_id": visitor, "filler": filler })
}

async fn visit(
    url: String,
    id: String,
    pause: Duration,
    event: fn(&str, &str) -> Value,
    is_over: Arc<AtomicBool>,
) -> Seen {
    let client = client();
    let (mut seen, mut acknowledged) = (Seen::default(), Vec::new());
    let mut next = 0;
    while !is_over.load(Ordering::Acquire) {
        let ids: Vec<String> = (next..next + BATCH).map(|n| format!("{id}-{n}")).collect();
        next += BATCH;
        let events: Vec<_> = ids.iter().map(|event_id| event(event_id, &id)).collect();
        let body = json!(events).to_string();
        let since = Instant::now();
        let answer = client.post(&url).body(body).send().await;
        let (status, says_when) = match answer {
            Ok(answer) => {
                let says_when = answer.headers().contains_key("retry-after");
                (answer.status().as_u16(), says_when)
            }
            Err(error) => {
                seen.cut_off += u64::from(!error.is_connect());
                (0, false)
            }
        };
        *seen.statuses.entry(status).or_default() += 1;
        match status {
            204 => {
                seen.acknowledged_in.push(since.elapsed());
                acknowledged.extend(ids);
            }
            0 => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => {
                seen.refused_in.push(since.elapsed());
                seen.without_retry_after += u64::from(!says_when);
            }
        }
        tokio::time::sleep(pause).await;
    }
    seen.acknowledged.insert(id, acknowledged);
    seen
}
