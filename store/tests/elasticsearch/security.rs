//! Credentials and TLS, right and wrong.

use std::path::Path;

use elasticsearch::http::Method;
use serde_json::json;
use store::{Document, Elasticsearch, Outcome, Store, StoreError, elasticsearch::Options};

use crate::{
    behaviour,
    engine::{Engine, PLAIN},
};

async fn refused(options: Options, words: &str) {
    let store = Elasticsearch::new(options).unwrap();
    for answer in [
        store.ping().await.map(|_| ()),
        store.prepare().await.map(|_| ()),
    ] {
        assert!(
            matches!(&answer, Err(StoreError::Configuration(why)) if why.contains(words)),
            "{words}: {answer:?}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn passes_the_suite_over_tls_with_a_password() {
    behaviour::conforms(Engine::secure()).await;
}

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn wrong_credentials_name_the_setting() {
    let Engine { options, .. } = Engine::secure();
    let wrong = Options {
        password: Some("wrong".into()),
        ..options.clone()
    };
    refused(wrong, "[elasticsearch] username, password, api_key").await;
    let none = Options {
        username: None,
        password: None,
        ..options.clone()
    };
    refused(none, "refuses the credentials").await;
    let key = Options {
        api_key: Some("nobody:nothing".into()),
        ..options
    };
    refused(key, "refuses the credentials").await;
}

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn faults_of_tls_name_the_setting() {
    let Engine { options, .. } = Engine::secure();
    let unknown = Options {
        ca_file: None,
        ..options.clone()
    };
    refused(unknown, "[elasticsearch] ca_file").await;
    let mut plain = options.nodes[0].clone();
    plain.set_scheme("http").unwrap();
    let store = Elasticsearch::new(Options {
        nodes: vec![plain],
        ..options.clone()
    })
    .unwrap();
    let answer = store.ping().await;
    assert!(
        matches!(&answer, Err(error) if error.to_string().contains("https://")),
        "{answer:?}"
    );
    assert!(options.ca_file.as_deref().is_some_and(Path::exists));
}

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn tls_to_a_plain_engine_names_the_scheme() {
    let Engine { mut options, .. } = Engine::new(PLAIN);
    options.nodes[0].set_scheme("https").unwrap();
    refused(options, "write http://").await;
}

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn small_key_writes_and_nothing_more() {
    let engine = Engine::secure();
    engine.store().prepare().await.unwrap();
    let prefix = engine.prefix();
    let indices = json!([{ "names": [format!("{prefix}-*")], "privileges": ["create_doc", "auto_configure"] }]);
    let role = json!({ "writer": { "cluster": ["monitor"], "indices": indices } });
    let request = json!({ "name": prefix, "role_descriptors": role });
    let (status, key) = engine
        .ask(Method::Post, "/_security/api_key", request)
        .await;
    assert_eq!(status, 200, "{key}");
    let encoded = key["encoded"].as_str().unwrap().to_owned();
    let pair = format!(
        "{}:{}",
        key["id"].as_str().unwrap(),
        key["api_key"].as_str().unwrap()
    );
    for (n, api_key) in [encoded, pair].into_iter().enumerate() {
        let options = Options {
            api_key: Some(api_key),
            username: None,
            password: None,
            ..engine.options.clone()
        };
        let store = Elasticsearch::new(options).unwrap();
        let prepared = store.prepare().await.unwrap();
        assert!(prepared[1].contains("up to date"), "{prepared:?}");
        let document = engine.document(&n.to_string(), "{}");
        assert_eq!(
            store.write(std::slice::from_ref(&document)).await,
            Ok(vec![Outcome::Created])
        );
        assert_eq!(
            store.write(std::slice::from_ref(&document)).await,
            Ok(vec![Outcome::Duplicate])
        );
        let foreign = Document {
            index: "another-2026.03.01".into(),
            ..document
        };
        let outcomes = store.write(&[foreign]).await.unwrap();
        assert!(
            matches!(&outcomes[0], Outcome::Held(why) if why.contains("rights behind")),
            "{outcomes:?}"
        );
    }
    engine.clean().await;
}
