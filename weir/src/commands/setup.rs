//! `weir setup`: what the store needs; idempotent.

use crate::backend;
use crate::plan::{Plan, StorePlan};

/// Installs and reports; one line per thing done or found absent.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<()> {
    if let StorePlan::Embedded = plan.store {
        println!("store is embedded: weir up makes its folders when it starts");
        return Ok(());
    }
    for line in backend::store(plan)?.prepare().await? {
        println!("{line}");
    }
    Ok(())
}
