//! The public listener as clients see it: the wire format's cases, which the snippet's tests check
//! against the schema, and the files of the snippet.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, header};
use gateway::Config;
use http_body_util::BodyExt as _;
use runtime::Runtime;
use serde_json::Value;
use stream::embedded::{EmbeddedLog, Options};
use stream::{Stream as _, TopicSpec};
use tempfile::TempDir;
use tower::ServiceExt as _;

async fn gateway(config: Config) -> (TempDir, Router) {
    let folder = TempDir::new().expect("a temporary folder");
    let options = Options {
        min_free_bytes: 0,
        ..Options::default()
    };
    let log = Arc::new(EmbeddedLog::open(folder.path(), options).expect("a log"));
    let spec = |name: &str| TopicSpec {
        name: name.into(),
        partitions: 1,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    };
    let topics = [spec("raw-web-events"), spec("dead-web-events")];
    log.create_topics(&topics).await.expect("topics");
    let router = gateway::router(config, log, Runtime::default());
    (folder, router)
}

async fn ask(router: &Router, mut request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
    let peer: SocketAddr = "203.0.113.7:5555".parse().expect("an address");
    request.extensions_mut().insert(ConnectInfo(peer));
    let (parts, body) = router
        .clone()
        .oneshot(request)
        .await
        .expect("an answer")
        .into_parts();
    let body = body.collect().await.expect("a body").to_bytes().to_vec();
    (parts.status.as_u16(), parts.headers, body)
}

async fn get(router: &Router, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(router, request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn every_case_of_the_wire_format_is_answered_as_it_says() {
    let (_folder, router) = gateway(Config::default()).await;
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../event/wire/cases.json")).unwrap();
    for case in &cases {
        let body = case["body"].to_string();
        let request = Request::post("/collect").body(body.into()).unwrap();
        let (status, _, answer) = ask(&router, request).await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(case["status"], status, "{}: {answer}", case["name"]);
    }
}

#[tokio::test]
async fn each_file_of_the_snippet_has_a_name_for_now_and_one_for_ever() {
    let (_folder, router) = gateway(Config::default()).await;
    let (status, _, manifest) = get(&router, "/t.integrity.json", &[]).await;
    assert_eq!(status, 200);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let files = manifest.as_object().unwrap();
    assert_eq!(files.len(), 3);
    for (path, entry) in files {
        let (status, plain, content) = get(&router, path, &[]).await;
        assert_eq!(status, 200, "{path}");
        let fixed = entry["immutable"].as_str().unwrap();
        let (status, headers, same) = get(&router, fixed, &[]).await;
        assert_eq!((status, &same), (200, &content), "{fixed}");
        assert_eq!(headers[header::ETAG], plain[header::ETAG]);
        let caching = [&plain, &headers].map(|h| h[header::CACHE_CONTROL].to_str().unwrap());
        assert_eq!(
            caching.map(|c| c.contains("immutable")),
            [false, true],
            "{path}"
        );
        assert!(entry["integrity"].as_str().unwrap().starts_with("sha384-"));
        let tag = plain[header::ETAG].to_str().unwrap();
        let known = get(&router, path, &[("if-none-match", tag)]).await;
        assert_eq!((known.0, known.2.len()), (304, 0));
    }
}

#[tokio::test]
async fn the_snippet_comes_compressed_and_inflates_to_the_same() {
    let (_folder, router) = gateway(Config::default()).await;
    for path in ["/t.js", "/t.core.js", "/t.full.js"] {
        let (_, plain, content) = get(&router, path, &[]).await;
        assert!(!plain.contains_key(header::CONTENT_ENCODING));
        let (_, headers, brotli) = get(&router, path, &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(headers[header::CONTENT_ENCODING], "br");
        let mut inflated = Vec::new();
        brotli::BrotliDecompress(&mut &brotli[..], &mut inflated).unwrap();
        assert_eq!(inflated, content, "{path}");
        let (_, headers, gzip) = get(&router, path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        let mut inflated = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut inflated).unwrap();
        assert_eq!(inflated, content, "{path}");
    }
}

#[tokio::test]
async fn the_names_of_the_files_follow_the_setting() {
    let config = Config {
        script_path: "/assets/w.js".into(),
        ..Config::default()
    };
    let (_folder, router) = gateway(config).await;
    for path in [
        "/assets/w.js",
        "/assets/w.full.js",
        "/assets/w.integrity.json",
    ] {
        assert_eq!(get(&router, path, &[]).await.0, 200, "{path}");
    }
    assert_eq!(get(&router, "/t.js", &[]).await.0, 404);
}
