//! Read requests, passed on as they are.

use serde_json::Value;

use super::{
    fault::{answer_fault, reason},
    nodes::{Answer, Nodes, Request},
};
use crate::{Query, QueryError, StoreError};

/// A pattern without match answers empty, a name that does not exist is an error.
const INDICES: [(&str, &str); 2] = [
    ("ignore_unavailable", "false"),
    ("allow_no_indices", "true"),
];

/// An answer from some of the shards would look like fewer events than there are.
const SEARCH: &[(&str, &str)] = &[
    INDICES[0],
    INDICES[1],
    ("rest_total_hits_as_int", "false"),
    ("allow_partial_search_results", "false"),
];

/// Sends a query to the engine.
pub(super) async fn query(nodes: &Nodes, query: &Query) -> Result<Value, QueryError> {
    let (indices, call) = match query {
        Query::Search { indices, .. } => (indices, "_search"),
        Query::Count { indices, .. } => (indices, "_count"),
        Query::Mapping { indices } => (indices, "_mapping"),
    };
    let path = format!("/{}/{call}", indices.joined());
    let request = match query {
        Query::Search { body, .. } => Request::post(&path, checked(body)?).parameters(SEARCH),
        Query::Count { body, .. } => Request::post(&path, checked(body)?).parameters(&INDICES),
        Query::Mapping { .. } => Request::get(&path).parameters(&INDICES),
    };
    let answer = nodes.send(&request).await.map_err(unavailable)?;
    match answer.status {
        200 => answer.json().ok_or_else(|| {
            QueryError::Unavailable(format!("{}: the answer is broken", answer.node))
        }),
        404 if missing_index(&answer).is_some() => Err(QueryError::NoSuchIndex(
            missing_index(&answer).unwrap_or_default(),
        )),
        400 => Err(QueryError::BadRequest(reason(&answer))),
        _ => Err(unavailable(answer_fault(&answer, "the query"))),
    }
}

/// What fails here may work later, if somebody changes a setting: the caller cannot.
fn unavailable(error: StoreError) -> QueryError {
    match error {
        StoreError::Unavailable(why) => QueryError::Unavailable(why),
        other => QueryError::Unavailable(other.to_string()),
    }
}

fn missing_index(answer: &Answer) -> Option<String> {
    let body: Value = answer.json()?;
    let missing = body.pointer("/error/type")? == "index_not_found_exception";
    let index = body.pointer("/error/index").and_then(Value::as_str);
    missing.then(|| index.unwrap_or_default().to_owned())
}

/// The body as it is sent; `Null` stands for none.
fn checked(body: &Value) -> Result<String, QueryError> {
    match body {
        Value::Null => Ok("{}".into()),
        Value::Object(_) => match elsewhere(body) {
            None => Ok(body.to_string()),
            Some(index) => Err(QueryError::NotAllowed(index.chars().take(80).collect())),
        },
        _ => Err(QueryError::BadRequest("the body must be an object".into())),
    }
}

/// An index that the body itself names, past the path that says which indices are served: looked-up
/// terms and shapes (`index` beside `id`), documents to be like (`_index` beside `_id`), and fields
/// that are fetched from another index (`target_index`).
fn elsewhere(body: &Value) -> Option<&str> {
    match body {
        Value::Object(members) => {
            let named = [
                ("index", "id"),
                ("_index", "_id"),
                ("target_index", "target_index"),
            ]
            .iter()
            .find(|(index, beside)| members.contains_key(*index) && members.contains_key(*beside))
            .map(|(index, _)| members[*index].as_str().unwrap_or("?"));
            named.or_else(|| members.values().find_map(elsewhere))
        }
        Value::Array(values) => values.iter().find_map(elsewhere),
        _ => None,
    }
}
