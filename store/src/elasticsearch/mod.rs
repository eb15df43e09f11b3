//! Elasticsearch 8 and 9 and OpenSearch 2 and 3 over HTTP.
//!
//! The `elasticsearch` crate carries the requests and nothing else: time-outs, splitting, health of
//! nodes and the reading of answers are here, because what became of each document must be known.
//!
//! - [`options`]: where the nodes are, credentials, and how indices are made
//! - [`engine`]: which engine answers, and which are supported
//! - [`template`]: the index templates, generated from the field table
//! - `nodes`: which node gets the next request
//! - `fault`: failures of a request as a whole, in words that name the setting to change
//! - `bulk`: writing, and the outcome of each document
//! - `search`: read requests
//! - `retention`: deleting old days

mod bulk;
pub mod engine;
mod fault;
mod nodes;
pub mod options;
mod retention;
mod search;
pub mod template;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use serde_json::Value;

use self::{
    fault::answer_fault,
    nodes::{Nodes, Request},
};
use crate::{Document, Outcome, Query, QueryError, Store, StoreError};

pub use self::{
    engine::{Distribution, EngineInfo},
    options::{IndexSettings, Options},
    template::Template,
};

/// A store whose documents live in Elasticsearch or OpenSearch.
pub struct Elasticsearch {
    nodes: Nodes,
    index_prefix: String,
    index: IndexSettings,
    /// Most bytes of a bulk request; falls when the server says that a request is too large.
    bulk_limit: AtomicUsize,
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
            bulk_limit: AtomicUsize::new(usize::MAX),
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

    /// Writes the template unless the server has it already; returns a line for people.
    async fn put_template(&self, template: &Template) -> Result<String, StoreError> {
        let name = &template.name;
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
        let request = Request::put(&path, template.body.to_string());
        let answer = self.nodes.send(&request).await?;
        match answer.status {
            200 => Ok(format!("index template [{name}] written")),
            _ => Err(answer_fault(&answer, &format!("index template [{name}]"))),
        }
    }
}

#[async_trait]
impl Store for Elasticsearch {
    async fn prepare(&self) -> Result<Vec<String>, StoreError> {
        let engine = self.ping().await?;
        let mut lines = vec![engine.to_string()];
        for template in template::all(engine.distribution, &self.index_prefix, &self.index) {
            lines.push(self.put_template(&template).await?);
        }
        Ok(lines)
    }

    async fn write(&self, documents: &[Document]) -> Result<Vec<Outcome>, StoreError> {
        bulk::write(&self.nodes, &self.bulk_limit, documents).await
    }

    /// Returns at once: an answered bulk request is on disk, for the template asks for a synced
    /// translog with every request.
    async fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn query(&self, query: &Query) -> Result<Value, QueryError> {
        search::query(&self.nodes, query).await
    }

    async fn retain(&self, oldest: jiff::civil::Date) -> Result<Vec<String>, StoreError> {
        retention::retain(&self.nodes, &self.index_prefix, oldest).await
    }
}
