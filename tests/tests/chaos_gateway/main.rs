//! The gateway alone under faults of its brokers, its disk and itself; `make chaos-gateway`.
//!
//! Each test starts brokers of its own. Acknowledged events are looked for on the topic, where a
//! visitor's must lie in the order in which they were sent; the ledger must balance.
//! WEIR_CHAOS_SECONDS shortens the outages, WEIR_CHAOS_ROUNDS the kills.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod bench;
mod brokers;
mod load;
mod overload;
mod own;
mod rolling;
