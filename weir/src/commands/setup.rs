//! `weir setup`: what the store needs, and what Kibana shows; idempotent.

use serde_json::json;
use store::Elasticsearch;
use store::elasticsearch::Distribution;

use crate::backend;
use crate::cli::{Print, Setup};
use crate::kibana;
use crate::plan::{Plan, StorePlan};

/// Installs and reports; one line per thing done or found absent.
pub(crate) async fn run(plan: &Plan, setup: &Setup) -> anyhow::Result<()> {
    if let Some(target) = setup.print {
        return print(plan, target);
    }
    match &plan.store {
        StorePlan::Embedded => {
            println!("store is embedded: weir up makes its folders when it starts");
        }
        StorePlan::Elasticsearch(options) if setup.dry_run => {
            let store = Elasticsearch::new((**options).clone())?;
            for line in store.rehearse().await? {
                println!("{line}");
            }
        }
        StorePlan::Elasticsearch(_) => {
            for line in backend::store(plan)?.prepare().await? {
                println!("{line}");
            }
        }
    }
    let Some(options) = &plan.kibana else {
        println!("no kibana.url: weir setup --print has the objects to import by hand");
        return Ok(());
    };
    let say = |line| println!("{line}");
    kibana::install(options, &plan.index_prefix, setup.dry_run, say).await
}

/// Prints saved objects, or requests with path and body, one a line.
fn print(plan: &Plan, target: Print) -> anyhow::Result<()> {
    let distribution = match target {
        Print::Kibana => {
            print!("{}", kibana::ndjson(&plan.index_prefix)?);
            return Ok(());
        }
        Print::Elasticsearch => Distribution::Elasticsearch,
        Print::Opensearch => Distribution::OpenSearch,
    };
    let StorePlan::Elasticsearch(options) = &plan.store else {
        anyhow::bail!("store is embedded: it has no templates");
    };
    for (path, body) in Elasticsearch::new((**options).clone())?.bodies(distribution) {
        println!("{}", json!({ "method": "PUT", "path": path, "body": body }));
    }
    Ok(())
}
