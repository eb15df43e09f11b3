//! Dead letters: reading them, and sending them back to the stage that refused them.
//!
//! A replay goes in pages, each from a [`Cursor`] to the next, so that it can be paced, shown and
//! taken up again. What is sent is the record as it was: the same bytes, headers and timestamp, and
//! where it had no id, the one that its place gave it. So the stages give it the same document id
//! and index however often it is sent, and the store keeps one document.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use event::{Code, DeadLetter, Stage, index};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stream::{Header, Record, Start, Stream, TopicPartition};

use crate::commands::send;
use crate::plan::Plan;

/// Longest silence of a topic that says it has more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Letters that a page looks at, at most.
const MAX_READ: u64 = 10_000;

/// Which letters are meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Selection {
    /// The letter with this id.
    pub(crate) id: Option<String>,
    /// Letters with this code.
    pub(crate) code: Option<String>,
    /// Letters of this stage.
    pub(crate) stage: Option<String>,
    /// Letters of this time or later, RFC 3339.
    pub(crate) since: Option<String>,
    /// Letters before this time, RFC 3339.
    pub(crate) until: Option<String>,
}

impl Selection {
    fn takes(&self, letter: &DeadLetter) -> bool {
        let matches = |wanted: &Option<String>, have: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == have)
        };
        let time = letter.time.parse::<jiff::Timestamp>();
        let is_before = |bound: &str| {
            let bound = bound.parse::<jiff::Timestamp>();
            matches!((bound, &time), (Ok(bound), Ok(time)) if *time < bound)
        };
        matches(&self.id, &letter.id)
            && matches(&self.code, letter.code.name())
            && matches(&self.stage, letter.stage.name())
            && self.since.as_deref().is_none_or(|since| !is_before(since))
            && self.until.as_deref().is_none_or(is_before)
    }

    /// Refuses what no letter can match.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (flag, time) in [("--since", &self.since), ("--until", &self.until)] {
            if let Some(time) = time {
                time.parse::<jiff::Timestamp>().with_context(|| {
                    format!("{flag} {time}: RFC 3339 is wanted, such as 2026-01-31T12:00:00Z")
                })?;
            }
        }
        if let Some(code) = &self.code
            && Code::from_name(code).is_none()
        {
            let known: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
            bail!("--code {code}: there are {}", known.join(", "));
        }
        if let Some(stage) = &self.stage
            && Stage::from_name(stage).is_none()
        {
            bail!("--stage {stage}: there are gateway, enricher, sink");
        }
        Ok(())
    }
}

/// How far a reading is: per partition the next offset and the one at which it ends. What is
/// written after the reading began is not read: a replay that fails again would go round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor(pub(crate) BTreeMap<u32, (u64, u64)>);

impl Cursor {
    /// From the first letter that is kept to the last that is there.
    pub(crate) async fn whole(stream: &dyn Stream, topic: &str) -> anyhow::Result<Self> {
        let described = stream.describe(&[topic]).await?;
        let Some(info) = described.into_iter().next().flatten() else {
            bail!("topic {topic} does not exist; weir topics creates it");
        };
        let partitions = (0_u32..).zip(info.offsets);
        Ok(Self(
            partitions.filter(|(_, (start, end))| start < end).collect(),
        ))
    }

    /// Letters that are not read yet.
    pub(crate) fn left(&self) -> u64 {
        self.0
            .values()
            .map(|(next, end)| end.saturating_sub(*next))
            .sum()
    }

    fn is_done(&self) -> bool {
        self.left() == 0
    }
}

/// Reads on from `cursor` and hands letters of the selection to `take`, in the order of each
/// partition, until that answers `false`, [`MAX_READ`] letters were looked at, or the end.
async fn read_page(
    stream: &dyn Stream,
    topic: &str,
    selection: &Selection,
    cursor: &mut Cursor,
    mut take: impl FnMut(DeadLetter) -> bool,
) -> anyhow::Result<()> {
    let position = |(partition, (next, _)): (&u32, &(u64, u64))| {
        let (topic, partition) = (topic.into(), *partition);
        (TopicPartition { topic, partition }, *next)
    };
    cursor.0.retain(|_, (next, end)| next < end);
    if cursor.is_done() {
        return Ok(());
    }
    let starts = cursor.0.iter().map(position).collect();
    let mut reader = stream.subscribe(&[topic], Start::Offsets(starts)).await?;
    let mut read = 0;
    while !cursor.is_done() && read < MAX_READ {
        let batch = reader.poll(1_000, PATIENCE).await?;
        if batch.records.is_empty() {
            bail!("topic {topic} ends before its end; try again");
        }
        for delivered in batch.records {
            let position = delivered.position;
            let Some((next, end)) = cursor.0.get_mut(&position.source.partition) else {
                continue;
            };
            // Past the end; also where letters between were deleted.
            let is_beyond = position.offset >= *end;
            *next = (position.offset + 1).min(*end);
            if is_beyond {
                continue;
            }
            read += 1;
            let record = delivered.record;
            let header = |name: &str| record.header(name).map(|value| &value[..]);
            let letter = DeadLetter::read(record.value.clone(), header);
            if let Some(letter) = letter.filter(|letter| selection.takes(letter))
                && !take(letter)
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Hands every letter of the selection to `take`.
pub(crate) async fn read(
    stream: &dyn Stream,
    topic: &str,
    selection: &Selection,
    mut take: impl FnMut(DeadLetter),
) -> anyhow::Result<()> {
    let mut cursor = Cursor::whole(stream, topic).await?;
    while !cursor.is_done() {
        read_page(stream, topic, selection, &mut cursor, |letter| {
            take(letter);
            true
        })
        .await?;
    }
    Ok(())
}

/// A page of a replay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) selection: Selection,
    /// Where it goes on; `None` at the beginning.
    pub(crate) cursor: Option<Cursor>,
    /// Letters to send at most.
    pub(crate) limit: usize,
    pub(crate) dry_run: bool,
}

/// What a page did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Sent again by code, or with a dry run: would be.
    pub(crate) sent: BTreeMap<String, u64>,
    /// Too large to be kept whole, so that there is nothing to send.
    pub(crate) cut: u64,
    /// Refused by the gateway once more.
    pub(crate) refused: u64,
    /// Where the next page goes on.
    pub(crate) cursor: Cursor,
}

impl Report {
    /// Adds a later page.
    pub(crate) fn add(&mut self, page: Self) {
        for (code, count) in page.sent {
            *self.sent.entry(code).or_default() += count;
        }
        self.cut += page.cut;
        self.refused += page.refused;
        self.cursor = page.cursor;
    }

    pub(crate) fn total(&self) -> u64 {
        self.sent.values().sum()
    }
}

/// Sends a page of letters back: those of the gateway to its collect route, those of the other
/// stages to the topic that the stage reads. What is reported as sent is durable there.
pub(crate) async fn replay(stream: &dyn Stream, plan: &Plan, step: Step) -> anyhow::Result<Report> {
    let topic = &plan.enricher.dead_topic;
    let mut cursor = match step.cursor {
        Some(cursor) => cursor,
        None => Cursor::whole(stream, topic).await?,
    };
    let mut letters = Vec::new();
    read_page(stream, topic, &step.selection, &mut cursor, |letter| {
        letters.push(letter);
        letters.len() < step.limit.max(1)
    })
    .await?;
    let mut report = Report {
        cursor,
        ..Report::default()
    };
    let whole = letters.iter().filter(|letter| letter.is_replayable());
    report.cut = (letters.len() - whole.clone().count()) as u64;
    let count = |report: &mut Report, letter: &DeadLetter| {
        *report.sent.entry(letter.code.name().into()).or_default() += 1;
    };
    if step.dry_run {
        whole.for_each(|letter| count(&mut report, letter));
        return Ok(report);
    }
    let client = plan.client()?;
    let mut records = BTreeMap::<&str, Vec<Record>>::new();
    for letter in whole {
        let topic = match letter.stage {
            Stage::Enricher => &plan.enricher.raw_topic,
            Stage::Sink => &plan.sink.enriched_topic,
            Stage::Gateway => {
                let body = with_id(letter).to_vec();
                // One that is unfit still is refused again; the others go on.
                match send::post_one(&client, &plan.collect_url(), body).await? {
                    true => count(&mut report, letter),
                    false => report.refused += 1,
                }
                continue;
            }
        };
        records.entry(topic).or_default().push(record(letter));
        count(&mut report, letter);
    }
    for (topic, records) in records {
        stream.append(topic, &records).await?;
    }
    Ok(report)
}

/// The original with an id that is the same at each replay. One that has an id stays as it is.
fn with_id(letter: &DeadLetter) -> Bytes {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(&letter.original) else {
        return letter.original.clone();
    };
    let is_named = |header: &&'static str| letter.kept.iter().any(|(name, _)| name == header);
    if object.contains_key("event_id") || is_named(&event::header::ID) {
        return letter.original.clone();
    }
    let id = index::derived_id(letter.id.as_bytes()).to_string();
    object.insert("event_id".into(), id.into());
    Value::Object(object).to_string().into()
}

fn record(letter: &DeadLetter) -> Record {
    let value = with_id(letter);
    let object = serde_json::from_slice::<Value>(&value).unwrap_or_default();
    let names = ["user_domain_id", "session_id", "event_id"];
    let key = names.iter().find_map(|name| object.get(name)?.as_str());
    let refused = letter.time.parse::<jiff::Timestamp>();
    let refused = refused.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Record {
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value,
        headers: letter.kept.iter().cloned().map(Header::from).collect(),
        timestamp_ms: letter
            .timestamp_ms
            .unwrap_or_else(|| refused.as_millisecond()),
    }
}

#[cfg(test)]
mod tests;
