//! The objects against their rules, the mapping, and a server that speaks Kibana's API.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use store::elasticsearch::{Distribution, IndexSettings, template};

use super::*;

const PREFIX: &str = "web-events";

fn objects() -> Vec<Value> {
    let text = ndjson(PREFIX).unwrap();
    let object = |line| serde_json::from_str(line).unwrap();
    text.lines().map(object).collect()
}

fn parsed(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

/// Types of fields by view.
fn mappings() -> BTreeMap<String, Value> {
    let index = IndexSettings::default();
    let profile = template::Profile {
        distribution: Distribution::Elasticsearch,
        prefix: PREFIX,
        index: &index,
        has_lifecycle: false,
    };
    let templates = template::all(profile).into_iter();
    let properties = |t: template::Template| {
        let mappings = &t.components[1].1["template"]["mappings"];
        (format!("{}-*", t.name), mappings["properties"].clone())
    };
    let by_pattern: BTreeMap<String, Value> = templates.map(properties).collect();
    let source = Source::read(PREFIX).unwrap();
    let views = source.views.iter();
    views
        .map(|view| (view.id.clone(), by_pattern[&view.pattern].clone()))
        .collect()
}

#[test]
fn committed_objects_are_those_of_the_source() {
    let committed = include_str!("../../../deploy/kibana/weir.ndjson");
    let is_same = committed == ndjson(PREFIX).unwrap();
    assert!(is_same, "weir setup --print > deploy/kibana/weir.ndjson");
}

/// What an operation can read.
fn fits(operation: &str, kind: &str) -> bool {
    let is_number = matches!(kind, "long" | "double");
    match operation {
        "sum" | "average" | "percentile" => is_number,
        "max" => is_number || kind == "date",
        "time" => kind == "date",
        "grid" => kind == "geo_point",
        "unique" | "terms" => matches!(kind, "keyword" | "boolean" | "ip") || is_number,
        _ => false,
    }
}

#[test]
fn every_field_exists_with_a_fitting_type() {
    let mappings = mappings();
    let kind = |view: &str, field: &str| {
        let kind = mappings[view][field]["type"].as_str();
        kind.unwrap_or_else(|| panic!("{view} has no {field}"))
            .to_owned()
    };
    let kql = |view: &str, text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let fields = words.windows(2).filter(|pair| pair[1] == ":");
        for pair in fields {
            kind(view, pair[0]);
        }
        assert_eq!(text.is_empty(), words.is_empty());
    };
    let source = Source::read(PREFIX).unwrap();
    for view in &source.views {
        assert_eq!(kind(&view.id, &view.time), "date");
    }
    for search in &source.searches {
        kql(&search.view, &search.filter);
        search
            .columns
            .iter()
            .for_each(|f| drop(kind(&search.view, f)));
    }
    for dashboard in &source.dashboards {
        for [_, view, field] in &dashboard.controls {
            assert!(fits("terms", &kind(view, field)), "{field}");
        }
        for panel in &dashboard.panels {
            kql(&panel.view, &panel.filter);
            panel
                .steps
                .iter()
                .for_each(|[_, text]| kql(&panel.view, text));
            for call in panel.value.iter().chain(&panel.by) {
                if call.operation == "count" {
                    kql(&panel.view, &call.argument);
                    continue;
                }
                let kind = kind(&panel.view, &call.argument);
                assert!(fits(&call.operation, &kind), "{}: {call:?}", panel.title);
            }
        }
    }
}

/// Every reference inside an object's JSON texts.
fn references_within(object: &Value) -> Vec<(String, String)> {
    let attributes = &object["attributes"];
    let mut found = Vec::new();
    if object["type"] != "dashboard" {
        return found;
    }
    for panel in parsed(&attributes["panelsJSON"]).as_array().unwrap() {
        let index = panel["panelIndex"].as_str().unwrap();
        let inner = &panel["embeddableConfig"]["attributes"]["references"];
        for reference in inner.as_array().unwrap() {
            let name = format!("{index}:{}", reference["name"].as_str().unwrap());
            found.push((name, reference["id"].as_str().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn objects_keep_the_rules_of_an_import() {
    let objects = objects();
    let known = |object: &Value| (object["type"].clone(), object["id"].clone());
    let mut seen: Vec<(Value, Value)> = Vec::new();
    let newest = BTreeMap::from([
        ("index-pattern", "8.0.0"),
        ("search", "8.0.0"),
        ("dashboard", "8.9.0"),
    ]);
    for object in &objects {
        assert!(!seen.contains(&known(object)), "twice: {object}");
        let kind = object["type"].as_str().unwrap();
        assert_eq!(object["typeMigrationVersion"], newest[kind], "{kind}");
        assert_eq!(object["coreMigrationVersion"], "8.8.0");
        for reference in object["references"].as_array().unwrap() {
            let target = (reference["type"].clone(), reference["id"].clone());
            assert!(seen.contains(&target), "{kind} refers to {reference}");
        }
        for (name, id) in references_within(object) {
            let references = object["references"].as_array().unwrap();
            let twin = references.iter().find(|r| r["name"] == name);
            assert_eq!(twin.unwrap()["id"], id, "{name} has its twin above");
        }
        seen.push(known(object));
    }
    assert_eq!(seen.len(), 9);
}

#[test]
fn panels_lie_on_the_grid_and_not_on_each_other() {
    for object in objects().iter().filter(|o| o["type"] == "dashboard") {
        let panels = parsed(&object["attributes"]["panelsJSON"]);
        let panels = panels.as_array().unwrap();
        assert!(panels.len() <= 100);
        let mut taken = HashSet::new();
        for panel in panels {
            let grid = &panel["gridData"];
            assert_eq!(grid["i"], panel["panelIndex"]);
            let number = |name: &str| grid[name].as_u64().unwrap();
            for x in number("x")..number("x") + number("w") {
                assert!(x < 48, "{panel}");
                for y in number("y")..number("y") + number("h") {
                    assert!(taken.insert((x, y)), "{} lies on another", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn charts_draw_only_columns_that_they_have() {
    for object in objects().iter().filter(|o| o["type"] == "dashboard") {
        for panel in parsed(&object["attributes"]["panelsJSON"])
            .as_array()
            .unwrap()
        {
            if panel["type"] != "lens" {
                continue;
            }
            let state = &panel["embeddableConfig"]["attributes"]["state"];
            let layer = &state["datasourceStates"]["formBased"]["layers"]["layer"];
            let columns = layer["columns"].as_object().unwrap();
            let order = layer["columnOrder"].as_array().unwrap();
            assert_eq!(columns.len(), order.len());
            let is_bucket = |name: &Value| columns[name.as_str().unwrap()]["isBucketed"] == true;
            assert!(
                order.is_sorted_by_key(|name| !is_bucket(name)),
                "buckets first"
            );
            let drawn = state["visualization"].to_string();
            for name in order {
                assert!(
                    drawn.contains(&name.to_string()),
                    "{}: {name}",
                    panel["title"]
                );
            }
        }
    }
}

/// A Kibana as its API reference describes it, as far as it is asked here.
#[derive(Default)]
struct Kibana {
    version: String,
    spaces: Vec<String>,
    /// Import paths and the number of objects each brought.
    imports: Vec<(String, usize)>,
    rules: BTreeMap<String, Value>,
    writes: usize,
    /// Answers an import with this instead.
    refusal: Option<Value>,
}

type Shared = Arc<Mutex<Kibana>>;

async fn kibana(version: &str) -> (Options, Shared) {
    let state = Shared::default();
    state.lock().unwrap().version = version.into();
    let router = Router::new().fallback(answer).with_state(state.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        url: format!("http://{}/", listener.local_addr().unwrap()),
        username: Some("elastic".into()),
        password: Some("secret".into()),
        ..Options::default()
    };
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (options, state)
}

async fn answer(
    State(state): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut kibana = state.lock().unwrap();
    let json = |value: Value| value.to_string().into_response();
    let none = || (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#).into_response();
    // base64 of elastic:secret
    if headers
        .get("authorization")
        .is_none_or(|v| v != "Basic ZWxhc3RpYzpzZWNyZXQ=")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if method != Method::GET && !headers.contains_key("kbn-xsrf") {
        let said = r#"{"message":"Request must contain a kbn-xsrf header."}"#;
        return (StatusCode::BAD_REQUEST, said).into_response();
    }
    if method != Method::GET {
        kibana.writes += 1;
    }
    let path = uri.path();
    let (space, path) = match path
        .strip_prefix("/s/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((space, rest)) => (space.to_owned(), format!("/{rest}")),
        None => ("default".to_owned(), path.to_owned()),
    };
    if path == "/api/status" {
        let level = json!({ "level": "available" });
        let version = json!({ "number": kibana.version });
        return json(json!({ "version": version, "status": { "overall": level } }));
    }
    if let Some(name) = path.strip_prefix("/api/spaces/space/") {
        let is_there = name == "default" || kibana.spaces.iter().any(|s| s == name);
        return if is_there {
            json(json!({ "id": name }))
        } else {
            none()
        };
    }
    if path == "/api/spaces/space" {
        let body: Value = serde_json::from_slice(&body).unwrap();
        kibana.spaces.push(body["id"].as_str().unwrap().to_owned());
        return json(body);
    }
    if path == "/api/saved_objects/_import" {
        assert_eq!(uri.query(), Some("overwrite=true"));
        let content_type = headers["content-type"].to_str().unwrap();
        let boundary = content_type.split_once("boundary=").unwrap().1;
        let text = std::str::from_utf8(&body).unwrap();
        let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
        assert_eq!(
            (parts.len(), parts[2]),
            (3, "--\r\n"),
            "one part and the end"
        );
        let (head, file) = parts[1].split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("name=\"file\"; filename=\"weir.ndjson\""),
            "{head}"
        );
        let count = file
            .trim()
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        let count = count.count();
        kibana.imports.push((space, count));
        let good = json!({ "success": true, "successCount": count });
        return json(kibana.refusal.clone().unwrap_or(good));
    }
    let Some(id) = path.strip_prefix("/api/alerting/rule/") else {
        return none();
    };
    match method {
        Method::GET => kibana
            .rules
            .get(id)
            .map_or_else(none, |rule| json(rule.clone())),
        _ => {
            let mut rule: Value = serde_json::from_slice(&body).unwrap();
            let is_new = method == Method::POST;
            assert_eq!(is_new, !kibana.rules.contains_key(id));
            assert_eq!(is_new, rule.get("rule_type_id").is_some(), "{rule}");
            // As Kibana does.
            rule["params"]["excludeHitsFromPreviousRun"] = true.into();
            kibana.rules.insert(id.to_owned(), rule.clone());
            json(rule)
        }
    }
}

async fn run(options: &Options, is_dry: bool) -> anyhow::Result<Vec<String>> {
    let lines = Mutex::new(Vec::new());
    let say = |line| lines.lock().unwrap().push(line);
    install(options, PREFIX, is_dry, say).await?;
    Ok(lines.into_inner().unwrap())
}

#[tokio::test]
async fn everything_is_installed_once() {
    let (options, state) = kibana("9.5.3").await;
    let first = run(&options, false).await.unwrap();
    assert_eq!(first[0], "Kibana 9.5.3, available");
    assert_eq!(first[2], "9 saved objects imported");
    let writes = {
        let kibana = state.lock().unwrap();
        assert_eq!(kibana.imports, [("default".to_owned(), 9)]);
        assert_eq!(kibana.rules.len(), 4);
        kibana.writes
    };
    let second = run(&options, false).await.unwrap();
    let rules = second.iter().filter(|line| line.starts_with("alert rule"));
    assert!(rules.clone().all(|line| line.contains("up to date")));
    assert_eq!(rules.count(), 4);
    assert_eq!(state.lock().unwrap().writes, writes + 1, "the import alone");
}

#[tokio::test]
async fn actions_that_people_added_stay() {
    let (options, state) = kibana("8.19.0").await;
    run(&options, false).await.unwrap();
    let id = "weir-web-events-traffic-drop";
    {
        let mut kibana = state.lock().unwrap();
        let rule = kibana.rules.get_mut(id).unwrap();
        rule["actions"] = json!([{ "id": "mail", "connector_type_id": ".email" }]);
        rule["schedule"] = json!({ "interval": "1h" });
    }
    run(&options, false).await.unwrap();
    let rule = state.lock().unwrap().rules[id].clone();
    assert_eq!(rule["schedule"]["interval"], "5m");
    assert_eq!(rule["actions"], json!([{ "id": "mail" }]));
}

#[tokio::test]
async fn space_of_its_own_is_made_and_used() {
    let (mut options, state) = kibana("8.8.0").await;
    options.space = "web".into();
    run(&options, false).await.unwrap();
    let kibana = state.lock().unwrap();
    assert_eq!(kibana.spaces, ["web"]);
    assert_eq!(kibana.imports[0].0, "web");
}

#[tokio::test]
async fn dry_run_changes_nothing() {
    let (options, state) = kibana("9.0.0").await;
    let lines = run(&options, true).await.unwrap();
    assert!(lines[1].starts_with("would import 9 saved objects"));
    assert_eq!(state.lock().unwrap().writes, 0);
}

#[tokio::test]
async fn import_that_took_a_part_is_a_failure() {
    let (options, state) = kibana("9.0.0").await;
    let error = json!({ "type": "search", "id": "x", "error": { "type": "missing_references" } });
    state.lock().unwrap().refusal =
        Some(json!({ "success": false, "successCount": 8, "errors": [error] }));
    let error = run(&options, false).await.unwrap_err().to_string();
    assert!(error.contains("8 of 9"), "{error}");
    assert!(error.contains("missing_references"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (options, _state) = kibana("8.7.1").await;
    let error = run(&options, false).await.unwrap_err().to_string();
    assert!(error.contains("Kibana 8.7.1; 8.8 or newer"), "{error}");
    let wrong = Options {
        password: Some("wrong".into()),
        ..options
    };
    let error = run(&wrong, false).await.unwrap_err().to_string();
    assert!(
        error.contains("kibana.username, kibana.password"),
        "{error}"
    );
}
