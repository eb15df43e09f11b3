//! A batch of records enriched: what goes to which topic, and what is counted of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use event::header::{self, Format};
use event::redact::Secret;
use event::{Code, DeadLetter, Stage, time};
use jiff::Timestamp;
use stream::{Delivered, Header, Record};

use crate::document::write::Writer;
use crate::enrich::mark::Mark;
use crate::enrich::trace::{Laps, Trace};
use crate::enrich::{self, Enriched, EnrichedEvent, Enricher, RecordContext};
use crate::metrics::Metrics;
use crate::surrogate;

/// A batch ready to be appended.
#[derive(Debug, Default)]
pub(crate) struct EnrichedBatch {
    /// Enriched records and the raw ones they came from, in the order read.
    pub(crate) enriched: Vec<(Record, Delivered)>,
    /// The same of programs whose events go to a topic of their own.
    pub(crate) routed: Vec<(Record, Delivered)>,
    /// Records that cannot be enriched.
    pub(crate) letters: Vec<DeadLetter>,
    /// What is counted once the batch is durable.
    pub(crate) counts: Counts,
}

/// What became of a batch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) enriched: u64,
    pub(crate) routed: u64,
    pub(crate) dropped: u64,
    pub(crate) forgotten: u64,
    pub(crate) redacted: [u64; Secret::ALL.len()],
    pub(crate) lookup_hit: u64,
    pub(crate) lookup_miss: u64,
    pub(crate) rule_matched: u64,
    pub(crate) rule_failed: u64,
    /// What the steps came to, in the order of [`Mark::ALL`].
    pub(crate) marks: [u64; Mark::ALL.len()],
    /// How long the steps took, of the events that were timed.
    pub(crate) laps: Vec<Laps>,
    pub(crate) dead: BTreeMap<Code, u64>,
}

/// Of so many records of a partition one is timed. Looking at the clock behind every step costs half
/// a microsecond, which comes to two nanoseconds an event.
const TIMED_EVERY: u64 = 256;

/// Enriches the records. Computes only; half a millisecond for every hundred.
pub(crate) fn enrich(enricher: &Enricher, records: Vec<Delivered>) -> EnrichedBatch {
    let now_ms = Timestamp::now().as_millisecond();
    let mut batch = EnrichedBatch {
        enriched: Vec::with_capacity(records.len()),
        ..EnrichedBatch::default()
    };
    let mut writer = Writer::default();
    for delivered in records {
        let mut trace = match delivered.position.offset.is_multiple_of(TIMED_EVERY) {
            true => Trace::timed(),
            false => Trace::default(),
        };
        let enriched = enrich_one(enricher, &delivered, now_ms, &mut trace, &mut writer);
        batch.counts.add(&trace);
        match enriched {
            Ok(Enriched::Document(event)) => {
                batch.counts.enriched += 1;
                batch
                    .enriched
                    .push((record(event, &delivered.record), delivered));
            }
            Ok(Enriched::Routed(event)) => {
                batch.counts.routed += 1;
                let routed = record(event, &delivered.record);
                batch.routed.push((routed, delivered));
            }
            Ok(Enriched::Dropped) => batch.counts.dropped += 1,
            Ok(Enriched::Forgotten) => batch.counts.forgotten += 1,
            Err(code) => {
                let letter = letter(&delivered, code);
                batch.letters.push(match trace.misfits.as_slice() {
                    [] => letter,
                    misfits => letter.with_cause(&misfits.join(", ")),
                });
            }
        }
    }
    batch
}

fn enrich_one(
    enricher: &Enricher,
    delivered: &Delivered,
    now_ms: i64,
    trace: &mut Trace,
    writer: &mut Writer,
) -> Result<Enriched, Code> {
    let record = &delivered.record;
    let format = record.header(header::FORMAT_NAME);
    if Format::of(format.map(AsRef::as_ref)) != Format::Known {
        return Err(Code::UnsupportedFormat);
    }
    let context = RecordContext {
        timestamp_ms: record.timestamp_ms,
        now_ms,
        position: &delivered.position,
    };
    match enrich::enrich_traced(enricher, &record.value, context, trace, writer) {
        // Half a surrogate pair is what is left of an emoji where a page cuts a text: browsers send
        // it, and strict readers of JSON refuse the whole for it.
        Err(Code::BadJson) => match surrogate::mend(&record.value) {
            Some(mended) => enrich::enrich_traced(enricher, &mended, context, trace, writer),
            None => Err(Code::BadJson),
        },
        enriched => enriched,
    }
}

/// The enriched record. Key and time are the raw record's, id and day stand beside the document so
/// that the sink need not read it.
fn record(event: EnrichedEvent, raw: &Record) -> Record {
    let own_key = raw.key.clone().filter(|_| !event.replaces_key);
    Record {
        key: Some(own_key.unwrap_or(event.key)),
        value: event.value,
        headers: Arc::new([
            (
                header::FORMAT_NAME,
                Bytes::from_static(header::FORMAT.as_bytes()),
            )
                .into(),
            (header::ID, event.id).into(),
            (header::DAY, event.day).into(),
        ]),
        timestamp_ms: raw.timestamp_ms,
    }
}

/// The dead letter of a raw record.
pub(crate) fn letter(delivered: &Delivered, code: Code) -> DeadLetter {
    let record = &delivered.record;
    let letter = DeadLetter::new(
        delivered.position.to_string(),
        Stage::Enricher,
        code,
        time::format(Timestamp::now()),
        record.value.clone(),
    );
    letter.of_record(record.timestamp_ms, |name| {
        record.header(name).map(|value| &value[..])
    })
}

/// The record of a dead letter.
pub(crate) fn letter_record(letter: &DeadLetter, now_ms: i64) -> Record {
    Record {
        key: Some(letter.id.clone().into()),
        value: letter.original.clone(),
        headers: letter.headers().into_iter().map(Header::from).collect(),
        timestamp_ms: now_ms,
    }
}

impl Counts {
    fn add(&mut self, trace: &Trace) {
        for (count, mark) in self.marks.iter_mut().zip(Mark::ALL) {
            *count += u64::from(trace.has(mark));
        }
        self.laps.extend(trace.laps());
        for (count, more) in self.redacted.iter_mut().zip(trace.redactions) {
            *count += u64::from(more);
        }
        self.lookup_hit += u64::from(trace.lookups.0);
        self.lookup_miss += u64::from(trace.lookups.1);
        self.rule_matched += u64::from(trace.rules.0);
        self.rule_failed += u64::from(trace.rules.1);
    }

    /// Counts a batch that is durable.
    pub(crate) fn add_to(&self, metrics: &Metrics) {
        metrics.enriched.inc_by(self.enriched);
        metrics.routed.inc_by(self.routed);
        metrics.dropped.inc_by(self.dropped);
        metrics.forgotten.inc_by(self.forgotten);
        for (counter, count) in metrics.redacted.iter().zip(self.redacted) {
            counter.inc_by(count);
        }
        metrics.lookup_hit.inc_by(self.lookup_hit);
        metrics.lookup_miss.inc_by(self.lookup_miss);
        metrics.rule_matched.inc_by(self.rule_matched);
        metrics.rule_failed.inc_by(self.rule_failed);
        for (counter, count) in metrics.marks.iter().zip(self.marks) {
            counter.inc_by(count);
        }
        for laps in &self.laps {
            metrics.time(laps);
        }
        for (code, count) in &self.dead {
            metrics.dead_letters(*code, *count);
        }
    }
}
