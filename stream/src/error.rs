//! Failures at the seam, sorted by what the caller does about them.

use thiserror::Error;

/// Why records were not appended.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum AppendError {
    /// The record at `index` can never be appended as it is (too large, say).
    #[error("record {index} refused: {reason}")]
    Rejected {
        /// The record's place in the call.
        index: usize,
        /// The back end's words; holds no event data.
        reason: String,
    },
    /// A cap of the back end is reached (disk full, size limit); room may come back.
    #[error("the stream is full: {0}")]
    Full(String),
    /// Not durable now, perhaps later: broker away, time-out, topic missing.
    #[error("the stream is unavailable: {0}")]
    Unavailable(String),
    /// The stream was closed; appending again cannot help.
    #[error("the stream is closed")]
    Closed,
}

/// Why another call on a stream failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum StreamError {
    /// May work later: broker away, topic missing, group coordinator loading.
    #[error("the stream is unavailable: {0}")]
    Unavailable(String),
    /// Cannot work with this configuration: credentials refused, unknown property, bad data folder.
    #[error("{0}")]
    Configuration(String),
    /// The back end does not offer this.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// The stream was closed.
    #[error("the stream is closed")]
    Closed,
    /// The storage failed in a way that waiting does not mend (I/O error, failed fsync).
    #[error("storage failed: {0}")]
    Storage(String),
}
