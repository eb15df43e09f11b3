//! `weir check`: whether the configuration and what it names can work.

use std::fmt::Display;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;
use store::Elasticsearch;
use stream::Stream as _;

use crate::backend::{self, OpenStream};
use crate::plan::{Plan, StorePlan, StreamPlan};

/// Gathers verdicts, one line each.
#[derive(Default)]
struct Verdicts {
    errors: usize,
}

impl Verdicts {
    fn good(&mut self, key: &str, words: impl Display) {
        println!("good     {key}: {words}");
    }

    fn warning(&mut self, key: &str, words: impl Display) {
        println!("warning  {key}: {words}");
    }

    fn error(&mut self, key: &str, words: impl Display) {
        self.errors += 1;
        println!("error    {key}: {words}");
    }
}

/// Checks the environment, and with `connect` the services; whether all is good.
pub(crate) async fn run(plan: &Plan, connect: bool) -> anyhow::Result<bool> {
    let mut verdicts = Verdicts::default();
    folder(plan, &mut verdicts);
    for (key, address) in [
        ("gateway.listen", plan.gateway_listen),
        ("admin.listen", plan.admin_listen),
    ] {
        match TcpListener::bind(address) {
            Ok(_) => verdicts.good(key, format!("{address} is free")),
            Err(error) => verdicts.warning(key, format!("{address}: {error}")),
        }
    }
    match enricher::Enricher::new(plan.enricher.clone()) {
        Ok(_) if plan.enricher.geoip.is_empty() => {
            verdicts.warning("enricher.geoip", "the demo file knows test addresses alone");
        }
        Ok(_) => verdicts.good("enricher.geoip", "every file can be used"),
        Err(error) => verdicts.error("enricher.geoip", format!("{error:#}")),
    }
    if connect {
        brokers(plan, &mut verdicts).await?;
        nodes(plan, &mut verdicts).await?;
    }
    Ok(verdicts.errors == 0)
}

/// Asks the running process whether it is ready, for health checks of containers that have no other
/// client.
pub(crate) async fn running(plan: &Plan) -> anyhow::Result<bool> {
    let mut address = plan.admin_listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let url = format!("http://{address}/readyz");
    let client = reqwest::Client::builder().no_proxy();
    let client = client.timeout(Duration::from_secs(5)).build()?;
    let answer = client.get(&url).send().await;
    let answer = answer.with_context(|| format!("nothing answers at {url}"))?;
    let is_ready = answer.status().is_success();
    print!("{}", answer.text().await.unwrap_or_default());
    Ok(is_ready)
}

fn folder(plan: &Plan, verdicts: &mut Verdicts) {
    let is_needed = matches!(plan.stream, StreamPlan::Embedded(_))
        || matches!(plan.store, StorePlan::Embedded)
        || plan.spool.is_some();
    if !is_needed {
        return;
    }
    let folder = &plan.data_dir;
    // The nearest folder that is there must take a file.
    let existing = folder.ancestors().find(|path| path.exists());
    let Some(existing) = existing else {
        return verdicts.error(
            "data_dir",
            format!("{}: nothing is there", folder.display()),
        );
    };
    let probe = existing.join(format!(".weir-check-{}", std::process::id()));
    let written = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    match written {
        Ok(()) => verdicts.good("data_dir", format!("{} can be written", folder.display())),
        Err(error) => verdicts.error("data_dir", format!("{}: {error}", existing.display())),
    }
}

async fn brokers(plan: &Plan, verdicts: &mut Verdicts) -> anyhow::Result<()> {
    let StreamPlan::Kafka(_) = plan.stream else {
        return Ok(());
    };
    let OpenStream::Kafka(kafka) = backend::stream(plan)? else {
        return Ok(());
    };
    match kafka.brokers().await {
        Ok(brokers) => verdicts.good("stream", format!("brokers {}", brokers.join(", "))),
        Err(error) => {
            verdicts.error("stream", error);
            return Ok(());
        }
    }
    let names: Vec<&str> = plan.topics.iter().map(|spec| spec.name.as_str()).collect();
    let infos = match kafka.describe(&names).await {
        Ok(infos) => infos,
        Err(error) => {
            verdicts.error("topics", error);
            return Ok(());
        }
    };
    for (name, info) in names.iter().zip(infos) {
        let key = format!("topics, {name}");
        let Some(info) = info else {
            verdicts.error(&key, "does not exist; weir topics creates it");
            continue;
        };
        let copies = info.replication_factor.unwrap_or(1);
        match info.min_insync_replicas {
            Some(needed) if needed > copies => {
                verdicts.error(
                    &key,
                    format!("{needed} in sync needed of {copies} copies: nothing can be written"),
                );
            }
            Some(needed) if needed == copies && copies > 1 => {
                verdicts.warning(
                    &key,
                    format!("{copies} copies, all needed in sync: one broker away stops it"),
                );
            }
            _ if copies == 1 => {
                verdicts.warning(
                    &key,
                    "one copy: an acknowledged event lives as long as its broker's disk",
                );
            }
            Some(1) => {
                verdicts.warning(&key, format!("{copies} copies, but min.insync.replicas 1: an acknowledgement may mean one copy"));
            }
            needed => {
                let needed = needed.map_or("unknown".into(), |n| n.to_string());
                verdicts.good(&key, format!("{copies} copies, {needed} in sync needed"));
            }
        }
    }
    Ok(())
}

async fn nodes(plan: &Plan, verdicts: &mut Verdicts) -> anyhow::Result<()> {
    let StorePlan::Elasticsearch(options) = &plan.store else {
        return Ok(());
    };
    match Elasticsearch::new((**options).clone())?.ping().await {
        Ok(engine) => verdicts.good("store", engine),
        Err(error) => verdicts.error("store", error),
    }
    Ok(())
}
