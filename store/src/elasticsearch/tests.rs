//! Behaviour against a server that misbehaves on purpose, and pure parts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::Indices;

/// What the server does with its nth request, counted from 0.
type Script = Arc<dyn Fn(usize, &Uri, &[u8]) -> Response + Send + Sync>;

/// A server that follows a script for as long as the value lives.
struct Stub {
    url: Url,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    async fn new(script: impl Fn(usize, &Uri, &[u8]) -> Response + Send + Sync + 'static) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let script: Script = Arc::new(script);
        let state = (requests.clone(), script);
        let answer = async |State((requests, script)): State<(Arc<AtomicUsize>, Script)>,
                            uri: Uri,
                            body: Bytes| {
            let response = script(requests.fetch_add(1, Ordering::SeqCst), &uri, &body);
            if response.extensions().get::<Hang>().is_some() {
                std::future::pending::<()>().await;
            }
            response
        };
        let router = Router::new().fallback(answer).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url: url.parse().unwrap(),
            requests,
            task,
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn store(&self) -> Elasticsearch {
        store(vec![self.url.clone()])
    }
}

#[derive(Clone)]
struct Hang;

fn hang() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Hang);
    response
}

fn store(nodes: Vec<Url>) -> Elasticsearch {
    let mut options = Options::new(nodes, "web-events");
    options.request_timeout = Duration::from_secs(2);
    Elasticsearch::new(options).unwrap()
}

fn documents(count: usize) -> Vec<Document> {
    let document = |n| Document {
        id: format!("id-{n}"),
        index: "web-events-2026.01.02".into(),
        source: format!(r#"{{"event_type":"pageview","n":{n}}}"#).into(),
    };
    (0..count).map(document).collect()
}

fn items_of(body: &[u8]) -> usize {
    body.iter().filter(|b| **b == b'\n').count() / 2
}

fn bulk(items: impl IntoIterator<Item = Value>) -> Response {
    let items: Vec<Value> = items
        .into_iter()
        .map(|item| json!({ "create": item }))
        .collect();
    axum::Json(json!({ "items": items })).into_response()
}

fn created(body: &[u8]) -> Response {
    bulk(vec![json!({ "status": 201 }); items_of(body)])
}

fn error(status: u16, kind: &str, reason: &str) -> Value {
    json!({ "status": status, "error": { "type": kind, "reason": reason } })
}

#[tokio::test]
async fn overloaded_items_are_to_be_retried() {
    let stub = Stub::new(|_, _, body| {
        bulk((0..items_of(body)).map(|n| match n % 3 {
            0 => error(429, "es_rejected_execution_exception", "queue is full"),
            1 => error(503, "unavailable_shards_exception", "primary shard is away"),
            _ => json!({ "status": 201 }),
        }))
    });
    let outcomes = stub.await.store().write(&documents(6)).await.unwrap();
    let retried = |o: &Outcome| matches!(o, Outcome::Retry(_));
    assert_eq!(outcomes.iter().filter(|o| retried(o)).count(), 4);
    assert_eq!(outcomes[2], Outcome::Created);
    assert_eq!(outcomes[5], Outcome::Created);
}

#[tokio::test]
async fn outcomes_keep_their_order() {
    let stub = Stub::new(|_, _, _| {
        let mut malformed = error(
            400,
            "document_parsing_exception",
            "failed to parse field [n]",
        );
        malformed["error"]["caused_by"] = json!({ "type": "x", "reason": "For input string" });
        bulk([
            json!({ "status": 201 }),
            error(409, "conflict", ""),
            malformed,
        ])
    });
    let outcomes = stub.await.store().write(&documents(3)).await.unwrap();
    assert_eq!(outcomes[..2], [Outcome::Created, Outcome::Duplicate]);
    let refused = Outcome::Refused {
        kind: "document_parsing_exception".into(),
        reason: "failed to parse field [n]: For input string".into(),
    };
    assert_eq!(outcomes[2], refused);
}

#[tokio::test]
async fn too_large_request_is_halved_and_the_limit_remembered() {
    const LIMIT: usize = 1_000;
    let stub = Stub::new(|_, _, body| match body.len() {
        0..=LIMIT => created(body),
        _ => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    })
    .await;
    let store = stub.store();
    let outcomes = store.write(&documents(100)).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Created; 100]);
    let first = stub.requests();
    store.write(&documents(100)).await.unwrap();
    assert!(
        stub.requests() - first < first,
        "refused sizes are not tried again"
    );
}

#[tokio::test]
async fn single_document_beyond_the_limit_is_refused_and_the_rest_written() {
    let stub = Stub::new(|_, _, body| match body.len() {
        0..=1_000 => created(body),
        _ => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    });
    let mut documents = documents(10);
    documents[4].source = format!(r#"{{"a":"{}"}}"#, "x".repeat(2_000)).into();
    let outcomes = stub.await.store().write(&documents).await.unwrap();
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(
            matches!(outcome, Outcome::Refused { .. }),
            n == 4,
            "{n}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn unclear_answers_leave_everything_unknown() {
    for body in [
        r#"{"items":[{"create":{"status":201}},{"crea"#,
        r#"{"items":[{"create":{"status":201}}]}"#,
        r#"{"items":[{"index":{"status":201}},{"index":{"status":201}}]}"#,
        "{}",
        "<html>",
    ] {
        let stub = Stub::new(move |_, _, _| body.into_response()).await;
        let answer = stub.store().write(&documents(2)).await;
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{body}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn silent_server_times_out() {
    let stub = Stub::new(|_, _, _| hang()).await;
    let begin = std::time::Instant::now();
    let answer = stub.store().write(&documents(1)).await;
    assert!(matches!(&answer, Err(StoreError::Unavailable(why)) if why.contains("did not answer")));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn overload_passes_without_a_new_store() {
    let stub = Stub::new(|nth, _, body| match nth {
        0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        1 => StatusCode::TOO_MANY_REQUESTS.into_response(),
        _ => created(body),
    })
    .await;
    let store = stub.store();
    for _ in 0..2 {
        let answer = store.write(&documents(1)).await;
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    assert_eq!(store.write(&documents(1)).await, Ok(vec![Outcome::Created]));
}

#[tokio::test]
async fn credentials_refused_later_are_a_matter_of_configuration() {
    let stub = Stub::new(|nth, _, body| match nth {
        0 => created(body),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    })
    .await;
    let store = stub.store();
    store.write(&documents(1)).await.unwrap();
    let answer = store.write(&documents(1)).await;
    assert!(
        matches!(&answer, Err(StoreError::Configuration(why)) if why.contains("[elasticsearch] username")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn faults_of_the_index_never_refuse_documents() {
    for fault in [
        error(403, "security_exception", "action is unauthorized"),
        error(403, "cluster_block_exception", "index write (api)"),
        error(404, "index_not_found_exception", "no such index"),
        error(400, "index_closed_exception", "closed"),
        error(
            400,
            "validation_exception",
            "this action would add [2] shards",
        ),
        error(
            400,
            "illegal_argument_exception",
            "pipeline with id [x] does not exist",
        ),
    ] {
        let item = fault.clone();
        let stub = Stub::new(move |_, _, _| bulk([json!({ "status": 201 }), item.clone()])).await;
        let outcomes = stub.store().write(&documents(2)).await.unwrap();
        assert_eq!(outcomes[0], Outcome::Created, "{fault}");
        assert!(
            matches!(outcomes[1], Outcome::Held(_)),
            "{fault}: {outcomes:?}"
        );
    }
}

#[tokio::test]
async fn failures_over_a_document_are_told_from_overload() {
    let stub = Stub::new(|_, _, _| {
        let away = error(503, "unavailable_shards_exception", "away");
        bulk([error(500, "null_pointer_exception", "a bug"), away])
    });
    let outcomes = stub.await.store().write(&documents(2)).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Failed(_)), "{outcomes:?}");
    assert!(matches!(outcomes[1], Outcome::Retry(_)), "{outcomes:?}");
}

#[tokio::test]
async fn compressed_request_inflates_to_the_plain_one() {
    use std::io::Read as _;
    let (seen, inflated) = (Arc::new(std::sync::Mutex::new(Vec::new())), documents(50));
    let bodies = seen.clone();
    let stub = Stub::new(move |_, _, body| {
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(body);
        decoder.read_to_end(&mut plain).unwrap();
        assert!(body.len() * 3 < plain.len());
        let answer = created(&plain);
        bodies.lock().unwrap().push(plain);
        answer
    })
    .await;
    let mut options = Options::new(vec![stub.url.clone()], "web-events");
    options.compression = Compression::Gzip;
    let store = Elasticsearch::new(options).unwrap();
    assert_eq!(
        store.write(&inflated).await.unwrap(),
        vec![Outcome::Created; 50]
    );
    let expected = bulk::encode(&inflated.iter().collect::<Vec<_>>());
    assert_eq!(seen.lock().unwrap()[0], expected);
}

#[tokio::test]
async fn node_that_is_away_is_passed_over() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away: Url = format!("http://{}", closed.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(closed);
    let stub = Stub::new(|_, _, body| created(body)).await;
    let store = store(vec![away.clone(), stub.url.clone()]);
    for _ in 0..4 {
        assert_eq!(store.write(&documents(1)).await, Ok(vec![Outcome::Created]));
    }
    let alone = super::tests::store(vec![away]).ping().await;
    assert!(matches!(&alone, Err(StoreError::Unavailable(why)) if why.contains("nothing listens")));
}

#[tokio::test]
async fn documents_that_would_spoil_a_request_are_not_sent() {
    let stub = Stub::new(|_, _, body| {
        assert_eq!(items_of(body), 1);
        created(body)
    });
    let mut documents = documents(4);
    documents[0].id = "x".repeat(513);
    documents[1].source = Bytes::from_static(b" ");
    documents[2].id.clear();
    let outcomes = stub.await.store().write(&documents).await.unwrap();
    assert!(
        outcomes[..3]
            .iter()
            .all(|o| matches!(o, Outcome::Refused { .. }))
    );
    assert_eq!(outcomes[3], Outcome::Created);
}

#[test]
fn two_lines_a_document_whatever_it_holds() {
    let document = Document {
        id: "a\"\n\\é".into(),
        index: "web-events-2026.01.02".into(),
        source: Bytes::from_static(b"{\n\"a\":\r\n1}"),
    };
    let body = bulk::encode(&[&document, &document]);
    let lines: Vec<&[u8]> = body.split(|b| *b == b'\n').collect();
    assert_eq!(lines.len(), 5, "four lines and the end");
    let action: Value = serde_json::from_slice(lines[0]).unwrap();
    assert_eq!(action["create"]["_id"], document.id);
    assert_eq!(
        serde_json::from_slice::<Value>(lines[1]).unwrap(),
        json!({ "a": 1 })
    );
}

#[tokio::test]
async fn other_servers_are_told_apart() {
    let opensearch_1 = r#"{"version":{"number":"1.3.0","distribution":"opensearch"}}"#;
    let elastic_7 = r#"{"version":{"number":"7.17.1"},"tagline":"You Know, for Search"}"#;
    for (page, words) in [
        ("<html>", "is not Elasticsearch"),
        ("{}", "is not Elasticsearch"),
        (opensearch_1, "OpenSearch 1.3.0, which is not supported"),
        (elastic_7, "Elasticsearch 7.17.1, which is not supported"),
    ] {
        let stub = Stub::new(move |_, _, _| page.into_response()).await;
        let answer = stub.store().ping().await;
        assert!(
            matches!(&answer, Err(StoreError::Configuration(why)) if why.contains(words)),
            "{page}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn bodies_that_name_other_indices_are_not_sent() {
    let stub = Stub::new(|_, _, _| "{}".into_response()).await;
    for body in [
        json!({ "query": { "terms": { "site": { "index": "secret", "id": "1", "path": "a" } } } }),
        json!({ "query": { "more_like_this": { "like": [{ "_index": "secret", "_id": "1" }] } } }),
        json!({ "runtime_mappings": { "x": { "type": "lookup", "target_index": "secret" } } }),
    ] {
        let indices = Indices::parse("web-events-*", &["web-events"]).unwrap();
        let query = Query::Search { indices, body };
        let answer = stub.store().query(&query).await;
        assert_eq!(answer, Err(QueryError::NotAllowed("secret".into())));
    }
    assert_eq!(stub.requests(), 0);
}

fn profile<'a>(
    distribution: Distribution,
    prefix: &'a str,
    index: &'a IndexSettings,
) -> template::Profile<'a> {
    template::Profile {
        distribution,
        prefix,
        index,
        has_lifecycle: false,
    }
}

/// An engine that has nothing yet, takes everything and remembers it.
async fn empty_engine(page: &'static str) -> (Stub, Arc<std::sync::Mutex<Vec<(String, Value)>>>) {
    let taken: Arc<std::sync::Mutex<Vec<(String, Value)>>> = Arc::default();
    let log = taken.clone();
    let stub = Stub::new(move |_, uri, body| match (uri.path(), body) {
        ("/", _) => page.into_response(),
        (path, []) => {
            let taken = log.lock().unwrap();
            let body = taken
                .iter()
                .find(|(p, _)| p == path)
                .map(|(_, b)| b.clone());
            match body {
                None => StatusCode::NOT_FOUND.into_response(),
                Some(body) if path.starts_with("/_ilm") => {
                    axum::Json(json!({ "web-events": body })).into_response()
                }
                Some(body) if path.starts_with("/_plugins") => {
                    let found =
                        json!({ "_seq_no": 7, "_primary_term": 1, "policy": body["policy"] });
                    axum::Json(found).into_response()
                }
                Some(body) => {
                    let found = json!({ "index_templates": [{ "index_template": body }] });
                    axum::Json(found).into_response()
                }
            }
        }
        (path, body) => {
            let body = serde_json::from_slice(body).unwrap();
            let mut taken = log.lock().unwrap();
            taken.retain(|(p, _)| p != path);
            taken.push((path.into(), body));
            "{}".into_response()
        }
    })
    .await;
    (stub, taken)
}

const ELASTIC_9: &str = r#"{"version":{"number":"9.5.3"},"tagline":"You Know, for Search"}"#;
const OPENSEARCH_3: &str = r#"{"version":{"number":"3.8.0","distribution":"opensearch"}}"#;

#[tokio::test]
async fn retention_is_left_to_an_engine_that_has_it() {
    for (page, path, age) in [
        (
            ELASTIC_9,
            "/_ilm/policy/web-events",
            "/policy/phases/delete/min_age",
        ),
        (
            OPENSEARCH_3,
            "/_plugins/_ism/policies/web-events",
            "/policy/states/0/transitions/0/conditions/min_index_age",
        ),
    ] {
        let (stub, taken) = empty_engine(page).await;
        let with = |days| {
            let mut options = Options::new(vec![stub.url.clone()], "web-events");
            options.index.retention_days = days;
            Elasticsearch::new(options).unwrap()
        };
        let store = with(90);
        let lines = store.rehearse().await.unwrap();
        assert!(
            lines.iter().skip(1).all(|l| l.contains("would be written")),
            "{lines:?}"
        );
        assert!(taken.lock().unwrap().is_empty());
        let lines = store.prepare().await.unwrap();
        assert!(lines.last().unwrap().contains("after 90 days"), "{lines:?}");
        let body = |path: &str| {
            let taken = taken.lock().unwrap();
            taken.iter().find(|(p, _)| p == path).unwrap().1.clone()
        };
        assert_eq!(body(path).pointer(age).unwrap(), "90d");
        if page == ELASTIC_9 {
            let settings = body("/_component_template/web-events-settings");
            let lifecycle = &settings["template"]["settings"]["index"]["lifecycle"];
            assert_eq!(lifecycle["name"], "web-events");
        }
        let distribution = store.ping().await.unwrap().distribution;
        for (path, wanted) in store.bodies(distribution) {
            assert_eq!(body(&path), wanted, "what is printed is what is written");
        }
        let before = stub.requests();
        assert_eq!(
            store
                .delete(&Doomed::Before(jiff::civil::date(2026, 1, 1)))
                .await,
            Ok(Deleted::default())
        );
        assert_eq!(stub.requests(), before, "nothing is deleted from here");
        let lines = store.prepare().await.unwrap();
        assert!(
            lines.iter().skip(1).all(|l| l.contains("up to date")),
            "{lines:?}"
        );
        with(30).prepare().await.unwrap();
        assert_eq!(
            body(path).pointer(age).unwrap(),
            "30d",
            "a change is written"
        );
    }
}

#[test]
fn common_names_stand_for_fields() {
    let index = IndexSettings::default();
    let templates = template::all(profile(Distribution::Elasticsearch, "web-events", &index));
    let properties = &templates[0].components[1].1["template"]["mappings"]["properties"];
    let alias = &properties["source"]["properties"]["geo"]["properties"]["location"];
    assert_eq!(*alias, json!({ "type": "alias", "path": "geo_location" }));
}

#[test]
fn every_field_is_mapped() {
    for engine in [Distribution::Elasticsearch, Distribution::OpenSearch] {
        let templates = template::all(profile(engine, "web-events", &IndexSettings::default()));
        let mappings = &templates[0].components[1].1["template"]["mappings"];
        assert_eq!(mappings["dynamic"], false);
        for field in event::FIELDS {
            assert!(
                mappings["properties"][field.name]["type"].is_string(),
                "{}",
                field.name
            );
        }
    }
}

#[test]
fn longer_prefix_wins_its_indices() {
    let priority = |prefix: &str| {
        let index = IndexSettings::default();
        let templates = template::all(profile(Distribution::OpenSearch, prefix, &index));
        templates[0].body["priority"].as_u64().unwrap()
    };
    assert!(priority("web-events-eu") > priority("web-events"));
}

#[test]
fn wrong_options_name_the_setting() {
    let node: Url = "http://localhost:9200".parse().unwrap();
    let options = || Options::new(vec![node.clone()], "web-events");
    let wrong = |options: Options, words: &str| match Elasticsearch::new(options) {
        Err(StoreError::Configuration(why)) => assert!(why.contains(words), "{why}"),
        _ => panic!("{words} is not refused"),
    };
    wrong(
        Options {
            index_prefix: "Web".into(),
            ..options()
        },
        "index_prefix",
    );
    wrong(
        Options {
            username: Some("a".into()),
            ..options()
        },
        "password",
    );
    wrong(
        Options {
            api_key: Some("a\nb".into()),
            ..options()
        },
        "api_key",
    );
    wrong(
        Options {
            ca_file: Some("/nowhere".into()),
            ..options()
        },
        "ca_file",
    );
    wrong(
        Options {
            nodes: vec!["ftp://a".parse().unwrap()],
            ..options()
        },
        "http://",
    );
}
