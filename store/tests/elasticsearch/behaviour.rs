//! What both engines must do alike.

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use store::{
    Deleted, Document, Doomed, Outcome, Store, StoreError, conformance,
    elasticsearch::{Distribution, template},
};

use crate::engine::Engine;

pub(crate) async fn conforms(engine: Engine) {
    conformance::run_all(&engine.store(), engine.prefix()).await;
    engine.clean().await;
}

/// What clients send must cost at most the field, and what is no document must not cost its
/// neighbours.
pub(crate) async fn takes_hostile_documents(engine: Engine) {
    let store = engine.store();
    store.prepare().await.unwrap();
    let props: Value = (0..10_000)
        .map(|n| (format!("key {n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let good = [
        json!({ "screen_width": "wide", "revenue_amount": "much", "ip_address": "nobody", "event_timestamp": "never" }),
        json!({ "event_timestamp": "2026-03-01 10:00:00.123456" }),
        json!({ "event_timestamp": "2026-03-01 10:00:00" }),
        json!({ "event_timestamp": 1_772_359_200_000_i64, "@timestamp": "2026-03-01T10:00:00.5Z" }),
        json!({ "page_url": "x".repeat(60_000), "page_title": "ü".repeat(30_000) }),
        json!({ "props": props }),
        json!({ "props": { "plan": 1 } }),
        json!({ "props": { "plan": "x".repeat(2_000), "a.b": true, "": null } }),
        json!({ "hints": "text" }),
        json!({ "hints": { "deep": [{}] } }),
        json!({ "unknown": 1 }),
        json!({ "unknown": { "x": [] }, "__proto__": "a\nb" }),
        json!({ "bot_reasons": ["a", "b"], "as_number": null }),
    ];
    let mut documents: Vec<Document> = good
        .iter()
        .enumerate()
        .map(|(n, source)| engine.document(&format!("good-{n}"), source.to_string()))
        .collect();
    documents.push(engine.document("a\"\\\nü", "{\n}"));
    let good = documents.len();
    for (n, source) in [
        "{\"a\":",
        "{}}",
        "{} {}",
        "",
        "[1]",
        "{\"received_at\":\"never\"}",
    ]
    .iter()
    .enumerate()
    {
        documents.push(engine.document(&format!("bad-{n}"), *source));
    }
    documents.push(engine.document("not-utf-8", Bytes::from_static(b"{\"site\":\"\xff\"}")));
    documents.push(engine.document(&"x".repeat(513), "{}"));
    documents.push(engine.document("last", "{}"));
    let outcomes = store.write(&documents).await.unwrap();
    for (document, outcome) in documents.iter().zip(&outcomes).take(good) {
        assert_eq!(*outcome, Outcome::Created, "{}", document.id);
    }
    let last = outcomes.len() - 1;
    for (document, outcome) in documents[good..last].iter().zip(&outcomes[good..last]) {
        let known = matches!(outcome, Outcome::Refused { reason, .. } if !reason.is_empty());
        // OpenSearch keeps bytes that are no text.
        assert!(
            known || document.id == "not-utf-8",
            "{}: {outcome:?}",
            document.id
        );
    }
    assert_eq!(outcomes[last], Outcome::Created);
    assert_eq!(engine.mapped("unknown").await, Value::Null);
    assert_eq!(engine.mapped("site").await["type"], "keyword");
    engine.clean().await;
}

pub(crate) async fn prepares_once(engine: Engine, distribution: Distribution) {
    let store = engine.store();
    let info = store.ping().await.unwrap();
    assert_eq!(info.distribution, distribution);
    assert_eq!(info.cluster_name, "weir-test");
    let template = format!("/_index_template/{}", engine.prefix());
    let dry = store.rehearse().await.unwrap();
    assert!(dry[1].contains("would be written"), "{dry:?}");
    assert_eq!(engine.ask(Method::Get, &template, Value::Null).await.0, 404);
    let first = store.prepare().await.unwrap();
    assert!(first[1].ends_with("] written"), "{first:?}");
    assert_eq!(store.rehearse().await, store.prepare().await);
    let second = store.prepare().await.unwrap();
    assert!(second[1].contains("up to date"), "{second:?}");
    let profile = template::Profile {
        distribution,
        prefix: engine.prefix(),
        index: &engine.options.index,
        has_lifecycle: false,
    };
    for template in template::all(profile) {
        let path = format!("/_index_template/{}", template.name);
        assert_eq!(engine.ask(Method::Get, &path, Value::Null).await.0, 200);
    }
    // The common schema's names can be searched like the fields that they stand for.
    store.write(&[engine.document("1", "{}")]).await.unwrap();
    let path = format!("/{}-*/_field_caps?fields=*", engine.prefix());
    let (_, found) = engine.ask(Method::Get, &path, Value::Null).await;
    for (alias, field) in event::ECS_ALIASES {
        let kinds = |name: &str| found["fields"][name].as_object().cloned();
        let kinds = (kinds(alias), kinds(field));
        assert!(
            kinds.0.is_some() && kinds.0 == kinds.1,
            "{alias}: {kinds:?}"
        );
    }
    engine.clean().await;
}

pub(crate) async fn faults_of_an_index_refuse_nothing(engine: Engine) {
    let store = engine.store();
    store.prepare().await.unwrap();
    let documents = [engine.document("1", "{}")];
    let index = &documents[0].index;
    let written = |answer| assert_eq!(answer, Ok(vec![Outcome::Created]));
    let fault = |answer: Result<Vec<Outcome>, StoreError>, what: &str| {
        assert!(
            matches!(answer.as_deref(), Ok([Outcome::Held(_)])),
            "{what}: {answer:?}"
        );
    };
    written(store.write(&documents).await);
    let (settings, second) = (format!("/{index}/_settings"), [engine.document("2", "{}")]);
    engine
        .ask(
            Method::Put,
            &settings,
            json!({ "index.blocks.write": true }),
        )
        .await;
    fault(store.write(&second).await, "a block");
    let free = json!({ "index.blocks.write": null, "index.default_pipeline": "none-such" });
    engine.ask(Method::Put, &settings, free).await;
    fault(store.write(&second).await, "a pipeline");
    let free = json!({ "index.default_pipeline": null });
    engine.ask(Method::Put, &settings, free).await;
    engine
        .ask(Method::Post, &format!("/{index}/_close"), Value::Null)
        .await;
    fault(store.write(&second).await, "a closed index");
    let other = Document {
        index: format!("{}-2026.03.02", engine.prefix()),
        ..second[0].clone()
    };
    let outcomes = store.write(&[second[0].clone(), other]).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Held(_)), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::Created, "another index takes its own");
    engine
        .ask(Method::Post, &format!("/{index}/_open"), Value::Null)
        .await;
    written(store.write(&second).await);
    engine.clean().await;
}

pub(crate) async fn deletes_only_its_own_days(engine: Engine) {
    let store = engine.store();
    let prefix = engine.prefix();
    let names = [
        "2026.01.01",
        "2026.01.02",
        "2026.01.03",
        "2026.01.01-copy",
        "eu-2026.01.01",
        "note",
    ];
    for name in names {
        let path = format!("/{prefix}-{name}");
        assert_eq!(engine.ask(Method::Put, &path, Value::Null).await.0, 200);
    }
    engine
        .ask(
            Method::Post,
            &format!("/{prefix}-2026.01.02/_close"),
            Value::Null,
        )
        .await;
    let oldest = Doomed::Before(jiff::civil::date(2026, 1, 3));
    let deleted = store.delete(&oldest).await.unwrap();
    assert_eq!(
        deleted.indices,
        [
            format!("{prefix}-2026.01.01"),
            format!("{prefix}-2026.01.02")
        ]
    );
    assert_eq!(store.delete(&oldest).await, Ok(Deleted::default()));
    for name in &names[2..] {
        let path = format!("/{prefix}-{name}/_mapping");
        assert_eq!(
            engine.ask(Method::Get, &path, Value::Null).await.0,
            200,
            "{name}"
        );
    }
    engine.clean().await;
}
