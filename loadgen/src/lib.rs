//! Fake visitors of a shop, and what they do to a Weir.
//!
//! - [`model`]: the shop, its visitors and its hours, with their weights
//! - [`visitor`]: a visitor, whose traits never change
//! - [`events`]: endless events of visitors who walk through the shop
//! - [`simulation`]: events along a simulated clock, busy by day and quiet by night
//! - [`drive`]: events to a gateway at a rate that does not wait for it
//! - [`connection`]: one HTTP/1.1 connection of the driver
//! - [`kafka`]: events to a topic
//! - [`demo`]: a trickle of visitors for a first look
//! - [`verify`]: whether each acknowledged event is stored, once
//! - [`report`]: what a run did, for people and for programs

pub mod connection;
pub mod demo;
pub mod drive;
pub mod events;
pub mod kafka;
pub mod model;
pub mod report;
pub mod simulation;
pub mod verify;
pub mod visitor;

pub use events::Events;
pub use visitor::Addresses;
