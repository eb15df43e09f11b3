//! Deletion of old indices by the engine itself: index lifecycle management of Elasticsearch, index
//! state management of OpenSearch. Where there is neither, the sink deletes whole days.

use serde_json::{Value, json};

use super::{
    Distribution, Elasticsearch,
    fault::answer_fault,
    nodes::{Answer, Request},
};
use crate::StoreError;

/// What the engine does about old indices.
pub(super) enum Lifecycle {
    /// It deletes them by our policy.
    Engine(String),
    /// It has no such thing, or is not asked to.
    Ours(String),
}

/// Path and body of the request that writes the policy named like the prefix; `None` where indices
/// are kept for ever.
pub(super) fn policy(store: &Elasticsearch, distribution: Distribution) -> Option<(String, Value)> {
    let (prefix, days) = (&store.index_prefix, store.index.retention_days);
    let request = match distribution {
        Distribution::Elasticsearch => (format!("/_ilm/policy/{prefix}"), ilm(days)),
        Distribution::OpenSearch => {
            let path = format!("/_plugins/_ism/policies/{prefix}");
            (path, ism(prefix, days))
        }
    };
    (days > 0).then_some(request)
}

/// Writes the policy; with `is_dry`, only asks.
pub(super) async fn install(
    store: &Elasticsearch,
    distribution: Distribution,
    is_dry: bool,
) -> Result<Lifecycle, StoreError> {
    let (prefix, days) = (&store.index_prefix, store.index.retention_days);
    let Some((path, body)) = policy(store, distribution) else {
        let line = "retention: indices are kept for ever".into();
        return Ok(Lifecycle::Ours(line));
    };
    let present = store.nodes.send(&Request::get(&path)).await?;
    if is_absent(&present) {
        let line = format!(
            "retention: this engine has no lifecycle management; the sink deletes indices older than {days} days"
        );
        return Ok(Lifecycle::Ours(line));
    }
    let said = format!("lifecycle policy [{prefix}]");
    if present.status == 403 {
        let line =
            format!("{said} not looked at: these credentials may not; weir setup installs it");
        return Ok(Lifecycle::Engine(line));
    }
    let found: Value = match present.status {
        200 => present.json().unwrap_or_default(),
        404 => Value::Null,
        _ => return Err(answer_fault(&present, &said)),
    };
    let is_there = match distribution {
        Distribution::Elasticsearch => contains(&found[prefix]["policy"], &body["policy"]),
        Distribution::OpenSearch => contains(&found["policy"], &body["policy"]),
    };
    if is_there {
        return Ok(Lifecycle::Engine(format!("{said} is up to date")));
    }
    if is_dry {
        let line = format!("{said} would be written: indices deleted after {days} days");
        return Ok(Lifecycle::Engine(line));
    }
    // OpenSearch wants to know which version is replaced.
    let number = |name: &str| found[name].as_u64().map(|n| n.to_string());
    let (sequence, term) = (number("_seq_no"), number("_primary_term"));
    let replaced: Vec<(&str, &str)> = match (&sequence, &term) {
        (Some(sequence), Some(term)) => vec![("if_seq_no", sequence), ("if_primary_term", term)],
        _ => Vec::new(),
    };
    let request = Request::put(&path, body.to_string()).parameters(&replaced);
    let answer = store.nodes.send(&request).await?;
    match answer.status {
        200 | 201 => {
            let line = format!("{said} written: indices are deleted after {days} days");
            Ok(Lifecycle::Engine(line))
        }
        _ => Err(answer_fault(&answer, &said)),
    }
}

/// Whether the engine has no such API at all. It says so by a status for unknown paths, or by 400
/// and words that both engines share.
fn is_absent(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    answer.status == 405 || (answer.status == 400 && text.contains("no handler found"))
}

/// Whether `found` has everything that `wanted` has; engines add defaults of their own.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|f| contains(f, value))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| contains(f, w))
        }
        _ => found == wanted,
    }
}

fn ilm(days: u32) -> Value {
    json!({ "policy": { "phases": {
        "hot": { "min_age": "0ms", "actions": { "set_priority": { "priority": 100 } } },
        "delete": { "min_age": format!("{days}d"), "actions": { "delete": {} } },
    } } })
}

fn ism(prefix: &str, days: u32) -> Value {
    let patterns: Vec<String> = ["", "dead-", "health-"]
        .map(|kind| format!("{kind}{prefix}-*"))
        .into();
    let age = json!({ "min_index_age": format!("{days}d") });
    json!({ "policy": {
        "description": "Daily indices of Weir, deleted by age.",
        "default_state": "kept",
        "states": [
            { "name": "kept", "actions": [],
              "transitions": [{ "state_name": "deleted", "conditions": age }] },
            { "name": "deleted", "actions": [{ "delete": {} }], "transitions": [] },
        ],
        "ism_template": [{ "index_patterns": patterns, "priority": 100 }],
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_that_an_engine_adds_are_no_difference() {
        let mut found = ilm(30)["policy"].clone();
        found["phases"]["delete"]["actions"]["delete"]["delete_searchable_snapshot"] = true.into();
        assert!(contains(&found, &ilm(30)["policy"]));
        assert!(!contains(&found, &ilm(31)["policy"]));
    }
}
