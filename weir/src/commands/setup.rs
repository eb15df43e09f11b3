//! `weir setup`: what the store needs, and what Kibana shows; idempotent.

use crate::backend;
use crate::cli::Setup;
use crate::kibana;
use crate::plan::{Plan, StorePlan};

/// Installs and reports; one line per thing done or found absent.
pub(crate) async fn run(plan: &Plan, setup: &Setup) -> anyhow::Result<()> {
    if setup.print {
        print!("{}", kibana::ndjson(&plan.index_prefix)?);
        return Ok(());
    }
    match &plan.store {
        StorePlan::Embedded => {
            println!("store is embedded: weir up makes its folders when it starts");
        }
        StorePlan::Elasticsearch(options) if setup.dry_run => {
            let engine = store::Elasticsearch::new((**options).clone())?
                .ping()
                .await?;
            println!("{engine}");
            println!("would write index templates for {}-*", plan.index_prefix);
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
