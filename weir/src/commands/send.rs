//! `weir send`: one test event, or NDJSON from a file, to a gateway.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;

/// Bytes of a request's body at most; below the gateway's default limit.
const MAX_BODY_BYTES: usize = 512 << 10;

/// Events of a request at most: the gateway's default limit.
const MAX_EVENTS: usize = 1_000;

/// Sends and tells what the gateway answered.
pub(crate) async fn run(
    client: &reqwest::Client,
    url: &str,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let Some(file) = file else {
        let id = uuid::Uuid::now_v7().to_string();
        let event = json!({
            "event_id": id,
            "event_type": "weir_test",
            "event_timestamp": jiff::Timestamp::now().to_string(),
            "page_url": "https://example.org/?utm_source=weir&utm_medium=test",
        });
        post(client, url, event.to_string()).await?;
        println!("accepted: event_id {id}");
        return Ok(());
    };
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()).context("standard input")?,
        false => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
    };
    let (mut sent, mut body, mut events) = (0, String::new(), 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if events == MAX_EVENTS || body.len() + line.len() > MAX_BODY_BYTES {
            post(client, url, std::mem::take(&mut body)).await?;
            sent += std::mem::take(&mut events);
        }
        body.push_str(line);
        body.push('\n');
        events += 1;
    }
    if events > 0 {
        post(client, url, body).await?;
        sent += events;
    }
    println!("sent: {sent} events");
    Ok(())
}

/// Posts NDJSON; partly unfit batches are told and go on.
pub(crate) async fn post(client: &reqwest::Client, url: &str, body: String) -> anyhow::Result<()> {
    let request = client
        .post(url)
        .header("content-type", "application/x-ndjson")
        .body(body);
    let answer = request
        .send()
        .await
        .with_context(|| format!("no gateway answers at {url}; is gateway.listen right?"))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    match status.as_u16() {
        204 => Ok(()),
        200 => {
            println!("partly unfit: {}", text.trim());
            Ok(())
        }
        _ => bail!("{url} answers {status}: {}", text.trim()),
    }
}

/// Posts one event; whether it was accepted. A gateway that cannot take it now is asked again.
///
/// # Errors
/// When no gateway answers, or it stays unable.
pub(crate) async fn post_one(
    client: &reqwest::Client,
    url: &str,
    body: Vec<u8>,
) -> anyhow::Result<bool> {
    for wait in [0, 1, 2, 4, 8] {
        tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
        let request = client.post(url).header("content-type", "application/json");
        let answer = request.body(body.clone()).send().await;
        let answer = answer
            .with_context(|| format!("no gateway answers at {url}; is gateway.listen right?"))?;
        match answer.status().as_u16() {
            204 => return Ok(true),
            408 | 429 | 500.. => {}
            _ => return Ok(false),
        }
    }
    bail!("{url} takes nothing now; try again later");
}
