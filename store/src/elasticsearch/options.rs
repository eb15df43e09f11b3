//! Where the nodes are, credentials, and how indices are made.

use std::{path::PathBuf, time::Duration};

use url::Url;

use crate::StoreError;

/// How to reach the engine, and what its indices are like.
#[derive(Clone)]
pub struct Options {
    /// One or more nodes of one cluster, `http://..` or `https://..`. A user and password in an
    /// address count as `username` and `password` where those are not given.
    pub nodes: Vec<Url>,
    /// User for basic authentication.
    pub username: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// API key, as `id:key` or in the encoded form that the engine hands out; wins over the user.
    pub api_key: Option<String>,
    /// PEM file with authorities that are trusted beside the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// Daily indices are named `PREFIX-YYYY.MM.dd`.
    pub index_prefix: String,
    /// How long an answer may take, from the first byte sent to the last received.
    pub request_timeout: Duration,
    /// Whether bulk requests are compressed.
    pub compression: Compression,
    /// Settings of the indices to come.
    pub index: IndexSettings,
}

/// How bulk requests travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are: least work on both sides, for a network that has room.
    #[default]
    None,
    /// In gzip form, a seventh of the bytes for about 6 ms of a core a megabyte.
    Gzip,
}

/// Settings of the daily indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSettings {
    /// Primary shards of a day; one serves up to about 50 GB a day.
    pub shards: u32,
    /// Copies of each shard; by default one where there is a second node to hold it.
    pub replicas: Option<u32>,
    /// How soon written documents become visible.
    pub refresh_interval: Duration,
    /// Days after which an index is deleted; 0 keeps all.
    pub retention_days: u32,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self {
            shards: 1,
            replicas: None,
            refresh_interval: Duration::from_secs(1),
            retention_days: 0,
        }
    }
}

impl Options {
    /// Options with the defaults: no credentials, 30 seconds for an answer.
    #[must_use]
    pub fn new(nodes: Vec<Url>, index_prefix: impl Into<String>) -> Self {
        Self {
            nodes,
            username: None,
            password: None,
            api_key: None,
            ca_file: None,
            index_prefix: index_prefix.into(),
            request_timeout: Duration::from_secs(30),
            compression: Compression::None,
            index: IndexSettings::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        let wrong = |text: String| Err(StoreError::Configuration(text));
        if self.nodes.is_empty() {
            return wrong("store: no address given".into());
        }
        for node in &self.nodes {
            if !matches!(node.scheme(), "http" | "https") || !node.has_host() {
                return wrong("store: an address must start with http:// or https://".into());
            }
        }
        if !is_prefix(&self.index_prefix) {
            return wrong(format!(
                "index_prefix [{}]: 1 to 200 of a-z, 0-9, - _ and ., starting with a letter or digit",
                self.index_prefix
            ));
        }
        if self.username.is_some() != self.password.is_some() {
            return wrong("[elasticsearch] username and password belong together".into());
        }
        if let Some(key) = &self.api_key
            && (key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()))
        {
            return wrong("[elasticsearch] api_key holds characters that no key has".into());
        }
        Ok(())
    }
}

/// The name must be good in an index name, in a template name and in a URL without escaping.
fn is_prefix(prefix: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=200).contains(&prefix.len())
        && prefix.bytes().next().is_some_and(plain)
        && prefix.bytes().all(|b| plain(b) || b"-_.".contains(&b))
}
