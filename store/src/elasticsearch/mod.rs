//! Elasticsearch 8 and 9 and OpenSearch 2 and 3 over HTTP.
//!
//! The `elasticsearch` crate carries the requests and nothing else: time-outs, splitting, health of
//! nodes and the reading of answers are here, because what became of each document must be known.
//!
//! - [`options`]: where the nodes are, credentials, and how indices are made
//! - [`engine`]: which engine answers, and which are supported
//! - [`template`]: the index templates, generated from the field table
//! - `lifecycle`: deletion of old days by the engine
//! - `nodes`: which node gets the next request
//! - `fault`: failures of a request as a whole, in words that name the setting to change
//! - `bulk`: writing, and the outcome of each document
//! - `search`: read requests
//! - `retention`: deleting old days where the engine does not
//! - `erasure`: deleting the documents of one visitor

mod bulk;
pub mod engine;
mod erasure;
mod fault;
mod lifecycle;
mod nodes;
pub mod options;
mod retention;
mod search;
pub mod template;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::Value;

use self::{
    fault::answer_fault,
    lifecycle::Lifecycle,
    nodes::{Nodes, Request},
};
use crate::{Deleted, Document, Doomed, Outcome, Query, QueryError, Store, StoreError};

pub use self::{
    engine::{Distribution, EngineInfo},
    options::{Compression, IndexSettings, Options},
    template::Template,
};

/// A store whose documents live in Elasticsearch or OpenSearch.
pub struct Elasticsearch {
    nodes: Nodes,
    index_prefix: String,
    index: IndexSettings,
    bulk: bulk::Bulk,
    /// Whether the engine deletes old indices by itself.
    has_lifecycle: AtomicBool,
}

impl Elasticsearch {
    /// Checks the options and reads the certificate file; no request is made.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] that names the setting.
    pub fn new(options: Options) -> Result<Self, StoreError> {
        options.check()?;
        Ok(Self {
            nodes: Nodes::new(&options)?,
            index_prefix: options.index_prefix,
            index: options.index,
            bulk: bulk::Bulk::new(options.compression),
            has_lifecycle: AtomicBool::new(false),
        })
    }

    /// Asks which engine answers. Works, or says in one sentence why not: nothing listens there,
    /// the certificate is not trusted, the credentials are refused, it is some other server.
    ///
    /// # Errors
    /// As said; also [`StoreError::Configuration`] for an engine that is not supported.
    pub async fn ping(&self) -> Result<EngineInfo, StoreError> {
        let answer = self.nodes.send(&Request::get("/")).await?;
        engine::read(&answer)
    }

    /// What [`Store::prepare`] would write to an engine that has nothing yet: paths of PUT requests
    /// and their bodies, in order. No request is made.
    #[must_use]
    pub fn bodies(&self, distribution: Distribution) -> Vec<(String, Value)> {
        let policy = lifecycle::policy(self, distribution);
        let profile = self.profile(distribution, policy.is_some());
        let templates = template::all(profile).into_iter();
        policy
            .into_iter()
            .chain(templates.flat_map(Template::into_requests))
            .collect()
    }

    /// Says what [`Store::prepare`] would do, and changes nothing.
    ///
    /// # Errors
    /// As those of [`Store::prepare`].
    pub async fn rehearse(&self) -> Result<Vec<String>, StoreError> {
        self.install(true).await
    }

    fn profile(&self, distribution: Distribution, has_lifecycle: bool) -> template::Profile<'_> {
        template::Profile {
            distribution,
            prefix: &self.index_prefix,
            index: &self.index,
            has_lifecycle,
        }
    }

    async fn install(&self, is_dry: bool) -> Result<Vec<String>, StoreError> {
        let engine = self.ping().await?;
        let mut lines = vec![engine.to_string()];
        let lifecycle = lifecycle::install(self, engine.distribution, is_dry).await?;
        let has_lifecycle = matches!(lifecycle, Lifecycle::Engine(_));
        self.has_lifecycle.store(has_lifecycle, Ordering::Relaxed);
        for template in template::all(self.profile(engine.distribution, has_lifecycle)) {
            lines.push(self.put_template(template, is_dry).await?);
        }
        let (Lifecycle::Engine(line) | Lifecycle::Ours(line)) = lifecycle;
        lines.push(line);
        Ok(lines)
    }

    /// Writes the template and its components unless the server has it already; returns a line for
    /// people.
    async fn put_template(&self, template: Template, is_dry: bool) -> Result<String, StoreError> {
        let name = template.name.clone();
        let path = format!("/_index_template/{name}");
        let present = self.nodes.send(&Request::get(&path)).await?;
        let present: Value = match present.status {
            200 => present.json().unwrap_or_default(),
            _ => Value::Null,
        };
        let fingerprint = "/index_templates/0/index_template/_meta/fingerprint";
        if present.pointer(fingerprint) == Some(&template.fingerprint().into()) {
            return Ok(format!("index template [{name}] is up to date"));
        }
        if is_dry {
            return Ok(format!("index template [{name}] would be written"));
        }
        let said = format!("index template [{name}]");
        for (path, body) in template.into_requests() {
            let request = Request::put(&path, body.to_string());
            let answer = self.nodes.send(&request).await?;
            if answer.status != 200 {
                return Err(answer_fault(&answer, &format!("{path} of {said}")));
            }
        }
        Ok(format!("{said} written"))
    }
}

#[async_trait]
impl Store for Elasticsearch {
    async fn prepare(&self) -> Result<Vec<String>, StoreError> {
        self.install(false).await
    }

    async fn write(&self, documents: &[Document]) -> Result<Vec<Outcome>, StoreError> {
        bulk::write(&self.nodes, &self.bulk, documents).await
    }

    /// Returns at once: an answered bulk request is on disk, for the template asks for a synced
    /// translog with every request.
    async fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn query(&self, query: &Query) -> Result<Value, QueryError> {
        search::query(&self.nodes, query).await
    }

    async fn delete(&self, doomed: &Doomed) -> Result<Deleted, StoreError> {
        let mut deleted = Deleted::default();
        match doomed {
            // The engine does it by itself.
            Doomed::Before(_) if self.has_lifecycle.load(Ordering::Relaxed) => {}
            Doomed::Before(oldest) => {
                for kind in ["", "dead-", "health-"] {
                    let prefix = format!("{kind}{}", self.index_prefix);
                    let names = retention::retain(&self.nodes, &prefix, *oldest).await?;
                    deleted.indices.extend(names);
                }
            }
            Doomed::Of { field, value } => {
                let erased = erasure::erase(&self.nodes, &self.index_prefix, field, value);
                deleted.documents = erased.await?;
            }
        }
        Ok(deleted)
    }
}
