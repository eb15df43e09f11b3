//! `weir explain` and `weir geo lookup`: what each enrichment says, and why.

use std::net::IpAddr;

use enricher::{Question, explain};

use super::terminal::safe;
use crate::plan::Plan;

/// Longest value shown.
const MAX_CHARS: usize = 200;

/// Prints one line per finding.
pub(crate) fn run(
    plan: &Plan,
    url: Option<&str>,
    referrer: Option<&str>,
    agent: Option<&str>,
    ip: Option<IpAddr>,
) -> anyhow::Result<()> {
    let enricher = enricher::Enricher::new(plan.enricher.clone())?;
    let question = Question {
        url,
        referrer,
        agent,
        ip,
    };
    for finding in explain(&enricher, &question) {
        let value = match finding.value.is_empty() {
            true => "-".to_owned(),
            false => safe(&finding.value, MAX_CHARS),
        };
        println!(
            "{:<7} {:<18} {value}  ({})",
            finding.step,
            finding.field,
            safe(&finding.reason, MAX_CHARS)
        );
    }
    Ok(())
}
