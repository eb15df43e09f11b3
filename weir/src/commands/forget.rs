//! `weir forget`: hands a visitor's documents over, deletes them, and blocks their return.

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use event::forgotten::VISITOR_FIELDS;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Indices, Query, Store};
use stream::Stream;

use super::reach::{self, Process, Reach};
use crate::backend;
use crate::forget::{self, Receipt, Wish};
use crate::plan::{Plan, StreamPlan};

/// Documents of a page, the most that a search returns.
const PAGE: usize = 10_000;

/// Where the visitor's data is.
enum Way {
    /// Opened here.
    Here(Arc<dyn Stream>, Arc<dyn Store>),
    /// Held by a process.
    Process(Process),
}

impl Way {
    fn find(plan: &Plan) -> anyhow::Result<Self> {
        let stream = match reach::reach(plan)? {
            Reach::Stream(stream) => stream,
            Reach::Process(process) => return Ok(Self::Process(process)),
        };
        match backend::store(plan) {
            Ok(store) => Ok(Self::Here(stream, store)),
            Err(error) if reach::is_held(&error) => Ok(Self::Process(Process::new(plan)?)),
            Err(error) => Err(error),
        }
    }

    /// Searches, or lists the indices where `body` is null.
    async fn ask(&self, plan: &Plan, index: &str, body: &Value) -> anyhow::Result<Value> {
        match self {
            Self::Here(_, store) => {
                let indices = Indices::parse(index, &[&plan.index_prefix])?;
                let query = match body.is_null() {
                    true => Query::Mapping { indices },
                    false => Query::Search {
                        indices,
                        body: body.clone(),
                    },
                };
                Ok(store.query(&query).await?)
            }
            Self::Process(process) if body.is_null() => {
                let answer = process.get(&format!("/{index}/_mapping")).await?;
                let answer = answer.bytes().await?;
                serde_json::from_slice(&answer).context("the list of indices")
            }
            Self::Process(process) => process.ask(&format!("/{index}/_search"), body).await,
        }
    }
}

/// Forgets a visitor, with `export` after printing what there is.
pub(crate) async fn run(plan: &Plan, wish: &Wish, export: bool) -> anyhow::Result<()> {
    let way = Way::find(plan)?;
    if export {
        let exported = hand_over(&way, plan, &wish.user).await?;
        eprintln!("{exported} documents handed over");
    }
    let receipt = match &way {
        Way::Here(stream, store) => forget::forget(&**stream, &**store, plan, wish).await?,
        Way::Process(process) => process.ask("/forget", wish).await?,
    };
    let words = words(plan, &receipt);
    match export {
        true => eprint!("{words}"),
        false => print!("{words}"),
    }
    Ok(())
}

/// Prints every document of the visitor, a line each, the oldest day first; returns how many.
async fn hand_over(way: &Way, plan: &Plan, user: &str) -> anyhow::Result<usize> {
    let indices = way
        .ask(plan, &format!("{}-*", plan.index_prefix), &Value::Null)
        .await?;
    let indices = indices.as_object().context("the list of indices")?;
    let mut names: Vec<&String> = indices.keys().collect();
    names.sort();
    let spellings = forget::spellings(plan, user);
    let is_theirs: Vec<Value> = VISITOR_FIELDS
        .iter()
        .map(|field| json!({ "terms": { *field: spellings } }))
        .collect();
    let mut out = std::io::stdout().lock();
    let mut count = 0;
    for name in names {
        // A day's documents by their time, which is where the next page begins.
        let (mut from, mut seen) = (Value::Null, HashSet::new());
        loop {
            let mut query = json!({ "bool": { "should": is_theirs, "minimum_should_match": 1 } });
            if !from.is_null() {
                query["bool"]["filter"] = json!([{ "range": { "@timestamp": { "gte": from } } }]);
            }
            let sort = json!([{ "@timestamp": "asc" }]);
            let body = json!({ "query": query, "size": PAGE, "sort": sort });
            let answer = way.ask(plan, name, &body).await?;
            let hits = answer["hits"]["hits"].as_array();
            let hits = hits.context("the answer to a search")?;
            let before = seen.len();
            for hit in hits {
                if seen.insert(hit["_id"].clone().to_string()) {
                    writeln!(out, "{}", hit["_source"])?;
                }
            }
            if hits.len() < PAGE {
                break;
            }
            from = hits[PAGE - 1]["_source"]["@timestamp"].clone();
            if seen.len() == before {
                bail!("{name} holds more than {PAGE} documents of one instant; nothing is deleted");
            }
        }
        count += seen.len();
    }
    // Handed over means written: nothing is deleted before.
    out.flush().context("handing documents over")?;
    Ok(count)
}

/// The receipt.
fn words(plan: &Plan, receipt: &Receipt) -> String {
    use std::fmt::Write as _;

    let mut words = String::new();
    let at = receipt.tombstone.forgotten_at;
    let mut line = |name: &str, text: String| {
        let _ = writeln!(words, "{name:<10} {text}");
    };
    line("forgotten", at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let (documents, passes) = (receipt.documents, receipt.passes);
    line(
        "deleted",
        format!("{documents} documents in {passes} passes, the last of which found none"),
    );
    let blocked = match receipt.tombstone.is_for_all_time {
        true => "every event of this id, for all time",
        false => "events of this id that happened or were received before this",
    };
    line("blocked", blocked.to_owned());
    for kept in &receipt.topics {
        let records = kept.records;
        let until = match (kept.seconds, &plan.stream) {
            (Some(seconds), _) => {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                let until = at.as_second().saturating_add(seconds);
                match Timestamp::from_second(until) {
                    Ok(until) => format!("until {} or a segment later", until.strftime("%Y-%m-%d")),
                    Err(_) => "for ever: its retention has no end".to_owned(),
                }
            }
            (None, StreamPlan::Embedded(_)) if kept.topic == plan.enricher.dead_topic => {
                "until the data folder is deleted: dead letters are kept for replay".to_owned()
            }
            (None, StreamPlan::Embedded(_)) => {
                "until their segment is full and every stage has read it".to_owned()
            }
            (None, _) => "as long as the brokers' settings say".to_owned(),
        };
        line(
            "kept",
            format!(
                "{}: what was sent, among {records} records, {until}",
                kept.topic
            ),
        );
    }
    words
}
