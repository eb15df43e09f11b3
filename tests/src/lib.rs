//! What the end-to-end tests share: real processes, driven from outside.
//!
//! - [`process`]: one process, its start, kill and stop
//! - [`weir`]: `weir up`, everything in one process
//! - [`wire`]: bytes to a listener as no client would send them
//! - [`cluster`]: three processes over a broker and an engine

pub mod cluster;
pub mod process;
pub mod weir;
pub mod wire;
