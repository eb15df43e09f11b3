//! What holds for every event.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

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
        prop_assert!(event::index::is_fit_id(text_of(&enriched.id)));
        prop_assert!(event::index::parse_day(text_of(&enriched.day)).is_some());
        prop_assert!(!enriched.value.contains(&b'\n'));
    }

    #[test]
    fn no_email_address_is_in_any_output(
        sent in any_event(),
        email in "[a-z0-9._+]{1,12}(@|%40|%2540)[a-z0-9]{1,8}\\.(com|example|co\\.uk|museum)",
        places in prop::collection::vec(prop::sample::select(event::FIELDS.to_vec()), 1..6),
    ) {
        let mut sent = sent;
        for field in &places {
            sent[field.name] = format!("https://a.example/u/{email}?q={email}#{email}").into();
        }
        sent["event_type"] = format!("view {email}").into();
        sent["props"] = json!({"a": [&email, 1], &email: {"deep": &email}});
        let Ok(Enriched::Document(enriched)) = try_enrich(sent.to_string().as_bytes()) else {
            return Ok(());
        };
        let mut document: Json = serde_json::from_slice(&enriched.value).unwrap();
        document.as_object_mut().unwrap().remove("user_custom_id");
        prop_assert!(holds_no_email(&document), "{}", document);
        prop_assert!(!redact::has_email(text_of(&enriched.id)) && !redact::has_email(text_of(&enriched.key)));
    }

    #[test]
    fn denied_consent_leaves_no_id_in_any_output(
        sent in any_event(),
        id in "id-[a-z]{12}",
        denied in prop::sample::select(vec!["denied", " Denied ", "DENIED"]),
    ) {
        let mut sent = sent;
        for name in ["user_custom_id", "user_domain_id", "click_id"] {
            sent[name] = id.as_str().into();
        }
        sent["page_url"] = format!("https://a.example/?gclid={id}&utm_source=b#c").into();
        sent["referer_url"] = format!("https://b.example/?fbclid={id}").into();
        sent["consent"] = denied.into();
        sent["weir_version"].take();
        let Ok(Enriched::Document(enriched)) = try_enrich(sent.to_string().as_bytes()) else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(&enriched.value);
        prop_assert!(!text.contains(&id) && !text_of(&enriched.key).contains(&id), "{}", text);
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

fn holds_no_email(json: &Json) -> bool {
    match json {
        Json::String(text) => !redact::has_email(text),
        Json::Array(items) => items.iter().all(holds_no_email),
        Json::Object(members) => members
            .iter()
            .all(|(name, value)| !redact::has_email(name) && holds_no_email(value)),
        _ => true,
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
