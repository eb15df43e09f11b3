//! What clients say of themselves: addresses, origins, keys, rates.

use std::collections::HashMap;

use serde_json::json;
use tests::weir::Weir;
use tests::wire::{self, Came};

use crate::{good_request, start_with, unharmed};

async fn post(weir: &Weir, headers: &str, event: &serde_json::Value) -> Came {
    let bytes = wire::post(headers, event.to_string().as_bytes());
    wire::exchange(weir.public(), &bytes)
        .await
        .expect("an answer")
}

/// The stored address of each event, by its id.
pub(crate) async fn addresses(weir: &Weir, count: u64) -> HashMap<String, String> {
    weir.wait_for_documents(count).await.expect("they come");
    let answer = weir.search(&json!({ "size": 100 })).await;
    let answer = answer.expect("it is searched");
    let hits = answer["hits"]["hits"].as_array().expect("hits");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let pair = |hit: &serde_json::Value| (text(&hit["_id"]), text(&hit["_source"]["ip_address"]));
    hits.iter().map(pair).collect()
}

#[tokio::test]
async fn forwarding_headers_of_a_stranger_are_not_believed() {
    let weir = start_with(&[("WEIR_PRIVACY__IP", "full")]).await;
    let forged = [
        "X-Forwarded-For: 8.8.8.8\r\n",
        "Forwarded: for=8.8.8.8\r\n",
        "X-Real-IP: 8.8.8.8\r\nCF-Connecting-IP: 8.8.8.8\r\nTrue-Client-IP: 8.8.8.8\r\n",
        "X-Forwarded-For: 127.0.0.1, 8.8.8.8\r\nX-Forwarded-For: 8.8.8.8\r\n",
    ];
    for (n, headers) in forged.iter().enumerate() {
        let event = json!({ "event_type": "a", "event_id": format!("e{n}") });
        assert_eq!(post(&weir, headers, &event).await.statuses(), [204]);
    }
    for (id, address) in addresses(&weir, forged.len() as u64).await {
        assert_eq!(address, "127.0.0.1", "{id}");
    }
    unharmed(&weir).await;
}

#[tokio::test]
async fn trusted_proxies_are_read_from_the_right() {
    let trusted = "127.0.0.0/8,10.0.0.0/8";
    let weir = start_with(&[
        ("WEIR_PRIVACY__IP", "full"),
        ("WEIR_GATEWAY__TRUSTED_PROXIES", trusted),
    ])
    .await;
    let hops: Vec<String> = (1..=10).map(|n| format!("10.0.0.{n}")).collect();
    let cases = [
        ("one", "198.51.100.1".to_owned(), "198.51.100.1"),
        ("forged", "8.8.8.8, 198.51.100.2".to_owned(), "198.51.100.2"),
        (
            "ten",
            format!("8.8.8.8, 198.51.100.3, {}", hops.join(", ")),
            "198.51.100.3",
        ),
        ("nonsense", "8.8.8.8, nonsense".to_owned(), "127.0.0.1"),
    ];
    for (id, line, _) in &cases {
        let headers = format!("X-Forwarded-For: {line}\r\nForwarded: for=9.9.9.9\r\n");
        let event = json!({ "event_type": "a", "event_id": id });
        assert_eq!(post(&weir, &headers, &event).await.statuses(), [204]);
    }
    let found = addresses(&weir, cases.len() as u64).await;
    for (id, _, expected) in cases {
        assert_eq!(found[id], expected, "{id}");
    }
    unharmed(&weir).await;
}

#[tokio::test]
async fn client_above_its_rate_is_told_when_to_come_back_and_others_are_served() {
    let weir = start_with(&[
        ("WEIR_GATEWAY__RATE_LIMIT", "10/m"),
        ("WEIR_GATEWAY__TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let event = json!({ "event_type": "a" });
    let from =
        |address: &str| format!("X-Forwarded-For: {address}\r\nOrigin: https://a.example\r\n");
    let mut taken = 0;
    let mut refused = None;
    for _ in 0..100 {
        let came = post(&weir, &from("198.51.100.1"), &event).await;
        match came.statuses()[..] {
            [204] => taken += 1,
            [429] => refused = Some(came),
            _ => panic!("{}", came.text),
        }
    }
    let refused = refused.expect("it is above its rate");
    // Ten seconds of the rate, and what came free while this ran on a slow machine.
    assert!((1..=15).contains(&taken), "{taken} were taken");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait} s");
    assert!(refused.text.contains("rate_limited"));
    assert_eq!(
        refused.header("access-control-expose-headers"),
        Some("Retry-After")
    );
    assert_eq!(
        post(&weir, &from("198.51.100.2"), &event).await.statuses(),
        [204]
    );
    // A batch is charged by its events, and one host of IPv6 has one allowance.
    let batch = json!(vec![event.clone(); 50]);
    assert_eq!(
        post(&weir, &from("2001:db8:1:2::1"), &batch)
            .await
            .statuses(),
        [204]
    );
    assert_eq!(
        post(&weir, &from("2001:db8:1:2:9::2"), &event)
            .await
            .statuses(),
        [429]
    );
    assert_eq!(
        post(&weir, &from("2001:db8:1:3::1"), &event)
            .await
            .statuses(),
        [204]
    );
}

#[tokio::test]
async fn pages_of_foreign_origins_get_no_leave_and_no_cookie() {
    let weir = start_with(&[
        ("WEIR_GATEWAY__ALLOWED_ORIGINS", "https://shop.example"),
        ("WEIR_PRIVACY__VISITOR_ID", "cookie"),
    ])
    .await;
    let event = json!({ "event_type": "a" });
    let foreign = [
        "https://evil.example",
        "null",
        "https://shop.example.evil.example",
        "https://evilshop.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://SHOP.example",
        "https://shop.example/",
        "https://shop.example, https://evil.example",
    ];
    for origin in foreign {
        let headers = format!("Origin: {origin}\r\nCookie: a=b\r\n");
        let came = post(&weir, &headers, &event).await;
        assert_eq!(came.statuses(), [403], "{origin}");
        assert!(came.text.contains("origin_refused"), "{origin}");
        for name in [
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "set-cookie",
        ] {
            assert_eq!(came.header(name), None, "{origin}");
        }
        assert_eq!(came.header("vary"), Some("Origin"), "{origin}");
        let preflight = format!(
            "OPTIONS /collect HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\n\r\n"
        );
        let came = wire::exchange(weir.public(), preflight.as_bytes())
            .await
            .unwrap();
        assert_eq!(came.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(came.header("access-control-max-age"), None, "{origin}");
        assert_eq!(came.header("vary"), Some("Origin"), "{origin}");
    }
    let came = post(&weir, "Origin: https://shop.example\r\n", &event).await;
    assert_eq!(came.statuses(), [204]);
    assert_eq!(
        came.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
    let cookie = came.header("set-cookie").expect("a visitor without one");
    for part in ["weir_visitor=", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    good_request(&weir).await;
}
