//! Alert rules. They go by the API, for rules that are imported arrive switched off.

use serde_json::{Value, json};

use super::source::{Rule, Source};

/// A rule as the API takes it.
pub(super) struct Body {
    pub(super) id: String,
    /// What an existing rule may be changed in.
    pub(super) changeable: Value,
    /// What a new rule has beside.
    pub(super) fixed: Value,
}

/// Every rule of the source.
pub(super) fn all(source: &Source, prefix: &str) -> Vec<Body> {
    let body = |rule| body(rule, source, prefix);
    source.rules.iter().map(body).collect()
}

fn body(rule: &Rule, source: &Source, prefix: &str) -> Body {
    let (size, unit) = window(&rule.within);
    let (kind, params) = match &rule.esql {
        Some(esql) => (
            ".es-query",
            json!({
                "searchType": "esqlQuery",
                "esqlQuery": { "esql": esql },
                "timeField": "@timestamp",
                "timeWindowSize": size,
                "timeWindowUnit": unit,
                // The query answers with a row only where there is something to tell.
                "thresholdComparator": ">",
                "threshold": [0],
                "size": 0,
            }),
        ),
        None => {
            let view = rule.view.as_deref().unwrap_or_default();
            let pattern = source.view(view).map_or("", |view| &view.pattern);
            let (comparator, threshold) = match (rule.above, rule.below) {
                (Some(above), _) => (">", above),
                (None, below) => ("<", below.unwrap_or(1)),
            };
            (
                ".index-threshold",
                json!({
                    "index": [pattern],
                    "timeField": "@timestamp",
                    "aggType": "count",
                    "groupBy": "all",
                    "timeWindowSize": size,
                    "timeWindowUnit": unit,
                    "thresholdComparator": comparator,
                    "threshold": [threshold],
                }),
            )
        }
    };
    Body {
        id: format!("weir-{prefix}-{}", rule.id),
        changeable: json!({
            "name": rule.name,
            "tags": ["weir", prefix],
            "schedule": { "interval": rule.every },
            "params": params,
            "actions": [],
        }),
        fixed: json!({
            "rule_type_id": kind,
            "consumer": "stackAlerts",
            "enabled": true,
        }),
    }
}

/// `15m` as 15 and `m`.
fn window(text: &str) -> (u32, &str) {
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..at].parse().unwrap_or(5), &text[at..])
}
