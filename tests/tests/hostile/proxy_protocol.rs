//! The PROXY protocol before the public listener: who a connection is from.

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tests::proxies::Proxy;
use tests::weir::Weir;
use tests::wire::{self, Came};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use crate::clients::addresses;
use crate::{start_with, unharmed};

/// Where the proxy connects from; whatever else is of the loopback is a stranger's.
const PROXY: &str = "127.0.0.2";
const CLIENT: &str = "127.0.0.3";

async fn start() -> Weir {
    start_with(&[
        ("WEIR_PRIVACY__IP", "full"),
        ("WEIR_GATEWAY__TRUSTED_PROXIES", "127.0.0.2/32"),
        ("WEIR_GATEWAY__PROXY_PROTOCOL", "v2"),
    ])
    .await
}

/// What comes back for bytes that are sent from an address, until the server closes.
async fn send(address: &str, from: &str, bytes: &[u8]) -> Came {
    let own = format!("{from}:0").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(own).expect("it is of the loopback");
    let connecting = socket.connect(address.parse().expect("an address"));
    let mut stream = connecting.await.expect("a connection");
    // The server may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let came = wire::listen(&mut stream, Duration::from_secs(30)).await;
    assert!(came.is_closed);
    came
}

/// A header that says that 198.51.100.9 connects, or that nobody does.
fn header(is_local: bool) -> Vec<u8> {
    let addresses = [198, 51, 100, 9, 10, 0, 0, 1, 0x30, 0x39, 0, 80];
    let command = if is_local { 0x20 } else { 0x21 };
    let start = b"\r\n\r\n\0\r\nQUIT\n";
    [&start[..], &[command, 0x11, 0, 12], &addresses].concat()
}

fn event(id: &str) -> Vec<u8> {
    let event = json!({ "event_type": "a", "event_id": id }).to_string();
    wire::post("X-Forwarded-For: 8.8.8.8\r\n", event.as_bytes())
}

#[tokio::test]
async fn proxy_names_its_client_and_is_closed_where_it_does_not() {
    let weir = start().await;
    let taken = [
        (PROXY, [header(false), event("named")].concat()),
        (PROXY, [header(true), event("own")].concat()),
        (CLIENT, event("stranger")),
    ];
    for (from, bytes) in taken {
        let came = send(weir.public(), from, &bytes).await;
        assert_eq!(came.statuses(), [204], "{}", came.text);
    }
    let closed = [
        event("none"),
        b"PROXY TCP4 198.51.100.9 10.0.0.1 1 80\r\n".to_vec(),
        [&header(false)[..13], &[0x11, 0, 4, 0, 0, 0, 0]].concat(),
    ];
    for bytes in closed {
        let came = send(weir.public(), PROXY, &bytes).await;
        assert_eq!(came.text, "", "{bytes:?}");
    }
    let forged = [header(false), event("forged")].concat();
    let came = send(weir.public(), CLIENT, &forged).await;
    assert!(matches!(came.statuses()[..], [] | [400]), "{}", came.text);
    let since = Instant::now();
    let came = send(weir.public(), PROXY, &header(false)[..20]).await;
    assert_eq!(came.text, "");
    let waited = since.elapsed();
    // The deadline of a header is 2 s here.
    assert!((1..20).contains(&waited.as_secs()), "{waited:?}");

    let found = addresses(&weir, 3).await;
    assert_eq!(found.len(), 3);
    assert_eq!(found["named"], "198.51.100.9");
    // It is trusted, and so is its header.
    assert_eq!(found["own"], "8.8.8.8");
    assert_eq!(found["stranger"], CLIENT);
    unharmed(&weir).await;
}

#[tokio::test]
#[ignore = "needs haproxy: make proxies"]
async fn haproxy_names_its_client() {
    let (weir, folder) = (start().await, TempDir::new().unwrap());
    let v2 = |config: String| {
        config.replace(
            " check\n",
            &format!(" check send-proxy-v2 source {PROXY}\n"),
        )
    };
    let gateways = [weir.public()];
    let proxy = Proxy::haproxy(folder.path(), &gateways, v2).await.unwrap();
    let came = send(proxy.public(), CLIENT, &event("named")).await;
    assert_eq!(came.statuses(), [204], "{}", came.text);
    assert_eq!(addresses(&weir, 1).await["named"], CLIENT);
    unharmed(&weir).await;
}
