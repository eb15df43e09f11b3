//! Plain requests are answered as hyper answers them: both are given the same bytes.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::Shutdown;
use crate::http::{Answer, Incoming, Request, fields};

const PATH: &str = "/collect";

/// Says what it was asked. With `refuse` in the query it does not read the body.
#[derive(Clone)]
struct Echo;

impl Echo {
    fn wants_body(query: Option<&str>) -> bool {
        query.is_none_or(|query| !query.contains("refuse"))
    }

    fn reply(query: Option<&str>, fields: Fields<'_>, body: Result<&[u8], ()>) -> Reply {
        let mut told: Vec<String> = fields.0.iter().map(|field| format!("{field:?}")).collect();
        for line in &mut told {
            line.make_ascii_lowercase();
        }
        told.sort();
        let text = format!("{query:?} {told:?} {body:?}");
        let status = match body {
            Ok(_) => StatusCode::OK,
            Err(()) => StatusCode::BAD_REQUEST,
        };
        Reply::new(status).with_body("text/plain", text)
    }
}

impl Answer for Echo {
    async fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Response {
        if request.method() != Method::POST || request.uri().path() != PATH {
            return StatusCode::NOT_FOUND.into_response();
        }
        let (parts, body) = request.into_parts();
        let (query, fields) = (parts.uri.query(), fields(&parts.headers));
        let fields = Fields::from(&*fields);
        if !Self::wants_body(query) {
            return Self::reply(query, fields, Ok(b"")).into_response();
        }
        let read = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let body = read.as_deref().map_err(|_| ());
        Self::reply(query, fields, body).into_response()
    }
}

impl Posts for Echo {
    type Taken = Reply;

    fn path(&self) -> &str {
        PATH
    }

    async fn take<S: AsyncRead + Unpin + Send>(
        &self,
        head: Head<'_>,
        body: &mut Body<'_, S>,
        _: SocketAddr,
    ) -> Reply {
        if !Self::wants_body(head.query) {
            return Self::reply(head.query, head.fields, Ok(b""));
        }
        let read = body.read().await;
        Self::reply(head.query, head.fields, read.as_deref().map_err(|_| ()))
    }

    async fn reply(&self, taken: &mut Reply) -> Reply {
        taken.clone()
    }
}

fn serve(
    server: DuplexStream,
    posts: Option<Echo>,
    limits: Limits,
    shutdown: Shutdown,
) -> JoinHandle<()> {
    let serving = Serving {
        certificate: None,
        answers: Echo,
        posts,
        limits: limits.into(),
        shutdown,
    };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    tokio::spawn(Arc::new(serving).connection(server, peer, None))
}

/// What a connection answers to `pieces`, which come one after another; each answer's lines in order.
/// Without its date, and without a word of the end of the connection: hyper does not say that it ends
/// because of a body that was not read.
async fn answers(pieces: &[&[u8]], posts: Option<Echo>) -> Vec<Vec<String>> {
    let (mut client, server) = duplex(1 << 20);
    let serving = serve(server, posts, Limits::default(), Shutdown::default());
    let mut answer = Vec::new();
    for piece in pieces {
        if client.write_all(piece).await.is_err() {
            break;
        }
        // Its time goes on only once nobody has anything to do.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.shutdown().await.unwrap();
    client.read_to_end(&mut answer).await.unwrap();
    serving.await.unwrap();
    let text = String::from_utf8_lossy(&answer);
    let answers = text.split("HTTP/1.1 ").map(|answer| {
        let lines = answer.split("\r\n");
        let lines =
            lines.filter(|line| !line.starts_with("date: ") && *line != "connection: close");
        let mut lines: Vec<String> = lines.map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    });
    answers.collect()
}

fn compare(pieces: &[&[u8]]) -> Vec<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let here = answers(pieces, Some(Echo)).await;
        let by_hyper = answers(pieces, None).await;
        let sent = pieces.iter().map(|piece| piece.escape_ascii().to_string());
        assert_eq!(here, by_hyper, "{:?}", sent.collect::<Vec<_>>());
        here
    })
}

fn post(fields: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

#[test]
fn requests_of_every_kind_are_answered_as_hyper_does() {
    let plain = post("", "one");
    let long = "x".repeat(20_000);
    let requests = [
        plain.clone(),
        plain.repeat(3),
        post(
            "X-Twice: 1\r\nx-twice: 2\r\nOrigin: https://a.example\r\n",
            "{}",
        ),
        post("", ""),
        post("", &long),
        post("", &"x".repeat(MAX_BODY_BYTES + 1)),
        plain.replace(PATH, "/collect?key=a%20b&c") + &plain,
        plain.replace(PATH, "/collect?refuse") + &plain,
        plain.replace(PATH, "/collect#a"),
        plain.replace(PATH, "/collect?\"<\u{e9}>"),
        plain.replace(PATH, "/collector"),
        plain.replace(PATH, "http://a/collect"),
        plain.replace("POST", "GET") + &plain,
        plain.replace("HTTP/1.1", "HTTP/1.0"),
        plain.replace("Host: a\r\n", ""),
        plain.replace("Host: a", "Host: a\r\nHost: b"),
        plain.replace("\r\n", "\n"),
        plain.replace(
            "Content-Length: 3",
            "Content-Length: 3\r\nContent-Length: 3",
        ),
        plain.replace(
            "Content-Length: 3",
            "Content-Length: 3\r\nContent-Length: 4",
        ),
        plain.replace("Content-Length: 3", "Content-Length: +3"),
        plain.replace("Content-Length: 3", "Content-Length: 99999999999999999999"),
        plain.replace("Content-Length: 3", "Content-Length : 3"),
        plain.replace("Content-Length: 3\r\n", ""),
        plain.replace(
            "Content-Length: 3",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
        ),
        post("Connection: close\r\n", "one") + &plain,
        post("Connection: keep-alive\r\n", "one") + &plain,
        post("Content-Encoding: identity\r\n", "one") + &plain,
        post("X: a\r\n b\r\n", "one") + &plain,
        post(&format!("X: {long}\r\n"), "one") + &plain,
        post(&"X: a\r\n".repeat(MAX_FIELDS), "one") + &plain,
        post("X: \u{e9}\r\n", "one") + &plain,
        format!(
            "{plain}POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n{plain}"
        ),
        format!("{plain}nonsense\r\n\r\n{plain}"),
        format!("\r\n{plain}"),
    ];
    for request in &requests {
        compare(&[request.as_bytes()]);
    }
    let all = requests[..3].concat();
    assert_eq!(compare(&[all.as_bytes()]).len(), 1 + 5, "five answers");
}

#[test]
fn request_may_come_in_any_two_pieces() {
    let requests = post("X: a\r\n", "one").repeat(2);
    for at in 0..requests.len() {
        let (one, two) = requests.as_bytes().split_at(at);
        let answers = compare(&[one, two]);
        assert_eq!(answers.len(), 1 + 2, "{answers:?}");
    }
}

#[tokio::test]
async fn connection_that_waits_for_more_keeps_no_more_than_it_has() {
    let (mut client, mut server) = duplex(1 << 20);
    let mut input = Input::default();
    client.write_all(b"one, two").await.unwrap();
    assert!(input.fill(&mut server).await);
    input.give_back();
    assert_eq!(input.bytes(), b"one, two");
    assert!(input.is_own());
    assert_eq!(input.memory_bytes(), b"one, two".len());
    input.take(5);
    assert!(input.fill(&mut server).await, "something is left");
    input.give_back();
    assert_eq!(input.bytes(), b"two");
    input.take(3);
    input.give_back();
    assert_eq!(input.memory_bytes(), 0);
    client.write_all(b"three").await.unwrap();
    assert!(input.fill(&mut server).await);
    assert_eq!(input.bytes(), b"three");
}

#[tokio::test(start_paused = true)]
async fn kept_connection_has_one_more_request_answered_after_shutdown_and_is_told_so() {
    let (limits, shutdown) = (Limits::default(), Shutdown::default());
    let start = || {
        let (client, server) = duplex(1 << 20);
        let (limits, shutdown) = (limits.clone(), shutdown.clone());
        let posts = Some(Echo);
        serve(server, posts, limits, shutdown);
        client
    };
    let (mut used, mut idle) = (start(), start());
    let request = post("", "one");
    let mut answer = vec![0; 1_000];
    for client in [&mut used, &mut idle] {
        client.write_all(request.as_bytes()).await.unwrap();
        let read = client.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    shutdown.start();
    tokio::time::sleep(LAST_REQUEST / 4).await;
    used.write_all(request.as_bytes()).await.unwrap();
    let mut last = String::new();
    used.read_to_string(&mut last).await.unwrap();
    assert!(last.contains("connection: close\r\n"), "{last}");
    let since = tokio::time::Instant::now();
    assert_eq!(idle.read(&mut answer).await.unwrap(), 0, "it is closed too");
    assert!(since.elapsed() <= LAST_REQUEST, "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn kept_connection_ends_when_its_next_request_takes_too_long() {
    let limits = Limits::default();
    for (begun, patience) in [("", limits.idle_timeout), ("POST", limits.header_timeout)] {
        let (mut client, server) = duplex(1 << 20);
        let (limits, shutdown) = (limits.clone(), Shutdown::default());
        serve(server, Some(Echo), limits, shutdown);
        let request = post("", "one");
        client.write_all(request.as_bytes()).await.unwrap();
        assert_ne!(client.read(&mut [0; 1_000]).await.unwrap(), 0);
        tokio::time::sleep(Duration::from_secs(5)).await;
        client.write_all(begun.as_bytes()).await.unwrap();
        let since = tokio::time::Instant::now();
        while client.read(&mut [0; 1_000]).await.unwrap() > 0 {}
        let waited = since.elapsed() + Duration::from_secs(if begun.is_empty() { 5 } else { 0 });
        let late = waited.saturating_sub(patience);
        assert!(
            waited >= patience && late < Duration::from_secs(1),
            "{begun}: {waited:?}"
        );
    }
}

#[test]
fn fuzz() {
    ::fuzz::check("requests", |input| {
        let (one, two) = input.split_at(input.len() / 2);
        compare(&[input]);
        compare(&[one, two]);
    });
}
