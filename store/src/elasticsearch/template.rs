//! The index templates, generated from the field table. Pure: nothing here makes a request.

use event::{ECS_ALIASES, FIELDS, Field, Kind, Origin, limits::MAX_KEYWORD_CHARS};
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

/// An index template and the component templates that it is composed of.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its name in the engine.
    pub name: String,
    /// The body of `PUT /_index_template/{name}`.
    pub body: Value,
    /// Names and bodies of `PUT /_component_template/{name}`, to be written first.
    pub components: Vec<(String, Value)>,
}

impl Template {
    /// Paths and bodies of the requests that write it. The template comes last: its fingerprint
    /// vouches for the components.
    pub(super) fn into_requests(self) -> impl Iterator<Item = (String, Value)> {
        let components = self.components.into_iter();
        let component = |(name, body)| (format!("/_component_template/{name}"), body);
        let whole = (format!("/_index_template/{}", self.name), self.body);
        components.map(component).chain([whole])
    }

    /// Changes when the template or a component does; stands in its `_meta`.
    pub(super) fn fingerprint(&self) -> &str {
        let fingerprint = self.body.pointer("/_meta/fingerprint");
        fingerprint.and_then(Value::as_str).unwrap_or_default()
    }
}

/// What templates depend on beside the field table.
#[derive(Debug, Clone, Copy)]
pub struct Profile<'a> {
    /// Whose dialect is written.
    pub distribution: Distribution,
    /// Daily indices are `PREFIX-YYYY.MM.dd`.
    pub prefix: &'a str,
    /// Settings of the indices.
    pub index: &'a IndexSettings,
    /// Whether the engine deletes old indices by a policy named like the prefix.
    pub has_lifecycle: bool,
}

/// Every template that Weir needs: of the events' indices, `PREFIX-*`, of the searchable copies of
/// dead letters, `dead-PREFIX-*`, and of the sink's figures, `health-PREFIX-*`.
#[must_use]
pub fn all(profile: Profile<'_>) -> Vec<Template> {
    let prefix = profile.prefix;
    let mut events = properties(profile.distribution, FIELDS);
    for (alias, field) in ECS_ALIASES {
        add_alias(&mut events, alias, field);
    }
    // Events of one site lie together, latest first: what searches ask for, and alike neighbours
    // compress better.
    let sort = json!({ "field": ["site", "@timestamp"], "order": ["asc", "desc"] });
    vec![
        template(profile, prefix, events, Some(sort)),
        template(
            profile,
            &format!("dead-{prefix}"),
            dead_letter_properties(),
            None,
        ),
        template(
            profile,
            &format!("health-{prefix}"),
            health_properties(),
            None,
        ),
    ]
}

fn template(profile: Profile<'_>, name: &str, properties: Value, sort: Option<Value>) -> Template {
    let mut settings = settings(profile.index);
    if let Some(sort) = sort {
        settings["sort"] = sort;
    }
    if profile.has_lifecycle && profile.distribution == Distribution::Elasticsearch {
        settings["lifecycle"] = json!({
            "name": profile.prefix,
            // Age counts from the day in the name, also where late events make an index late.
            "parse_origination_date": true,
        });
    }
    // Members that are not in the table stay in the document, cannot conflict and cannot make the
    // mapping grow.
    let mappings = json!({ "dynamic": false, "properties": properties });
    let meta = json!({ "managed_by": "weir" });
    let component = |part: &str, template: Value| {
        let body = json!({ "template": template, "_meta": meta });
        (format!("{name}-{part}"), body)
    };
    let components = vec![
        component("settings", json!({ "settings": { "index": settings } })),
        component("mappings", json!({ "mappings": mappings })),
    ];
    let mut names: Vec<String> = components.iter().map(|(name, _)| name.clone()).collect();
    let mut body = json!({
        "index_patterns": [format!("{name}-*")],
        "priority": BASE_PRIORITY + name.len(),
        "template": {},
    });
    if profile.distribution == Distribution::Elasticsearch {
        // What an operator puts there wins, and survives the next setup.
        let custom = format!("{name}@custom");
        body["ignore_missing_component_templates"] = json!([custom]);
        names.push(custom);
    }
    body["composed_of"] = json!(names);
    let fingerprint = fingerprint(&json!([body, components]).to_string());
    body["_meta"] = json!({ "managed_by": "weir", "fingerprint": fingerprint });
    Template {
        name: name.to_owned(),
        body,
        components,
    }
}

fn settings(index: &IndexSettings) -> Value {
    let mut settings = json!({
        "number_of_shards": index.shards.to_string(),
        "refresh_interval": format!("{}ms", index.refresh_interval.as_millis()),
        "codec": "best_compression",
        // An answered request must be on disk: consumers commit their offsets after it.
        "translog": { "durability": "request" },
        // Twice what the table has: nothing that is sent makes the mapping grow.
        "mapping": { "total_fields": { "limit": 300 } },
    });
    match index.replicas {
        Some(replicas) => settings["number_of_replicas"] = replicas.to_string().into(),
        None => settings["auto_expand_replicas"] = "0-1".into(),
    }
    settings
}

/// Adds a name with dots that stands for another field.
fn add_alias(properties: &mut Value, alias: &str, field: &str) {
    match alias.split_once('.') {
        None => properties[alias] = json!({ "type": "alias", "path": field }),
        Some((head, rest)) => add_alias(&mut properties[head]["properties"], rest, field),
    }
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
    })
}

/// What a sink says of itself every few seconds.
fn health_properties() -> Value {
    let keyword = json!({ "type": "keyword", "ignore_above": MAX_KEYWORD_CHARS });
    let mut properties = json!({
        "@timestamp": { "type": "date", "format": WRITTEN_DATES },
        "instance": keyword,
        "weir_version": keyword,
    });
    for name in event::health::FIGURES {
        properties[*name] = json!({ "type": "long" });
    }
    properties
}

/// FNV-1a, 64 bits: the same in every build, which the standard library's hashes do not promise.
fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
