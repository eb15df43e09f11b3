//! The only list of back ends.

use std::sync::Arc;

use anyhow::Context as _;
use store::{Elasticsearch, EmbeddedStore, Store};
use stream::Stream as _;
use stream::TopicOutcome;
use stream::embedded::EmbeddedLog;

use crate::plan::{Plan, StorePlan};

/// Opens the embedded log and makes its topics.
pub(crate) async fn log(plan: &Plan) -> anyhow::Result<Arc<EmbeddedLog>> {
    let log = EmbeddedLog::open(&plan.data_dir.join("log"), plan.log.clone())?;
    let outcomes = log
        .create_topics(&plan.topics)
        .await
        .context("topics cannot be made")?;
    for (spec, outcome) in plan.topics.iter().zip(outcomes) {
        if let TopicOutcome::Refused(reason) = outcome {
            anyhow::bail!("[topics] {}: {reason}", spec.name);
        }
    }
    Ok(Arc::new(log))
}

/// Opens the configured store.
pub(crate) fn store(plan: &Plan) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match &plan.store {
        StorePlan::Embedded => Arc::new(EmbeddedStore::open(
            &plan.data_dir.join("store"),
            &plan.index_prefix,
        )?),
        StorePlan::Elasticsearch(options) => Arc::new(Elasticsearch::new((**options).clone())?),
    })
}
