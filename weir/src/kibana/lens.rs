//! A panel as Kibana's editor would save it: the attributes of a Lens object, or of a map.

use anyhow::bail;
use serde_json::{Map, Value, json};

use super::source::{Call, Kind, Panel};

/// The only layer of each panel.
const LAYER: &str = "layer";

/// Name of a Lens panel's reference to its view.
pub(super) const LENS_REFERENCE: &str = "indexpattern-datasource-layer-layer";

/// Name of a map's reference to its view.
pub(super) const MAP_REFERENCE: &str = "layer_0_source_index_pattern";

/// The attributes of a panel; `view` is the id of its data view.
pub(super) fn attributes(panel: &Panel, view: &str) -> anyhow::Result<Value> {
    if panel.kind == Kind::Map {
        return Ok(map(panel, view));
    }
    let (columns, order) = columns(panel)?;
    let layer = json!({
        "columns": columns,
        "columnOrder": order,
        "incompleteColumns": {},
        "sampling": 1,
    });
    let (kind, visualization) = visualization(panel);
    Ok(json!({
        "title": panel.title,
        "description": "",
        "visualizationType": kind,
        "type": "lens",
        "references": [{ "type": "index-pattern", "id": view, "name": LENS_REFERENCE }],
        "state": {
            "visualization": visualization,
            "query": query(&panel.filter),
            "filters": [],
            "datasourceStates": {
                "formBased": { "layers": { (LAYER): layer } },
                "textBased": { "layers": {} },
            },
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }))
}

/// A query in Kibana's language.
pub(super) fn query(kql: &str) -> Value {
    json!({ "query": kql, "language": "kuery" })
}

fn bucket_names(panel: &Panel) -> Vec<String> {
    let count = panel.by.len() + usize::from(!panel.steps.is_empty());
    (0..count).map(|n| format!("bucket{n}")).collect()
}

fn value_names(panel: &Panel) -> Vec<String> {
    (0..panel.value.len())
        .map(|n| format!("value{n}"))
        .collect()
}

/// The columns by name, buckets first, and their order.
fn columns(panel: &Panel) -> anyhow::Result<(Value, Vec<String>)> {
    let mut columns = Map::new();
    if !panel.steps.is_empty() {
        columns.insert("bucket0".into(), steps(&panel.steps));
    }
    for (name, call) in bucket_names(panel).iter().zip(&panel.by) {
        columns.insert(name.clone(), bucket(call)?);
    }
    for (name, call) in value_names(panel).iter().zip(&panel.value) {
        columns.insert(name.clone(), value(call)?);
    }
    let order = [bucket_names(panel), value_names(panel)].concat();
    Ok((columns.into(), order))
}

fn steps(steps: &[[String; 2]]) -> Value {
    let filter = |[label, kql]: &[String; 2]| json!({ "label": label, "input": query(kql) });
    json!({
        "label": "Filters",
        "dataType": "string",
        "operationType": "filters",
        "scale": "ordinal",
        "isBucketed": true,
        "params": { "filters": steps.iter().map(filter).collect::<Vec<_>>() },
    })
}

fn bucket(call: &Call) -> anyhow::Result<Value> {
    let mut column = match call.operation.as_str() {
        "time" => json!({
            "dataType": "date",
            "operationType": "date_histogram",
            "scale": "interval",
            "params": { "interval": "auto", "includeEmptyRows": true, "dropPartials": false },
        }),
        "terms" => json!({
            "dataType": data_type(&call.argument),
            "operationType": "terms",
            "scale": "ordinal",
            "params": {
                "size": call.number.unwrap_or(10),
                "orderBy": { "type": "column", "columnId": "value0" },
                "orderDirection": "desc",
                "otherBucket": false,
                "missingBucket": false,
                "parentFormat": { "id": "terms" },
                "include": [],
                "exclude": [],
                "includeIsRegex": false,
                "excludeIsRegex": false,
            },
        }),
        other => bail!("no bucket {other}"),
    };
    column["label"] = call.label.clone().into();
    column["customLabel"] = true.into();
    column["isBucketed"] = true.into();
    column["sourceField"] = call.argument.clone().into();
    Ok(column)
}

fn data_type(field: &str) -> &'static str {
    match event::field::field(field).map(|field| field.kind) {
        Some(event::Kind::Boolean) => "boolean",
        Some(event::Kind::Long | event::Kind::Double) => "number",
        Some(event::Kind::Ip) => "ip",
        _ => "string",
    }
}

fn value(call: &Call) -> anyhow::Result<Value> {
    let operation = match call.operation.as_str() {
        "count" => "count",
        "unique" => "unique_count",
        "sum" => "sum",
        "average" => "average",
        "max" => "max",
        "percentile" => "percentile",
        other => bail!("no value {other}"),
    };
    let mut column = json!({
        "label": call.label,
        "customLabel": true,
        "dataType": "number",
        "operationType": operation,
        "isBucketed": false,
        "scale": "ratio",
        "params": { "emptyAsNull": operation != "count" },
    });
    match (operation, call.argument.as_str()) {
        ("count", filter) => {
            column["sourceField"] = "___records___".into();
            if !filter.is_empty() {
                column["filter"] = query(filter);
            }
        }
        (_, field) => column["sourceField"] = field.into(),
    }
    if operation == "percentile" {
        column["params"] = json!({ "percentile": call.number.unwrap_or(99) });
    }
    Ok(column)
}

/// The name of the visualization and its state.
fn visualization(panel: &Panel) -> (&'static str, Value) {
    let (buckets, values) = (bucket_names(panel), value_names(panel));
    let is_time = panel
        .by
        .first()
        .is_some_and(|call| call.operation == "time");
    match panel.kind {
        Kind::Metric => {
            let state = json!({
                "layerId": LAYER,
                "layerType": "data",
                "metricAccessor": values[0],
            });
            ("lnsMetric", state)
        }
        Kind::Pie => {
            let layer = json!({
                "layerId": LAYER,
                "layerType": "data",
                "primaryGroups": buckets,
                "metrics": values,
                "numberDisplay": "percent",
                "categoryDisplay": "default",
                "legendDisplay": "default",
                "nestedLegend": false,
            });
            ("lnsPie", json!({ "shape": "donut", "layers": [layer] }))
        }
        Kind::Table => {
            let names = buckets.iter().chain(&values);
            let columns: Vec<_> = names.map(|name| json!({ "columnId": name })).collect();
            let state = json!({
                "layerId": LAYER,
                "layerType": "data",
                "columns": columns,
            });
            ("lnsDatatable", state)
        }
        Kind::Line | Kind::Area | Kind::Bar | Kind::Map => {
            let series = match panel.kind {
                Kind::Line => "line",
                Kind::Area => "area_stacked",
                _ if is_time => "bar_stacked",
                _ => "bar_horizontal_stacked",
            };
            let mut layer = json!({
                "layerId": LAYER,
                "layerType": "data",
                "accessors": values,
                "position": "top",
                "seriesType": series,
                "showGridlines": false,
                "xAccessor": buckets[0],
            });
            if let Some(split) = buckets.get(1) {
                layer["splitAccessor"] = split.clone().into();
            }
            let state = json!({
                "legend": { "isVisible": true, "position": "bottom" },
                "valueLabels": "hide",
                "fittingFunction": "None",
                "preferredSeriesType": series,
                "layers": [layer],
            });
            ("lnsXY", state)
        }
    }
}

/// A grid without a base map: the tiles of Elastic's service need the Internet.
fn map(panel: &Panel, view: &str) -> Value {
    let layers = json!([{
        "id": LAYER,
        "label": panel.title,
        "type": "GEOJSON_VECTOR",
        "visible": true,
        "alpha": 0.75,
        "minZoom": 0,
        "maxZoom": 24,
        "joins": [],
        "query": query(&panel.filter),
        "sourceDescriptor": {
            "id": "source",
            "type": "ES_GEO_GRID",
            "geoField": panel.by[0].argument,
            "requestType": "point",
            "resolution": "FINE",
            "metrics": [{ "type": "count" }],
            "applyGlobalQuery": true,
            "applyGlobalTime": true,
            "indexPatternRefName": MAP_REFERENCE,
        },
        "style": {
            "type": "VECTOR",
            "isTimeAware": true,
            "properties": {
                "fillColor": { "type": "STATIC", "options": { "color": "#54B399" } },
                "iconSize": { "type": "DYNAMIC", "options": {
                    "minSize": 4,
                    "maxSize": 32,
                    "field": { "name": "doc_count", "origin": "source" },
                    "fieldMetaOptions": { "isEnabled": false, "sigma": 3 },
                } },
            },
        },
    }]);
    let state = json!({
        "zoom": 1.2,
        "center": { "lon": 10, "lat": 30 },
        "timeFilters": { "from": "now-24h", "to": "now" },
        "refreshConfig": { "isPaused": true, "interval": 0 },
        "query": query(""),
        "filters": [],
        "settings": { "autoFitToDataBounds": false },
    });
    json!({
        "title": panel.title,
        "description": "",
        "mapStateJSON": state.to_string(),
        "layerListJSON": layers.to_string(),
        "uiStateJSON": "{}",
        "references": [{ "type": "index-pattern", "id": view, "name": MAP_REFERENCE }],
    })
}
