//! Request lines, headers, framing and routes.

use std::time::Duration;

use tests::wire;
use tokio::io::AsyncWriteExt as _;

use crate::{good_request, start, unharmed};

const BODY: &str = r#"{"event_type":"a"}"#;

#[tokio::test]
async fn heads_above_the_limits_are_refused_by_status() {
    let weir = start().await;
    let many: String = (0..150).map(|n| format!("X-{n}: a\r\n")).collect();
    let long = "x".repeat(60_000);
    let cases = [
        (format!("GET /livez HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (
            format!("GET /livez HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET /livez?{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            414,
        ),
    ];
    for (bytes, status) in cases {
        let shown: String = bytes.chars().take(40).collect();
        let came = wire::exchange(weir.public(), bytes.as_bytes())
            .await
            .unwrap();
        assert_eq!(came.statuses(), [status], "{shown}");
    }
    // A head without end is cut off, and the answer with it if the client goes on sending.
    let endless = "x".repeat(2_000_000);
    for start in ["GET /", "GET /livez HTTP/1.1\r\nHost: a\r\nX: "] {
        let bytes = format!("{start}{endless}");
        let came = wire::exchange(weir.public(), bytes.as_bytes())
            .await
            .unwrap();
        let refused = |status: &u16| [414, 431].contains(status);
        assert!(came.statuses().iter().all(refused), "{}", came.text);
    }
    unharmed(&weir).await;
}

/// Requests whose end two readers may see at different places, with another one, `hidden`, behind it.
pub(crate) fn smuggling(hidden: &str) -> Vec<(&'static str, String)> {
    let post = |headers: &str, body: &str| format!("POST /collect HTTP/1.1\n{headers}\n{body}");
    // Whoever reads the other of two lengths takes the hidden request for a second one.
    let length = BODY.len();
    let chunked = format!("{length:x}\n{BODY}\n0\n\n");
    vec![
        (
            "length and chunked",
            post(
                &format!("Host: a\nContent-Length: {length}\nTransfer-Encoding: chunked\n"),
                &format!("{chunked}{hidden}"),
            ),
        ),
        (
            "chunked and length",
            post(
                "Host: a\nTransfer-Encoding: chunked\nContent-Length: 4\n",
                &format!("{chunked}{hidden}"),
            ),
        ),
        (
            "two lengths",
            post(
                &format!("Host: a\nContent-Length: {length}\nContent-Length: 0\n"),
                &format!("{BODY}{hidden}"),
            ),
        ),
        (
            "two lengths in one",
            post(
                &format!("Host: a\nContent-Length: {length}, 0\n"),
                &format!("{BODY}{hidden}"),
            ),
        ),
        (
            "signed length",
            post(
                &format!("Host: a\nContent-Length: +{length}\n"),
                &format!("{BODY}{hidden}"),
            ),
        ),
        (
            "negative length",
            post("Host: a\nContent-Length: -1\n", hidden),
        ),
        (
            "endless length",
            post("Host: a\nContent-Length: 99999999999999999999\n", hidden),
        ),
        (
            "hexadecimal length",
            post("Host: a\nContent-Length: 0x12\n", hidden),
        ),
        (
            "unknown coding",
            post(
                "Host: a\nTransfer-Encoding: xchunked\n",
                &format!("{chunked}{hidden}"),
            ),
        ),
        (
            "chunked twice",
            post(
                "Host: a\nTransfer-Encoding: chunked\nTransfer-Encoding: identity\n",
                &format!("{chunked}{hidden}"),
            ),
        ),
        (
            "space before colon",
            post(
                "Host: a\nTransfer-Encoding : chunked\n",
                &format!("{chunked}{hidden}"),
            ),
        ),
        (
            "folded line",
            post(
                "Host: a\nX: a\n b\nTransfer-Encoding:\n chunked\n",
                &format!("{chunked}{hidden}"),
            ),
        ),
        (
            "no host",
            post(
                &format!("Content-Length: {length}\n"),
                &format!("{BODY}{hidden}"),
            ),
        ),
        (
            "two hosts",
            post(
                &format!("Host: a\nHost: b\nContent-Length: {length}\n"),
                &format!("{BODY}{hidden}"),
            ),
        ),
        (
            "chunk of no size",
            post(
                "Host: a\nTransfer-Encoding: chunked\n",
                &format!("\n{BODY}\n0\n\n{hidden}"),
            ),
        ),
        (
            "chunk of a negative size",
            post(
                "Host: a\nTransfer-Encoding: chunked\n",
                &format!("-1\n{BODY}\n0\n\n{hidden}"),
            ),
        ),
        (
            "chunk above 64 bits",
            post(
                "Host: a\nTransfer-Encoding: chunked\n",
                &format!("fffffffffffffffff\n{BODY}\n0\n\n{hidden}"),
            ),
        ),
        (
            "chunk with more than it says",
            post(
                "Host: a\nTransfer-Encoding: chunked\n",
                &format!("2\n{BODY}\n0\n\n{hidden}"),
            ),
        ),
        (
            "version 1.0 and chunked",
            format!(
                "POST /collect HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n{chunked}{hidden}"
            ),
        ),
    ]
}

#[tokio::test]
async fn smuggled_request_is_never_answered() {
    let weir = start().await;
    let hidden = "GET /readyz HTTP/1.1\nHost: a\n\n";
    for (name, attack) in smuggling(hidden) {
        let attack = attack.replace('\n', "\r\n");
        let came = wire::exchange(weir.public(), attack.as_bytes())
            .await
            .unwrap();
        let statuses = came.statuses();
        assert!(statuses.len() <= 1, "{name}: {}", came.text);
        assert!(!came.text.contains("ready\n"), "{name}: {}", came.text);
        println!("{name}: {statuses:?}, closed");
        good_request(&weir).await;
    }
    // Bare line feeds, which RFC 9112 lets a server take for line ends: then there are two requests,
    // with or without them.
    let bare = format!("GET /livez HTTP/1.1\nHost: a\n\n{hidden}");
    let mut stream = wire::connect(weir.public()).await.unwrap();
    stream.write_all(bare.as_bytes()).await.unwrap();
    let came = wire::listen(&mut stream, Duration::from_secs(10)).await;
    assert!(
        came.statuses()
            .iter()
            .all(|status| [200, 400].contains(status)),
        "{}",
        came.text
    );
    unharmed(&weir).await;
}

#[tokio::test]
async fn nonsense_is_refused_without_harm() {
    let weir = start().await;
    let cases: [&[u8]; 13] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /livez HTTP/3.0\r\nHost: a\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        b"TRACE /collect HTTP/1.1\r\nHost: a\r\n\r\n",
        b"DELETE /collect HTTP/1.1\r\nHost: a\r\n\r\n",
        b"* * *\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PUT /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ];
    for bytes in cases {
        let shown = String::from_utf8_lossy(bytes).into_owned();
        let came = wire::exchange(weir.public(), bytes).await.unwrap();
        let refused = |status: &u16| (400..500).contains(status);
        assert!(
            came.statuses().iter().all(refused),
            "{shown}: {}",
            came.text
        );
        assert!(came.statuses().len() <= 1, "{shown}");
    }
    unharmed(&weir).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let weir = start().await;
    let length = BODY.len();
    let post =
        format!("POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{BODY}");
    let odd = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut all = format!("{post}{odd}").repeat(100);
    all.push_str("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let came = wire::exchange(weir.public(), all.as_bytes()).await.unwrap();
    let mut expected = [204, 404].repeat(100);
    expected.push(200);
    assert_eq!(came.statuses(), expected);
    // Every one of them is durable.
    weir.wait_for_documents(100).await.unwrap();
    unharmed(&weir).await;
}

#[tokio::test]
async fn nothing_of_the_operators_is_on_the_public_listener() {
    let weir = start().await;
    let paths = [
        "/metrics",
        "/%6detrics",
        "//metrics",
        "/./metrics",
        "/livez/../metrics",
        "/livez/%2e%2e/metrics",
        "/debug",
        "/debug/pprof",
        "/admin",
        "/dashboard",
        "/dashboard/",
        "/web-events-*/_search",
        "/web-events-*/_count",
        "/_search",
        "/t.js/../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..\\..\\etc\\passwd",
        "/t.js%00.html",
        "/t.js/",
        "/T.JS",
        "/.git/config",
        "/weir.toml",
        "/collect/",
        "/COLLECT",
        "/livez%0d%0aX:y",
    ];
    for path in paths {
        for method in ["GET", "POST"] {
            let ask = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let came = wire::exchange(weir.public(), ask.as_bytes()).await.unwrap();
            let statuses = came.statuses();
            assert!(
                matches!(statuses[..], [404 | 400]),
                "{method} {path}: {}",
                came.text
            );
        }
    }
    // Absolute form names another host, and is still this listener's.
    let ask = "GET http://127.0.0.1:9600/metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let came = wire::exchange(weir.public(), ask.as_bytes()).await.unwrap();
    assert_eq!(came.statuses(), [404]);
    unharmed(&weir).await;
}

#[tokio::test]
async fn default_start_listens_on_loopback_alone() {
    let weir = start().await;
    let folder = format!("/proc/{}/fd", weir.process().id());
    let links = std::fs::read_dir(folder).unwrap().flatten();
    let links = links.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let sockets: Vec<String> = links
        .filter_map(|link| {
            let name = link.to_str()?;
            Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut listening = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let table = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_ours = sockets.iter().any(|inode| inode == fields[9]);
            // State 0A is LISTEN, 07 an unconnected datagram socket.
            if is_ours && ["0A", "07"].contains(&fields[3]) {
                listening.push(fields[1].to_owned());
            }
        }
    }
    assert_eq!(listening.len(), 2, "{listening:?}");
    // 127.0.0.1 in the byte order of the machine.
    assert!(
        listening.iter().all(|at| at.starts_with("0100007F:")),
        "{listening:?}"
    );
}

#[tokio::test]
async fn headers_and_query_do_not_change_what_others_may_cache() {
    let weir = start().await;
    for path in ["/t.js", "/", "/shop.js", "/t.integrity.json"] {
        let ask = |path: &str, host: &str, headers: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
            format!("{head}{headers}\r\n").into_bytes()
        };
        let body = |came: &wire::Came| came.text.split_once("\r\n\r\n").unwrap().1.to_owned();
        let plain = wire::exchange(weir.public(), &ask(path, "a", ""))
            .await
            .unwrap();
        assert_eq!(plain.statuses(), [200], "{path}");
        let poison = "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: evil\r\n\
            Forwarded: host=evil.example\r\nX-Original-URL: /evil\r\nX-Forwarded-Prefix: /evil\r\n";
        for (path, host, headers) in [
            (path.to_owned(), "evil.example", ""),
            (path.to_owned(), "a", poison),
            (format!("{path}?callback=evil&x=%3Cscript%3E"), "a", ""),
        ] {
            let came = wire::exchange(weir.public(), &ask(&path, host, headers))
                .await
                .unwrap();
            assert_eq!(body(&came), body(&plain), "{path} {host} {headers}");
            assert!(!came.text.contains("evil"), "{path}: {}", came.text);
        }
    }
    let pixel = "GET /collect?event_type=a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let came = wire::exchange(weir.public(), pixel.as_bytes())
        .await
        .expect("the gateway can be reached");
    assert_eq!(came.header("cache-control"), Some("no-store"));
    unharmed(&weir).await;
}
