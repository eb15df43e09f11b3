//! Bombs, endless bodies, and JSON that is meant to break readers.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::process;
use tests::weir::Weir;
use tests::wire;
use tokio::io::AsyncWriteExt as _;

use crate::{forget_peak, good_request, peak_kib, processor_ms, resident_mib, start, unharmed};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}

fn brotli(data: &[u8]) -> Vec<u8> {
    brotli_of_window(data, 22)
}

fn brotli_of_window(data: &[u8], bits: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut out, 4_096, 9, bits);
    encoder.write_all(data).expect("memory");
    drop(encoder);
    out
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 3).expect("memory")
}

async fn send(weir: &Weir, headers: &str, body: &[u8]) -> wire::Came {
    wire::exchange(weir.public(), &wire::post(headers, body))
        .await
        .expect("an answer")
}

#[tokio::test]
async fn bombs_are_refused_within_bounded_memory() {
    let weir = start().await;
    // Blanks are packed by 1 : 1000 and more.
    let blanks = vec![b' '; 32 << 20];
    let bombs = [
        ("gzip", gzip(&blanks)),
        ("deflate", deflate(&blanks)),
        ("br", brotli(&blanks)),
        ("zstd", zstd(&blanks)),
    ];
    drop(blanks);
    good_request(&weir).await;
    let before = resident_mib(&weir);
    for (name, bomb) in &bombs {
        let header = format!("Content-Encoding: {name}\r\n");
        let used = processor_ms(&weir);
        // All at once, so that they would need 100 times as much if each got its own.
        let sending = (0..100).map(|_| send(&weir, &header, bomb));
        for came in join_all(sending).await {
            assert_eq!(came.statuses(), [413], "{name}: {}", came.text);
        }
        let (bytes, used) = (bomb.len(), processor_ms(&weir) - used);
        println!("{name}: 100 bombs of {bytes} bytes, {used} ms of processor");
        // Twice the bound, for a machine that is busy with something else.
        assert!(used <= 2_000, "{name}: {used} ms");
    }
    let grown = resident_mib(&weir).saturating_sub(before);
    println!("{grown} MiB more");
    // A MiB each, were all of them inflated at the same time.
    assert!(grown < 100, "{grown} MiB");
    unharmed(&weir).await;
}

/// What a bomb may cost.
const MAX_ADDED_KIB: u64 = 1_024;

#[tokio::test]
async fn bomb_adds_a_mib_at_most_to_the_peak_of_memory() {
    let blanks = vec![b' '; 16 << 20];
    let bombs = [
        ("gzip", gzip(&blanks)),
        ("deflate", deflate(&blanks)),
        ("br", brotli(&blanks)),
        ("zstd", zstd(&blanks)),
    ];
    for (name, bomb) in &bombs {
        let mut added = Vec::new();
        // The least of several, for the process does other things meanwhile. The system's count itself is
        // 256 KiB off at times.
        while added.iter().all(|kib| *kib > MAX_ADDED_KIB) {
            assert!(added.len() < 8, "{name}: {added:?} KiB");
            // A process that has inflated something before may hold the memory for it.
            let weir = start().await;
            good_request(&weir).await;
            let before = calm(&weir).await;
            let came = send(&weir, &format!("Content-Encoding: {name}\r\n"), bomb).await;
            assert_eq!(came.statuses(), [413], "{name}: {}", came.text);
            added.push(peak_kib(&weir).saturating_sub(before));
        }
        println!("{name}: {added:?} KiB more at the peak");
    }
}

/// Waits until the process does little else; returns what memory it uses, in KiB, its peak from now on.
async fn calm(weir: &Weir) -> u64 {
    loop {
        let before = forget_peak(weir);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if peak_kib(weir).saturating_sub(before) < 64 {
            return forget_peak(weir);
        }
    }
}

#[tokio::test]
async fn encodings_that_lie_are_refused_by_code() {
    let weir = start().await;
    let event = br#"{"event_type":"a"}"#;
    let torn = |whole: Vec<u8>| whole[..whole.len() / 2].to_vec();
    let twice = gzip(&gzip(event));
    // "Large window brotli" with a window of 1 GiB.
    let large_window = [0x11, 0x1e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00];
    let cases: [(&str, Vec<u8>, u16); 14] = [
        ("gzip, gzip", twice.clone(), 415),
        ("gzip\r\nContent-Encoding: gzip", twice.clone(), 415),
        ("gzip", twice, 400),
        ("compress", event.to_vec(), 415),
        ("gzip", torn(gzip(event)), 400),
        ("deflate", torn(deflate(event)), 400),
        ("br", torn(brotli(event)), 400),
        ("zstd", torn(zstd(event)), 400),
        ("br", large_window.to_vec(), 400),
        ("br", brotli_of_window(event, 24), 400),
        ("br", brotli_of_window(event, 22), 204),
        ("br", brotli_of_window(event, 10), 204),
        ("gzip", event.to_vec(), 400),
        ("zstd", gzip(event), 400),
    ];
    for (encoding, body, status) in cases {
        let came = send(&weir, &format!("Content-Encoding: {encoding}\r\n"), &body).await;
        assert_eq!(came.statuses(), [status], "{encoding}: {}", came.text);
    }
    unharmed(&weir).await;
}

#[tokio::test]
async fn body_without_end_is_cut_off() {
    let weir = start().await;
    let before = resident_mib(&weir);
    let head = "POST /collect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"10000\r\n", &[b' '; 65_536][..], b"\r\n"].concat();
    let endless = || async {
        let mut stream = wire::connect(weir.public()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let write = async {
            let mut sent = 0_usize;
            if writing.write_all(head.as_bytes()).await.is_ok() {
                while sent < 100 << 20 && writing.write_all(&chunk).await.is_ok() {
                    sent += chunk.len();
                }
            }
            sent
        };
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer);
        let (sent, _) = tokio::join!(write, read);
        (sent, String::from_utf8_lossy(&answer).into_owned())
    };
    for (sent, answer) in join_all((0..20).map(|_| endless())).await {
        assert!(sent < 50 << 20, "{sent} bytes were taken");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
            "{answer}"
        );
    }
    assert!(resident_mib(&weir).saturating_sub(before) < 200);

    // One byte a chunk, with an extension on each; trailers, as allowed; trailers without end.
    let event = r#"{"event_type":"a"}"#;
    let bytes = event.bytes();
    let tiny: String = bytes
        .map(|byte| format!("1;a=b\r\n{}\r\n", byte as char))
        .collect();
    let close = head.replace("Host: a", "Host: a\r\nConnection: close");
    let fine = [
        format!("{close}{tiny}0\r\n\r\n"),
        format!("{close}{tiny}0\r\nX-Trailer: b\r\nEvent-Type: c\r\n\r\n"),
    ];
    for request in fine {
        let came = wire::exchange(weir.public(), request.as_bytes())
            .await
            .unwrap();
        assert_eq!(came.statuses(), [204], "{}", came.text);
    }
    let trailers = "X-Trailer: b\r\n".repeat(100_000);
    let extension = "x".repeat(200_000);
    let refused = [
        format!("{close}{tiny}0\r\n{trailers}\r\n"),
        format!("{close}1;{extension}\r\n{{\r\n0\r\n\r\n"),
    ];
    for request in refused {
        let came = wire::exchange(weir.public(), request.as_bytes())
            .await
            .unwrap();
        let is_refused = |status: &u16| (400..500).contains(status);
        assert!(came.statuses().iter().all(is_refused), "{}", came.text);
    }
    unharmed(&weir).await;
}

/// Numbers that no double holds: the gateway does not read numbers, and the enricher refuses them.
const BEYOND_DOUBLES: [&str; 2] = ["1e999", "long number"];

/// Bodies that broke readers of JSON, with the status that each is answered with.
fn corpus() -> Vec<(&'static str, String, u16)> {
    let with = |members: &str| format!(r#"{{"event_type":"odd",{members}}}"#);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let keys = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        members.join(",")
    };
    let quoted = |length: usize| "x".repeat(length);
    vec![
        (
            "depth 100,000",
            with(&format!("\"x\":{}", nested(100_000))),
            422,
        ),
        ("depth 100,000 alone", nested(100_000), 422),
        ("depth 100,000 unclosed", "[".repeat(100_000), 400),
        (
            "objects 10,000 deep",
            with(&format!("\"x\":{}", objects(10_000))),
            422,
        ),
        (
            "objects 10,000 deep, unclosed",
            "{\"a\":".repeat(10_000),
            400,
        ),
        ("depth 31", with(&format!("\"x\":{}", nested(31))), 204),
        ("50,000 keys", with(&keys(50_000)), 422),
        ("5,000 keys", with(&keys(5_000)), 204),
        (
            "1 MB string",
            with(&format!("\"x\":\"{}\"", quoted(1_000_000))),
            422,
        ),
        (
            "60 kB string",
            with(&format!("\"page_title\":\"{}\"", quoted(60_000))),
            204,
        ),
        ("40 kB key", with(&format!("\"{}\":1", quoted(40_000))), 204),
        ("1e999", with("\"revenue_amount\":1e999,\"x\":-1e999"), 204),
        (
            "long number",
            with(&format!("\"x\":{}", "9".repeat(10_000))),
            204,
        ),
        (
            "integer above 64 bits",
            with("\"screen_width\":18446744073709551616"),
            204,
        ),
        (
            "lone surrogate",
            with(r#""page_title":"\ud800","x":"\udfff\ud800""#),
            204,
        ),
        ("surrogates in a key", with(r#""\ud800":1"#), 422),
        (
            "escaped NUL",
            with(r#""page_title":"a\u0000b","user_domain_id":"\u0000""#),
            204,
        ),
        ("raw NUL", with("\"x\":\"\0\""), 400),
        ("raw line break in a string", with("\"x\":\"a\nb\""), 400),
        (
            "duplicate keys",
            with(r#""x":1,"x":2,"event_type":"odd","event_type":"odd""#),
            204,
        ),
        (
            "duplicate type, the last wins",
            with(r#""event_type":5"#),
            422,
        ),
        (
            "byte order mark",
            format!("\u{feff}{}", with("\"x\":1")),
            204,
        ),
        ("comment", with("\"x\":1/*a*/"), 400),
        ("NaN", with("\"x\":NaN"), 400),
        ("trailing comma", with("\"x\":1,"), 400),
        ("single quotes", "{'event_type':'odd'}".to_owned(), 400),
        (
            "two values",
            format!("{} {}", with("\"x\":1"), with("\"x\":2")),
            400,
        ),
        ("line breaks between members", with("\"x\":\r\n\n1"), 204),
        (
            "line breaks in values",
            with(r#""page_title":"a\r\nb\u001b[31m","utm_source":"\n{\"index\":{}}\n""#),
            204,
        ),
        (
            "names of the bulk protocol",
            with(r#""_id":"x","_index":"y","_source":{},"_type":"z","index":{"_id":"q"}"#),
            204,
        ),
        (
            "names of prototypes",
            with(r#""__proto__":{"a":1},"constructor":{"prototype":1},"toString":1"#),
            204,
        ),
        (
            "dotted names",
            with(r#""a.b.c":1,"..":2,".":3,"event_type.x":4,"props.x":5"#),
            204,
        ),
        ("empty name", with(r#""":1"#), 204),
        (
            "a dotted name in props",
            with(r#""props":{"a.b":1,"a":{"b":2},"":3,"..":4}"#),
            204,
        ),
        (
            "props that are no object",
            with(r#""props":[1,2,{"a":[]}]"#),
            204,
        ),
        ("every field of the wrong type", wrong_types(), 204),
        (
            "ids that are no text",
            with(r#""event_id":{"a":1},"user_domain_id":[1],"session_id":5"#),
            204,
        ),
        (
            "empty ids",
            with(r#""event_id":"","user_domain_id":"","session_id":"""#),
            204,
        ),
        (
            "year 9999",
            with(
                r#""event_timestamp":"9999-12-31T23:59:59.999999999Z","sent_at":"9999-12-31T23:59:59Z""#,
            ),
            204,
        ),
        (
            "the largest number as time",
            with("\"event_timestamp\":1.7976931348623157e308,\"sent_at\":9223372036854775807"),
            204,
        ),
        ("time before the epoch", with("\"event_timestamp\":-1"), 422),
        (
            "time in the first year",
            with(r#""event_timestamp":"0001-01-01T00:00:00Z""#),
            422,
        ),
        (
            "time that is none",
            with(r#""event_timestamp":"2026-02-30T25:61:61Z","sent_at":{}"#),
            204,
        ),
        ("not a text encoding", "\u{fffd}".to_owned(), 400),
        ("scalar", "1e999".to_owned(), 422),
        (
            "envelope of nonsense",
            r#"{"events":[1,null,"a",[],{"event_type":"odd"}]}"#.to_owned(),
            200,
        ),
        (
            "envelope in an envelope",
            r#"{"events":[{"events":[{"event_type":"odd"}]}]}"#.to_owned(),
            422,
        ),
        (
            "2,000,000 elements",
            format!("[{}1]", "1,".repeat(500_000)),
            413,
        ),
    ]
}

/// Every field that a client may set, with a value of a kind that it does not take.
fn wrong_types() -> String {
    let mut event = serde_json::Map::new();
    for (at, field) in event::FIELDS.iter().enumerate() {
        let value = match at % 4 {
            0 => json!({ "a": [1, { "b": null }] }),
            1 => json!([[], {}, "x"]),
            2 => json!(-1.5e300),
            _ => json!(true),
        };
        event.insert(field.name.to_owned(), value);
    }
    event.insert("event_type".to_owned(), "odd".into());
    Value::Object(event).to_string()
}

#[tokio::test]
async fn json_that_breaks_readers_passes_every_stage_without_harm() {
    let weir = start().await;
    let mut stored = 0;
    let mut letters = 0;
    for (name, body, status) in corpus() {
        let came = send(&weir, "", body.as_bytes()).await;
        assert_eq!(came.statuses(), [status], "{name}: {}", came.text);
        match status {
            204 if BEYOND_DOUBLES.contains(&name) => letters += 1,
            204 => stored += 1,
            // The envelope of nonsense.
            200 => (stored, letters) = (stored + 1, letters + 4),
            _ => {}
        }
        good_request(&weir).await;
    }
    let goods = corpus().len() as u64;
    assert_eq!(
        weir.wait_for_documents(stored + goods).await.unwrap(),
        stored + goods
    );

    // Each document is found, under an index and an id of ours, and nothing hides among the members.
    let query = json!({ "query": { "term": { "event_type": "odd" } }, "size": 1_000 });
    let answer = weir.search(&query).await.unwrap();
    let hits = answer["hits"]["hits"].as_array().unwrap();
    assert_eq!(hits.len() as u64, stored);
    let mut ids = BTreeMap::new();
    for hit in hits {
        let (id, index) = (
            hit["_id"].as_str().unwrap(),
            hit["_index"].as_str().unwrap(),
        );
        assert!(index.starts_with("web-events-2"), "{index}");
        assert!(
            (1..=128).contains(&id.len()) && id != "x" && id != "q",
            "{id}"
        );
        assert_eq!(hit["_source"]["event_id"], id);
        *ids.entry(id.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(ids.len() as u64, stored, "no two share an id");

    // Whatever the dashboard asks of them is answered.
    for field in [
        "event_type",
        "page_title",
        "user_domain_id",
        "utm_source",
        "browser_name",
    ] {
        let query = json!({ "size": 0, "aggs": { "a": { "terms": { "field": field } } } });
        weir.search(&query).await.unwrap();
    }
    // The dead letters can be looked at and sent again.
    let command = |arguments: &[&str]| {
        let mut command = process::weir();
        let output = command
            .current_dir(weir.data_dir())
            .args(arguments)
            .env("WEIR_DATA_DIR", weir.data_dir())
            .env("WEIR_ADMIN__LISTEN", weir.admin())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(command(&["dlq", "list"]).lines().count(), letters);
    command(&["dlq", "replay"]);
    unharmed(&weir).await;
}

#[tokio::test]
async fn ids_that_collide_are_one_document_and_one_visitor_takes_any_number_of_events() {
    let weir = start().await;
    let event = |n: usize| json!({ "event_type": "a", "event_id": "same", "n": n });
    let events: Vec<Value> = (0..100).map(event).collect();
    let came = send(&weir, "", json!(events).to_string().as_bytes()).await;
    assert_eq!(came.statuses(), [204]);
    let event = |n: usize| json!({ "event_type": "b", "user_domain_id": "one", "n": n });
    for _ in 0..10 {
        let events: Vec<Value> = (0..500).map(event).collect();
        let came = send(&weir, "", json!(events).to_string().as_bytes()).await;
        assert_eq!(came.statuses(), [204]);
    }
    assert_eq!(weir.wait_for_documents(5_001).await.unwrap(), 5_001);
    unharmed(&weir).await;
}

/// Posts this many events, whose visitor has the same id or one of a thousand; returns the time until
/// all are stored.
async fn time_to_store(weir: &Weir, events: u64, visitors: u64) -> Duration {
    const STORED: &str = "weir_sink_documents_total{outcome=\"created\"}";
    let client = process::client();
    let stored = || async {
        let value = tests::weir::metric(&client, weir.admin(), STORED).await;
        value.unwrap_or(0.0) as u64
    };
    let (before, since) = (stored().await, Instant::now());
    let event =
        |n: u64| json!({ "event_type": "a", "user_domain_id": format!("v{}", n % visitors) });
    let numbers: Vec<u64> = (0..events).collect();
    let posts = numbers.chunks(500).map(|chunk| async {
        let batch: Vec<Value> = chunk.iter().map(|n| event(*n)).collect();
        send(weir, "", json!(batch).to_string().as_bytes()).await
    });
    for came in join_all(posts).await {
        assert_eq!(came.statuses(), [204], "{}", came.text);
    }
    while stored().await < before + events {
        assert!(since.elapsed() < process::PATIENCE, "all are stored");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    since.elapsed()
}

#[tokio::test]
async fn events_of_one_visitor_take_at_most_twice_the_time_of_spread_ones() {
    let weir = start().await;
    // The best of five rounds each, in turn: the machine may be busy with something else.
    let (mut one, mut spread) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        one = one.min(time_to_store(&weir, 10_000, 1).await);
        spread = spread.min(time_to_store(&weir, 10_000, 1_000).await);
    }
    let ratio = spread.as_secs_f64() / one.as_secs_f64();
    println!("10,000 events of one visitor in {one:?}, of a thousand in {spread:?}: {ratio:.2}");
    assert!(ratio >= 0.5, "{ratio}");
    unharmed(&weir).await;
}

#[tokio::test]
async fn nothing_of_an_event_is_in_the_log_whatever_the_level() {
    let weir = start().await;
    let marks = [
        "MARKED-VALUE",
        "marked@example.org",
        "198.51.100.77",
        "MARKED-COOKIE",
        "MARKED-KEY",
    ];
    let event = json!([
        { "event_type": "MARKED-VALUE", "user_custom_id": "marked@example.org",
          "ip_address": "198.51.100.77", "page_title": "a\r\nINFO MARKED-VALUE\u{1b}[31m",
          "page_url": "https://a.example/?MARKED-VALUE=1", "event_id": "MARKED-VALUE" },
        { "event_type": "", "x": "MARKED-VALUE" },
    ]);
    let headers = "Cookie: weir_visitor=MARKED-COOKIE\r\nAuthorization: Bearer MARKED-KEY\r\n\
        User-Agent: MARKED-VALUE\r\nX-Forwarded-For: 198.51.100.77\r\n";
    let came = send(&weir, headers, event.to_string().as_bytes()).await;
    assert_eq!(came.statuses(), [200]);
    send(&weir, headers, b"{\"MARKED-VALUE").await;
    let ask = "GET /collect?MARKED-VALUE=%0d%0aMARKED-VALUE&key=MARKED-KEY HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    wire::exchange(weir.public(), ask.as_bytes()).await.unwrap();
    weir.wait_for_documents(2).await.unwrap();
    let metrics = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let metrics = wire::exchange(weir.admin(), metrics.as_bytes())
        .await
        .unwrap()
        .text;
    assert!(metrics.contains("weir_gateway_events"), "{metrics}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let words = weir.process().words();
    let lines: Vec<&str> = words.lines().collect();
    assert!(!lines.is_empty(), "it says something at this level");
    for mark in marks {
        let said = lines.iter().find(|line| line.contains(mark));
        assert_eq!(said, None);
        assert!(!metrics.contains(mark), "{mark}");
    }
    // A record is one line: each is JSON by itself.
    for line in &lines {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    unharmed(&weir).await;
}
