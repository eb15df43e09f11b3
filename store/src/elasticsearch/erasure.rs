//! Deleting the documents of one visitor: found by pages, and deleted by bulks.

use serde::Deserialize;
use serde_json::json;

use super::{
    fault::answer_fault,
    nodes::{Answer, Nodes, Request},
};
use crate::StoreError;

/// Documents of a page: few enough to be deleted within the time-out of a request.
const PAGE: usize = 2_000;

const LENIENT: [(&str, &str); 2] = [("ignore_unavailable", "true"), ("allow_no_indices", "true")];

#[derive(Deserialize)]
struct Found {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    _index: String,
    _id: String,
}

#[derive(Deserialize)]
struct Bulk {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    delete: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
}

/// Deletes every document of the prefix's daily indices whose field has this value.
pub(super) async fn erase(
    nodes: &Nodes,
    prefix: &str,
    field: &str,
    value: &str,
) -> Result<u64, StoreError> {
    // What was written a moment ago is found once it is refreshed.
    let path = format!("/{prefix}-*/_refresh");
    let refresh = Request::post(&path, "").parameters(&LENIENT);
    let answer = nodes.send(&refresh).await?;
    if !matches!(answer.status, 200 | 404) {
        return Err(answer_fault(&answer, "making documents visible"));
    }
    let path = format!("/{prefix}-*/_search");
    let query = json!({ "term": { field: { "value": value } } });
    let body = json!({ "query": query, "size": PAGE, "_source": false }).to_string();
    let partial = ("allow_partial_search_results", "false");
    let parameters = [LENIENT[0], LENIENT[1], partial];
    let mut erased = 0;
    loop {
        let request = Request::post(&path, body.clone()).parameters(&parameters);
        let answer = nodes.send(&request).await?;
        let found: Found = match answer.status {
            200 => read(&answer)?,
            404 => return Ok(erased),
            _ => return Err(answer_fault(&answer, "looking for documents")),
        };
        if found.hits.hits.is_empty() {
            return Ok(erased);
        }
        let deleted = delete(nodes, &found.hits.hits).await?;
        if deleted == 0 {
            let words = "documents that are found cannot be deleted; is an index read-only?";
            return Err(StoreError::Unavailable(words.into()));
        }
        erased += deleted;
    }
}

/// Deletes documents wherever they are in the meantime, and makes that visible; returns how many
/// were there.
async fn delete(nodes: &Nodes, hits: &[Hit]) -> Result<u64, StoreError> {
    let mut body = String::new();
    for hit in hits {
        let action = json!({ "delete": { "_index": hit._index, "_id": hit._id } });
        body.push_str(&action.to_string());
        body.push('\n');
    }
    let request = Request::post("/_bulk", body)
        .parameters(&[("refresh", "true")])
        .content_type("application/x-ndjson");
    let answer = nodes.send(&request).await?;
    if answer.status != 200 {
        return Err(answer_fault(&answer, "deleting documents"));
    }
    let bulk: Bulk = read(&answer)?;
    let is_deleted = |item: &&Item| item.delete.status == 200;
    Ok(bulk.items.iter().filter(is_deleted).count() as u64)
}

fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, StoreError> {
    let broken = || StoreError::Unavailable(format!("{}: the answer is broken", answer.node));
    answer.json().ok_or_else(broken)
}
