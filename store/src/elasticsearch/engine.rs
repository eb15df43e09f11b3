//! Which engine answers, and which are supported.

use std::fmt;

use serde::Deserialize;

use super::{fault::answer_fault, nodes::Answer};
use crate::StoreError;

/// The two engines that speak the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

impl Distribution {
    /// Major versions that are supported, because tests run against them or their neighbours.
    fn supported(self) -> &'static [&'static str] {
        match self {
            Self::Elasticsearch => &["8", "9"],
            Self::OpenSearch => &["2", "3"],
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elasticsearch => "Elasticsearch",
            Self::OpenSearch => "OpenSearch",
        })
    }
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Which engine.
    pub distribution: Distribution,
    /// Its version, such as 9.5.3.
    pub version: String,
    /// The name of its cluster.
    pub cluster_name: String,
}

impl fmt::Display for EngineInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            distribution,
            version,
            cluster_name,
        } = self;
        write!(f, "{distribution} {version}, cluster [{cluster_name}]")
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    cluster_name: String,
    #[serde(default)]
    tagline: String,
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    number: String,
    distribution: Option<String>,
}

/// Reads the answer to `GET /`.
pub(super) fn read(answer: &Answer) -> Result<EngineInfo, StoreError> {
    let other = || {
        let text = format!("{} is not Elasticsearch or OpenSearch", answer.node);
        Err(StoreError::Configuration(text))
    };
    match answer.status {
        200 => {}
        400 | 404 | 405 => return other(),
        _ => return Err(answer_fault(answer, "GET /")),
    }
    let Some(page) = answer.json::<Page>() else {
        return other();
    };
    let distribution = match page.version.distribution.as_deref() {
        Some("opensearch") => Distribution::OpenSearch,
        None if page.tagline == "You Know, for Search" => Distribution::Elasticsearch,
        _ => return other(),
    };
    let major = page.version.number.split('.').next().unwrap_or_default();
    if !distribution.supported().contains(&major) {
        return Err(StoreError::Configuration(format!(
            "{} runs {distribution} {}, which is not supported: Elasticsearch 8 and 9 and OpenSearch 2 and 3 are",
            answer.node, page.version.number
        )));
    }
    Ok(EngineInfo {
        distribution,
        version: page.version.number,
        cluster_name: page.cluster_name,
    })
}
