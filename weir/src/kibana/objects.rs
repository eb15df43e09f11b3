//! Saved objects, in the form in which Kibana exports them.
//!
//! The versions are old on purpose: Kibana migrates what is older than itself and refuses what is
//! newer.

use serde_json::{Map, Value, json};

use super::lens;
use super::source::{Dashboard, Kind, Search, Source, View};

/// What every Kibana from 8.8 writes.
const CORE_VERSION: &str = "8.8.0";

/// The objects in an order in which each finds what it refers to.
pub(super) fn all(source: &Source, prefix: &str) -> anyhow::Result<Vec<Value>> {
    let mut objects: Vec<Value> = source
        .views
        .iter()
        .map(|view| data_view(view, prefix))
        .collect();
    objects.extend(source.searches.iter().map(|s| search(s, prefix)));
    for page in &source.dashboards {
        objects.push(dashboard(page, prefix)?);
    }
    Ok(objects)
}

/// The id of an object: another prefix has objects of its own.
fn id(prefix: &str, name: &str) -> String {
    format!("weir-{prefix}-{name}")
}

fn object(kind: &str, id: String, version: &str, attributes: Value, references: Value) -> Value {
    json!({
        "type": kind,
        "id": id,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": CORE_VERSION,
        "typeMigrationVersion": version,
    })
}

fn data_view(view: &View, prefix: &str) -> Value {
    let attributes = json!({
        "title": view.pattern,
        "name": format!("{} ({prefix})", view.name),
        "timeFieldName": view.time,
        "fieldFormatMap": "{}",
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "fields": "[]",
        "typeMeta": "{}",
    });
    object(
        "index-pattern",
        id(prefix, &view.id),
        "8.0.0",
        attributes,
        json!([]),
    )
}

fn search(search: &Search, prefix: &str) -> Value {
    let reference = "kibanaSavedObjectMeta.searchSourceJSON.index";
    let source = json!({
        "query": lens::query(&search.filter),
        "filter": [],
        "indexRefName": reference,
    });
    let attributes = json!({
        "title": search.title,
        "description": "",
        "columns": search.columns,
        "sort": [["@timestamp", "desc"]],
        "grid": {},
        "hideChart": false,
        "isTextBasedQuery": false,
        "kibanaSavedObjectMeta": { "searchSourceJSON": source.to_string() },
    });
    let view = id(prefix, &search.view);
    let references = json!([{ "type": "index-pattern", "id": view, "name": reference }]);
    object(
        "search",
        id(prefix, &search.id),
        "8.0.0",
        attributes,
        references,
    )
}

fn dashboard(page: &Dashboard, prefix: &str) -> anyhow::Result<Value> {
    let mut panels = Vec::new();
    let mut references = Vec::new();
    for (number, panel) in page.panels.iter().enumerate() {
        let index = format!("p{number}");
        let view = id(prefix, &panel.view);
        let (kind, version, name) = match panel.kind {
            Kind::Map => ("map", "8.4.0", lens::MAP_REFERENCE),
            _ => ("lens", "8.9.0", lens::LENS_REFERENCE),
        };
        let [x, y, w, h] = panel.at;
        panels.push(json!({
            "version": version,
            "type": kind,
            "gridData": { "x": x, "y": y, "w": w, "h": h, "i": index },
            "panelIndex": index,
            "embeddableConfig": {
                "attributes": lens::attributes(panel, &view)?,
                "enhancements": {},
            },
            "title": panel.title,
        }));
        references.push(json!({
            "type": "index-pattern",
            "id": view,
            "name": format!("{index}:{name}"),
        }));
    }
    let mut controls = Map::new();
    for (number, [title, view, field]) in page.controls.iter().enumerate() {
        let key = format!("c{number}");
        controls.insert(
            key.clone(),
            json!({
                "type": "optionsListControl",
                "order": number,
                "grow": true,
                "width": "medium",
                "explicitInput": {
                    "id": key,
                    "title": title,
                    "fieldName": field,
                    "enhancements": {},
                    "selectedOptions": [],
                },
            }),
        );
        references.push(json!({
            "type": "index-pattern",
            "id": id(prefix, view),
            "name": format!("controlGroup_{key}:optionsListDataView"),
        }));
    }
    let ignored = json!({
        "ignoreFilters": false,
        "ignoreQuery": false,
        "ignoreTimerange": false,
        "ignoreValidations": false,
    });
    let options = json!({
        "useMargins": true,
        "syncColors": true,
        "syncCursor": true,
        "syncTooltips": false,
        "hidePanelTitles": false,
    });
    let source = json!({ "query": lens::query(""), "filter": [] });
    let attributes = json!({
        "title": format!("{} ({prefix})", page.title),
        "description": page.description,
        "version": 1,
        "timeRestore": true,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "refreshInterval": { "pause": false, "value": 60_000 },
        "controlGroupInput": {
            "controlStyle": "oneLine",
            "chainingSystem": "HIERARCHICAL",
            "panelsJSON": Value::from(controls).to_string(),
            "ignoreParentSettingsJSON": ignored.to_string(),
        },
        "optionsJSON": options.to_string(),
        "panelsJSON": Value::from(panels).to_string(),
        "kibanaSavedObjectMeta": { "searchSourceJSON": source.to_string() },
    });
    let id = id(prefix, &page.id);
    Ok(object(
        "dashboard",
        id,
        "8.9.0",
        attributes,
        references.into(),
    ))
}
