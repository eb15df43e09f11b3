//! Kibana's objects: data views, saved searches, dashboards, alert rules.
//!
//! - [`source`]: the one readable source, `deploy/kibana/weir.toml`
//! - `lens`: a panel as Kibana's editor would save it
//! - `objects`: all of it as saved objects, in the old versions that every Kibana from 8.8 takes
//! - `rules`: alert rules
//! - `client`: Kibana's API

mod client;
mod lens;
mod objects;
mod rules;
pub(crate) mod source;
#[cfg(test)]
mod tests;

pub(crate) use client::Options;

use source::Source;

/// The saved objects for an index prefix, one a line.
pub(crate) fn ndjson(prefix: &str) -> anyhow::Result<String> {
    let source = Source::read(prefix)?;
    let objects = objects::all(&source, prefix)?;
    Ok(objects.iter().map(|object| format!("{object}\n")).collect())
}

/// Installs everything; hands each line for people to `say`. With `is_dry`, only asks.
///
/// # Errors
/// When Kibana cannot be reached or refuses; names the setting.
pub(crate) async fn install(
    options: &Options,
    prefix: &str,
    is_dry: bool,
    say: impl Fn(String),
) -> anyhow::Result<()> {
    let source = Source::read(prefix)?;
    let objects = objects::all(&source, prefix)?;
    let rules = rules::all(&source, prefix);
    let client = client::Client::new(options)?;
    say(client.status().await?);
    if is_dry {
        say(format!(
            "would import {} saved objects and write {} alert rules into space [{}]",
            objects.len(),
            rules.len(),
            client.space()
        ));
        return Ok(());
    }
    say(client.ensure_space().await?);
    say(client.import(&objects).await?);
    for rule in &rules {
        say(client.put_rule(rule).await?);
    }
    Ok(())
}
