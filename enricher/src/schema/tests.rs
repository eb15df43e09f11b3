use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schemas(schema: &Json) -> anyhow::Result<(Schemas, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signup.json");
    std::fs::write(&path, schema.to_string()).unwrap();
    let config = Config {
        schemas: [("signup".to_owned(), path)].into(),
        ..Config::default()
    };
    Ok((Schemas::open(&config)?, folder))
}

fn signup() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["user_domain_id"],
        "properties": {
            "revenue_amount": {"type": "number", "minimum": 0},
            "props": {
                "type": "object",
                "required": ["plan"],
                "additionalProperties": false,
                "properties": {
                    "plan": {"enum": ["free", "pro"]},
                    "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
                    "mail": {"type": "string", "format": "email"},
                    "seats": {"type": "array", "items": {"$ref": "#/$defs/seat"}},
                },
            },
        },
        "$defs": {"seat": {"type": "integer", "maximum": 10}},
    })
}

fn check(event: Json, expected: &[&str]) {
    let (schemas, _folder) = schemas(&signup()).unwrap();
    let found = schemas.misfits("signup", event.to_string().as_bytes());
    let found = found.expect("there is a schema");
    assert_eq!(found, expected, "{event}");
}

#[test]
fn what_does_not_fit_is_named() {
    check(
        json!({"user_domain_id": "v", "props": {"plan": "pro", "code": "AB-1", "seats": [1, 2]}}),
        &[],
    );
    check(json!({"props": {"plan": "pro"}}), &["user_domain_id"]);
    check(
        json!({"user_domain_id": "v", "revenue_amount": -1, "props": {"code": "x", "seats": [1, 11], "other": 1, "mail": "no"}}),
        &[
            "props.code",
            "props.mail",
            "props.other",
            "props.plan",
            "props.seats.1",
            "revenue_amount",
        ],
    );
    let (whole, _folder) = schemas(&json!({"minProperties": 3})).unwrap();
    assert_eq!(whole.misfits("signup", b"{}"), Some(vec!["*".to_owned()]));
    assert_eq!(whole.misfits("other", b"{}"), None);
}

#[test]
fn names_are_bounded_in_number_and_length() {
    let (schemas, _folder) = schemas(&json!({"additionalProperties": {"type": "null"}})).unwrap();
    let long: serde_json::Map<_, _> = (0..500)
        .map(|n| (format!("{n}{}", "é".repeat(400)), json!(n)))
        .collect();
    let names = schemas
        .misfits("signup", Json::from(long).to_string().as_bytes())
        .unwrap();
    assert_eq!(names.len(), MAX_NAMES);
    assert!(
        names
            .iter()
            .all(|name| name.chars().count() == MAX_NAME_CHARS)
    );
}

#[test]
fn unusable_schemas_are_refused_by_name() {
    let refused = |schema: Json, words: &str| {
        let error = format!("{:#}", schemas(&schema).map(drop).unwrap_err());
        for part in ["[enricher.schema] \"signup\"", "signup.json", words] {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    refused(json!({"type": "text"}), "text");
    refused(json!({"pattern": "("}), "(");
    // What only a search that may take exponential time can find.
    refused(json!({"pattern": "(?=a)b"}), "(?=a)b");
    refused(json!({"pattern": "(a)\\1"}), "is not a");
    refused(json!({"pattern": "a{1000}{1000}{1000}"}), "pattern");
    refused(json!({"format": "postcode"}), "postcode");
    refused(
        json!({"$ref": "https://schema.example/other.json"}),
        "schema.example",
    );
    refused(json!({"$ref": "file:///etc/passwd"}), "passwd");
    refused(json!({"$ref": "#/$defs/none"}), "none");
    refused(json!("x".repeat(MAX_SCHEMA_BYTES)), "256 KiB");
}

#[test]
fn changed_schema_is_taken_and_a_broken_one_refused() {
    let (schemas, folder) = schemas(&json!({"required": ["a"]})).unwrap();
    let file = schemas.files().next().unwrap();
    let path = folder.path().join("signup.json");
    let misfits = || schemas.misfits("signup", b"{}").unwrap();
    std::fs::write(&path, r#"{"required": ["other"]}"#).unwrap();
    assert_eq!((file.look(), misfits()), (None, vec!["other".to_owned()]));
    std::fs::write(&path, r#"{"required": "other, again"}"#).unwrap();
    let refused = file.look().unwrap();
    assert!(
        refused.contains("signup.json") && refused.contains("/required"),
        "{refused}"
    );
    assert_eq!(misfits(), ["other"]);
}

/// What a hostile hand may send to schemas whose checks could be slow.
#[test]
fn no_event_makes_a_schema_slow_or_deep() {
    let unique = json!({"properties": {"l": {"uniqueItems": true}}});
    let pattern = json!({"additionalProperties": {"type": "string", "pattern": "^(a+)+$"}});
    let deep = "{\"x\":".repeat(30) + "{}" + &"}".repeat(30);
    let long =
        json!({"l": (0..10_000).map(|n| json!([n, {"n": n}])).collect::<Vec<_>>()}).to_string();
    let text = json!({"t": "a".repeat(60_000) + "!"}).to_string();
    for schema in [unique, pattern] {
        let (schemas, _folder) = schemas(&schema).unwrap();
        for event in [&deep, &long, &text] {
            let start = Instant::now();
            schemas.misfits("signup", event.as_bytes()).unwrap();
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "{schema} {:?}",
                start.elapsed()
            );
        }
    }
}

proptest! {
    /// Whatever stands in a file: it is refused or serves, and no event makes it panic.
    #[test]
    fn no_schema_and_no_event_make_it_panic(
        schema in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"", "\"type\":", "\"object\"", "\"properties\":{", "\"a\":",
                "\"$ref\":\"#\"", "\"anyOf\":[", "\"pattern\":\"^a\"", "\"required\":[\"a\"]", "true", "1",
                "\"minimum\":", "\"$defs\":{", "\"format\":\"date\"", "\"enum\":[1]", "\"not\":{",
            ]),
            0..12,
        ),
        event in "\\{(\"a\":[0-9]{1,3})?\\}|.{0,20}",
    ) {
        let text = schema.concat();
        for text in [text.clone(), format!("{{{text}}}")] {
            if let (Ok(schema), Ok(event)) = (compile(&text), serde_json::from_str::<Json>(&event)) {
                let fits = schema.is_valid(&event);
                prop_assert_eq!(fits, schema.iter_errors(&event).next().is_none());
            }
        }
    }
}
