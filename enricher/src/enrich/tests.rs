mod properties;

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

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
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
    enrich(enricher, raw, context, &mut Writer::default())
}

fn event(config: Config, event: &Json) -> EnrichedEvent {
    match run(config, event.to_string().as_bytes()) {
        Ok(Enriched::Document(event)) => event,
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
        ..Privacy::default()
    };
    let enriched = event(
        Config {
            privacy,
            ..Config::default()
        },
        &sent,
    );
    let text = text_of(&enriched.value).to_owned();
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
fn files_that_cannot_be_used_are_told_by_setting() {
    let problems = Config {
        schemas: [("signup".to_owned(), "none.json".into())].into(),
        user_agent_regexes: Some("none.yaml".into()),
        ..Config::default()
    }
    .problems();
    let (keys, words): (Vec<_>, Vec<_>) = problems.into_iter().unzip();
    assert_eq!(keys, ["enricher.user_agent_regexes", "enricher.schema"]);
    assert!(
        words[0].contains("none.yaml") && words[1].contains("none.json"),
        "{words:?}"
    );
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
fn programs_are_routed_where_settings_say_so() {
    let sent = json!({"event_type": "a", "browser_user_agent": "curl/8.10.1"});
    let config = || Config {
        bots: Bots::Route,
        ..Config::default()
    };
    let routed = run(config(), sent.to_string().as_bytes());
    let Ok(Enriched::Routed(routed)) = routed else {
        panic!("{routed:?}");
    };
    let routed: Json = serde_json::from_slice(&routed.value).unwrap();
    assert_eq!(routed["bot_name"], "curl");
    document(config(), &json!({"event_type": "a"}));
}

#[test]
fn what_a_sender_says_of_the_visit_is_spelled_as_the_agent_would_say_it() {
    let sent = json!({
        "event_type": "pageview",
        "browser_name": "InternetExplorer",
        "os_name": "Mac OS X",
        "os": "Mac OS X 14.5",
        "device_type": "desktop",
    });
    let document = document(Config::default(), &sent);
    let told = ["browser_name", "os_name", "os", "device_type"].map(|name| &document[name]);
    assert_eq!(
        told,
        ["Internet Explorer", "macOS", "macOS 14.5", "Computer"]
    );
}

#[test]
fn what_a_sender_says_is_kept_where_nobody_knows_better() {
    let sent = json!({
        "event_type": "pageview",
        "browser_name": "Own App",
        "os_name": "Own OS",
        "os": "macOS 14.5",
        "device_type": "kiosk",
    });
    let document = document(Config::default(), &sent);
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&document[name], value, "{name}");
    }
}

#[test]
fn servers_that_send_for_visitors_are_no_bots() {
    let sent = json!({"event_type": "a", "browser_user_agent": "python-requests/2.32",
        "lib": "acme-server/1.2", "received_at": NOW});
    assert_eq!(document(Config::default(), &sent)["is_bot"], true);
    let config = Config {
        server_libs: vec!["acme-server".into()],
        ..Config::default()
    };
    let enriched = document(config, &sent);
    assert_eq!(enriched["is_bot"], false);
    assert_eq!(enriched["browser_name"], Json::Null);
}

#[test]
fn bursts_are_tagged() {
    let enricher = Enricher::new(Config {
        burst_per_minute: 2,
        ..Config::default()
    });
    let enricher = enricher.unwrap();
    let sent = r#"{"event_type":"a","user_domain_id":"v","received_at":"2026-03-01T11:59:00Z","browser_user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}"#;
    let reasons = || match enrich_with(&enricher, sent.as_bytes()) {
        Ok(Enriched::Document(event)) => {
            let document: Json = serde_json::from_slice(&event.value).unwrap();
            (document["is_bot"].clone(), document["bot_reasons"].clone())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(reasons(), (json!(false), Json::Null));
    assert_eq!(reasons(), (json!(false), Json::Null));
    assert_eq!(reasons(), (json!(true), json!(["burst"])));
}

#[test]
fn data_centre_is_a_sign_and_no_verdict() {
    let sent = json!({"event_type": "a", "ip_address": "192.0.2.1"});
    let config = Config {
        datacentre_as: vec!["64496".into()],
        ..Config::default()
    };
    let enriched = document(config, &sent);
    assert_eq!(enriched["bot_reasons"], json!(["asn_dc"]));
    assert_eq!(enriched["is_bot"], false);
}

#[test]
fn rules_and_look_ups_complete_events() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plans.csv");
    std::fs::write(&file, "plan,price\npro,20\n").unwrap();
    let config = Config {
        lookups: vec![crate::config::Lookup {
            name: "plan".into(),
            file,
            key: "props.plan".into(),
            column: String::new(),
            fields: Vec::new(),
        }],
        rules: vec![crate::config::Rule {
            name: "price".into(),
            when: "props['plan.price'] == '20'".into(),
            drop: false,
            set: [("revenue_currency".to_owned(), json!("EUR"))].into(),
            compute: [(
                "revenue_amount".to_owned(),
                "props['plan.price']|int".to_owned(),
            )]
            .into(),
            remove: Vec::new(),
            rename: [].into(),
        }],
        ..Config::default()
    };
    let document = document(
        config,
        &json!({"event_type": "a", "props": {"plan": "pro"}}),
    );
    assert_eq!(document["revenue_amount"], 20.0);
    assert_eq!(document["revenue_currency"], "EUR");
}

#[test]
fn events_that_do_not_fit_their_schema_are_tagged_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signup.json");
    let schema = json!({"properties": {"props": {
        "required": ["plan"], "additionalProperties": {"type": "string"}}}});
    std::fs::write(&file, schema.to_string()).unwrap();
    let config = |schema_mode| Config {
        schemas: [("signup".to_owned(), file.clone())].into(),
        schema_mode,
        ..Config::default()
    };
    let bad = json!({"event_type": "signup", "screen_width": "wide", "props": {"a@b.example": 1}});
    let tagged = document(config(SchemaMode::Tag), &bad);
    assert_eq!(
        tagged["invalid_fields"],
        json!(["[redacted:email]", "props.plan", "screen_width"])
    );
    assert_eq!(
        tagged["props"],
        json!({"[redacted:email]": 1, "screen_width": "wide"})
    );
    let refused = |sent: &Json| run(config(SchemaMode::DeadLetter), sent.to_string().as_bytes());
    assert_eq!(refused(&bad), Err(Code::SchemaMismatch));
    for good in [
        json!({"event_type": "signup", "props": {"plan": "pro"}}),
        json!({"event_type": "other", "props": {"a": 1}}),
    ] {
        assert!(
            matches!(refused(&good), Ok(Enriched::Document(_))),
            "{good}"
        );
        assert_eq!(
            document(config(SchemaMode::Tag), &good)["invalid_fields"],
            Json::Null
        );
    }
}

#[test]
fn pseudonyms_replace_ids_and_the_records_key() {
    let config = |key: &str| Config {
        privacy: Privacy {
            pseudonyms: vec![
                "user_domain_id".into(),
                "user_custom_id".into(),
                "props.mail".into(),
            ],
            pseudonym_key: crate::config::PseudonymKey(key.into()),
            ..Privacy::default()
        },
        ..Config::default()
    };
    let mut sent = seed_event();
    sent["props"] = json!({"mail": "a@b.example"});
    let one = event(config("a key of some length"), &sent);
    let document: Json = serde_json::from_slice(&one.value).unwrap();
    let id = document["user_domain_id"].as_str().unwrap();
    assert!(one.replaces_key && one.key == id);
    assert_eq!(document["user_email_domain"], "gmail.com");
    assert_ne!(document["user_custom_id"], sent["user_custom_id"]);
    assert_eq!(document["props"]["mail"].as_str().map(str::len), Some(33));
    let other = event(config("another key of some length"), &sent);
    assert_ne!(other.key, one.key);
    assert_eq!(config("short").problems()[0].0, "privacy.pseudonym_key");
    // As Python's hmac says.
    assert_eq!(id, EXPECTED_PSEUDONYM);
}

const EXPECTED_PSEUDONYM: &str = "p083ba9f3afadd962a596c76723236746";

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
        (&text["is_late"], text_of(&late.day)),
        (&json!(true), "2026.02.20")
    );
    let future = json!({"event_type": "a", "event_timestamp": "2026-09-20T00:00:00Z"});
    let future = event(Config::default(), &future);
    let text: Json = serde_json::from_slice(&future.value).unwrap();
    assert_eq!(text["time_quality"], "record");
    assert_eq!(text["event_timestamp"], "2026-09-20T00:00:00.000Z");
    assert_eq!(future.day, "2026.03.01");
}
