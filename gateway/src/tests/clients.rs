//! Who sends: write keys, rates, visitors.

use jiff::Timestamp;

use super::*;
use crate::config::{Rate, Source, VisitorId};

async fn hashing() -> Bench {
    let mut live = Live::default();
    live.add(crate::salts::day(Timestamp::now()), [7; 32]);
    live.add(
        crate::salts::day(Timestamp::now()).tomorrow().unwrap(),
        [7; 32],
    );
    Bench::with_salts(|_| {}, live).await
}

const AGENT: (&str, &str) = ("user-agent", "Agent/1");

#[tokio::test]
async fn visitor_without_an_id_gets_the_hash_of_the_day_and_its_key() {
    let bench = hashing().await;
    let page = r#"{"event_type":"a","page_url":"https://shop.example/1"}"#;
    let other =
        r#"{"event_type":"b","page_url":"https://www.shop.example/2","user_domain_id":null}"#;
    assert_eq!(bench.post(page, &[AGENT]).await.0, 204);
    assert_eq!(bench.post(other, &[AGENT]).await.0, 204);
    assert_eq!(bench.post(page, &[("user-agent", "Agent/2")]).await.0, 204);
    let own = r#"{"event_type":"c","user_domain_id":"own"}"#;
    assert_eq!(bench.post(own, &[AGENT]).await.0, 204);
    let records = bench.records("raw-web-events").await;
    let mut ids = BTreeMap::new();
    for record in &records {
        let event: Value = serde_json::from_slice(&record.value).unwrap();
        let id = event["user_domain_id"].as_str().unwrap().to_owned();
        assert_eq!(
            record.key.as_deref(),
            Some(id.as_bytes()),
            "order is kept by visitor"
        );
        assert_eq!(record.header("weir-format").unwrap(), "1");
        *ids.entry(id).or_insert(0) += 1;
    }
    assert_eq!(ids.remove("own"), Some(1));
    let mut counts: Vec<_> = ids.values().copied().collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2], "{ids:?}");
}

#[tokio::test]
async fn no_id_is_made_for_visitors_who_ask_for_privacy() {
    let bench = hashing().await;
    bench.post(GOOD, &[AGENT, ("sec-gpc", "1")]).await;
    bench
        .post(r#"{"event_type":"a","consent":"denied"}"#, &[AGENT])
        .await;
    let off = Bench::new(|config| config.visitor_id = VisitorId::Off).await;
    off.post(GOOD, &[AGENT]).await;
    let events = [bench.events().await, off.events().await].concat();
    assert_eq!(events.len(), 3);
    for event in events {
        assert_eq!(event.get("user_domain_id"), None);
    }
}

/// Posts from a page of the shop; the status and the cookie that is set.
async fn from_page(bench: &Bench, headers: &[(&str, &str)], body: &str) -> (u16, Option<String>) {
    let mut request = Request::post("/collect").header("origin", "https://shop.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (status, headers, _) = bench
        .ask(request.body(Body::from(body.to_owned())).unwrap())
        .await;
    let cookie = headers
        .get("set-cookie")
        .map(|value| value.to_str().unwrap().to_owned());
    (status, cookie)
}

#[tokio::test]
async fn cookie_is_given_once_and_is_the_visitors_id() {
    let bench = Bench::new(|config| {
        config.visitor_id = VisitorId::Cookie { domain: None };
        config.allowed_origins = vec!["https://shop.example".into()];
    })
    .await;
    let (status, cookie) = from_page(&bench, &[], GOOD).await;
    let cookie = cookie.unwrap();
    assert_eq!(status, 204);
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(
        from_page(&bench, &[("cookie", pair)], GOOD).await,
        (204, None)
    );
    let events = bench.events().await;
    let id = pair.split_once('=').unwrap().1;
    assert!(
        events.iter().all(|event| event["user_domain_id"] == id),
        "{events:?}"
    );

    // Whoever asks for privacy gets none, and loses the one that there is.
    assert_eq!(
        from_page(&bench, &[("sec-gpc", "1")], GOOD).await,
        (204, None)
    );
    let denied = r#"{"event_type":"a","consent":"denied"}"#;
    let (_, cookie) = from_page(&bench, &[("cookie", pair)], denied).await;
    assert!(cookie.unwrap().contains("Max-Age=0"));
    let kept = bench.events().await;
    let without = kept
        .iter()
        .filter(|event| event.get("user_domain_id").is_none());
    assert_eq!(without.count(), 2);
}

fn shop() -> Source {
    Source {
        name: "shop".into(),
        key: "secret".into(),
        origins: vec!["https://shop.example".into()],
        rate_limit: None,
        event_types: vec!["pageview".into()],
    }
}

#[tokio::test]
async fn source_is_known_by_its_key_and_held_to_its_settings() {
    let bench = Bench::new(|config| config.sources = vec![shop()]).await;
    let key = ("authorization", "Bearer secret");
    let (status, answer) = bench.post(GOOD, &[]).await;
    assert_eq!((status, &answer["code"]), (401, &json!("unknown_key")));
    assert_eq!(bench.post(GOOD, &[("x-weir-key", "wrong")]).await.0, 401);
    let evil = [key, ("origin", "https://evil.example")];
    let (status, answer) = bench.post(GOOD, &evil).await;
    assert_eq!((status, &answer["code"]), (403, &json!("origin_refused")));
    let (status, answer) = bench.post(r#"{"event_type":"other"}"#, &[key]).await;
    assert_eq!(
        (status, &answer["events"][0]["code"]),
        (422, &json!("event_type_refused"))
    );
    let forged = r#"{"event_type":"pageview","source_name":"bank"}"#;
    assert_eq!(bench.post(forged, &[key]).await.0, 204);
    assert_eq!(bench.events().await.remove(0)["source_name"], "shop");
    let limited = Source {
        rate_limit: Rate::parse("1/h"),
        ..shop()
    };
    let bench = Bench::new(|config| config.sources = vec![limited]).await;
    assert_eq!(bench.post(GOOD, &[key]).await.0, 204);
    let (status, answer) = bench.post(GOOD, &[key]).await;
    assert_eq!((status, &answer["code"]), (429, &json!("rate_limited")));
    let ledger = bench.ledger();
    let sum: u64 = ledger
        .iter()
        .filter(|(name, _)| *name != "received")
        .map(|(_, n)| n)
        .sum();
    assert_eq!(ledger["received"], sum, "{ledger:?}");
}

#[tokio::test]
async fn key_in_the_query_serves_pixels_and_is_not_stored() {
    let bench = Bench::new(|config| config.sources = vec![shop()]).await;
    let ask = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(bench.ask(ask("/collect?x=1")).await.0, 401);
    assert_eq!(bench.ask(ask("/collect?x=1&key=secret")).await.0, 200);
    let event = bench.events().await.remove(0);
    assert_eq!((event.get("key"), &event["x"]), (None, &json!("1")));
    // A preflight has no key: it is answered for every origin that some source lets in.
    let preflight = Request::options("/collect")
        .header("origin", "https://shop.example")
        .body(Body::empty())
        .unwrap();
    let (_, headers, _) = bench.ask(preflight).await;
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    assert!(
        allowed.contains("x-weir-key") && allowed.contains("authorization"),
        "{allowed}"
    );
}
