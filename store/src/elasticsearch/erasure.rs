//! Deleting the documents of one visitor.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    fault::answer_fault,
    nodes::{Nodes, Request},
};
use crate::StoreError;

/// Documents of one request: few enough to be deleted within its time-out.
const MAX_DOCUMENTS: u64 = 2_000;

/// Requests without progress after which a conflict is given up: somebody else writes the same
/// documents again and again.
const MAX_CONFLICTS: u32 = 10;

#[derive(Deserialize)]
struct Answer {
    deleted: u64,
    version_conflicts: u64,
    #[serde(default)]
    failures: Vec<Value>,
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
    let lenient = [("ignore_unavailable", "true"), ("allow_no_indices", "true")];
    let refresh = Request::post(&path, "").parameters(&lenient);
    let answer = nodes.send(&refresh).await?;
    if !matches!(answer.status, 200 | 404) {
        return Err(answer_fault(&answer, "making documents visible"));
    }
    let path = format!("/{prefix}-*/_delete_by_query");
    // A conflict is a document that changed since it was found: found again, it is deleted.
    let parameters = [
        lenient[0],
        lenient[1],
        ("conflicts", "proceed"),
        ("refresh", "true"),
    ];
    let body = json!({
        "query": { "term": { field: { "value": value } } },
        "max_docs": MAX_DOCUMENTS,
    })
    .to_string();
    let (mut deleted, mut conflicts) = (0, 0);
    loop {
        let request = Request::post(&path, body.clone()).parameters(&parameters);
        let answer = nodes.send(&request).await?;
        if answer.status == 404 {
            return Ok(deleted);
        }
        // With a conflict the status is 409, and the body is the same.
        let Some(told) = answer
            .json::<Answer>()
            .filter(|_| matches!(answer.status, 200 | 409))
        else {
            return Err(answer_fault(&answer, "deleting documents"));
        };
        if !told.failures.is_empty() {
            let words = "some documents cannot be deleted; is an index read-only?";
            return Err(StoreError::Unavailable(words.into()));
        }
        deleted += told.deleted;
        match (told.deleted, told.version_conflicts) {
            (0, 0) => return Ok(deleted),
            (0, _) if conflicts == MAX_CONFLICTS => {
                let words = "documents change while they are deleted";
                return Err(StoreError::Unavailable(words.into()));
            }
            (0, _) => conflicts += 1,
            _ => conflicts = 0,
        }
    }
}
