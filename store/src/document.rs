//! Documents, and the outcome of writing each.

use bytes::Bytes;

/// A document to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Unique within its index; 1 to 512 bytes.
    pub id: String,
    /// The full name of the daily index, `PREFIX-YYYY.MM.dd`.
    pub index: String,
    /// One JSON object without line breaks.
    pub source: Bytes,
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The document did not exist and does now.
    Created,
    /// A document of this id was there already; it is unchanged.
    Duplicate,
    /// Not written now, perhaps later (overload, shard away).
    Retry(String),
    /// Not written until somebody mends the document's index or the rights to it. Documents of other
    /// indices are not concerned.
    Held(String),
    /// The store failed over this document. That may be its own trouble or the document's: written
    /// neighbours in the same index speak against the document.
    Failed(String),
    /// This document can never be written as it is.
    Refused {
        /// The store's short name for the cause.
        kind: String,
        /// The store's explanation; may quote the document, so it is not for logs.
        reason: String,
    },
}
