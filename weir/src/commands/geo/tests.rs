use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use flate2::{Compression, write::GzEncoder};
use http::HeaderMap;

use super::*;

const DEMO: &[u8] = include_bytes!("../../../../enricher/data/demo.mmdb");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive as tar writes it.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in entries {
        let mut head = [0; BLOCK];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        head[257..262].copy_from_slice(b"ustar");
        out.extend_from_slice(&head);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

/// Serves one file with ranges; the first answer breaks off at `breaks_at`.
#[derive(Clone)]
struct Server {
    content: Arc<Vec<u8>>,
    breaks_at: Option<usize>,
    account: Option<&'static str>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(content: Vec<u8>) -> Self {
        Self {
            content: Arc::new(content),
            breaks_at: None,
            account: None,
            asked: Arc::default(),
        }
    }

    /// Starts it; returns the address of its file.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/file", axum::routing::get(serve))
            .with_state(self.clone());
        tokio::spawn(async move {
            let service = hyper_util::service::TowerToHyperService::new(routes);
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let socket = hyper_util::rt::TokioIo::new(socket);
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(socket, service.clone());
                tokio::spawn(connection);
            }
        });
        format!("http://{address}/file")
    }
}

async fn serve(State(server): State<Server>, headers: HeaderMap) -> Response {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    if server
        .account
        .is_some_and(|account| text("authorization") != account)
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let is_first = {
        let mut asked = server.asked.lock().unwrap();
        asked.push(text("range"));
        asked.len() == 1
    };
    let whole = server.content.len();
    let range = text("range");
    let start = range
        .strip_prefix("bytes=")
        .and_then(|r| r.trim_end_matches('-').parse().ok());
    let start: usize = start.filter(|_| text("if-range") == "\"v1\"").unwrap_or(0);
    let end = server.breaks_at.filter(|_| is_first).unwrap_or(whole);
    let sent = server.content[start..end].to_vec();
    let body = match end == whole {
        true => Body::from(sent),
        false => {
            let sent = futures_util::stream::once(async { Ok(bytes::Bytes::from(sent)) });
            let cut = futures_util::stream::once(async {
                // What was sent leaves before the connection breaks.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("the cable was cut"))
            });
            Body::from_stream(sent.chain(cut))
        }
    };
    let status = if start > 0 { 206 } else { 200 };
    Response::builder()
        .status(status)
        .header("etag", "\"v1\"")
        .header("content-length", whole - start)
        .body(body)
        .unwrap()
}

fn from(urls: &[&str]) -> Source {
    Source {
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        account: None,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn packed_file_is_verified_and_placed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("geo/city.mmdb");
    let url = Server::new(gzip(DEMO)).start().await;
    let gone = url.replace("/file", "/gone");
    fetch(&from(&[&gone, &url]), &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == DEMO);
    assert_eq!(names(&folder.path().join("geo")), ["city.mmdb"]);
}

#[tokio::test]
async fn download_that_broke_off_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("city.mmdb");
    let mut server = Server::new(gzip(DEMO));
    server.breaks_at = Some(1_000);
    let url = server.start().await;
    fetch(&from(&[&url]), &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == DEMO);
    assert_eq!(*server.asked.lock().unwrap(), ["", "bytes=1000-"]);
}

#[tokio::test]
async fn archive_is_fetched_with_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("city.mmdb");
    let content = archive(&[("x/README.txt", b"hello"), ("x/GeoLite2-City.mmdb", DEMO)]);
    let mut server = Server::new(gzip(&content));
    // "1:key" in Base64.
    server.account = Some("Basic MTprZXk=");
    let url = server.start().await;
    let mut source = from(&[&url]);
    let refused = fetch(&source, &target).await.unwrap_err().to_string();
    assert!(refused.contains("license_key"), "{refused}");
    source.account = Some(("1".into(), "key".into()));
    fetch(&source, &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == DEMO);
}

#[tokio::test]
async fn damaged_file_leaves_the_old_one_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("city.mmdb");
    fs::write(&target, "old").unwrap();
    let cut = gzip(DEMO);
    let mut damaged = DEMO.to_vec();
    let middle = damaged.len() * 3 / 4;
    damaged[middle..middle + 200].fill(0xff);
    for content in [
        cut[..cut.len() - 20].to_vec(),
        gzip(&damaged),
        gzip(&archive(&[("x/README.txt", b"hello")])),
        b"<html>sorry</html>".to_vec(),
    ] {
        let url = Server::new(content).start().await;
        fetch(&from(&[&url]), &target).await.unwrap_err();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["city.mmdb"]);
    }
}

#[test]
fn usual_sources_are_named_by_month_and_edition() {
    let source = Source::db_ip("asn", jiff::civil::date(2026, 1, 3));
    let base = "https://download.db-ip.com/free/dbip-asn-lite";
    let expected = ["2026-01", "2025-12"].map(|month| format!("{base}-{month}.mmdb.gz"));
    assert_eq!(source.urls, expected);
}
