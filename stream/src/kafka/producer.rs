//! Appending.
//!
//! Every record of a call carries a reference to one [`Ticket`]; the delivery callback counts it
//! down, and the last report wakes the caller: one wake a call, however many records. A task of the
//! async runtime serves the reports, for a wake from one of the runtime's own threads costs a
//! fraction of one from outside; librdkafka's callbacks never wait.
//!
//! The same task watches the age of the oldest call without an answer. At the delivery timeout,
//! and after an error that librdkafka calls fatal (a producer that lost its place in the sequence,
//! say), the producer gives up: every call that waits fails at once, what librdkafka still holds is
//! thrown away, and the next call gets a producer made anew. So a wedged producer costs a timeout
//! and no restart, and nothing is delivered late behind what its caller has appended again since:
//! callers who do so in order keep their order.
//!
//! A producer needs its time before the first record: it connects, and asks for its id again only
//! every half second. So one that never had an acknowledgement is followed by one with twice the
//! patience, and a short delivery timeout cannot replace producers for ever before any is ready.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::client::{self, Trouble};
use super::options::{DELIVERY_TIMEOUT, MAX_RECORD_BYTES, Options};
use crate::appending::{Appending, Ticket};
use crate::{AppendError, Record, StreamError};

/// Time between two looks at what librdkafka says while nothing is due.
const IDLE: Duration = Duration::from_millis(50);

/// Time between two looks at the reports while some are due. Waiting for each costs a switch of
/// threads for every batch that a broker acknowledges; a linger is several times this.
const TICK: Duration = Duration::from_millis(1);

/// Bytes that Kafka adds to a record at most, beside two for each header.
const RECORD_OVERHEAD_BYTES: usize = 64;

type Native = BaseProducer<Reports>;

pub(super) struct Producer {
    options: Options,
    generation: Mutex<Generation>,
    written: Mutex<Written>,
}

/// Headers that the last of the records that share theirs had, as librdkafka has them.
#[derive(Default)]
struct Written {
    headers: Arc<[crate::Header]>,
    native: Option<OwnedHeaders>,
}

/// One librdkafka producer and the task that serves its reports.
struct Generation {
    native: Arc<Native>,
    /// How long its calls wait until it has had its first acknowledgement.
    patience: Duration,
}

/// Calls that wait, by when they began: those between two looks at the reports together.
#[derive(Default)]
struct Waiting(VecDeque<Begun>);

struct Begun {
    since: Instant,
    tickets: Vec<Arc<Ticket>>,
}

#[derive(Default)]
pub(super) struct Reports {
    trouble: Trouble,
    /// Set once, when nothing that waits can be trusted to be delivered in order.
    is_broken: AtomicBool,
    has_delivered: AtomicBool,
    /// Whether no call will come any more.
    is_stopped: AtomicBool,
    /// The records of a call were handed over, or no call will come.
    stirred: Notify,
    waiting: Mutex<Waiting>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(Code::Fatal) {
            self.is_broken.store(true, Ordering::SeqCst);
        }
        self.trouble.note(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let failure = match result {
            Ok(_) => None,
            Err((error, message)) => {
                let code = error.rdkafka_error_code();
                // What follows a record that timed out would overtake it.
                if matches!(code, Some(Code::Fatal | Code::MessageTimedOut)) {
                    self.is_broken.store(true, Ordering::SeqCst);
                }
                Some(self.explain(code, rdkafka::Message::topic(message), error))
            }
        };
        if failure.is_none() {
            if !self.has_delivered.load(Ordering::Relaxed) {
                self.has_delivered.store(true, Ordering::Relaxed);
            }
            if self.trouble.last().is_some() {
                self.trouble.clear();
            }
        }
        ticket.report(1, failure);
    }
}

impl Reports {
    fn explain(&self, code: Option<Code>, topic: &str, error: &KafkaError) -> AppendError {
        AppendError::Unavailable(match code {
            Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => {
                format!("topic {topic} does not exist; weir topics creates it")
            }
            // The record is within what Weir sends, so the topic is set too small for it: a
            // matter of configuration, not of the record.
            Some(Code::MessageSizeTooLarge) => {
                format!("topic {topic}: max.message.bytes is below {MAX_RECORD_BYTES}")
            }
            Some(Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend) => {
                format!("topic {topic}: fewer replicas in sync than min.insync.replicas")
            }
            _ => match self.trouble.last() {
                Some(StreamError::Unavailable(words) | StreamError::Configuration(words)) => words,
                _ => format!("topic {topic}: {error}"),
            },
        })
    }
}

impl Reports {
    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::SeqCst)
    }

    /// Ends the task once what waits has its answer.
    fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.stirred.notify_one();
    }

    /// Gives up when the producer broke, or the oldest call has waited for `timeout`, or for
    /// `patience` before the first acknowledgement.
    fn watch(&self, native: &Native, timeout: Duration, patience: Duration) {
        let limit = match self.has_delivered.load(Ordering::Relaxed) {
            true => timeout,
            false => patience,
        };
        let oldest = self.waiting().look();
        if self.is_broken() {
            self.give_up(native, "the kafka producer broke");
        } else if let Some(age) = oldest.filter(|age| *age >= limit) {
            let reason = match self.trouble.last() {
                Some(StreamError::Unavailable(words) | StreamError::Configuration(words)) => words,
                _ => format!("no acknowledgement within {limit:?}"),
            };
            tracing::warn!(reason, ?age, "kafka does not acknowledge");
            self.give_up(native, &reason);
        }
    }

    fn give_up(&self, native: &Native, reason: &str) {
        // Before the calls are taken: one that comes later sees it once its records are sent.
        self.is_broken.store(true, Ordering::SeqCst);
        let waiting = self.waiting().take();
        for ticket in waiting {
            ticket.fail(AppendError::Unavailable(reason.to_owned()));
        }
        native.purge(PurgeConfig::default().queue().inflight());
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, ticket: Arc<Ticket>) {
        match self.0.back_mut() {
            Some(last) => last.tickets.push(ticket),
            None => self.0.push_back(Begun {
                since: Instant::now(),
                tickets: vec![ticket],
            }),
        }
    }

    /// How long the oldest has waited at most. What begins from now on is counted apart.
    fn look(&mut self) -> Option<Duration> {
        let is_over = |begun: &Begun| begun.tickets.iter().all(|ticket| ticket.is_settled());
        while self.0.front().is_some_and(is_over) {
            self.0.pop_front();
        }
        let oldest = self.0.front()?.since;
        let since = Instant::now();
        match self.0.back_mut() {
            Some(last) if last.tickets.is_empty() => last.since = since,
            _ => self.0.push_back(Begun {
                since,
                tickets: Vec::new(),
            }),
        }
        Some(since - oldest)
    }

    fn take(&mut self) -> impl Iterator<Item = Arc<Ticket>> + use<> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().flat_map(|begun| begun.tickets)
    }
}

impl Drop for Reports {
    /// The client is gone, and with it whatever reports it still had.
    fn drop(&mut self) {
        for ticket in self.waiting().take() {
            ticket.fail(AppendError::Closed);
        }
    }
}

impl Producer {
    pub(super) fn new(options: &Options) -> Result<Self, StreamError> {
        Ok(Self {
            options: options.clone(),
            generation: Mutex::new(Generation::start(options, options.delivery_timeout())?),
            written: Mutex::default(),
        })
    }

    pub(super) fn append(&self, topic: &str, records: &[Record]) -> Appending<'static> {
        if records.is_empty() {
            return Appending::settled(Ok(()));
        }
        match self.hand_over(topic, records) {
            Ok(ticket) => Appending::handed_over(ticket),
            Err(error) => Appending::settled(Err(error)),
        }
    }

    /// Gives records to librdkafka.
    fn hand_over(&self, topic: &str, records: &[Record]) -> Result<Arc<Ticket>, AppendError> {
        if let Some(index) = records
            .iter()
            .position(|r| size_bytes(r) > MAX_RECORD_BYTES)
        {
            let bytes = size_bytes(&records[index]);
            let reason = format!("{bytes} bytes are more than {MAX_RECORD_BYTES}");
            return Err(AppendError::Rejected { index, reason });
        }
        let native = self.native().map_err(|error| match error {
            StreamError::Closed => AppendError::Closed,
            other => AppendError::Unavailable(other.to_string()),
        })?;
        let ticket = Arc::new(Ticket::new(records.len()));
        native.context().waiting().add(ticket.clone());
        for (index, record) in records.iter().enumerate() {
            let headers = self.written(&record.headers);
            if let Err(error) = send(&native, topic, record, headers, &ticket) {
                let failure = match error.rdkafka_error_code() {
                    Some(Code::QueueFull) => {
                        AppendError::Full("too much waits for kafka's acknowledgement".into())
                    }
                    code => native.context().explain(code, topic, &error),
                };
                // The records after it are not sent; those before it are waited for, so that a
                // caller who appends all again keeps its order.
                ticket.report(records.len() - index, Some(failure));
                break;
            }
        }
        // Not before: the task would find nothing in flight and wait again.
        native.context().stirred.notify_one();
        if native.context().is_broken() {
            // It broke meanwhile and may have thrown nothing of this away.
            native
                .context()
                .give_up(&native, "the kafka producer broke");
        }
        Ok(ticket)
    }

    fn written(&self, headers: &Arc<[crate::Header]>) -> Option<OwnedHeaders> {
        if Arc::strong_count(headers) == 1 {
            // Nobody shares them.
            return write(headers);
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&written.headers, headers) {
            *written = Written {
                headers: headers.clone(),
                native: write(headers),
            };
        }
        written.native.clone()
    }

    /// Waits until what was appended is settled, then takes nothing more.
    pub(super) async fn flush(&self, deadline: Duration) -> Result<(), StreamError> {
        let native = self.generation().native.clone();
        let settled = async {
            while native.in_flight_count() > 0 {
                sleep(TICK).await;
            }
        };
        let is_settled = timeout(deadline, settled).await.is_ok();
        native.context().stop();
        if is_settled {
            return Ok(());
        }
        let left = native.in_flight_count();
        let reason = format!("{left} records were not acknowledged in time");
        Err(StreamError::Unavailable(reason))
    }

    /// The librdkafka producer, made anew when the last one broke.
    fn native(&self) -> Result<Arc<Native>, StreamError> {
        let mut generation = self.generation();
        if generation.native.context().is_broken() {
            let patience = generation.patience_of_next(self.options.delivery_timeout());
            let next = Generation::start(&self.options, patience)?;
            // Its task fails what waits, and ends.
            std::mem::replace(&mut *generation, next)
                .native
                .context()
                .stop();
        }
        Ok(generation.native.clone())
    }

    fn generation(&self) -> MutexGuard<'_, Generation> {
        self.generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.generation().native.context().stop();
    }
}

impl Generation {
    fn start(options: &Options, patience: Duration) -> Result<Self, StreamError> {
        let native: Native = options
            .properties_for_producer(patience)
            .client(Reports::default())?;
        let native = Arc::new(native);
        let served = serve(native.clone(), options.delivery_timeout(), patience);
        tokio::spawn(served);
        Ok(Self { native, patience })
    }

    fn patience_of_next(&self, timeout: Duration) -> Duration {
        if self.native.context().has_delivered.load(Ordering::Relaxed) {
            return timeout;
        }
        (self.patience * 2).min(DELIVERY_TIMEOUT).max(timeout)
    }
}

/// Serves the delivery reports until told to stop, and those of the last records after that.
async fn serve(native: Arc<Native>, timeout: Duration, patience: Duration) {
    let reports = native.context();
    let mut end = None;
    loop {
        drain(&native);
        reports.watch(&native, timeout, patience);
        let is_idle = native.in_flight_count() == 0;
        if reports.is_stopped.load(Ordering::SeqCst) {
            let end = *end.get_or_insert_with(|| Instant::now() + timeout.max(patience));
            if is_idle || Instant::now() >= end {
                break;
            }
        }
        match is_idle {
            true => drop(tokio::time::timeout(IDLE, reports.stirred.notified()).await),
            false => sleep(TICK).await,
        }
    }
    // The end of a librdkafka client waits for its threads.
    tokio::task::spawn_blocking(move || drop(native));
}

/// Serves the reports that have come, and whatever else librdkafka says.
fn drain(native: &Native) {
    let mut left = native.in_flight_count();
    loop {
        native.poll(Duration::ZERO);
        let now = native.in_flight_count();
        if now == left {
            return;
        }
        left = now;
    }
}

fn send(
    native: &Native,
    topic: &str,
    record: &Record,
    headers: Option<OwnedHeaders>,
    ticket: &Arc<Ticket>,
) -> Result<(), KafkaError> {
    let mut message = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, ticket.clone())
        .payload(&record.value[..])
        .timestamp(record.timestamp_ms);
    if let Some(key) = &record.key {
        message = message.key(&key[..]);
    }
    if let Some(headers) = headers {
        message = message.headers(headers);
    }
    native.send(message).map_err(|(error, _)| error)
}

fn write(headers: &[crate::Header]) -> Option<OwnedHeaders> {
    let none = OwnedHeaders::new_with_capacity(headers.len());
    let all = headers.iter().fold(none, |written, header| {
        written.insert(Header {
            key: &header.name,
            value: Some(&header.value[..]),
        })
    });
    (!headers.is_empty()).then_some(all)
}

fn size_bytes(record: &Record) -> usize {
    record.size_bytes() + record.headers.len() * 10 + RECORD_OVERHEAD_BYTES
}
