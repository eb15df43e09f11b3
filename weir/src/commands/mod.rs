//! Commands that ask, look and mend, beside those that run stages.
//!
//! - [`check`]: whether the configuration and what it names can work
//! - [`topics`]: the topics on the brokers
//! - [`setup`]: what the store needs
//! - [`send`]: events to a gateway
//! - [`tail`]: live events of a topic
//! - [`dlq`]: dead letters
//! - [`spool`]: events that wait on the gateway's disk
//! - [`explain`]: what each enrichment says, and why
//! - [`forget`]: a visitor's data, handed over and deleted
//! - [`geo`]: GeoIP files, fetched
//! - [`reach`]: the stream, or the process that holds it
//! - [`terminal`]: hostile text as text, and pipes that close

pub(crate) mod check;
pub(crate) mod dlq;
pub(crate) mod explain;
pub(crate) mod forget;
pub(crate) mod geo;
pub(crate) mod reach;
pub(crate) mod send;
pub(crate) mod setup;
pub(crate) mod spool;
pub(crate) mod tail;
pub(crate) mod terminal;
pub(crate) mod topics;
