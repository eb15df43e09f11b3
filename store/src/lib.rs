//! The searchable document store behind the sink and the dashboard: one seam, two back ends.
//!
//! Documents live in daily indices named `PREFIX-YYYY.MM.dd` and are created once by id: a second
//! write of an id into its index is a [`Outcome::Duplicate`], never a second document.
//!
//! - [`document`]: documents and the outcome of writing each
//! - [`doomed`]: what is to be deleted
//! - [`query`]: requests in Elasticsearch's shape, and which indices they may reach
//! - [`error`]: failures, sorted by what the caller does about them
//! - [`embedded`]: tantivy, one folder a day
//! - [`elasticsearch`]: Elasticsearch or OpenSearch over HTTP
//! - [`conformance`]: the one suite that both back ends pass

pub mod conformance;
pub mod document;
pub mod doomed;
#[cfg(feature = "elasticsearch")]
pub mod elasticsearch;
pub mod embedded;
pub mod error;
pub mod query;

use async_trait::async_trait;

pub use document::{Document, Outcome};
pub use doomed::{Deleted, Doomed};
#[cfg(feature = "elasticsearch")]
pub use elasticsearch::Elasticsearch;
pub use embedded::EmbeddedStore;
pub use error::{QueryError, StoreError};
pub use query::{Indices, Query};

/// A searchable store of events.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes the store ready for writes: index templates, folders. Idempotent. Returns one line
    /// for people per thing done or found absent.
    async fn prepare(&self) -> Result<Vec<String>, StoreError>;

    /// Writes documents with the operation `create`; one outcome per document, same order. Two
    /// documents of one call may carry the same id: the first is kept.
    ///
    /// Written is not yet durable: see [`Store::sync`].
    ///
    /// # Errors
    /// When the call as a whole failed; nothing is known of the documents then, and all may be
    /// written again.
    async fn write(&self, documents: &[Document]) -> Result<Vec<Outcome>, StoreError>;

    /// Returns once everything whose write returned before this call is durable. A consumer
    /// commits its offsets after this, not before. Calls at the same time share the work.
    ///
    /// # Errors
    /// What was written since the last sync may be gone then: it must be written again.
    async fn sync(&self) -> Result<(), StoreError>;

    /// Answers a search, count or mapping request in Elasticsearch's shape. Written documents
    /// become visible within the refresh interval.
    async fn query(&self, query: &Query) -> Result<serde_json::Value, QueryError>;

    /// Deletes what is doomed, for good and visibly: whatever was written before the call. What is
    /// written at the same time may stay; calling again until nothing is found covers that.
    ///
    /// # Errors
    /// A part may be deleted then; calling again goes on.
    async fn delete(&self, doomed: &Doomed) -> Result<Deleted, StoreError>;
}
