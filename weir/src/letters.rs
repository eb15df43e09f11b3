//! Dead letters: reading them, and sending them back to the stage that refused them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use event::{DeadLetter, Stage};
use serde::{Deserialize, Serialize};
use stream::{Record, Start, Stream, TopicPartition};

use crate::commands::send;
use crate::plan::Plan;

/// Longest silence of a topic that says it has more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which letters are meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Selection {
    /// The letter with this id.
    pub(crate) id: Option<String>,
    /// Letters with this code.
    pub(crate) code: Option<String>,
    /// Letters of this time or later, RFC 3339.
    pub(crate) since: Option<String>,
}

impl Selection {
    fn takes(&self, letter: &DeadLetter) -> bool {
        let matches = |wanted: &Option<String>, have: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == have)
        };
        let is_late = self.since.as_deref().is_none_or(|since| {
            let since = since.parse::<jiff::Timestamp>();
            let time = letter.time.parse::<jiff::Timestamp>();
            matches!((since, time), (Ok(since), Ok(time)) if time >= since)
        });
        matches(&self.id, &letter.id) && matches(&self.code, letter.code.name()) && is_late
    }

    /// Refuses a time that cannot be read.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(since) = &self.since {
            since.parse::<jiff::Timestamp>().with_context(|| {
                format!("--since {since}: RFC 3339 is wanted, such as 2026-01-31T12:00:00Z")
            })?;
        }
        Ok(())
    }
}

/// What a replay did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Sent again, or with a dry run: would be.
    pub(crate) replayed: u64,
    /// Too large to be kept whole, so that there is nothing to send.
    pub(crate) cut: u64,
}

/// Hands every letter of the selection to `take`, in the order of each partition.
pub(crate) async fn read(
    stream: &dyn Stream,
    topic: &str,
    selection: &Selection,
    mut take: impl FnMut(DeadLetter),
) -> anyhow::Result<()> {
    let described = stream.describe(&[topic]).await?;
    let Some(info) = described.into_iter().next().flatten() else {
        bail!("topic {topic} does not exist; weir topics creates it");
    };
    // What is written from here on is not read: a replay that fails again would go round.
    let mut left: HashMap<u32, u64> = HashMap::new();
    let mut starts = Vec::new();
    for (partition, (start, end)) in (0_u32..).zip(info.offsets) {
        if start < end {
            left.insert(partition, end);
            let topic = topic.into();
            starts.push((TopicPartition { topic, partition }, start));
        }
    }
    if starts.is_empty() {
        return Ok(());
    }
    let mut reader = stream.subscribe(&[topic], Start::Offsets(starts)).await?;
    while !left.is_empty() {
        let batch = reader.poll(1_000, PATIENCE).await?;
        if batch.records.is_empty() {
            bail!("topic {topic} ends before its end; try again");
        }
        for delivered in batch.records {
            let position = delivered.position;
            let partition = position.source.partition;
            let Some(end) = left.get(&partition).copied() else {
                continue;
            };
            if position.offset + 1 >= end {
                left.remove(&partition);
            }
            let record = delivered.record;
            let header = |name: &str| record.header(name).map(|value| &value[..]);
            if let Some(letter) = DeadLetter::read(record.value.clone(), header)
                && selection.takes(&letter)
            {
                take(letter);
            }
        }
    }
    Ok(())
}

/// Sends the letters of the selection back: those of the gateway to its collect route, those of
/// the other stages to the topic that the stage reads.
pub(crate) async fn replay(
    stream: &dyn Stream,
    plan: &Plan,
    selection: &Selection,
    is_dry: bool,
) -> anyhow::Result<Report> {
    let mut letters = Vec::new();
    read(stream, &plan.enricher.dead_topic, selection, |letter| {
        letters.push(letter);
    })
    .await?;
    let client = plan.client()?;
    let collect = plan.collect_url();
    let mut report = Report::default();
    for letter in letters {
        if !letter.is_replayable() {
            report.cut += 1;
            continue;
        }
        if !is_dry {
            let topic = match letter.stage {
                Stage::Gateway => {
                    let body = String::from_utf8_lossy(&letter.original).into_owned();
                    // A letter that is unfit still is refused again; the others go on.
                    if let Err(error) = send::post(&client, &collect, body).await {
                        println!("{}: {error:#}", letter.id);
                        continue;
                    }
                    report.replayed += 1;
                    continue;
                }
                Stage::Enricher => &plan.enricher.raw_topic,
                Stage::Sink => &plan.sink.enriched_topic,
            };
            stream.append(topic, vec![record(&letter)]).await?;
        }
        report.replayed += 1;
    }
    Ok(report)
}

fn record(letter: &DeadLetter) -> Record {
    let object = serde_json::from_slice::<serde_json::Value>(&letter.original);
    let object = object.unwrap_or_default();
    let names = ["user_domain_id", "session_id", "event_id"];
    let key = names.iter().find_map(|name| object.get(name)?.as_str());
    let time = letter.time.parse::<jiff::Timestamp>();
    Record {
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: letter.original.clone(),
        headers: Vec::new(),
        timestamp_ms: time.unwrap_or(jiff::Timestamp::UNIX_EPOCH).as_millisecond(),
    }
}
