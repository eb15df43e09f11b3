//! What the end-to-end tests share: real processes, driven from outside.
//!
//! - [`process`]: one process, its start, kill and stop
//! - [`weir`]: `weir up`, everything in one process
//! - [`wire`]: bytes to a listener as no client would send them
//! - [`cluster`]: three processes over a broker and an engine
//! - [`faults`]: calls to the system that misbehave
//! - [`panels`]: what Kibana would ask
//! - [`proxies`]: HAProxy and nginx before gateways
//! - [`visitors`]: who post one event after another, and what they were told

pub mod cluster;
pub mod faults;
pub mod panels;
pub mod process;
pub mod proxies;
pub mod visitors;
pub mod weir;
pub mod wire;
