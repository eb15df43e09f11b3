//! Visitors whose data was deleted, and what of theirs may not come back.
//!
//! A tombstone names a visitor by a digest, so that the list of the forgotten names nobody. It
//! blocks every event of the visitor that happened or was received before the forgetting, for ever:
//! whatever is sent again, replayed or read anew stays out. What comes later is a visit of its own,
//! unless the tombstone is for all time.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::time;

/// The fields that a visitor is known by.
pub const VISITOR_FIELDS: [&str; 2] = ["user_custom_id", "user_domain_id"];

/// What a tombstone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// When the visitor was forgotten.
    pub forgotten_at: Timestamp,
    /// Whether later events are blocked too.
    #[serde(default)]
    pub is_for_all_time: bool,
}

impl Tombstone {
    /// Whether an event of the visitor is blocked.
    #[must_use]
    pub fn blocks(&self, happened: Timestamp, received: Timestamp) -> bool {
        self.is_for_all_time || happened.min(received) <= self.forgotten_at
    }
}

/// The key of a visitor's tombstone: 64 hexadecimal digits.
#[must_use]
pub fn key(id: &str) -> String {
    let digest = Sha256::digest([b"weir forgotten visitor\0", id.as_bytes()].concat());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every tombstone.
#[derive(Debug, Clone, Default)]
pub struct Forgotten(HashMap<String, Tombstone>);

impl Forgotten {
    /// Takes a record of the topic of tombstones; one without a value takes the tombstone away.
    /// Returns whether it could be read.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Ok(key) = std::str::from_utf8(key) else {
            return false;
        };
        if value.is_empty() {
            self.0.remove(key);
            return true;
        }
        let tombstone = serde_json::from_slice(value);
        let is_read = tombstone.is_ok();
        self.0
            .extend(tombstone.ok().map(|tombstone| (key.to_owned(), tombstone)));
        is_read
    }

    /// Whether nobody was forgotten.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tombstone of a visitor.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<Tombstone> {
        match self.is_empty() || id.is_empty() {
            true => None,
            false => self.0.get(&key(id)).copied(),
        }
    }

    /// Whether a document may not be stored; `record_time` is when its record was written.
    #[must_use]
    pub fn blocks_document(&self, json: &[u8], record_time: Timestamp) -> bool {
        if self.is_empty() {
            return false;
        }
        let Ok(document) = serde_json::from_slice::<Value>(json) else {
            return false;
        };
        let mut tombstones = VISITOR_FIELDS
            .iter()
            .filter_map(|field| self.of(&id_of(document.get(field)?)?));
        let at = |field: &str| document.get(field).and_then(time::parse);
        let received = at("received_at").unwrap_or(record_time);
        let happened = at("@timestamp").or_else(|| at("event_timestamp"));
        tombstones.any(|tombstone| tombstone.blocks(happened.unwrap_or(received), received))
    }
}

/// An id as it is compared: numbers count as their digits, as in documents.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgotten(id: &str, tombstone: &str) -> Forgotten {
        let mut forgotten = Forgotten::default();
        assert!(forgotten.take(key(id).as_bytes(), tombstone.as_bytes()));
        forgotten
    }

    fn blocks(forgotten: &Forgotten, document: &str) -> bool {
        let record_time = "2026-01-05T00:00:00Z".parse().unwrap();
        forgotten.blocks_document(document.as_bytes(), record_time)
    }

    #[test]
    fn what_happened_or_came_before_is_blocked() {
        let forgotten = forgotten("v", r#"{"forgotten_at":"2026-01-02T00:00:00Z"}"#);
        for (document, expected) in [
            (
                r#"{"user_domain_id":"v","@timestamp":"2026-01-01T00:00:00Z"}"#,
                true,
            ),
            (
                r#"{"user_custom_id":"v","event_timestamp":"2026-01-01 10:00:00"}"#,
                true,
            ),
            (
                r#"{"user_domain_id":"v","@timestamp":"2026-01-03T00:00:00Z","received_at":"2026-01-01T00:00:00Z"}"#,
                true,
            ),
            (
                r#"{"user_domain_id":"v","@timestamp":"2026-01-03T00:00:00Z"}"#,
                false,
            ),
            (r#"{"user_domain_id":"v"}"#, false),
            (
                r#"{"user_domain_id":"w","@timestamp":"2026-01-01T00:00:00Z"}"#,
                false,
            ),
            (
                r#"{"session_id":"v","@timestamp":"2026-01-01T00:00:00Z"}"#,
                false,
            ),
            ("no document", false),
        ] {
            assert_eq!(blocks(&forgotten, document), expected, "{document}");
        }
    }

    #[test]
    fn tombstone_for_all_time_blocks_what_comes_later() {
        let tombstone = r#"{"forgotten_at":"2026-01-02T00:00:00Z","is_for_all_time":true}"#;
        let mut forgotten = forgotten("7", tombstone);
        assert!(blocks(
            &forgotten,
            r#"{"user_custom_id":7,"@timestamp":"2027-01-01T00:00:00Z"}"#
        ));
        assert!(forgotten.take(key("7").as_bytes(), b""));
        assert!(forgotten.is_empty());
        assert!(!forgotten.take(b"x", b"no tombstone"));
    }
}
