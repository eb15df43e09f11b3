//! The index templates, generated from the field table. Pure: nothing here makes a request.

use event::{FIELDS, Field, Kind, Origin, limits::MAX_KEYWORD_CHARS};
use serde_json::{Map, Value, json};

use super::{Distribution, IndexSettings};

/// Above the templates that the engines bring along (up to 200), and rising with the length of the
/// prefix, so that `web-events-eu` wins its indices from `web-events`.
const BASE_PRIORITY: usize = 500;

/// What Weir writes in UTC, and what `epoch_millis` stands for in queries.
const WRITTEN_DATES: &str = "strict_date_optional_time||epoch_millis";

/// Clients also send a blank for the T and no zone.
const CLIENT_DATES: &str =
    "strict_date_optional_time||yyyy-MM-dd HH:mm:ss||yyyy-MM-dd HH:mm:ss.SSSSSS||epoch_millis";

/// An index template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its name in the engine.
    pub name: String,
    /// The body of `PUT /_index_template/{name}`.
    pub body: Value,
}

impl Template {
    /// Changes when the template does; stands in its `_meta`.
    pub(super) fn fingerprint(&self) -> &str {
        let fingerprint = self.body.pointer("/_meta/fingerprint");
        fingerprint.and_then(Value::as_str).unwrap_or_default()
    }
}

/// Every template that Weir needs: of the events' indices, `PREFIX-*`, and of the searchable copies
/// of dead letters, `dead-PREFIX-*`.
#[must_use]
pub fn all(distribution: Distribution, prefix: &str, index: &IndexSettings) -> Vec<Template> {
    let dead = format!("dead-{prefix}");
    vec![
        template(prefix, index, properties(distribution, FIELDS)),
        template(&dead, index, dead_letter_properties()),
    ]
}

fn template(name: &str, index: &IndexSettings, properties: Value) -> Template {
    let mut body = json!({
        "index_patterns": [format!("{name}-*")],
        "priority": BASE_PRIORITY + name.len(),
        "template": {
            "settings": { "index": settings(index) },
            // Members that are not in the table stay in the document, cannot conflict and cannot
            // make the mapping grow.
            "mappings": { "dynamic": false, "properties": properties },
        },
    });
    let fingerprint = fingerprint(&body.to_string());
    body["_meta"] = json!({ "managed_by": "weir", "fingerprint": fingerprint });
    Template {
        name: name.to_owned(),
        body,
    }
}

fn settings(index: &IndexSettings) -> Value {
    let mut settings = json!({
        "number_of_shards": index.shards.to_string(),
        "refresh_interval": format!("{}ms", index.refresh_interval.as_millis()),
        "codec": "best_compression",
        // An answered request must be on disk: consumers commit their offsets after it.
        "translog": { "durability": "request" },
    });
    match index.replicas {
        Some(replicas) => settings["number_of_replicas"] = replicas.to_string().into(),
        None => settings["auto_expand_replicas"] = "0-1".into(),
    }
    settings
}

fn properties(distribution: Distribution, fields: &[Field]) -> Value {
    let entry = |field: &Field| (field.name.to_owned(), mapping(distribution, field));
    Value::Object(fields.iter().map(entry).collect::<Map<_, _>>())
}

fn mapping(distribution: Distribution, field: &Field) -> Value {
    let mut mapping = match field.kind {
        Kind::Keyword => json!({ "type": "keyword", "ignore_above": MAX_KEYWORD_CHARS }),
        Kind::Double => json!({ "type": "double" }),
        Kind::Long => json!({ "type": "long" }),
        Kind::Date if field.origin == Origin::Client => {
            json!({ "type": "date", "format": CLIENT_DATES })
        }
        Kind::Date => json!({ "type": "date", "format": WRITTEN_DATES }),
        Kind::Ip => json!({ "type": "ip" }),
        Kind::GeoPoint => json!({ "type": "geo_point" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Flattened => match distribution {
            Distribution::Elasticsearch => {
                json!({ "type": "flattened", "ignore_above": MAX_KEYWORD_CHARS })
            }
            Distribution::OpenSearch => json!({ "type": "flat_object" }),
        },
        Kind::Stored => json!({ "type": "object", "enabled": false }),
    };
    // A client's malformed value costs the field, not the event. Booleans have no such setting in
    // OpenSearch; what Weir itself writes is well formed or a fault to be seen.
    let lenient = matches!(
        field.kind,
        Kind::Double | Kind::Long | Kind::Date | Kind::Ip | Kind::GeoPoint
    );
    if lenient && field.origin == Origin::Client {
        mapping["ignore_malformed"] = true.into();
    }
    mapping
}

/// A dead letter as it is shown: why, where and when, without the event.
fn dead_letter_properties() -> Value {
    let keyword = json!({ "type": "keyword", "ignore_above": MAX_KEYWORD_CHARS });
    json!({
        "@timestamp": { "type": "date", "format": WRITTEN_DATES },
        "stage": keyword,
        "code": keyword,
        "detail": keyword,
        "source": keyword,
        "length": { "type": "long" },
        "sha256": keyword,
        "original": { "type": "object", "enabled": false },
    })
}

/// FNV-1a, 64 bits: the same in every build, which the standard library's hashes do not promise.
fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
