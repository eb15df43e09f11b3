//! `weir topics`: creates the topics that are missing and reports the others.

use stream::{Stream as _, TopicOutcome};

use crate::backend::{self, OpenStream};
use crate::plan::{Plan, StreamPlan};

/// Creates and reports; one line per topic.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<()> {
    if let StreamPlan::Embedded(_) = plan.stream {
        println!("stream is embedded: weir up makes its topics when it starts");
        return Ok(());
    }
    let OpenStream::Kafka(kafka) = backend::stream(plan)? else {
        return Ok(());
    };
    let outcomes = backend::topics(plan, &*kafka).await?;
    let names: Vec<&str> = plan.topics.iter().map(|spec| spec.name.as_str()).collect();
    let infos = kafka.describe(&names).await?;
    for ((spec, outcome), info) in plan.topics.iter().zip(outcomes).zip(infos) {
        let done = match outcome {
            TopicOutcome::Created => "created",
            TopicOutcome::Existed => "exists",
            TopicOutcome::Refused(_) => "refused",
        };
        let Some(info) = info else {
            println!("{}: {done}, not yet visible", spec.name);
            continue;
        };
        let records: u64 = info.offsets.iter().map(|(start, end)| end - start).sum();
        println!(
            "{}: {done}, {} partitions, {} copies, {} in sync needed, {records} records",
            spec.name,
            info.offsets.len(),
            info.replication_factor.unwrap_or(1),
            info.min_insync_replicas
                .map_or("unknown".into(), |n| n.to_string()),
        );
        let wanted = spec.partitions as usize;
        if info.offsets.len() != wanted {
            println!("  topics.partitions says {wanted}; an existing topic is not altered");
        }
    }
    Ok(())
}
