//! The Elasticsearch back end against real engines.
//!
//! Each test needs an engine that a variable names; `tests/services` has the scripts that run one.
//! Indices get a prefix of the test's own, so that an engine can be used again and again.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod behaviour;
mod engine;
mod security;

use std::time::{Duration, Instant};

use serde_json::Value;
use store::{
    Indices, Query, Store,
    elasticsearch::{Compression, Distribution},
};

use engine::{Engine, OPENSEARCH, PLAIN};

#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn document_is_visible_within_the_refresh_interval() {
    let engine = Engine::with(PLAIN, |options| {
        options.index.refresh_interval = Duration::from_millis(200);
    });
    let store = engine.store();
    store.prepare().await.unwrap();
    store.write(&[engine.document("1", "{}")]).await.unwrap();
    let indices = Indices::parse(&format!("{}-*", engine.prefix()), &[engine.prefix()]).unwrap();
    let query = Query::Count {
        indices,
        body: Value::Null,
    };
    let since = Instant::now();
    while store.query(&query).await.unwrap()["count"] != 1 {
        assert!(since.elapsed() < Duration::from_secs(5), "not visible");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    engine.clean().await;
}

/// The first of two nodes is away, and what is sent is compressed.
#[tokio::test]
#[ignore = "needs a real engine: make test"]
async fn passes_the_suite_with_a_node_away_and_in_gzip_form() {
    let engine = Engine::with(PLAIN, |options| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let away = format!("http://{}", free.local_addr().unwrap());
        options.nodes.insert(0, away.parse().unwrap());
        options.compression = Compression::Gzip;
    });
    behaviour::conforms(engine).await;
}

mod on_elasticsearch {
    use super::*;

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn passes_the_suite() {
        behaviour::conforms(Engine::new(PLAIN)).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn hostile_documents_cost_only_themselves() {
        behaviour::takes_hostile_documents(Engine::new(PLAIN)).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn preparing_again_changes_nothing() {
        behaviour::prepares_once(Engine::new(PLAIN), Distribution::Elasticsearch).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn index_faults_refuse_no_document() {
        behaviour::faults_of_an_index_refuse_nothing(Engine::new(PLAIN)).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn other_indices_are_never_deleted() {
        behaviour::deletes_only_its_own_days(Engine::new(PLAIN)).await;
    }
}

mod on_opensearch {
    use super::*;

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn passes_the_suite() {
        behaviour::conforms(Engine::new(OPENSEARCH)).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn hostile_documents_cost_only_themselves() {
        behaviour::takes_hostile_documents(Engine::new(OPENSEARCH)).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn preparing_again_changes_nothing() {
        behaviour::prepares_once(Engine::new(OPENSEARCH), Distribution::OpenSearch).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn index_faults_refuse_no_document() {
        behaviour::faults_of_an_index_refuse_nothing(Engine::new(OPENSEARCH)).await;
    }

    #[tokio::test]
    #[ignore = "needs a real engine: make test"]
    async fn other_indices_are_never_deleted() {
        behaviour::deletes_only_its_own_days(Engine::new(OPENSEARCH)).await;
    }
}
