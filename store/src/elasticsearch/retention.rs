//! Deleting old days.

use jiff::civil::Date;
use serde::Deserialize;

use super::{
    fault::answer_fault,
    nodes::{Nodes, Request},
};
use crate::StoreError;

#[derive(Deserialize)]
struct Row {
    index: String,
}

/// Deletes the indices whose name is `prefix` and a day before `oldest`, oldest first. Names are
/// matched whole: an alias, a pattern or another program's index is never deleted.
pub(super) async fn retain(
    nodes: &Nodes,
    prefix: &str,
    oldest: Date,
) -> Result<Vec<String>, StoreError> {
    let path = format!("/_cat/indices/{prefix}-*");
    let parameters = [
        ("format", "json"),
        ("h", "index"),
        ("expand_wildcards", "open,closed"),
    ];
    let request = Request::get(&path).parameters(&parameters);
    let answer = nodes.send(&request).await?;
    if answer.status != 200 {
        return Err(answer_fault(&answer, "listing indices"));
    }
    let rows: Vec<Row> = answer.json().ok_or_else(|| {
        StoreError::Unavailable(format!("{}: the list of indices is broken", answer.node))
    })?;
    let mut old: Vec<String> = rows
        .into_iter()
        .map(|row| row.index)
        .filter(|name| event::index::day_of(prefix, name).is_some_and(|day| day < oldest))
        .collect();
    old.sort();
    old.dedup();
    for name in &old {
        let answer = nodes.send(&Request::delete(&format!("/{name}"))).await?;
        // Another sink may have been faster.
        if !matches!(answer.status, 200 | 404) {
            return Err(answer_fault(&answer, &format!("deleting [{name}]")));
        }
    }
    Ok(old)
}
