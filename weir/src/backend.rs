//! The only list of back ends.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gateway::spool::Spool;
use store::{Elasticsearch, EmbeddedStore, Store};
use stream::embedded::EmbeddedLog;
use stream::kafka::Kafka;
use stream::{Stream, TopicOutcome};

use crate::plan::{Plan, StorePlan, StreamPlan};

/// The configured stream.
pub(crate) enum OpenStream {
    /// In the data folder.
    Embedded(Arc<EmbeddedLog>),
    /// On brokers.
    Kafka(Arc<Kafka>),
}

impl OpenStream {
    pub(crate) fn stream(&self) -> Arc<dyn Stream> {
        match self {
            Self::Embedded(log) => log.clone(),
            Self::Kafka(kafka) => kafka.clone(),
        }
    }
}

/// How long an event of a gateway without a spool waits for an acknowledgement: its client waits too.
const WITHOUT_SPOOL: Duration = Duration::from_secs(2);

/// Opens the configured stream. Brokers are not dialled.
pub(crate) fn stream(plan: &Plan) -> anyhow::Result<OpenStream> {
    Ok(match &plan.stream {
        StreamPlan::Embedded(options) => {
            let log = EmbeddedLog::open(&plan.data_dir.join("log"), options.clone())?;
            OpenStream::Embedded(Arc::new(log))
        }
        StreamPlan::Kafka(options) => OpenStream::Kafka(Arc::new(Kafka::new((**options).clone())?)),
    })
}

/// The gateway's own way to the brokers, on which nothing stands behind what other stages send.
/// `None` where the stream is embedded.
pub(crate) fn gateway_stream(plan: &Plan) -> anyhow::Result<Option<Arc<dyn Stream>>> {
    let StreamPlan::Kafka(options) = &plan.stream else {
        return Ok(None);
    };
    let mut options = (**options).clone();
    if plan.spool.is_none() {
        options.delivery_timeout = WITHOUT_SPOOL;
    }
    Ok(Some(Arc::new(Kafka::new(options)?)))
}

/// Opens the gateway's spool, where there is one.
pub(crate) async fn spool(plan: &Plan) -> anyhow::Result<Option<Arc<Spool>>> {
    let Some(options) = &plan.spool else {
        return Ok(None);
    };
    let folder = plan.data_dir.join("spool");
    Ok(Some(Arc::new(Spool::open(&folder, options.clone()).await?)))
}

/// Creates the topics that are missing; one outcome per topic of the plan, same order.
pub(crate) async fn topics(plan: &Plan, stream: &dyn Stream) -> anyhow::Result<Vec<TopicOutcome>> {
    let outcomes = stream
        .create_topics(&plan.topics)
        .await
        .context("topics cannot be made")?;
    for (spec, outcome) in plan.topics.iter().zip(&outcomes) {
        if let TopicOutcome::Refused(reason) = outcome {
            anyhow::bail!("[topics] {}: {reason}", spec.name);
        }
    }
    Ok(outcomes)
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
