//! `weir tail`: live events of a topic. It joins no group, so that the stages are not disturbed.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use stream::{Start, Stream};

use super::reach::Reach;
use super::terminal::safe;

/// Longest line shown.
const MAX_CHARS: usize = 100_000;

/// A member that must have a value.
#[derive(Debug, Clone)]
pub(crate) struct Where {
    field: String,
    value: String,
}

impl std::str::FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (field, value) = text.split_once('=').ok_or("field=value is wanted")?;
        Ok(Self {
            field: field.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl Where {
    fn holds(&self, event: &Value) -> bool {
        let text = match event.get(&self.field) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => return false,
        };
        text == self.value
    }
}

/// Prints what comes, a line each, until interrupted.
pub(crate) async fn run(reach: &Reach, topic: &str, wanted: &[Where]) -> anyhow::Result<()> {
    let print = |line: &[u8]| -> std::io::Result<()> {
        let is_wanted = wanted.is_empty()
            || serde_json::from_slice(line)
                .is_ok_and(|event: Value| wanted.iter().all(|member| member.holds(&event)));
        if is_wanted {
            let text = String::from_utf8_lossy(line);
            writeln!(std::io::stdout(), "{}", safe(&text, MAX_CHARS))?;
        }
        Ok(())
    };
    match reach {
        Reach::Stream(stream) => follow(&**stream, topic, print).await,
        Reach::Process(process) => {
            let path = format!("/topics/{topic}/tail");
            let mut answer = process.get(&path).await?;
            let mut rest = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                rest.extend_from_slice(&chunk);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    print(&line[..end])?;
                }
            }
            Ok(())
        }
    }
}

/// Hands each record's value, as one line, to `print` until that fails.
pub(crate) async fn follow(
    stream: &dyn Stream,
    topic: &str,
    mut print: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = stream.subscribe(&[topic], Start::Latest).await?;
    loop {
        let batch = reader.poll(1_000, Duration::from_secs(1)).await?;
        for delivered in batch.records {
            // The reader of the lines has gone: that is how a tail ends.
            if print(&delivered.record.value).is_err() {
                return Ok(());
            }
        }
    }
}
