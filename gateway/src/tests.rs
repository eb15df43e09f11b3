use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use stream::embedded::{EmbeddedLog, Options};
use stream::{Record, Start, TopicSpec};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;

mod clients;

/// A gateway on a real log in a temporary folder.
struct Bench {
    _folder: TempDir,
    log: Arc<EmbeddedLog>,
    runtime: Runtime,
    router: Router,
}

impl Bench {
    async fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_salts(change, Live::default()).await
    }

    async fn with_salts(change: impl FnOnce(&mut Config), live: Live) -> Self {
        let folder = TempDir::new().unwrap();
        let options = Options {
            min_free_bytes: 0,
            ..Options::default()
        };
        let log = Arc::new(EmbeddedLog::open(folder.path(), options).unwrap());
        let spec = |name: &str| TopicSpec {
            name: name.into(),
            partitions: 2,
            replication_factor: None,
            min_insync_replicas: None,
            retention: None,
        };
        log.create_topics(&[spec("raw-web-events"), spec("dead-web-events")])
            .await
            .unwrap();
        let mut config = Config::default();
        change(&mut config);
        let runtime = Runtime::default();
        let live = Arc::new(ArcSwap::from_pointee(live));
        let stream: Arc<dyn Stream> = log.clone();
        let gateway = Gateway::new(config, &stream, None, runtime.clone(), live);
        let router = routes(Arc::new(gateway));
        Self {
            _folder: folder,
            log,
            runtime,
            router,
        }
    }

    async fn ask(&self, mut request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
        let peer: SocketAddr = "203.0.113.7:5555".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        (parts.status.as_u16(), parts.headers, body)
    }

    async fn post(&self, body: impl Into<Body>, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = Request::post("/collect");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, _, body) = self.ask(request.body(body.into()).unwrap()).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn records(&self, topic: &str) -> Vec<Record> {
        let mut reader = self.log.subscribe(&[topic], Start::Earliest).await.unwrap();
        let mut records = Vec::new();
        while reader.lag() > 0 {
            let batch = reader
                .poll(10_000, Duration::from_millis(10))
                .await
                .unwrap();
            records.extend(batch.records.into_iter().map(|d| d.record));
        }
        records
    }

    async fn events(&self) -> Vec<Value> {
        let records = self.records("raw-web-events").await;
        records
            .iter()
            .map(|r| serde_json::from_slice(&r.value).unwrap())
            .collect()
    }

    /// The value of each series of the ledger.
    fn ledger(&self) -> BTreeMap<String, u64> {
        let text = self.runtime.metrics.text();
        let series = text
            .lines()
            .filter(|line| line.starts_with("weir_gateway_") && !line.contains("seconds"));
        let mut ledger = BTreeMap::new();
        for line in series {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let outcome = name
                .split("outcome=\"")
                .nth(1)
                .map_or("received", |o| o.split('"').next().unwrap());
            *ledger.entry(outcome.to_owned()).or_default() += value.parse::<u64>().unwrap();
        }
        ledger
    }
}

const GOOD: &str = r#"{"event_type":"pageview"}"#;

#[tokio::test]
async fn accepted_event_is_on_the_stream_with_what_the_gateway_knows() {
    let bench = Bench::new(|_| {}).await;
    let headers = [
        ("user-agent", "Agent/1"),
        ("accept-language", "de-CH,de;q=0.9"),
    ];
    assert_eq!(bench.post(GOOD, &headers).await.0, 204);
    let event = bench.events().await.remove(0);
    assert_eq!(event["event_type"], "pageview");
    assert_eq!(event["ip_address"], "203.0.113.7");
    assert_eq!(event["ip_source"], "connection");
    assert_eq!(event["browser_user_agent"], "Agent/1");
    assert_eq!(event["browser_language"], "de-CH");
    assert!(event["received_at"].as_str().unwrap().ends_with('Z'));
    let id: uuid::Uuid = event["event_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
}

#[tokio::test]
async fn every_form_of_body_is_read() {
    let two = format!("{GOOD}\n{GOOD}\n");
    let ndjson = [("content-type", "application/x-ndjson")];
    let plain = [("content-type", "text/plain;charset=UTF-8")];
    let envelope = r#"{"v":1,"site":"shop","sent_at":"2026-01-01T00:00:00Z","lib":"js/1",
        "events":[{"event_type":"a"},{"event_type":"b","site":"own"}]}"#;
    let cases: [(&str, &[(&str, &str)], usize); 7] = [
        (GOOD, &[], 1),
        (GOOD, &plain, 1),
        (&two, &ndjson, 2),
        (&two, &plain, 2),
        (r#"[{"event_type":"a"},{"event_type":"b"}]"#, &[], 2),
        (envelope, &plain, 2),
        ("\u{feff}{\"event_type\":\"a\"}", &[], 1),
    ];
    for (body, headers, count) in cases {
        let bench = Bench::new(|_| {}).await;
        assert_eq!(bench.post(body.to_owned(), headers).await.0, 204, "{body}");
        assert_eq!(bench.events().await.len(), count, "{body}");
    }
    let bench = Bench::new(|_| {}).await;
    bench.post(envelope, &[]).await;
    let sites: Vec<_> = bench
        .events()
        .await
        .iter()
        .map(|e| e["site"].clone())
        .collect();
    assert!(sites.contains(&json!("shop")) && sites.contains(&json!("own")));
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn brotli(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4_096, 5, 22)
        .write_all(data)
        .unwrap();
    out
}

#[tokio::test]
async fn every_encoding_is_inflated_within_its_cap() {
    let encoders: [(&str, fn(&[u8]) -> Vec<u8>); 4] = [
        ("gzip", gzip),
        ("deflate", zlib),
        ("br", brotli),
        ("zstd", |data| zstd::encode_all(data, 1).unwrap()),
    ];
    let bench = Bench::new(|_| {}).await;
    let bomb = vec![b' '; 9 << 20];
    for (name, encode) in encoders {
        let header = [("content-encoding", name)];
        assert_eq!(
            bench.post(encode(GOOD.as_bytes()), &header).await.0,
            204,
            "{name}"
        );
        let (status, answer) = bench.post(encode(&bomb), &header).await;
        assert_eq!(
            (status, &answer["code"]),
            (413, &json!("inflated_too_large")),
            "{name}"
        );
        let mut torn = encode(GOOD.as_bytes());
        torn.truncate(torn.len() / 2);
        assert_eq!(bench.post(torn, &header).await.0, 400, "{name}");
    }
    assert_eq!(
        bench.post(gzip(GOOD.as_bytes()), &[]).await.0,
        204,
        "gzip without its header"
    );
    // Above what any body may inflate to, by a ratio that events come to.
    let noise = || -> String {
        (0..100)
            .map(|_| format!("{:016x}", rand::random::<u64>()))
            .collect()
    };
    let event = |_| json!({ "event_type": "a", "page_title": noise() });
    let batch: Vec<Value> = (0..700).map(event).collect();
    let large = json!(batch).to_string();
    assert!(large.len() > 1 << 20);
    let header = [("content-encoding", "gzip")];
    assert_eq!(bench.post(gzip(large.as_bytes()), &header).await.0, 204);
}

#[tokio::test]
async fn malformed_input_is_answered_by_code_and_the_next_event_works() {
    let deep = format!(
        "{{\"event_type\":\"a\",\"x\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let deep_33 = format!(
        "{{\"event_type\":\"a\",\"x\":{}{}}}",
        "[".repeat(32),
        "]".repeat(32)
    );
    let wide = format!("{{\"event_type\":\"a\",\"x\":\"{}\"}}", "x".repeat(70_000));
    let long_type = format!("{{\"event_type\":\"{}\"}}", "x".repeat(201));
    let many = format!("[{}]", vec![GOOD; 1_001].join(","));
    let huge = "x".repeat(2 << 20);
    let none: &[(&str, &str)] = &[];
    let cases: Vec<(&[u8], &[(&str, &str)], u16, &str)> = vec![
        (b"", none, 400, "bad_json"),
        (b"{", none, 400, "bad_json"),
        (b"{\"event_type\":\"a\"} x", none, 400, "bad_json"),
        (b"{'event_type':'a'}", none, 400, "bad_json"),
        (b"{\"event_type\":\"a\",\"n\":01}", none, 400, "bad_json"),
        (b"[]", none, 400, "bad_json"),
        (b"[{\"event_type\":\"a\"},]", none, 400, "bad_json"),
        (b"\xff\xfe", none, 400, "bad_encoding"),
        (b"{\"event_type\":\"a\x00\"}", none, 400, "bad_json"),
        (b"null", none, 422, "unfit"),
        (b"42", none, 422, "unfit"),
        (b"[1,\"a\",[]]", none, 422, "unfit"),
        (b"{}", none, 422, "unfit"),
        (b"{\"event_type\":null}", none, 422, "unfit"),
        (b"{\"event_type\":7}", none, 422, "unfit"),
        (b"{\"event_type\":\"\"}", none, 422, "unfit"),
        (
            b"{\"event_type\":\"a\",\"event_timestamp\":1}",
            none,
            422,
            "unfit",
        ),
        (long_type.as_bytes(), none, 422, "unfit"),
        (deep.as_bytes(), none, 422, "unfit"),
        (deep_33.as_bytes(), none, 422, "unfit"),
        (wide.as_bytes(), none, 422, "unfit"),
        (many.as_bytes(), none, 413, "too_many_events"),
        (huge.as_bytes(), none, 413, "body_too_large"),
        (
            b"a=b",
            &[("content-type", "application/x-www-form-urlencoded")],
            415,
            "unsupported_media_type",
        ),
        (
            b"x",
            &[("content-encoding", "gzip, br")],
            415,
            "unsupported_encoding",
        ),
        (b"x", &[("content-encoding", "gzip")], 400, "bad_encoding"),
    ];
    let bench = Bench::new(|_| {}).await;
    let count = cases.len();
    for (body, headers, status, code) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = bench.post(body.to_vec(), headers).await;
        assert_eq!(
            (answer.0, &answer.1["code"]),
            (status, &json!(code)),
            "{shown}"
        );
        assert_eq!(bench.post(GOOD, &[]).await.0, 204, "after {shown}");
    }
    assert_eq!(bench.events().await.len(), count);
}

#[tokio::test]
async fn each_unfit_event_is_named_by_index_and_code() {
    let bench = Bench::new(|_| {}).await;
    let (status, answer) = bench.post(r#"[1,{},{"event_type":5}]"#, &[]).await;
    assert_eq!(status, 422);
    let events = json!([
        {"index": 0, "code": "not_an_object"},
        {"index": 1, "code": "missing_event_type"},
        {"index": 2, "code": "invalid_event_type"},
    ]);
    assert_eq!(answer["events"], events);
    assert!(
        bench.records("dead-web-events").await.is_empty(),
        "nothing is stored"
    );
}

#[tokio::test]
async fn partly_unfit_batch_keeps_both_parts_and_balances_the_ledger() {
    let bench = Bench::new(|_| {}).await;
    let (status, answer) = bench.post(format!("[{GOOD},{{}},{GOOD}]"), &[]).await;
    assert_eq!(status, 200);
    let letters = json!([{"index": 1, "code": "missing_event_type"}]);
    assert_eq!(answer, json!({"accepted": 2, "dead_lettered": letters}));
    let dead = bench.records("dead-web-events").await;
    assert_eq!(dead[0].value, "{}");
    assert_eq!(dead[0].header("weir-stage").unwrap(), "gateway");
    bench.post("{", &[]).await;
    bench.post("[{},{}]", &[]).await;
    let ledger = bench.ledger();
    assert_eq!(ledger["received"], 6);
    let sum: u64 = ledger
        .iter()
        .filter(|(name, _)| *name != "received")
        .map(|(_, n)| n)
        .sum();
    assert_eq!(sum, 6, "{ledger:?}");
    assert_eq!(
        (
            ledger["accepted"],
            ledger["dead_lettered"],
            ledger["rejected"]
        ),
        (2, 1, 3)
    );
}

#[tokio::test]
async fn members_that_only_weir_may_set_are_removed() {
    let bench = Bench::new(|_| {}).await;
    let body = r#"{"event_type":"a","received_at":"x","is_bot":true,"@timestamp":1,"mine":1}"#;
    bench.post(body, &[]).await;
    let event = bench.events().await.remove(0);
    assert_ne!(event["received_at"], "x");
    assert_eq!(event.get("is_bot"), None);
    assert_eq!(event.get("@timestamp"), None);
    assert_eq!(event["mine"], 1);
}

#[tokio::test]
async fn id_that_cannot_be_used_is_derived_from_its_bytes() {
    let bench = Bench::new(|_| {}).await;
    for _ in 0..2 {
        bench
            .post(r#"{"event_type":"a","event_id":"é"}"#, &[])
            .await;
    }
    let events = bench.events().await;
    assert_eq!(
        events[0]["event_id"], events[1]["event_id"],
        "a retry has the same id"
    );
    assert_eq!(events[0]["event_id_original"], "\"é\"");
}

#[tokio::test]
async fn global_privacy_control_takes_ids_and_cuts_the_address() {
    let bench = Bench::new(|_| {}).await;
    let body = r#"{"event_type":"a","user_domain_id":"v","user_custom_id":"e@x","click_id":"c"}"#;
    bench.post(body, &[("sec-gpc", "1")]).await;
    let records = bench.records("raw-web-events").await;
    assert_ne!(records[0].key.as_deref(), Some(b"v".as_slice()));
    let event = bench.events().await.remove(0);
    for name in ["user_domain_id", "user_custom_id", "click_id"] {
        assert_eq!(event.get(name), None, "{name}");
    }
    assert_eq!(event["ip_address"], "203.0.113.0");
    assert_eq!(event["gpc"], true);
}

#[tokio::test]
async fn denied_consent_takes_click_ids_out_of_addresses_whatever_the_setting() {
    let bench = Bench::new(|config| config.gpc = event::Gpc::Off).await;
    let body = r#"{"event_type":"a","consent":"Denied","user_domain_id":"v",
        "page_url":"https://a.example/?gclid=SECRET&x=1","referer_url":"https://b.example/"}"#;
    bench.post(body, &[]).await;
    let event = bench.events().await.remove(0);
    assert_eq!(event["page_url"], "https://a.example/?gclid=removed&x=1");
    assert_eq!(event["referer_url"], "https://b.example/");
    assert_eq!(event.get("user_domain_id"), None);
}

#[tokio::test]
async fn pixel_answers_an_image_and_keeps_the_event() {
    let bench = Bench::new(|_| {}).await;
    let request = Request::get("/collect?event_type=open&page_title=a%20b+c").body(Body::empty());
    let (status, headers, body) = bench.ask(request.unwrap()).await;
    assert_eq!((status, &body[..6]), (200, b"GIF89a".as_slice()));
    assert_eq!(headers["cache-control"], "no-store");
    let event = bench.events().await.remove(0);
    assert_eq!(
        (&event["event_type"], &event["page_title"]),
        (&json!("open"), &json!("a b c"))
    );
}

#[tokio::test]
async fn only_listed_origins_are_let_in_and_vary_is_always_there() {
    let listed = Bench::new(|c| c.allowed_origins = vec!["https://shop.example".into()]).await;
    let ask = |origin: &'static str| {
        Request::post("/collect")
            .header("origin", origin)
            .body(Body::from(GOOD))
            .unwrap()
    };
    let (status, headers, _) = listed.ask(ask("https://shop.example")).await;
    assert_eq!(status, 204);
    assert_eq!(
        headers["access-control-allow-origin"],
        "https://shop.example"
    );
    for origin in [
        "https://evil.example",
        "null",
        "https://shop.example.evil.example",
    ] {
        let (status, headers, _) = listed.ask(ask(origin)).await;
        assert_eq!(status, 403, "{origin}");
        assert_eq!(headers.get("access-control-allow-origin"), None);
        assert_eq!(headers["vary"], "Origin");
    }
    let open = Bench::new(|_| {}).await;
    let (_, headers, _) = open.ask(ask("https://any.example")).await;
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(headers.get("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn full_log_is_refused_with_retry_after_and_counted_as_shed() {
    let bench = Bench::new(|c| c.raw_topic = "missing".into()).await;
    let request = Request::post("/collect").body(Body::from(GOOD)).unwrap();
    let (status, headers, body) = bench.ask(request).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["code"]), (503, &json!("not_durable")));
    assert_eq!(headers["retry-after"], "5");
    assert_eq!(bench.ledger()["shed"], 1);
    assert!(!bench.runtime.health.is_ready());
}

#[tokio::test]
async fn budget_of_bytes_refuses_at_once() {
    let bench = Bench::new(|c| c.max_in_flight_bytes = 10).await;
    let (status, answer) = bench.post(GOOD, &[("content-length", "25")]).await;
    assert_eq!((status, &answer["code"]), (503, &json!("overloaded")));
}

#[tokio::test]
async fn nothing_but_its_own_routes_is_served() {
    let bench = Bench::new(|_| {}).await;
    for path in [
        "/metrics",
        "/%6detrics",
        "/admin",
        "/dashboard",
        "/../etc/passwd",
        "/collect/",
    ] {
        let (status, _, _) = bench
            .ask(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(status, 404, "{path}");
    }
    let request = Request::delete("/collect").body(Body::empty()).unwrap();
    let (status, headers, _) = bench.ask(request).await;
    assert_eq!((status, headers.contains_key("allow")), (405, true));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever members an event has, they are on the stream as they were sent.
    #[test]
    fn members_are_kept_as_sent(
        members in prop::collection::btree_map("x[a-z\"\\\\é]{0,8}", value(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new(|_| {}).await;
            let mut event = json!(members);
            event["event_type"] = "pageview".into();
            assert_eq!(bench.post(event.to_string(), &[]).await.0, 204);
            let record = bench.records("raw-web-events").await.remove(0);
            let kept: BTreeMap<String, Box<RawValue>> =
                serde_json::from_slice(&record.value).unwrap();
            for (name, value) in event.as_object().unwrap() {
                assert_eq!(kept[name].get(), value.to_string(), "{name}");
            }
        });
    }
}
