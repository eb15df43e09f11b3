use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use stream::TopicPartition;

use super::*;
use crate::config::Privacy;

const NOW: &str = "2026-03-01T12:00:00Z";

/// An event as the seed's generator makes them.
fn seed_event() -> Json {
    json!({
        "event_id": "9f1b7a44-6a0b-4c1e-9f4e-2f3b7c1d5e60",
        "event_timestamp": "2026-03-01 11:59:58.123456",
        "event_type": "pageview",
        "page_url": "http://www.dummywebsite.com/home",
        "page_url_path": "/home",
        "referer_url": "www.facebook.com",
        "referer_url_scheme": "http",
        "referer_url_port": "80",
        "referer_medium": "internal",
        "utm_medium": "cpc",
        "utm_source": "facebook",
        "utm_content": "ad_2",
        "utm_campaign": "campaign_1",
        "click_id": "b9a4b5d2-3b1c-4a0d-8a53-9d2a1c3f4e5a",
        "geo_latitude": "54.77937",
        "geo_longitude": "11.86743",
        "geo_country": "DK",
        "geo_timezone": "Europe/Copenhagen",
        "geo_region_name": "Nykøbing Falster",
        "ip_address": "203.0.113.77",
        "browser_name": "Chrome",
        "browser_user_agent": "Mozilla/5.0 (Linux; Android 4.2.2) AppleWebKit/536.1 (KHTML, like Gecko) Chrome/41.0.898.0 Mobile Safari/536.1",
        "browser_language": "ms_MY",
        "os": "Android 5.0",
        "os_name": "Android",
        "os_timezone": "Europe/Copenhagen",
        "device_type": "Mobile",
        "device_is_mobile": true,
        "user_custom_id": "someone@gmail.com",
        "user_domain_id": "1c4f8a30-7d52-4b4c-8bb4-2a2f6c1e9d77",
    })
}

fn position(offset: u64) -> Position {
    Position {
        source: TopicPartition {
            topic: "raw-web-events".into(),
            partition: 3,
        },
        offset,
    }
}

fn run(config: Config, raw: &[u8]) -> Result<Enriched, Code> {
    let enricher = Enricher::new(config).unwrap();
    enrich_with(&enricher, raw)
}

fn enrich_with(enricher: &Enricher, raw: &[u8]) -> Result<Enriched, Code> {
    let now: Timestamp = NOW.parse().unwrap();
    let context = RecordContext {
        timestamp_ms: now.as_millisecond(),
        now_ms: now.as_millisecond(),
        position: &position(7),
    };
    enrich(enricher, raw, context)
}

fn event(config: Config, event: &Json) -> EnrichedEvent {
    match run(config, event.to_string().as_bytes()) {
        Ok(Enriched::Document(event)) => *event,
        other => panic!("{event} became {other:?}"),
    }
}

fn document(config: Config, sent: &Json) -> Json {
    serde_json::from_slice(&event(config, sent).value).unwrap()
}

#[test]
fn seed_event_is_enriched_as_by_the_seed_and_more() {
    let mut expected: Json = serde_json::from_str(include_str!("seed.json")).unwrap();
    expected["browser_user_agent"] = seed_event()["browser_user_agent"].clone();
    expected["weir_version"] = env!("CARGO_PKG_VERSION").into();
    expected["rules_version"] = RULES_VERSION.into();
    let enriched = document(Config::default(), &seed_event());
    assert_eq!(enriched, expected);
}

#[test]
fn id_and_day_stand_beside_the_document() {
    let enriched = event(Config::default(), &seed_event());
    assert_eq!(enriched.id, "9f1b7a44-6a0b-4c1e-9f4e-2f3b7c1d5e60");
    assert_eq!(enriched.day, "2026.03.01");
    assert_eq!(enriched.key, "1c4f8a30-7d52-4b4c-8bb4-2a2f6c1e9d77");
    assert_eq!(enriched.geo, GeoOutcome::Hit);
}

#[test]
fn event_without_id_gets_one_of_its_place() {
    let sent = json!({"event_type": "a"});
    let first = event(Config::default(), &sent);
    assert_eq!(
        first.id,
        index::derived_id(b"raw-web-events-3-7").to_string()
    );
    assert_eq!(first.id, event(Config::default(), &sent).id);
    assert_eq!(first.key, first.id);
    let unfit = document(
        Config::default(),
        &json!({"event_type": "a", "event_id": "ü"}),
    );
    assert_eq!(
        unfit["event_id"],
        index::derived_id("ü".as_bytes()).to_string()
    );
    assert_eq!(unfit["event_id_original"], "ü");
}

#[test]
fn unfit_events_have_codes() {
    let check =
        |raw: &str, code| assert_eq!(run(Config::default(), raw.as_bytes()), Err(code), "{raw}");
    check("[]", Code::NotAnObject);
    check("{", Code::BadJson);
    check("{}", Code::MissingEventType);
    check(r#"{"event_type":null}"#, Code::MissingEventType);
    check(r#"{"event_type":7}"#, Code::InvalidEventType);
    check(
        &json!({"event_type": "x".repeat(201)}).to_string(),
        Code::InvalidEventType,
    );
    check(
        r#"{"event_type":"a","event_timestamp":"2025-12-01T00:00:00Z"}"#,
        Code::TooOld,
    );
}

#[test]
fn address_is_kept_as_configured() {
    let sent = json!({"event_type": "a", "ip_address": "2001:db8:0:1::7"});
    for (ip, expected) in [
        (IpPolicy::Full, json!("2001:db8:0:1::7")),
        (IpPolicy::Truncate, json!("2001:db8::")),
        (IpPolicy::Drop, Json::Null),
    ] {
        let privacy = Privacy {
            ip,
            ..Privacy::default()
        };
        let config = Config {
            privacy,
            ..Config::default()
        };
        let enriched = document(config, &sent);
        assert_eq!(
            (&enriched["ip_address"], &enriched["geo_country"]),
            (&expected, &json!("DE"))
        );
    }
}

#[test]
fn denied_consent_leaves_no_id_anywhere() {
    let mut sent = seed_event();
    sent["consent"] = json!("denied");
    sent["page_url"] = json!("https://a.example/?gclid=SECRET");
    let privacy = Privacy {
        ip: IpPolicy::Full,
        gpc: event::Gpc::Off,
    };
    let enriched = event(
        Config {
            privacy,
            ..Config::default()
        },
        &sent,
    );
    let text = String::from_utf8(enriched.value).unwrap();
    for gone in ["gmail", "1c4f8a30", "b9a4b5d2", "SECRET", "203.0.113.77"] {
        assert!(!text.contains(gone), "{gone}");
    }
    assert!(text.contains("clickid:gclid"));
    assert_eq!(enriched.key, enriched.id);
}

#[test]
fn dropped_fields_are_left_out_last() {
    let mut sent = seed_event();
    sent["props"] = json!({"a": {"b": 1, "c": 2}, "d": 3});
    let drop_fields = ["user_custom_id", "a.b", "props.d"]
        .map(String::from)
        .to_vec();
    let enriched = document(
        Config {
            drop_fields,
            ..Config::default()
        },
        &sent,
    );
    assert_eq!(enriched["user_custom_id"], Json::Null);
    assert_eq!(enriched["user_email_domain"], "gmail.com");
    assert_eq!(enriched["props"], json!({"a.c": 2}));
}

#[test]
fn needed_fields_cannot_be_dropped() {
    let drop_fields = vec!["event_id".to_owned(), "os".to_owned()];
    let problems = Config {
        drop_fields,
        ..Config::default()
    }
    .problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].0, "enricher.drop_fields");
}

#[test]
fn bots_are_tagged_or_dropped() {
    let sent = json!({"event_type": "a", "browser_user_agent": "curl/8.10.1", "received_at": NOW});
    let tagged = document(Config::default(), &sent);
    assert_eq!(tagged["is_bot"], true);
    assert_eq!(tagged["bot_reasons"], json!(["ua_token"]));
    assert_eq!(tagged["bot_class"], "library");
    let config = Config {
        bots: Bots::Drop,
        ..Config::default()
    };
    assert_eq!(
        run(config, sent.to_string().as_bytes()),
        Ok(Enriched::Dropped)
    );
    let empty = document(
        Config::default(),
        &json!({"event_type": "a", "received_at": NOW}),
    );
    assert_eq!(empty["bot_reasons"], json!(["ua_empty"]));
    let driven =
        json!({"event_type": "a", "hints": {"webdriver": true}, "referer_url": "https://0-0.fr/"});
    let driven = document(Config::default(), &driven);
    assert_eq!(driven["bot_reasons"], json!(["referrer_spam", "webdriver"]));
}

#[test]
fn email_domain_is_behind_the_last_at() {
    let domain = |id: &str| {
        let sent = json!({"event_type": "a", "user_custom_id": id});
        document(Config::default(), &sent)["user_email_domain"].clone()
    };
    assert_eq!(domain("a@b@example.com"), "example.com");
    assert_eq!(domain("nobody"), "n/a");
    assert_eq!(domain("nobody@"), "n/a");
    assert_eq!(domain("a\"@example.com"), "example.com");
}

#[test]
fn late_and_future_events_are_marked() {
    let late =
        json!({"event_type": "a", "event_timestamp": "2026-02-20T00:00:00Z", "received_at": NOW});
    let late = event(Config::default(), &late);
    let text: Json = serde_json::from_slice(&late.value).unwrap();
    assert_eq!(
        (&text["is_late"], late.day.as_str()),
        (&json!(true), "2026.02.20")
    );
    let future = json!({"event_type": "a", "event_timestamp": "2026-09-20T00:00:00Z"});
    let future = event(Config::default(), &future);
    let text: Json = serde_json::from_slice(&future.value).unwrap();
    assert_eq!(text["time_quality"], "record");
    assert_eq!(text["event_timestamp"], "2026-09-20T00:00:00.000Z");
    assert_eq!(future.day, "2026.03.01");
}

/// Any JSON, nested a few levels.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        // Decimals as people write them; of others serde_json may miss the last bit.
        any::<i32>().prop_map(|cents| Json::from(f64::from(cents) / 100.0)),
        ".{0,20}".prop_map(Json::from),
        hostile_text().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::hash_map(".{0,8}", inner, 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// Texts that steps take apart.
fn hostile_text() -> impl Strategy<Value = String> {
    let words = [
        "https://",
        "www.google.co.uk",
        "?gclid=",
        "&utm_source=",
        "%ff",
        "%",
        "é",
        "\u{0}",
        "[::1]",
        "android-app://",
        "Mozilla/5.0 (",
        "Android ",
        ";",
        ")",
        "Windows NT ",
        "bot/",
        "@",
        "#",
        "2026-03-01T00:00:00Z",
        "-1",
        "1e400",
        "203.0.113.9",
        "::ffff:1.2.3.4",
        " ",
        "10_15_7",
        "/",
        ".",
        "Version/26.0",
        "iPhone OS 18_6",
        "\u{202e}",
        "xn--",
        "..",
        "denied",
        "true",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..8)
        .prop_map(|words| words.concat())
}

/// An event of known and unknown members with any values.
fn any_event() -> impl Strategy<Value = Json> {
    let names: Vec<&'static str> = event::FIELDS.iter().map(|field| field.name).collect();
    let name = prop_oneof![
        3 => prop::sample::select(names).prop_map(String::from),
        1 => "x[a-z.]{0,6}",
    ];
    let value = prop_oneof![any_json(), hostile_text().prop_map(Json::from)];
    prop::collection::hash_map(name, value, 0..30).prop_map(|members| {
        let mut members: serde_json::Map<_, _> = members.into_iter().collect();
        members.insert("event_type".into(), "a".into());
        Json::Object(members)
    })
}

/// Without what says when it was enriched.
fn comparable(mut document: Json) -> Json {
    if let Some(members) = document.as_object_mut() {
        members.remove("enriched_at");
    }
    document
}

thread_local! {
    /// Shared by the cases of a property, for opening takes longer than enriching.
    static ENRICHER: Enricher = Enricher::new(Config::default()).unwrap();
}

fn try_enrich(raw: &[u8]) -> Result<Enriched, Code> {
    ENRICHER.with(|enricher| enrich_with(enricher, raw))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = try_enrich(&raw);
    }

    #[test]
    fn no_json_makes_it_panic(json in any_json()) {
        let _ = try_enrich(json.to_string().as_bytes());
    }

    #[test]
    fn enriching_again_changes_nothing_that_matters(sent in any_event()) {
        let Ok(Enriched::Document(once)) = try_enrich(sent.to_string().as_bytes()) else {
            return Ok(());
        };
        let Ok(Enriched::Document(twice)) = try_enrich(&once.value) else {
            panic!("an enriched event is refused");
        };
        let read = |event: &EnrichedEvent| comparable(serde_json::from_slice(&event.value).unwrap());
        prop_assert_eq!(read(&once), read(&twice));
        prop_assert_eq!(&once.id, &twice.id);
    }

    #[test]
    fn every_value_has_the_kind_of_its_field(sent in any_event()) {
        let Ok(Enriched::Document(enriched)) = try_enrich(sent.to_string().as_bytes()) else {
            return Ok(());
        };
        let document: Json = serde_json::from_slice(&enriched.value).unwrap();
        for (name, value) in document.as_object().unwrap() {
            let field = event::field::field(name);
            prop_assert!(field.is_some(), "{} is not in the table", name);
            prop_assert!(fits(field.unwrap().kind, value), "{}: {}", name, value);
        }
        prop_assert!(event::index::is_fit_id(&enriched.id));
        prop_assert!(event::index::parse_day(&enriched.day).is_some());
        prop_assert!(!enriched.value.contains(&b'\n'));
    }

    #[test]
    fn unknown_members_survive(values in prop::collection::hash_map("x[a-z]{1,8}", "[a-z]{1,20}", 0..50)) {
        let mut sent = json!({"event_type": "a"});
        for (name, value) in &values {
            sent[name] = value.as_str().into();
        }
        let Ok(Enriched::Document(enriched)) = try_enrich(sent.to_string().as_bytes()) else {
            panic!("a good event is refused");
        };
        let document: Json = serde_json::from_slice(&enriched.value).unwrap();
        for (name, value) in &values {
            prop_assert_eq!(document["props"][name].as_str(), Some(value.as_str()));
        }
    }
}

fn fits(kind: event::Kind, value: &Json) -> bool {
    use event::Kind;
    let is_plain = |value: &Json| !value.is_object() && !value.is_null();
    match kind {
        Kind::Keyword => {
            let is_text = |v: &Json| {
                v.as_str()
                    .is_some_and(|t| t.chars().count() <= limits::MAX_KEYWORD_CHARS)
            };
            is_text(value)
                || value
                    .as_array()
                    .is_some_and(|items| items.iter().all(is_text))
        }
        Kind::Double => value.as_f64().is_some(),
        Kind::Long => value.as_i64().is_some(),
        Kind::Date => value
            .as_str()
            .is_some_and(|text| text.ends_with('Z') && text.parse::<Timestamp>().is_ok()),
        Kind::Ip => value
            .as_str()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        Kind::GeoPoint => value["lat"].is_f64() && value["lon"].is_f64(),
        Kind::Boolean => value.is_boolean(),
        Kind::Flattened => value.as_object().is_some_and(|members| {
            members.len() <= limits::MAX_PROPS
                && members.values().all(|v| {
                    is_plain(v)
                        && v.as_array()
                            .is_none_or(|items| items.iter().all(|i| is_plain(i) && !i.is_array()))
                })
        }),
        Kind::Stored => value.is_object(),
    }
}
