//! The model that every part of Weir shares. No I/O.
//!
//! - [`field`]: THE field table, from which mapping, schema and documentation derive
//! - [`forgotten`]: visitors whose data was deleted
//! - [`ecs`]: names of the Elastic Common Schema for fields of the table
//! - [`health`]: what a sink writes of itself
//! - [`limits`]: what an event may measure
//! - [`code`]: the closed set of reasons for which an event is refused
//! - [`dead_letter`]: an event that was refused, as it lies on the dead topic
//! - [`text`]: texts inside of JSON
//! - [`time`]: reading the times that clients send
//! - [`index`]: ids, index days and index names
//! - [`members`]: members of a JSON object, of which the last of a name wins
//! - [`privacy`]: what the visitor's wish for privacy means
//! - [`redact`]: what people are known by, taken out of texts
//! - [`header`]: names of the record headers between the stages

pub mod code;
pub mod dead_letter;
pub mod ecs;
pub mod field;
pub mod forgotten;
pub mod header;
pub mod health;
pub mod index;
pub mod limits;
pub mod members;
pub mod privacy;
pub mod redact;
pub mod text;
pub mod time;

pub use code::Code;
pub use dead_letter::{DeadLetter, Stage};
pub use ecs::ECS_ALIASES;
pub use field::{FIELDS, Field, Kind, Origin};
pub use forgotten::Forgotten;
pub use privacy::Gpc;
