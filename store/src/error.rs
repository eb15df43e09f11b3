//! Failures at the seam, sorted by what the caller does about them.

use thiserror::Error;

/// Why a write, sync or preparation failed as a whole.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum StoreError {
    /// May work later: connection refused, time-out, 429, 5xx, disk full.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Does not work until somebody changes a setting: credentials, rights, a template that is
    /// refused. Worth retrying slowly, for the setting may be the server's.
    #[error("{0}")]
    Configuration(String),
    /// The request is larger than the store takes: send it in smaller parts.
    #[error("the request is too large")]
    TooLarge,
    /// The embedded storage failed in a way that waiting does not mend.
    #[error("storage failed: {0}")]
    Storage(String),
}

/// Why a query was not answered.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum QueryError {
    /// The index is not one that may be reached.
    #[error("index [{0}] is not served here")]
    NotAllowed(String),
    /// A name without `*` does not exist.
    #[error("no such index [{0}]")]
    NoSuchIndex(String),
    /// The request is wrong or uses what this store does not support; names the part.
    #[error("{0}")]
    BadRequest(String),
    /// May work later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}
