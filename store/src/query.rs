//! Requests in Elasticsearch's shape, and which indices they may reach.

use serde_json::Value;

use crate::QueryError;

/// A read request.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// `POST /{index}/_search`; `hits.total` of the answer is always the object form.
    Search {
        /// The indices asked for.
        indices: Indices,
        /// The request body, an object.
        body: Value,
    },
    /// `GET /{index}/_count`, with an optional body that holds a `query`.
    Count {
        /// The indices asked for.
        indices: Indices,
        /// The request body; `Null` counts all.
        body: Value,
    },
    /// `GET /{index}/_mapping`.
    Mapping {
        /// The indices asked for.
        indices: Indices,
    },
}

/// Index names and `*` patterns, each known to start with an allowed prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indices(Vec<String>);

impl Indices {
    /// Parses a comma-separated list; every part must lie under one of `prefixes`, that is equal it
    /// or continue it with `-` or `*`.
    ///
    /// # Errors
    /// [`QueryError::NotAllowed`] for any other name, for an empty list, and for characters that no
    /// index name has.
    pub fn parse(list: &str, prefixes: &[&str]) -> Result<Self, QueryError> {
        let allowed = |part: &str| {
            let clean = part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b));
            clean
                && prefixes.iter().any(|prefix| {
                    part.strip_prefix(prefix)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || rest == "*")
                })
        };
        let parts: Vec<String> = list.split(',').map(str::to_owned).collect();
        match parts.iter().find(|part| !allowed(part)) {
            Some(part) => Err(QueryError::NotAllowed(part.chars().take(80).collect())),
            None => Ok(Self(parts)),
        }
    }

    /// The parts, as given.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// The parts joined by comma, as a URL path wants them.
    #[must_use]
    pub fn joined(&self) -> String {
        self.0.join(",")
    }
}
