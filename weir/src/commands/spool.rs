//! `weir spool`: events that wait on the gateway's disk.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ::stream::{Consumer, StreamError};
use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, pin_mut, stream};
use gateway::spool::{self, Kind, Report, Spool};
use serde_json::json;

use super::reach::{Process, is_held};
use crate::backend;
use crate::config::units::Size;
use crate::plan::Plan;

/// Records read at a time.
const BATCH: usize = 1_000;

/// The spool, or the gateway that holds it.
enum Holder {
    Here(Arc<Spool>),
    Process(Process),
}

async fn holder(plan: &Plan) -> anyhow::Result<Holder> {
    match backend::spool(plan).await {
        Ok(Some(spool)) => Ok(Holder::Here(spool)),
        Ok(None) => bail!(
            "there is no spool: it is for stream = \"kafka://..\" and gateway.spool_max_bytes above 0"
        ),
        Err(error) if is_held(&error) => Ok(Holder::Process(Process::new(plan)?)),
        Err(error) => Err(error),
    }
}

/// Prints what lies in the spool.
pub(crate) async fn list(plan: &Plan) -> anyhow::Result<()> {
    let report: Report = match holder(plan).await? {
        Holder::Here(spool) => spool.report().await?,
        Holder::Process(process) => process.ask("/spool/list", &json!({})).await?,
    };
    println!("events        {}", report.events);
    println!("dead letters  {}, among them", report.dead_letters);
    println!(
        "bytes         {} of {}",
        report.bytes,
        Size(report.max_bytes)
    );
    match report.oldest_seconds {
        Some(seconds) => println!("oldest        {seconds} s"),
        None => println!("oldest        none"),
    }
    println!(
        "damaged       {} bytes, {} files set aside",
        report.damaged_bytes, report.damaged_files
    );
    Ok(())
}

/// Sends on what lies in the spool; whether it is empty then.
pub(crate) async fn drain(plan: &Plan) -> anyhow::Result<bool> {
    let left = match holder(plan).await? {
        Holder::Here(spool) => {
            let stream = backend::gateway_stream(plan)?.context("a spool is for kafka")?;
            let gateway = &plan.gateway;
            let topics = (&gateway.raw_topic, &gateway.dead_topic);
            let sent = spool::empty(&spool, &stream, topics.0, topics.1).await?;
            println!("{sent} sent");
            spool.close(plan.grace).await?;
            0
        }
        Holder::Process(process) => {
            let report: Report = process.ask("/spool/drain", &json!({})).await?;
            report.events
        }
    };
    println!("{left} left");
    Ok(left == 0)
}

/// Prints the events that wait, one a line; they stay where they are.
pub(crate) async fn export(plan: &Plan) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match holder(plan).await? {
        Holder::Here(spool) => {
            let lines = lines(spool.waiting(Kind::Raw).await?);
            pin_mut!(lines);
            while let Some(chunk) = lines.next().await {
                out.write_all(&chunk?)?;
            }
        }
        Holder::Process(process) => {
            let mut answer = process.get("/spool/export").await?;
            while let Some(chunk) = answer.chunk().await? {
                out.write_all(&chunk)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// The values of the records before the end, a line each.
pub(crate) fn lines(
    reader: Box<dyn Consumer>,
) -> impl Stream<Item = Result<Bytes, StreamError>> + Send {
    stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        let batch = match reader.poll(BATCH, Duration::ZERO).await {
            Ok(batch) if batch.records.is_empty() => return None,
            Ok(batch) => batch,
            Err(error) => return Some((Err(error), None)),
        };
        let mut lines = BytesMut::new();
        for delivered in batch.records {
            lines.extend_from_slice(&delivered.record.value);
            lines.extend_from_slice(b"\n");
        }
        Some((Ok(lines.freeze()), Some(reader)))
    })
}
