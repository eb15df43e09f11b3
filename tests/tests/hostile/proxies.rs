//! Requests that a proxy and the gateway may read differently, sent through Debian's nginx and HAProxy.
//!
//! Both proxies send the requests of all clients over one connection to the gateway, so that an answer
//! which the proxy does not expect would be given to the next client.

use std::time::Duration;

use tempfile::TempDir;
use tests::proxies::Proxy;
use tests::weir::Weir;
use tests::wire::{self, Came};
use tokio::io::AsyncWriteExt as _;

use crate::heads::smuggling;
use crate::{start, unharmed};

/// What is sent on one connection, and all that comes back.
async fn ask(proxy: &Proxy, request: &str) -> Came {
    let stream = wire::connect(proxy.public()).await;
    let mut stream = stream.expect("the proxy takes it");
    // A proxy may close before it has read all.
    let _ = stream
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await;
    wire::listen(&mut stream, Duration::from_millis(500)).await
}

/// Every event that is stored has an answer which its sender saw, and the next client gets its own.
async fn nothing_is_smuggled(proxy: &Proxy, weir: &Weir) {
    let event = r#"{"event_type":"hidden"}"#;
    let length = event.len();
    let hidden = format!("POST /collect HTTP/1.1\nHost: a\nContent-Length: {length}\n\n{event}");
    let victim = "GET /robots.txt HTTP/1.1\nHost: a\nConnection: close\n\n";
    let mut acknowledged = 0;
    for (name, attack) in smuggling(&hidden) {
        let came = ask(proxy, &attack).await;
        let statuses = came.statuses();
        println!("{name}: {statuses:?}");
        acknowledged += statuses.iter().filter(|status| **status == 204).count();
        for _ in 0..2 {
            let came = ask(proxy, victim).await;
            assert_eq!(came.statuses(), [200], "after {name}: {}", came.text);
            assert!(
                came.text.contains("User-agent: *"),
                "after {name}: {}",
                came.text
            );
        }
    }
    // What came beside would have been sent before it.
    let plain = format!("POST /collect HTTP/1.1\nHost: a\nContent-Length: {length}\n\n{event}");
    assert_eq!(ask(proxy, &plain).await.statuses(), [204]);
    let expected = acknowledged as u64 + 1;
    let stored = weir.wait_for_documents(expected).await;
    assert_eq!(stored.expect("they are stored"), expected);
    unharmed(weir).await;
}

#[tokio::test]
#[ignore = "needs nginx: make proxies"]
async fn nothing_is_smuggled_past_nginx() {
    let (weir, folder) = (start().await, TempDir::new().unwrap());
    let proxy = Proxy::nginx(folder.path(), weir.public()).await.unwrap();
    nothing_is_smuggled(&proxy, &weir).await;
}

#[tokio::test]
#[ignore = "needs haproxy: make proxies"]
async fn nothing_is_smuggled_past_haproxy() {
    let (weir, folder) = (start().await, TempDir::new().unwrap());
    let shared = |config: String| {
        config.replace(
            "balance roundrobin",
            "balance roundrobin\n  http-reuse always",
        )
    };
    let gateways = [weir.public()];
    let proxy = Proxy::haproxy(folder.path(), &gateways, shared).await;
    nothing_is_smuggled(&proxy.unwrap(), &weir).await;
}
