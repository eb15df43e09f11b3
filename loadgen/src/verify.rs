//! Whether each acknowledged event is stored, once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use uuid::Uuid;

/// Ids of a search; each answer has room for as many copies again.
const CHUNK: usize = 1_000;

/// The state of the acknowledged events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Events acknowledged.
    pub acknowledged: usize,
    /// Found exactly once.
    pub once: usize,
    /// Not found.
    pub missing: Vec<Uuid>,
    /// Found more than once.
    pub doubled: Vec<Uuid>,
}

impl Verdict {
    /// Whether every event was found, and only once.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.missing.is_empty() && self.doubled.is_empty()
    }
}

/// Looks every id up below `store`, in indices that `index` names, until all are found or
/// `patience` is over; then counts copies.
///
/// # Errors
/// When the store does not answer a search.
pub async fn run(
    store: &str,
    index: &str,
    ids: &[Uuid],
    patience: Duration,
) -> anyhow::Result<Verdict> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/{index}/_search", store.trim_end_matches('/'));
    let since = Instant::now();
    let mut copies: HashMap<Uuid, usize> = HashMap::with_capacity(ids.len());
    let progress = crate::drive::progress(ids.len() as u64);
    for chunk in ids.chunks(CHUNK) {
        loop {
            let found = search(&client, &url, chunk).await?;
            let is_complete = chunk.iter().all(|id| found.contains_key(id));
            if is_complete || since.elapsed() > patience {
                copies.extend(found);
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        progress.inc(chunk.len() as u64);
    }
    progress.finish_and_clear();
    let mut verdict = Verdict {
        acknowledged: ids.len(),
        ..Verdict::default()
    };
    for id in ids {
        match copies.get(id) {
            None => verdict.missing.push(*id),
            Some(1) => verdict.once += 1,
            Some(_) => verdict.doubled.push(*id),
        }
    }
    Ok(verdict)
}

async fn search(
    client: &reqwest::Client,
    url: &str,
    ids: &[Uuid],
) -> anyhow::Result<HashMap<Uuid, usize>> {
    let body = json!({
        "query": { "terms": { "event_id": ids } },
        "size": 2 * CHUNK,
        "_source": ["event_id"],
    });
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .with_context(|| format!("no store answers at {url}"))?;
    let status = answer.status();
    let text = answer.text().await?;
    // An engine refuses to search an index that it is just making.
    if status == 503 {
        return Ok(HashMap::new());
    }
    if !status.is_success() {
        bail!("{url} answers {status}: {text}");
    }
    let answer: Value = serde_json::from_str(&text)?;
    let hits = answer["hits"]["hits"]
        .as_array()
        .context("the answer has no hits")?;
    let mut found = HashMap::new();
    for hit in hits {
        let id = hit["_source"]["event_id"].as_str().unwrap_or_default();
        if let Ok(id) = id.parse::<Uuid>() {
            *found.entry(id).or_default() += 1;
        }
    }
    Ok(found)
}
