//! End-to-end tests against real processes.
//!
//! - [`weir`]: a `weir` process in a temporary folder on free ports

pub mod weir;
