//! Log lines to standard error, as text for people or JSON for machines.

use std::io::{IsTerminal, stderr};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// Always text.
    Text,
    /// Always one JSON object a line.
    Json,
}

/// Starts logging. `level` is a filter such as `info` or `info,gateway=debug`.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn init(level: &str, format: Format) -> anyhow::Result<()> {
    // The libraries below say at info what concerns nobody.
    let defaults = "tantivy=warn,hyper=warn,reqwest=warn,rustls=warn";
    let filter = EnvFilter::try_new(format!("{defaults},{level}"))
        .with_context(|| format!("[log] level: cannot read \"{level}\""))?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_target(false);
    let text = match format {
        Format::Auto => stderr().is_terminal(),
        Format::Text => true,
        Format::Json => false,
    };
    let started = if text {
        builder.with_ansi(stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
