//! Forgetting a visitor: a tombstone first, then the deletion, until nothing of theirs comes back.
//!
//! The tombstone is durable before anything is deleted. So a command that is killed leaves a
//! visitor whose events are refused and whose documents are still there; the same command again
//! goes on. What was under way between the stages when the tombstone was written may still reach
//! the store: the deletion is repeated until a pass finds nothing.

use std::sync::Arc;

use std::time::Duration;

use anyhow::{Context as _, bail};
use event::forgotten::{self, Tombstone, VISITOR_FIELDS};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Doomed, Store};
use stream::{Record, Stream, TopicOutcome};

use crate::plan::Plan;

/// Time between two passes: the stages see a tombstone within milliseconds, and then finish what
/// they have in hand.
const PASS_INTERVAL: Duration = Duration::from_secs(2);

/// The same after the topic of tombstones was made: stages look for a missing one every 5 s.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);

/// Passes after which something is wrong: the stages do not see the tombstone.
const MAX_PASSES: u32 = 15;

/// What is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// The visitor's `user_custom_id` or `user_domain_id`.
    pub(crate) user: String,
    /// Whether later events of the id are refused too.
    pub(crate) for_all_time: bool,
}

/// What was done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) tombstone: Tombstone,
    /// Documents deleted.
    pub(crate) documents: u64,
    /// Passes over the store, the last of which found nothing.
    pub(crate) passes: u32,
    pub(crate) topics: Vec<Kept>,
}

/// What a topic still keeps.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) topic: String,
    pub(crate) records: u64,
    /// How long the brokers keep a record, where they say.
    pub(crate) seconds: Option<u64>,
}

/// Every spelling of an id in documents: as it is, and its pseudonym.
pub(crate) fn spellings(plan: &Plan, user: &str) -> Vec<String> {
    let privacy = &plan.enricher.privacy;
    let pseudonyms = VISITOR_FIELDS
        .iter()
        .filter_map(|field| enricher::pseudonym(privacy, field, user));
    let mut spellings: Vec<String> = pseudonyms.chain([user.to_owned()]).collect();
    spellings.sort();
    spellings.dedup();
    spellings
}

/// Forgets a visitor.
pub(crate) async fn forget(
    stream: &dyn Stream,
    store: &dyn Store,
    plan: &Plan,
    wish: &Wish,
) -> anyhow::Result<Receipt> {
    if wish.user.is_empty() {
        bail!("--user: an id is wanted");
    }
    let topic = &plan.enricher.forgotten_topic;
    let is_new = make_topic(stream, plan, topic).await?;
    let tombstone = Tombstone {
        forgotten_at: Timestamp::now(),
        is_for_all_time: wish.for_all_time,
    };
    let spellings = spellings(plan, &wish.user);
    let value = serde_json::to_vec(&tombstone)?;
    let record = |id: &String| Record {
        key: Some(forgotten::key(id).into()),
        value: value.clone().into(),
        headers: Arc::default(),
        timestamp_ms: tombstone.forgotten_at.as_millisecond(),
    };
    let records: Vec<_> = spellings.iter().map(record).collect();
    let appended = stream.append(topic, &records).await;
    appended.context("the tombstone")?;
    let mut receipt = Receipt {
        tombstone,
        documents: delete(store, &spellings).await?,
        passes: 1,
        topics: Vec::new(),
    };
    let mut wait = if is_new {
        FIRST_INTERVAL
    } else {
        PASS_INTERVAL
    };
    loop {
        tokio::time::sleep(wait).await;
        wait = PASS_INTERVAL;
        let documents = delete(store, &spellings).await?;
        receipt.documents += documents;
        receipt.passes += 1;
        if documents == 0 {
            break;
        }
        if receipt.passes == MAX_PASSES {
            bail!("documents of the visitor still come in: do enricher and sink read {topic}?");
        }
    }
    receipt.topics = kept(stream, plan).await?;
    Ok(receipt)
}

/// Makes the topic of tombstones where it is missing; whether it was.
async fn make_topic(stream: &dyn Stream, plan: &Plan, topic: &str) -> anyhow::Result<bool> {
    let spec = plan.topics.iter().find(|spec| spec.name == *topic);
    let spec = spec.context("the plan lacks the topic of tombstones")?;
    let outcomes = stream.create_topics(std::slice::from_ref(spec)).await?;
    match outcomes.into_iter().next() {
        Some(TopicOutcome::Created) => Ok(true),
        Some(TopicOutcome::Refused(reason)) => bail!("[topics] {topic}: {reason}"),
        _ => Ok(false),
    }
}

/// One pass over the store.
async fn delete(store: &dyn Store, spellings: &[String]) -> anyhow::Result<u64> {
    let mut documents = 0;
    for field in VISITOR_FIELDS {
        for value in spellings {
            let value = value.clone();
            let deleted = store.delete(&Doomed::Of { field, value }).await;
            documents += deleted.context("deleting documents")?.documents;
        }
    }
    Ok(documents)
}

/// The topics in which events of visitors lie, with what they keep.
async fn kept(stream: &dyn Stream, plan: &Plan) -> anyhow::Result<Vec<Kept>> {
    let enricher = &plan.enricher;
    let of_visitors = |name: &&str| {
        let topics = [
            &enricher.raw_topic,
            &enricher.enriched_topic,
            &enricher.bot_topic,
            &enricher.dead_topic,
        ];
        topics.iter().any(|topic| topic == name)
    };
    let names: Vec<&str> = plan.topics.iter().map(|spec| spec.name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().filter(of_visitors).collect();
    let infos = stream.describe(&names).await?;
    let kept = infos.into_iter().flatten().map(|info| Kept {
        records: info.offsets.iter().map(|(start, end)| end - start).sum(),
        seconds: info.retention.map(|age| age.as_secs()),
        topic: info.name,
    });
    Ok(kept.collect())
}
