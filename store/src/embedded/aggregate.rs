//! Aggregations in Elasticsearch's shape.
//!
//! Most are the engine's own. `filter` and `filters` are searches of their own below the query of
//! the aggregation they stand in, so that they stand at the top or in one another, and hold all
//! others. Calendar intervals are those that have a fixed length in UTC.

use serde_json::{Map, Value, json};
use tantivy::Searcher;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{
    AggContextParams, AggregationLimitsGuard, DistributedAggregationCollector,
};
use tantivy::collector::Count;
use tantivy::query::{BooleanQuery, Occur, Query};

use event::field::field;

use super::dsl::{Dsl, bad, cut, object};
use super::search::failed;
use crate::QueryError;

/// Buckets of one answer.
const MAX_BUCKETS: u32 = 10_000;

/// Memory of one request's aggregations.
const MAX_AGGREGATION_BYTES: u64 = 200 << 20;

/// Nesting of aggregations that is read.
const MAX_DEPTH: usize = 8;

/// Filters of one request: each is a search.
const MAX_FILTERS: usize = 100;

/// Aggregations of the engine that are answered.
const AGGREGATIONS: [&str; 13] = [
    "terms",
    "date_histogram",
    "histogram",
    "range",
    "cardinality",
    "percentiles",
    "stats",
    "extended_stats",
    "min",
    "max",
    "avg",
    "sum",
    "value_count",
];

/// A query and what is aggregated over what it finds, gathered day by day.
pub(super) struct Part {
    query: Box<dyn Query>,
    plain: Option<Aggregations>,
    groups: Vec<Group>,
    count: u64,
    merged: Option<IntermediateAggregationResults>,
}

/// One `filter` or `filters`.
struct Group {
    name: String,
    shape: Shape,
    parts: Vec<(String, Part)>,
}

/// How the buckets of a group are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `filter`: the one bucket itself.
    Single,
    /// `filters` as an object: buckets by key.
    Keyed,
    /// `filters` as an array: buckets in its order.
    Listed,
}

impl Part {
    /// Reads the aggregations `aggregations` below `query`.
    pub(super) fn read(
        query: Box<dyn Query>,
        aggregations: Option<&Value>,
        dsl: &Dsl<'_>,
    ) -> Result<Self, QueryError> {
        let mut filters = 0;
        Self::nested(query, aggregations, dsl, 0, &mut filters)
    }

    fn nested(
        query: Box<dyn Query>,
        aggregations: Option<&Value>,
        dsl: &Dsl<'_>,
        depth: usize,
        filters: &mut usize,
    ) -> Result<Self, QueryError> {
        let mut part = Self {
            query,
            plain: None,
            groups: Vec::new(),
            count: 0,
            merged: None,
        };
        let Some(aggregations) = aggregations else {
            return Ok(part);
        };
        if depth > MAX_DEPTH {
            return Err(bad("the aggregations are nested too deeply"));
        }
        let mut plain = Map::new();
        for (name, body) in object(aggregations, "aggs")? {
            let members = object(body, "aggs")?;
            let below = members.get("aggs").or_else(|| members.get("aggregations"));
            let (shape, wanted) = match (members.get("filter"), members.get("filters")) {
                (Some(filter), _) => (Shape::Single, vec![(String::new(), filter)]),
                (None, Some(filters)) => wanted(filters)?,
                (None, None) => {
                    plain.insert(name.clone(), engine(body, depth)?);
                    continue;
                }
            };
            *filters += wanted.len();
            if *filters > MAX_FILTERS {
                return Err(bad(format!("more than {MAX_FILTERS} filters")));
            }
            let mut parts = Vec::new();
            for (key, filter) in wanted {
                let both = vec![
                    (Occur::Must, part.query.box_clone()),
                    (Occur::Must, dsl.query(filter)?),
                ];
                let query = Box::new(BooleanQuery::new(both));
                let below = Self::nested(query, below, dsl, depth + 1, filters)?;
                parts.push((key, below));
            }
            let name = name.clone();
            part.groups.push(Group { name, shape, parts });
        }
        if !plain.is_empty() {
            let read = serde_json::from_value(Value::Object(plain));
            part.plain = Some(read.map_err(|error| bad(cut(&error.to_string())))?);
        }
        Ok(part)
    }

    /// The query.
    pub(super) fn query(&self) -> &dyn Query {
        &*self.query
    }

    /// Adds what a day has.
    pub(super) fn look(&mut self, searcher: &Searcher) -> Result<(), QueryError> {
        let count = searcher.search(&self.query, &Count);
        self.count += count.map_err(|error| failed(&error))? as u64;
        if let Some(aggregations) = &self.plain {
            let context = AggContextParams::new(limits(), searcher.index().tokenizers().clone());
            let collector =
                DistributedAggregationCollector::from_aggs(aggregations.clone(), context);
            let found = searcher.search(&self.query, &collector);
            let found = found.map_err(|error| failed(&error))?;
            match &mut self.merged {
                Some(merged) => merged.merge_fruits(found).map_err(|error| failed(&error))?,
                none => *none = Some(found),
            }
        }
        for group in &mut self.groups {
            for (_, part) in &mut group.parts {
                part.look(searcher)?;
            }
        }
        Ok(())
    }

    /// How many documents matched, and the aggregations' answers by name.
    pub(super) fn finish(self) -> Result<(u64, Map<String, Value>), QueryError> {
        let mut answers = Map::new();
        if let Some(aggregations) = self.plain {
            let merged = self.merged.unwrap_or_default();
            let last = merged
                .into_final_result(aggregations, limits())
                .map_err(|error| failed(&error))?;
            let last = serde_json::to_value(last).map_err(|error| bad(error.to_string()))?;
            if let Value::Object(last) = last {
                answers.extend(last);
            }
        }
        for Group { name, shape, parts } in self.groups {
            let mut buckets = Vec::new();
            for (key, part) in parts {
                let (count, mut bucket) = part.finish()?;
                bucket.insert("doc_count".into(), count.into());
                buckets.push((key, Value::Object(bucket)));
            }
            let answer = match shape {
                Shape::Single => buckets.pop().map_or(Value::Null, |(_, bucket)| bucket),
                Shape::Keyed => json!({ "buckets": buckets.into_iter().collect::<Map<_, _>>() }),
                Shape::Listed => {
                    let buckets: Vec<Value> = buckets.into_iter().map(|(_, it)| it).collect();
                    json!({ "buckets": buckets })
                }
            };
            answers.insert(name, answer);
        }
        Ok((self.count, answers))
    }
}

fn limits() -> AggregationLimitsGuard {
    AggregationLimitsGuard::new(Some(MAX_AGGREGATION_BYTES), Some(MAX_BUCKETS))
}

/// The filters of a `filters`, with their keys.
fn wanted(body: &Value) -> Result<(Shape, Vec<(String, &Value)>), QueryError> {
    for name in object(body, "filters")?.keys() {
        if name != "filters" {
            return Err(bad(format!("[filters] does not know [{}]", cut(name))));
        }
    }
    match &body["filters"] {
        Value::Object(keyed) => {
            let keyed = keyed.iter().map(|(key, filter)| (key.clone(), filter));
            Ok((Shape::Keyed, keyed.collect()))
        }
        Value::Array(listed) => {
            let listed = listed.iter().map(|filter| (String::new(), filter));
            Ok((Shape::Listed, listed.collect()))
        }
        _ => Err(bad("[filters] wants an object or an array of filters")),
    }
}

/// An aggregation for the engine, every part of it known; refuses by name what would not be
/// answered.
fn engine(body: &Value, depth: usize) -> Result<Value, QueryError> {
    if depth > MAX_DEPTH {
        return Err(bad("the aggregations are nested too deeply"));
    }
    let mut out = Map::new();
    for (kind, body) in object(body, "aggs")? {
        let read = match kind.as_str() {
            "aggs" | "aggregations" => {
                let mut below = Map::new();
                for (name, body) in object(body, "aggs")? {
                    below.insert(name.clone(), engine(body, depth + 1)?);
                }
                out.insert("aggs".into(), Value::Object(below));
                continue;
            }
            "meta" => continue,
            "filter" | "filters" => {
                let words = format!("[{kind}] stands at the top or in another filter only");
                return Err(bad(words));
            }
            kind if !AGGREGATIONS.contains(&kind) => {
                return Err(bad(format!("unsupported aggregation [{}]", cut(kind))));
            }
            _ => known_field(body)?,
        };
        let read = match kind.as_str() {
            "date_histogram" => fixed(read)?,
            _ => read,
        };
        out.insert(kind.clone(), read);
    }
    Ok(Value::Object(out))
}

fn known_field(body: &Value) -> Result<Value, QueryError> {
    let name = body["field"].as_str().unwrap_or_default();
    let root = name.split_once('.').map_or(name, |(root, _)| root);
    if field(name).or_else(|| field(root)).is_none() {
        return Err(bad(format!("no such field [{}]", cut(name))));
    }
    Ok(body.clone())
}

/// A date histogram with a fixed interval for a calendar one.
fn fixed(mut body: Value) -> Result<Value, QueryError> {
    let members = body
        .as_object_mut()
        .ok_or_else(|| bad("[date_histogram] wants an object"))?;
    if let Some(zone) = members.remove("time_zone")
        && !["UTC", "Z", "+00:00"].iter().any(|utc| zone == *utc)
    {
        return Err(bad("[date_histogram] knows no [time_zone] but UTC"));
    }
    let Some(calendar) = members.remove("calendar_interval") else {
        return Ok(body);
    };
    let (interval, offset) = match calendar.as_str().unwrap_or_default() {
        "second" | "1s" => ("1s", None),
        "minute" | "1m" => ("1m", None),
        "hour" | "1h" => ("1h", None),
        "day" | "1d" => ("1d", None),
        // The first Monday of the epoch was its fifth day.
        "week" | "1w" => ("7d", Some("4d")),
        other => {
            let words = format!("unsupported [calendar_interval] [{}]", cut(other));
            return Err(bad(words));
        }
    };
    members.insert("fixed_interval".into(), interval.into());
    if let Some(offset) = offset
        && members.insert("offset".into(), offset.into()).is_some()
    {
        return Err(bad("[offset] does not go with weeks"));
    }
    Ok(body)
}
