use std::time::{Duration, Instant};

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "slow"
    };
    let router = Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/slow", get(slow));
    let task = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    Server {
        address,
        shutdown,
        task,
    }
}

fn short() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// Sends `bytes` and reads until the server closes.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(5), read).await;
    read.expect("the server closes in time").unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn silent_and_half_spoken_clients_are_closed_at_the_header_deadline() {
    let server = start(short()).await;
    for bytes in [&b""[..], b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let since = Instant::now();
        exchange(&server, bytes).await;
        assert!(since.elapsed() >= Duration::from_millis(250));
    }
}

#[tokio::test]
async fn connection_is_kept_for_its_next_request_longer_than_a_head_may_take() {
    let server = start(Limits {
        idle_timeout: Duration::from_secs(3),
        ..short()
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut answer = vec![0; 1_000];
    let since = Instant::now();
    for _ in 0..2 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // A head that begins after a pause has its own deadline.
    stream.write_all(b"GET").await.unwrap();
    assert_eq!(stream.read(&mut answer).await.unwrap_or(0), 0, "closed");
    assert!(since.elapsed() < Duration::from_secs(3));
    let idle = TcpStream::connect(server.address).await.unwrap();
    drop(idle);
}

#[tokio::test]
async fn client_that_does_not_read_its_answers_is_closed() {
    let server = start(Limits {
        write_timeout: Duration::from_millis(300),
        ..short()
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000);
    let send = async { while stream.write_all(&requests).await.is_ok() {} };
    let ended = tokio::time::timeout(Duration::from_secs(20), send).await;
    assert!(ended.is_ok(), "the server goes on taking requests");
}

#[tokio::test]
async fn host_must_come_exactly_once() {
    let server = start(short()).await;
    let ask = |host: &str| format!("GET / HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    for (host, status) in [
        ("Host: a\r\n", 200),
        ("", 400),
        ("Host: a\r\nHost: b\r\n", 400),
    ] {
        let answer = exchange(&server, ask(host).as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{host:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let server = start(short()).await;
    let long = "x".repeat(20_000);
    let uri = format!("GET /{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(
        exchange(&server, uri.as_bytes())
            .await
            .starts_with("HTTP/1.1 414")
    );
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\nY: {long}\r\n\r\n");
    assert!(
        exchange(&server, fields.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
}

#[tokio::test]
async fn shutdown_answers_the_request_in_flight_and_closes_the_listener() {
    let server = start(short()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.shutdown.start();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn kept_connection_has_one_more_request_answered_after_shutdown_and_is_told_so() {
    let server = start(Limits::default()).await;
    let mut used = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut answer = vec![0; 1_000];
    for stream in [&mut used, &mut idle] {
        stream.write_all(request).await.unwrap();
        assert_ne!(stream.read(&mut answer).await.unwrap(), 0);
    }
    server.shutdown.start();
    tokio::time::sleep(LAST_REQUEST / 4).await;
    used.write_all(request).await.unwrap();
    let mut last = String::new();
    used.read_to_string(&mut last).await.unwrap();
    assert!(last.starts_with("HTTP/1.1 200"), "{last}");
    assert!(last.contains("connection: close"), "{last}");
    assert_eq!(idle.read(&mut answer).await.unwrap(), 0, "it is closed too");
    server.task.await.unwrap();
}

#[tokio::test]
async fn connections_above_the_cap_wait_for_a_place() {
    let server = start(Limits {
        max_connections: 1,
        ..short()
    })
    .await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    let since = Instant::now();
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(exchange(&server, ask).await.starts_with("HTTP/1.1 200"));
    assert!(
        since.elapsed() >= Duration::from_millis(200),
        "the first held the only place"
    );
    drop(idle);
}
