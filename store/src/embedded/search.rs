//! Searches over the days: hits, counts and aggregations in Elasticsearch's shape.

use std::time::Instant;

use event::{FIELDS, Kind, field::field};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tantivy::collector::TopDocs;
use tantivy::query::Query;
use tantivy::schema::{Schema, Value as _};
use tantivy::{DateTime, DocAddress, Order, Searcher, TantivyDocument, TantivyError};

use super::aggregate::Part;
use super::dsl::{Dsl, bad, cut, object, only_member};
use super::schema;
use crate::QueryError;

/// Hits that a request may page through, as in Elasticsearch.
const MAX_WINDOW: usize = 10_000;

/// One day that a search looks at.
pub(super) struct Day {
    pub(super) name: String,
    pub(super) searcher: Searcher,
}

/// Answers a search over `days`, newest first.
pub(super) fn search(days: &[Day], schema: &Schema, body: &Value) -> Result<Value, QueryError> {
    let since = Instant::now();
    let (request, mut part) = Request::read(body, schema)?;
    let mut hits = Vec::new();
    for day in days {
        part.look(&day.searcher)?;
        if request.size > 0 {
            request.hits(part.query(), day, &mut hits)?;
        }
    }
    request.order(&mut hits);
    let hits = hits.into_iter().skip(request.from).take(request.size);
    let hits = hits
        .map(|hit| request.shown(hit))
        .collect::<Result<Vec<_>, _>>()?;
    let (total, aggregations) = part.finish()?;
    let mut answer = json!({
        "took": u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        "timed_out": false,
        "_shards": shards(days),
        "hits": {
            "total": { "value": total, "relation": "eq" },
            "max_score": null,
            "hits": hits,
        },
    });
    if request.aggregates {
        answer["aggregations"] = aggregations.into();
    }
    Ok(answer)
}

fn shards(days: &[Day]) -> Value {
    json!({ "total": days.len(), "successful": days.len(), "skipped": 0, "failed": 0 })
}

/// Counts the documents that match.
pub(super) fn count(days: &[Day], schema: &Schema, body: &Value) -> Result<Value, QueryError> {
    let (_, mut part) = Request::read(body, schema)?;
    for day in days {
        part.look(&day.searcher)?;
    }
    let (count, _) = part.finish()?;
    Ok(json!({ "count": count, "_shards": shards(days) }))
}

/// The mapping of each index.
pub(super) fn mapping(names: &[String]) -> Value {
    let kind = |kind: Kind| match kind {
        Kind::Keyword => "keyword",
        Kind::Double => "double",
        Kind::Long => "long",
        Kind::Date => "date",
        Kind::Ip => "ip",
        Kind::GeoPoint => "geo_point",
        Kind::Boolean => "boolean",
        Kind::Flattened => "flattened",
        Kind::Stored => "object",
    };
    let properties: Map<String, Value> = FIELDS
        .iter()
        .map(|f| (f.name.to_owned(), json!({ "type": kind(f.kind) })))
        .collect();
    let one = json!({ "mappings": { "dynamic": "false", "properties": properties } });
    names
        .iter()
        .map(|name| (name.clone(), one.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// An error of the engine on a request that was read is taken for the request's: a field of the
/// wrong type, too many buckets.
pub(super) fn failed(error: &TantivyError) -> QueryError {
    match error {
        TantivyError::IoError(error) => QueryError::Unavailable(error.to_string()),
        error => bad(cut(&error.to_string())),
    }
}

/// A request, read.
struct Request {
    aggregates: bool,
    from: usize,
    size: usize,
    sort: Option<Sort>,
    source: Source,
}

struct Sort {
    field: &'static event::Field,
    order: Order,
}

enum Source {
    All,
    None,
    Only(Vec<String>),
}

struct Hit {
    index: String,
    searcher: Searcher,
    address: DocAddress,
    /// What it is sorted by; absent values come last in both orders.
    key: Option<f64>,
}

impl Request {
    fn read(body: &Value, schema: &Schema) -> Result<(Self, Part), QueryError> {
        let dsl = Dsl {
            schema,
            now: Timestamp::now(),
        };
        let empty = Map::new();
        let members = if body.is_null() {
            &empty
        } else {
            object(body, "request")?
        };
        let mut query = dsl.query(&json!({ "match_all": {} }))?;
        let mut aggregations = None;
        let mut request = Self {
            aggregates: false,
            from: 0,
            size: 10,
            sort: None,
            source: Source::All,
        };
        let number = |value: &Value, name: &str| {
            let number = value
                .as_u64()
                .and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| bad(format!("[{name}] wants a number")))
        };
        for (name, value) in members {
            match name.as_str() {
                "query" => query = dsl.query(value)?,
                "aggs" | "aggregations" => aggregations = Some(value),
                "from" => request.from = number(value, name)?,
                "size" => request.size = number(value, name)?,
                "sort" => request.sort = sort(value)?,
                "_source" => request.source = source(value)?,
                "track_total_hits" | "timeout" => {}
                other => return Err(bad(format!("unsupported request part [{}]", cut(other)))),
            }
        }
        if request.from.saturating_add(request.size) > MAX_WINDOW {
            return Err(bad(format!("[from] + [size] must be at most {MAX_WINDOW}")));
        }
        request.aggregates = aggregations.is_some();
        let part = Part::read(query, aggregations, &dsl)?;
        Ok((request, part))
    }

    /// Adds the day's best hits.
    fn hits(&self, query: &dyn Query, day: &Day, hits: &mut Vec<Hit>) -> Result<(), QueryError> {
        let top = TopDocs::with_limit(self.from + self.size);
        let searcher = &day.searcher;
        let found: Vec<(Option<f64>, DocAddress)> = match &self.sort {
            None => {
                let found = searcher.search(query, &top.order_by_score());
                found.map(|hits| hits.into_iter().map(|(_, at)| (None, at)).collect())
            }
            Some(Sort { field, order }) => match field.kind {
                Kind::Date => {
                    let top = top.order_by_fast_field::<DateTime>(field.name, *order);
                    let key = |at: DateTime| at.into_timestamp_millis() as f64;
                    let found = searcher.search(query, &top);
                    found.map(|hits| hits.into_iter().map(|(k, at)| (k.map(key), at)).collect())
                }
                Kind::Long => {
                    let top = top.order_by_fast_field::<i64>(field.name, *order);
                    let found = searcher.search(query, &top);
                    found.map(|hits| {
                        hits.into_iter()
                            .map(|(k, at)| (k.map(|k| k as f64), at))
                            .collect()
                    })
                }
                _ => searcher.search(query, &top.order_by_fast_field::<f64>(field.name, *order)),
            },
        }
        .map_err(|e| failed(&e))?;
        hits.extend(found.into_iter().map(|(key, address)| Hit {
            index: day.name.clone(),
            searcher: day.searcher.clone(),
            address,
            key,
        }));
        Ok(())
    }

    fn order(&self, hits: &mut [Hit]) {
        let Some(Sort { order, .. }) = &self.sort else {
            return;
        };
        hits.sort_by(|a, b| match (a.key, b.key) {
            (Some(a), Some(b)) if *order == Order::Desc => b.total_cmp(&a),
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
    }

    fn shown(&self, hit: Hit) -> Result<Value, QueryError> {
        let document: TantivyDocument = hit.searcher.doc(hit.address).map_err(|e| failed(&e))?;
        let schema = hit.searcher.schema();
        let text = |name| {
            document
                .get_first(schema::field(schema, name))
                .and_then(|v| v.as_str())
        };
        let mut shown = json!({ "_index": hit.index, "_id": text(schema::ID), "_score": null });
        let whole = || -> Value {
            text(schema::SOURCE)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default()
        };
        match &self.source {
            Source::None => {}
            Source::All => shown["_source"] = whole(),
            Source::Only(names) => {
                let mut whole = whole();
                if let Some(members) = whole.as_object_mut() {
                    members.retain(|name, _| names.contains(name));
                }
                shown["_source"] = whole;
            }
        }
        if let Some(sort) = &self.sort {
            let is_whole = sort.field.kind != Kind::Double;
            shown["sort"] = json!([hit.key.map(|key| match is_whole {
                true => json!(key as i64),
                false => json!(key),
            })]);
        }
        Ok(shown)
    }
}

fn sort(value: &Value) -> Result<Option<Sort>, QueryError> {
    let first = match value {
        Value::Array(several) if several.len() > 1 => return Err(bad("[sort] takes one field")),
        Value::Array(several) => match several.first() {
            Some(first) => first,
            None => return Ok(None),
        },
        one => one,
    };
    let (name, order) = match first {
        Value::String(name) => (name.as_str(), "asc"),
        object => {
            let (name, body) = only_member(object, "sort")?;
            (
                name,
                body.as_str()
                    .or_else(|| body["order"].as_str())
                    .unwrap_or("asc"),
            )
        }
    };
    if matches!(name, "_score" | "_doc") {
        return Ok(None);
    }
    let order = match order {
        "asc" => Order::Asc,
        "desc" => Order::Desc,
        _ => return Err(bad("[sort] wants asc or desc")),
    };
    match field(name) {
        Some(field) if matches!(field.kind, Kind::Date | Kind::Long | Kind::Double) => {
            Ok(Some(Sort { field, order }))
        }
        _ => Err(bad(format!(
            "unsupported sort on [{}]: a date or number is wanted",
            cut(name)
        ))),
    }
}

fn source(value: &Value) -> Result<Source, QueryError> {
    let names = |values: &Vec<Value>| {
        values
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    match value {
        Value::Bool(true) => Ok(Source::All),
        Value::Bool(false) => Ok(Source::None),
        Value::String(name) => Ok(Source::Only(vec![name.clone()])),
        Value::Array(values) => Ok(Source::Only(names(values))),
        _ => Err(bad("[_source] wants true, false or names")),
    }
}
