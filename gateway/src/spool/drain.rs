//! Sending the spool on to the stream.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use event::{Code, DeadLetter, Stage, time};
use jiff::Timestamp;
use runtime::{Backoff, Component, Shutdown};
use stream::{AppendError, Consumer, Delivered, Header, Record, Stream};
use tokio::time::Instant;
use uuid::Uuid;

use super::lane::Lane;
use super::metrics::Metrics;
use super::{Kind, Spool};

/// Records sent on at a time; the reader's own cap of 1 MiB comes first, as a rule.
const BATCH_RECORDS: usize = 5_000;

/// What is sent on in a second at most: a full spool of 1 GiB in half a minute, which leaves room
/// on the brokers for what comes meanwhile.
const MAX_RATE: f64 = 32e6;

/// How long a lane may be closed, in the course of things; enough for what is read at a time, at most.
const CLOSED_SECONDS: f64 = 0.05;

/// However slow the stream is: a few events.
const LEAST_RATE: f64 = 4e3;

/// An acknowledgement that takes longer had to wait for what was sent before.
const SLOW: Duration = Duration::from_millis(250);

/// By how much each send that is acknowledged sooner raises the rate again: a broker that counts over
/// 11 s, as they do unless told otherwise, is then three seconds ahead of its quota at most.
const RISE: f64 = 1.15;

/// Longest wait for something to send; a safety net beneath the notices.
const PATIENCE: Duration = Duration::from_millis(200);

/// Time between two looks at what lies in the spool.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Writes what the lanes gather to the spool, sends it on, and tells how that goes, until `done`.
pub(crate) async fn keep(
    spool: &Spool,
    lanes: [&Lane; 2],
    metrics: Metrics,
    health: Component,
    done: &Shutdown,
) {
    let dead_topic = &lanes[1].topic;
    let work = async {
        tokio::join!(
            lanes[0].watch(spool),
            lanes[1].watch(spool),
            lanes[0].write(spool),
            lanes[1].write(spool),
            run(lanes[0], spool, dead_topic, done),
            run(lanes[1], spool, dead_topic, done),
            tell(spool, lanes, &metrics, &health),
        )
    };
    tokio::select! {
        _ = work => {}
        () = done.started() => {}
    }
}

/// Says in metrics and readiness what lies in the spool, and why.
async fn tell(spool: &Spool, lanes: [&Lane; 2], metrics: &Metrics, health: &Component) {
    loop {
        let detour = lanes.iter().find_map(|lane| lane.detour());
        let report = spool.report().await;
        metrics.set(spool, report.as_ref().ok());
        match (detour, report) {
            (_, Err(error)) => health.not_ready(&error.to_string()),
            (None, _) => health.ready(),
            (Some(reason), Ok(report)) => match spool.refusal() {
                Some(refusal) => health.not_ready(&refusal),
                None => {
                    let (events, age) = (report.events, report.oldest_seconds.unwrap_or(0));
                    health.ready_but(&format!(
                        "{events} events wait on disk, the oldest for {age} s: {reason}"
                    ));
                }
            },
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Sends on what one lane spools, whenever it does.
async fn run(lane: &Lane, spool: &Spool, dead_topic: &str, done: &Shutdown) {
    let mut backoff = Backoff::default();
    let mut drain = None;
    loop {
        lane.turned().await;
        tracing::warn!(kind = lane.kind.name(), "events go through the spool");
        while let Err(reason) = lap(lane, spool, dead_topic, &mut drain).await {
            lane.reopen(&reason);
            tokio::select! {
                _ = backoff.wait(done) => {}
                () = spool.nudged() => {}
            }
        }
        backoff.reset();
        tracing::info!(kind = lane.kind.name(), "the spool is empty");
    }
}

/// Empties the spool and turns the lane back.
async fn lap<'a>(
    lane: &'a Lane,
    spool: &'a Spool,
    dead_topic: &'a str,
    drain: &mut Option<Drain<'a>>,
) -> Result<(), String> {
    let drain = match drain {
        Some(drain) => drain,
        none => {
            let opened = Drain::open(spool, lane.kind, &*lane.stream, &lane.topic, dead_topic);
            none.insert(opened.await?)
        }
    };
    drain.is_prompt = false;
    loop {
        // Before the lane is closed: what comes then waits.
        drain.pace.wait().await;
        drain.read().await?;
        let is_closed = drain.may_close() && lane.close(drain.is_prompt);
        if drain.has_records() {
            let mut sending = pin!(drain.send());
            let soon = tokio::time::timeout(spool.options.after, sending.as_mut());
            if is_closed && let Ok(sent) = soon.await {
                sent?;
            } else {
                lane.open();
                sending.await?;
            }
        } else if is_closed && lane.is_still() {
            // What was being written when the lane closed is there now.
            drain.read().await?;
            if !drain.has_records() {
                return lane.release().await.map_err(|error| error.to_string());
            }
        } else {
            // Either notice or patience ends the wait.
            let _ = tokio::time::timeout(PATIENCE, lane.changed()).await;
        }
    }
}

/// Sends on everything that lies in `spool`, without a gateway; returns how many records.
///
/// # Errors
/// When the stream does not take them, or the spool cannot be read.
pub async fn empty(
    spool: &Spool,
    stream: &Arc<dyn Stream>,
    raw_topic: &str,
    dead_topic: &str,
) -> anyhow::Result<u64> {
    let mut count = 0;
    for (kind, topic) in [(Kind::Raw, raw_topic), (Kind::Dead, dead_topic)] {
        let opened = Drain::open(spool, kind, &**stream, topic, dead_topic).await;
        let mut drain = opened.map_err(anyhow::Error::msg)?;
        loop {
            drain.read().await.map_err(anyhow::Error::msg)?;
            if !drain.has_records() {
                break;
            }
            count += drain.held.len() as u64;
            while drain.has_records() {
                drain.send().await.map_err(anyhow::Error::msg)?;
                drain.pace.wait().await;
            }
        }
    }
    Ok(count)
}

/// One kind's way from the spool to the stream.
struct Drain<'a> {
    spool: &'a Spool,
    kind: Kind,
    stream: &'a dyn Stream,
    topic: &'a str,
    dead_topic: &'a str,
    reader: Box<dyn Consumer>,
    /// Read and not yet on the stream.
    held: Vec<Delivered>,
    /// Whether the stream acknowledged what it was sent last as soon as it must on the direct way.
    is_prompt: bool,
    pace: Pace,
}

/// How fast the spool is sent on, a second's worth at a time. A stream that takes some and then makes
/// its clients wait, as brokers do with those above their quota, is given what it takes: what it does
/// not acknowledge in time is sent again, which makes it slower still.
struct Pace {
    /// Bytes a second.
    rate: f64,
    /// The last send, and its bytes; none where it sent all there was, which says nothing of what the
    /// stream takes.
    begun: Instant,
    bytes: usize,
    /// When the next one is due.
    due: Instant,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            rate: MAX_RATE,
            begun: now,
            bytes: 0,
            due: now,
        }
    }

    async fn wait(&self) {
        tokio::time::sleep_until(self.due).await;
    }

    fn sent(&mut self, begun: Instant, bytes: usize, has_more: bool) {
        if begun.elapsed() > SLOW {
            self.fall(bytes);
        } else if has_more {
            self.rate = (self.rate * RISE).min(MAX_RATE);
        }
        (self.begun, self.bytes) = (begun, if has_more { bytes } else { 0 });
        self.due = begun + Duration::from_secs_f64(bytes as f64 / self.rate);
    }

    fn failed(&mut self) {
        self.fall(0);
        // That it goes on failing says that the stream is away, and nothing of its speed.
        self.bytes = 0;
    }

    /// Down to what the stream took since the last send: that one, or `bytes` of this one where these
    /// are more. A small one cannot have been what it waits for.
    fn fall(&mut self, bytes: usize) {
        if self.bytes > 0 {
            let bytes = self.bytes.max(bytes) as f64;
            let took = bytes / self.begun.elapsed().as_secs_f64();
            self.rate = self.rate.min(took.max(LEAST_RATE));
        }
    }
}

impl<'a> Drain<'a> {
    async fn open(
        spool: &'a Spool,
        kind: Kind,
        stream: &'a dyn Stream,
        topic: &'a str,
        dead_topic: &'a str,
    ) -> Result<Self, String> {
        let reader = spool.reader(kind).await;
        Ok(Self {
            spool,
            kind,
            stream,
            topic,
            dead_topic,
            reader: reader.map_err(|error| error.to_string())?,
            held: Vec::new(),
            is_prompt: false,
            pace: Pace::new(),
        })
    }

    /// Reads the next records where none are held.
    async fn read(&mut self) -> Result<(), String> {
        if self.held.is_empty() {
            let read = self.reader.poll(BATCH_RECORDS, Duration::ZERO).await;
            self.held = read.map_err(|error| error.to_string())?.records;
            let oldest = self.held.first().map(|first| first.record.timestamp_ms);
            self.spool.set_oldest(self.kind, oldest);
        }
        Ok(())
    }

    fn has_records(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether what comes may wait for what is held: nothing lies behind it, and it is soon sent as
    /// far as can be known.
    fn may_close(&self) -> bool {
        let sizes = self.held.iter().map(|one| one.record.size_bytes());
        let is_little = sizes.sum::<usize>() as f64 <= self.pace.rate * CLOSED_SECONDS;
        self.reader.lag() == 0 && is_little && (self.is_prompt || self.held.is_empty())
    }

    /// Sends on the first of what is held, and notes that the stream has it.
    async fn send(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        // Brokers refuse times well ahead of theirs, as those of a clock that ran ahead for a while.
        let now_ms = Timestamp::now().as_millisecond();
        let record = |one: &Delivered| Record {
            timestamp_ms: one.record.timestamp_ms.min(now_ms),
            ..one.record.clone()
        };
        let (mut bytes, most) = (0, self.pace.rate as usize);
        let mut records = Vec::new();
        for one in &self.held {
            let size = one.record.size_bytes();
            if bytes > 0 && bytes + size > most {
                break;
            }
            bytes += size;
            records.push(record(one));
        }
        let count = records.len();
        let appended = append(self.stream, self.topic, self.dead_topic, records).await;
        self.is_prompt = appended.is_ok() && begun.elapsed() <= self.spool.options.after;
        if let Err(error) = appended {
            self.pace.failed();
            return Err(error.to_string());
        }
        let has_more = count < self.held.len() || self.reader.lag() > 0;
        self.pace.sent(begun, bytes, has_more);
        let last = self.held.drain(..count).last();
        let next = last.map(|last| (self.kind.source(), last.position.offset + 1));
        self.spool.count_drained(count as u64);
        let noted = self.reader.commit(next.as_slice()).await;
        noted.map_err(|error| error.to_string())
    }
}

/// Appends to the topic; a record that can never be appended becomes a dead letter, so that it does
/// not hold up the others.
async fn append(
    stream: &dyn Stream,
    topic: &str,
    dead_topic: &str,
    mut records: Vec<Record>,
) -> Result<(), AppendError> {
    loop {
        match stream.append(topic, &records).await {
            Err(AppendError::Rejected { index, reason }) => {
                tracing::warn!(reason, "a record of the spool is refused by the stream");
                let letter = letter(records.remove(index));
                stream.append(dead_topic, &[letter]).await?;
                if records.is_empty() {
                    return Ok(());
                }
            }
            settled => return settled,
        }
    }
}

fn letter(refused: Record) -> Record {
    let at = Timestamp::from_millisecond(refused.timestamp_ms).unwrap_or_default();
    let letter = DeadLetter::new(
        Uuid::now_v7().to_string(),
        Stage::Gateway,
        Code::EventTooLarge,
        time::format(at),
        refused.value,
    );
    Record {
        key: Some(letter.id.clone().into()),
        headers: letter.headers().into_iter().map(Header::from).collect(),
        value: letter.original,
        timestamp_ms: refused.timestamp_ms,
    }
}
