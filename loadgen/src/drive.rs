//! Events to a gateway at a rate that does not wait for it.
//!
//! Each request has an intended time, and its latency counts from there: a server that stalls is
//! charged for every request that would have been sent meanwhile (no coordinated omission).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::connection::{Connection, Target};
use crate::events::Events;

/// How long one answer may take before it counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What to send.
#[derive(Debug, Clone)]
pub struct Load {
    /// Events a second.
    pub rate: f64,
    /// For how long.
    pub duration: Duration,
    /// Events a request.
    pub batch: usize,
    /// Connections; a request whose time has come waits for a free one.
    pub connections: usize,
    /// Whether to keep the ids of acknowledged events.
    pub keep_ids: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Events in requests that were sent.
    pub sent: u64,
    /// Events that a 2xx answer acknowledged.
    pub acknowledged: u64,
    /// Requests by status; 0 stands for no answer.
    pub statuses: BTreeMap<u16, u64>,
    /// Microseconds from the intended time to the answer, of requests that were answered.
    pub latency_us: Histogram<u64>,
    /// How long the run took.
    pub elapsed: Duration,
    /// Ids of acknowledged events, where they are kept.
    pub ids: Vec<Uuid>,
}

impl Outcome {
    fn empty() -> Self {
        Self {
            sent: 0,
            acknowledged: 0,
            statuses: BTreeMap::new(),
            // Up to ten minutes, three digits.
            latency_us: Histogram::new_with_bounds(1, 600_000_000, 3)
                .expect("the bounds are in order"),
            elapsed: Duration::ZERO,
            ids: Vec::new(),
        }
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.latency_us
            .add(other.latency_us)
            .expect("the bounds are the same");
        self.ids.extend(other.ids);
    }

    /// Requests that were not acknowledged, as a share of all.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        let total: u64 = self.statuses.values().sum();
        let good: u64 = [200, 204].iter().filter_map(|s| self.statuses.get(s)).sum();
        (total - good) as f64 / total.max(1) as f64
    }
}

/// Drives `load` to its end.
///
/// # Errors
/// When the first connection cannot be opened.
pub async fn run(target: &Target, events: Events, load: &Load) -> anyhow::Result<Outcome> {
    if let Err(error) = Connection::open(target).await {
        anyhow::bail!("{}: {error}", target.address);
    }
    let requests = (load.rate * load.duration.as_secs_f64() / load.batch as f64).ceil() as u64;
    let progress = progress(requests * load.batch as u64);
    let shared = Arc::new(Shared {
        target: target.clone(),
        load: load.clone(),
        events: Mutex::new(events),
        next: AtomicU64::new(0),
        requests,
        start: Instant::now(),
        progress: progress.clone(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..load.connections.max(1) {
        tasks.spawn(work(shared.clone()));
    }
    let mut outcome = Outcome::empty();
    while let Some(done) = tasks.join_next().await {
        outcome.add(done?);
    }
    outcome.elapsed = shared.start.elapsed();
    progress.finish_and_clear();
    Ok(outcome)
}

struct Shared {
    target: Target,
    load: Load,
    events: Mutex<Events>,
    /// The number of the next request.
    next: AtomicU64,
    requests: u64,
    start: Instant,
    progress: ProgressBar,
}

/// Sends whatever request is next, at its time, until all are sent.
async fn work(shared: Arc<Shared>) -> Outcome {
    let mut outcome = Outcome::empty();
    let mut connection = None;
    let (mut body, mut ids) = (Vec::new(), Vec::new());
    let batch = shared.load.batch;
    let spacing = batch as f64 / shared.load.rate;
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.requests {
            return outcome;
        }
        let intended = shared.start + Duration::from_secs_f64(number as f64 * spacing);
        tokio::time::sleep_until(intended.into()).await;
        body.clear();
        ids.clear();
        {
            let now = Timestamp::now();
            let mut events = shared.events.lock().unwrap_or_else(PoisonError::into_inner);
            for _ in 0..batch {
                ids.push(events.write(now, &mut body));
                body.push(b'\n');
            }
        }
        let sent =
            tokio::time::timeout(ANSWER_TIMEOUT, post(&shared.target, &mut connection, &body));
        let status = match sent.await {
            Ok(Ok(status)) => status,
            _ => {
                connection = None;
                // A server that is away is not asked a thousand times a second.
                tokio::time::sleep(Duration::from_millis(50)).await;
                0
            }
        };
        outcome.sent += batch as u64;
        *outcome.statuses.entry(status).or_default() += 1;
        if status != 0 {
            let micros = u64::try_from(intended.elapsed().as_micros()).unwrap_or(u64::MAX);
            outcome.latency_us.saturating_record(micros);
        }
        // A 200 tells of unfit events among good ones; these visitors send no unfit ones.
        if status == 204 {
            outcome.acknowledged += batch as u64;
            if shared.load.keep_ids {
                outcome.ids.extend(&ids);
            }
        }
        shared.progress.inc(batch as u64);
    }
}

async fn post(
    target: &Target,
    connection: &mut Option<Connection>,
    body: &[u8],
) -> anyhow::Result<u16> {
    if connection.as_ref().is_none_or(Connection::is_over) {
        *connection = Some(Connection::open(target).await?);
    }
    let Some(open) = connection else {
        unreachable!("it was just opened");
    };
    open.post(target, body).await
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn progress(length: u64) -> ProgressBar {
    let style = "{bar:30} {human_pos} of {human_len} events, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(style).expect("the template is good");
    ProgressBar::new(length).with_style(style)
}
