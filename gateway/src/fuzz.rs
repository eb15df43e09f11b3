//! Readers of what clients send, fed with a corpus and with what it mutates to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use runtime::http::{self, Fields};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::address::{self, ForwardedHeader};
use crate::admit::Admission;
use crate::batch::Batch;
use crate::inflate::{Encoding, inflate};
use crate::problem::Problem;
use crate::sender::{Sender, Visitor};
use crate::{Config, pixel, source, visitor};

fn sender() -> Sender<'static> {
    Sender {
        source: None,
        address: [203, 0, 113, 7].into(),
        received_at: "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap(),
        user_agent: Some("Agent/1"),
        language: Some("de"),
        hints: None,
        gpc: false,
        visitor: Visitor::Unknown,
    }
}

/// Admits the events of a body: each that is fit is on the stream as it was sent, member by member.
/// Says how many there were.
fn admit_all(body: &[u8], is_ndjson: bool, max_events: usize) -> Result<usize, Problem> {
    let (sender, config) = (sender(), Config::default());
    let mut members = Vec::new();
    let mut batch = Batch::open(body, is_ndjson, max_events, &mut members)?;
    let shared = std::mem::take(&mut batch.shared);
    let mut admission = Admission::new(&sender, &config, &shared, body.len());
    let (mut count, mut all) = (0, Vec::new());
    while let Some(event) = batch.next(&mut members)? {
        count += 1;
        if let Ok(true) = admission.admit(&event, &mut members) {
            all.push(event);
        }
    }
    for (event, record) in all.into_iter().zip(admission.packed().records()) {
        let kept: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(&record.value).expect("a record is JSON");
        // A map takes the last of several members with one name, as the gateway does.
        let sent: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(event.raw).expect("an admitted event is an object");
        for (name, value) in &sent {
            let is_ours =
                event::field::field(name).is_some_and(|f| f.origin != event::Origin::Client);
            let completed = ["event_id", "hints"].contains(&name.as_str()) || value.get() == "null";
            if !is_ours && !completed && !PRIVATE.contains(&name.as_str()) {
                assert_eq!(kept[name].get(), value.get(), "{name}");
            }
        }
    }
    Ok(count)
}

/// What denied consent takes away or cuts; and an address that is empty is completed.
const PRIVATE: [&str; 6] = [
    "click_id",
    "user_custom_id",
    "user_domain_id",
    "page_url",
    "referer_url",
    "ip_address",
];

#[test]
fn envelope() {
    ::fuzz::check("envelope", |input| {
        let _ = admit_all(input, false, 100);
    });
}

#[test]
fn ndjson() {
    ::fuzz::check("ndjson", |input| {
        if let Ok(count) = admit_all(input, true, 100) {
            assert!(count <= 100);
        }
    });
}

#[test]
fn body() {
    let encodings = [
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Brotli,
        Encoding::Zstd,
    ];
    let max_bytes = 1 << 20;
    let budget = Arc::new(Semaphore::new(2 << 20));
    ::fuzz::check("body", |input| {
        for encoding in encodings {
            if let Ok((inflated, _room)) = inflate(encoding, input, max_bytes, &budget) {
                assert!(inflated.len() <= max_bytes);
            }
            assert_eq!(budget.available_permits(), 2 << 20, "room is given back");
        }
    });
}

#[test]
fn pixel_query() {
    ::fuzz::check("pixel", |input| {
        let query = String::from_utf8_lossy(input);
        let event = pixel::event(&query, Some(source::PARAMETER));
        let parsed: Value = serde_json::from_str(&event).expect("JSON");
        assert!(parsed.is_object());
        admit_all(event.as_bytes(), false, 1).expect("one event or an envelope");
    });
}

#[test]
fn forwarding_headers() {
    let trusted = ["10.0.0.0/8".parse().unwrap()];
    let proxy: SocketAddr = "10.0.0.1:1".parse().unwrap();
    let stranger: SocketAddr = "203.0.113.9:1".parse().unwrap();
    ::fuzz::check("forwarding", |input| {
        let mut headers = HeaderMap::new();
        for line in input.split(|byte| *byte == b'\n') {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append("forwarded", value.clone());
                headers.append("x-forwarded-for", value.clone());
                headers.append("cookie", value);
            }
        }
        let fields = http::fields(&headers);
        let fields = Fields::from(&*fields);
        for header in [ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor] {
            address::client(fields, proxy, &trusted, header);
            let of_stranger = address::client(fields, stranger, &trusted, header);
            assert_eq!(of_stranger, stranger.ip(), "a stranger is not believed");
        }
        visitor::in_cookie(fields);
    });
}
