//! Kibana's panels, read from its saved objects and turned into the searches that Kibana would make
//! of them, so that they can be run where there is no Kibana.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

/// A panel and the search that it means.
pub struct Panel {
    /// Title of its dashboard and its own.
    pub title: String,
    /// The pattern of the indices that it reads.
    pub indices: String,
    /// The body of the search.
    pub body: Value,
    /// Names of bucket columns, outermost first.
    pub buckets: Vec<String>,
    /// Names and labels of value columns.
    pub values: Vec<(String, String)>,
}

/// Reads every panel of every dashboard.
///
/// # Errors
/// When an object is not as Kibana has it.
pub fn read(ndjson: &str) -> anyhow::Result<Vec<Panel>> {
    let objects: Vec<Value> = ndjson
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let mut panels = Vec::new();
    for dashboard in objects.iter().filter(|o| o["type"] == "dashboard") {
        let title = text(&dashboard["attributes"]["title"])?;
        let listed: Vec<Value> =
            serde_json::from_str(text(&dashboard["attributes"]["panelsJSON"])?)?;
        for panel in listed {
            let index = text(&panel["panelIndex"])?;
            let prefix = format!("{index}:");
            let references = dashboard["references"].as_array().context("references")?;
            let view = references
                .iter()
                .find(|r| r["name"].as_str().is_some_and(|n| n.starts_with(&prefix)))
                .context("a reference")?;
            let view = objects.iter().find(|o| o["id"] == view["id"]);
            let view = view.context("a data view")?;
            let attributes = &panel["embeddableConfig"]["attributes"];
            let title = format!("{title}: {}", text(&panel["title"])?);
            let indices = text(&view["attributes"]["title"])?.to_owned();
            panels.push(match text(&panel["type"])? {
                "map" => map(title, indices, attributes)?,
                _ => lens(title, indices, attributes)?,
            });
        }
    }
    Ok(panels)
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value
        .as_str()
        .with_context(|| format!("a text, not {value}"))
}

fn lens(title: String, indices: String, attributes: &Value) -> anyhow::Result<Panel> {
    let state = &attributes["state"];
    let layers = state["datasourceStates"]["formBased"]["layers"].as_object();
    let layer = layers.and_then(|l| l.values().next()).context("a layer")?;
    let mut buckets = Vec::new();
    let mut values = Vec::new();
    let mut measures = Map::new();
    let mut aggs = Value::Null;
    let order = layer["columnOrder"].as_array().context("an order")?;
    // From the inside to the outside.
    for name in order.iter().rev() {
        let name = text(name)?.to_owned();
        let column = &layer["columns"][&name];
        if column["isBucketed"] != true {
            measures.insert(name.clone(), measure(column)?);
            values.insert(0, (name, text(&column["label"])?.to_owned()));
            continue;
        }
        let mut bucket = bucket(column)?;
        let mut inner = Map::from_iter(measures.clone());
        if let Some(outer) = aggs.as_object() {
            inner.extend(outer.clone());
        }
        bucket["aggs"] = inner.into();
        aggs = json!({ (name.clone()): bucket });
        buckets.insert(0, name);
    }
    if buckets.is_empty() {
        aggs = measures.into();
    }
    let query = query(text(&state["query"]["query"])?);
    let body = json!({ "size": 0, "track_total_hits": true, "query": query, "aggs": aggs });
    Ok(Panel {
        title,
        indices,
        body,
        buckets,
        values,
    })
}

fn measure(column: &Value) -> anyhow::Result<Value> {
    let field = &column["sourceField"];
    Ok(match text(&column["operationType"])? {
        "count" => json!({ "filter": query(column["filter"]["query"].as_str().unwrap_or("")) }),
        "unique_count" => json!({ "cardinality": { "field": field } }),
        "average" => json!({ "avg": { "field": field } }),
        "percentile" => json!({ "percentiles": {
            "field": field,
            "percents": [column["params"]["percentile"]],
        } }),
        other => json!({ (other): { "field": field } }),
    })
}

fn bucket(column: &Value) -> anyhow::Result<Value> {
    let field = &column["sourceField"];
    Ok(match text(&column["operationType"])? {
        "date_histogram" => json!({ "date_histogram": {
            "field": field,
            // Kibana draws the interval from the time range.
            "fixed_interval": "1h",
            "min_doc_count": 1,
        } }),
        "terms" => {
            let by = text(&column["params"]["orderBy"]["columnId"])?;
            json!({ "terms": {
                "field": field,
                "size": column["params"]["size"],
                "order": [{ (by): "desc" }, { "_key": "asc" }],
            } })
        }
        "filters" => {
            let mut filters = Map::new();
            for filter in column["params"]["filters"].as_array().context("filters")? {
                let kql = text(&filter["input"]["query"])?;
                filters.insert(text(&filter["label"])?.to_owned(), query(kql));
            }
            json!({ "filters": { "filters": filters } })
        }
        other => anyhow::bail!("no bucket {other}"),
    })
}

fn map(title: String, indices: String, attributes: &Value) -> anyhow::Result<Panel> {
    let layers: Vec<Value> = serde_json::from_str(text(&attributes["layerListJSON"])?)?;
    let layer = layers.first().context("a layer")?;
    let field = &layer["sourceDescriptor"]["geoField"];
    let grid = json!({ "geotile_grid": { "field": field, "precision": 3 } });
    let query = query(text(&layer["query"]["query"])?);
    let body =
        json!({ "size": 0, "track_total_hits": true, "query": query, "aggs": { "grid": grid } });
    Ok(Panel {
        title,
        indices,
        body,
        buckets: vec!["grid".into()],
        values: Vec::new(),
    })
}

/// What the panels use of Kibana's query language means the same in Lucene's.
fn query(kql: &str) -> Value {
    if kql.is_empty() {
        return json!({ "match_all": {} });
    }
    let lucene = kql
        .replace(" : ", ":")
        .replace(" and ", " AND ")
        .replace(" or ", " OR ")
        .replace("not ", "NOT ");
    json!({ "query_string": { "query": lucene } })
}

impl Panel {
    /// The answer in one line: bucket keys and values, in order.
    #[must_use]
    pub fn summary(&self, answer: &Value) -> String {
        self.level(&answer["aggregations"], &self.buckets, answer)
    }

    fn level(&self, aggs: &Value, buckets: &[String], around: &Value) -> String {
        let Some((first, rest)) = buckets.split_first() else {
            let values = self.values.iter().map(|(name, _)| number(&aggs[name]));
            let values: Vec<String> = values.collect();
            return match values.is_empty() {
                true => number(&around["doc_count"]),
                false => values.join(" / "),
            };
        };
        let found = &aggs[first]["buckets"];
        let one = |key: &str, bucket: &Value| {
            let inner = self.level(bucket, rest, bucket);
            match rest.is_empty() {
                true => format!("{key} {inner}"),
                false => format!("{key} ({inner})"),
            }
        };
        let keyed = found.as_object().into_iter().flatten();
        let mut parts: Vec<String> = keyed.map(|(key, bucket)| one(key, bucket)).collect();
        for bucket in found.as_array().into_iter().flatten() {
            let key = match bucket["key_as_string"].as_str().or(bucket["key"].as_str()) {
                Some(key) => key.trim_end_matches(":00:00.000Z").to_owned(),
                None => bucket["key"].to_string(),
            };
            parts.push(one(&key, bucket));
        }
        parts.join(", ")
    }
}

fn number(value: &Value) -> String {
    let values = value["values"].as_object().and_then(|v| v.values().next());
    let found = values
        .or(value.get("value"))
        .or(value.get("doc_count"))
        .unwrap_or(value);
    match found.as_f64() {
        Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.1}"),
        None => "-".into(),
    }
}
