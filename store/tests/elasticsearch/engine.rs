//! An engine that a variable names, and requests past the store.

use std::path::PathBuf;

use bytes::Bytes;
use elasticsearch::{
    auth::Credentials,
    cert::{Certificate, CertificateValidation},
    http::{
        Method,
        headers::HeaderMap,
        transport::{SingleNodeConnectionPool, Transport, TransportBuilder},
    },
};
use serde_json::Value;
use store::{Document, Elasticsearch, Indices, Query, Store, elasticsearch::Options};
use url::Url;

pub(crate) const PLAIN: &str = "WEIR_TEST_ELASTICSEARCH";
pub(crate) const SECURE: &str = "WEIR_TEST_ELASTICSEARCH_SECURE";
pub(crate) const SECURE_CA: &str = "WEIR_TEST_ELASTICSEARCH_SECURE_CA";
pub(crate) const OPENSEARCH: &str = "WEIR_TEST_OPENSEARCH";

pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} must name a real engine; tests/services has scripts that start one")
    })
}

/// An engine and a prefix that no other test uses.
pub(crate) struct Engine {
    pub(crate) options: Options,
    transport: Transport,
}

impl Engine {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    pub(crate) fn secure() -> Self {
        Self::with(SECURE, |options| {
            options.username = Some("tester".into());
            options.password = Some("tester-password".into());
            options.ca_file = Some(PathBuf::from(variable(SECURE_CA)));
        })
    }

    pub(crate) fn with(name: &str, change: impl Fn(&mut Options)) -> Self {
        let url: Url = variable(name).parse().unwrap();
        let unique = tempfile::Builder::new().prefix("t").tempdir().unwrap();
        let unique = unique.path().file_name().unwrap().to_str().unwrap();
        let prefix = format!("weir-test-{}", unique.to_ascii_lowercase());
        let mut options = Options::new(vec![url.clone()], prefix);
        change(&mut options);
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url)).disable_proxy();
        if let (Some(user), Some(password)) = (&options.username, &options.password) {
            builder = builder.auth(Credentials::Basic(user.clone(), password.clone()));
        }
        if let Some(file) = &options.ca_file {
            let authorities = Certificate::from_pem(&std::fs::read(file).unwrap()).unwrap();
            builder = builder.cert_validation(CertificateValidation::Full(authorities));
        }
        Self {
            options,
            transport: builder.build().unwrap(),
        }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.options.index_prefix
    }

    pub(crate) fn store(&self) -> Elasticsearch {
        Elasticsearch::new(self.options.clone()).unwrap()
    }

    /// A request past the store, for preparing and looking.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        let response = self
            .transport
            .send(method, path, HeaderMap::new(), None::<&()>, body, None)
            .await
            .unwrap();
        let status = response.status_code().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    pub(crate) fn document(&self, id: &str, source: impl Into<Bytes>) -> Document {
        Document {
            id: id.into(),
            index: format!("{}-2026.03.01", self.prefix()),
            source: source.into(),
        }
    }

    /// The value at `path` of the only index's mapping.
    pub(crate) async fn mapped(&self, field: &str) -> Value {
        let indices = Indices::parse(&format!("{}-*", self.prefix()), &[self.prefix()]).unwrap();
        let answer = self
            .store()
            .query(&Query::Mapping { indices })
            .await
            .unwrap();
        let index = answer.as_object().unwrap().values().next().unwrap();
        index["mappings"]["properties"][field].clone()
    }

    pub(crate) async fn clean(&self) {
        let prefix = self.prefix();
        let (_, indices) = self
            .ask(Method::Get, &format!("/{prefix}-*/_mapping"), Value::Null)
            .await;
        for name in indices
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            self.ask(Method::Delete, &format!("/{name}"), Value::Null)
                .await;
        }
        for kind in ["", "dead-", "health-"] {
            let name = format!("{kind}{prefix}");
            let path = format!("/_index_template/{name}");
            self.ask(Method::Delete, &path, Value::Null).await;
            for part in ["settings", "mappings"] {
                let path = format!("/_component_template/{name}-{part}");
                self.ask(Method::Delete, &path, Value::Null).await;
            }
        }
    }
}
