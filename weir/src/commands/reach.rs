//! The stream, or the process that holds it.
//!
//! The embedded log belongs to one process at a time. While `weir up` runs, commands speak to its
//! admin listener; otherwise they open the log themselves.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::StoreError;
use stream::{Stream, StreamError};

use crate::backend;
use crate::plan::Plan;

/// A way to the stream.
pub(crate) enum Reach {
    /// Opened here.
    Stream(Arc<dyn Stream>),
    /// Held by a process.
    Process(Process),
}

/// The admin listener of a running process.
pub(crate) struct Process {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// Finds the way.
pub(crate) fn reach(plan: &Plan) -> anyhow::Result<Reach> {
    match backend::stream(plan) {
        Ok(opened) => Ok(Reach::Stream(opened.stream())),
        Err(error) => {
            if !is_held(&error) {
                return Err(error);
            }
            Ok(Reach::Process(Process::new(plan)?))
        }
    }
}

/// Whether an error says that another process holds the folder.
pub(crate) fn is_held(error: &anyhow::Error) -> bool {
    let of_stream = error.downcast_ref::<StreamError>().is_some_and(
        |error| matches!(error, StreamError::Configuration(words) if words.contains("in use")),
    );
    let of_store = error.downcast_ref::<StoreError>().is_some_and(
        |error| matches!(error, StoreError::Configuration(words) if words.contains("in use")),
    );
    of_stream || of_store
}

impl Process {
    /// The process of this configuration.
    pub(crate) fn new(plan: &Plan) -> anyhow::Result<Self> {
        Ok(Self {
            client: reqwest::Client::builder().no_proxy().build()?,
            base: format!("http://{}", plan.admin_listen),
            token: plan.admin_token.clone(),
        })
    }

    /// Asks for a path of the admin listener.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        self.send(self.client.get(format!("{}{path}", self.base)))
            .await
    }

    /// Sends a question as JSON and reads the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.client.post(format!("{}{path}", self.base));
        let body = serde_json::to_vec(question)?;
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let answer = self.send(request).await?.bytes().await?;
        serde_json::from_slice(&answer).context("the answer of the admin listener")
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.with_context(|| {
            format!("another process holds the data folder, and {} does not answer; is admin.listen right?", self.base)
        })?;
        let status = answer.status();
        if !status.is_success() {
            let words = answer.text().await.unwrap_or_default();
            bail!("{} answers {status}: {}", self.base, words.trim());
        }
        Ok(answer)
    }
}
