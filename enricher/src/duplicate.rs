//! The same sent twice: by a tag that is on the page two times, or a retry under another id.
//!
//! The store recognises an id for ever, which survives restarts; here the same content under
//! another id is recognised, in bounded memory and for a while: where more come within the window than
//! are remembered, those that came first are forgotten.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::document::{Document, Value};
use crate::slot;

/// Rows of the table; with four contents each it remembers 131,072 in 2 MiB.
const ROWS: usize = 1 << 15;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Duplicates {
    window: Duration,
    /// By the hash of the content. Not a general cache, for each event would cost it several misses
    /// of the processor's caches; a row costs one.
    rows: Mutex<Box<[Row]>>,
    hasher: RandomState,
}

/// Contents whose hashes are alike, the last that was seen first.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Row([Seen; 4]);

/// A content. Of the hashes so many bits are kept that one event in a billion is taken for another.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    content: u32,
    id: u32,
    /// When it was received, milliseconds since the Unix epoch; zero where nothing was seen.
    received_ms: i64,
}

impl Duplicates {
    /// Remembers contents for `window`; `None` for zero.
    pub(crate) fn new(window: Duration) -> Option<Self> {
        (!window.is_zero()).then(|| Self {
            window,
            rows: Mutex::new(vec![Row::default(); ROWS].into()),
            hasher: RandomState::default(),
        })
    }

    /// The step: flags an event whose visitor sent the same, at the same instant of the client's
    /// clock, under another id. Without a visitor and a client's time nothing can be said.
    pub(crate) fn apply(&self, document: &mut Document<'_>, id: &str, received: Timestamp) {
        let visitor = [slot::USER_DOMAIN_ID, slot::SESSION_ID];
        let has_visitor = visitor.iter().any(|slot| document.has(*slot));
        let Value::Time(at) = document.value(slot::EVENT_TIMESTAMP) else {
            return;
        };
        if !has_visitor {
            return;
        }
        let mut hasher = self.hasher.build_hasher();
        at.hash(&mut hasher);
        for slot in [
            slot::SITE,
            slot::USER_DOMAIN_ID,
            slot::SESSION_ID,
            slot::EVENT_TYPE,
            slot::PAGE_URL,
        ] {
            document.text(slot).hash(&mut hasher);
        }
        for (name, prop) in document.props.members() {
            name.hash(&mut hasher);
            prop.hash(&mut hasher);
        }
        let content = hasher.finish();
        let seen = Seen {
            content: (content >> 32) as u32,
            id: self.hasher.hash_one(id) as u32,
            received_ms: received.as_millisecond(),
        };
        // A record that is read again has its own id and is no duplicate.
        if self.first(content as usize % ROWS, seen).id != seen.id {
            document.set(slot::IS_DUPLICATE, Value::Boolean(true));
        }
    }

    /// The first of the same content within the window, which is this where there is no other.
    fn first(&self, row: usize, seen: Seen) -> Seen {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Row(row) = &mut rows[row];
        let window = self.window.as_millis();
        let is_first = |other: &&Seen| {
            let age = u128::from(seen.received_ms.abs_diff(other.received_ms));
            other.content == seen.content && other.received_ms != 0 && age <= window
        };
        if let Some(first) = row.iter().find(is_first) {
            return *first;
        }
        row.rotate_right(1);
        row[0] = seen;
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{read, repair};

    fn check(duplicates: &Duplicates, id: &str, event: &str, received: &str, expected: bool) {
        let mut document = read::document(event.as_bytes()).unwrap();
        repair::repair(&mut document);
        duplicates.apply(&mut document, id, received.parse().unwrap());
        assert_eq!(document.has(slot::IS_DUPLICATE), expected, "{id} {event}");
    }

    #[test]
    fn same_content_under_another_id_is_flagged_within_the_window() {
        let duplicates = Duplicates::new(Duration::from_secs(60)).unwrap();
        let event = r#"{"event_type":"a","event_timestamp":"2026-01-01T00:00:00.123Z","user_domain_id":"v","props":{"a":1}}"#;
        let other = event.replace("\"a\":1", "\"a\":2");
        let unknown = event.replace("user_domain_id", "x");
        let check = |id, event: &str, at, expected| check(&duplicates, id, event, at, expected);
        check("1", event, "2026-01-01T00:00:01Z", false);
        check("1", event, "2026-01-01T00:00:02Z", false);
        check("2", event, "2026-01-01T00:00:59Z", true);
        check("3", &other, "2026-01-01T00:00:03Z", false);
        check("4", &unknown, "2026-01-01T00:00:04Z", false);
        check("5", &unknown, "2026-01-01T00:00:05Z", false);
        check("6", event, "2026-01-01T00:01:02Z", false);
        assert!(Duplicates::new(Duration::ZERO).is_none());
    }

    #[test]
    fn many_contents_are_told_apart() {
        let duplicates = Duplicates::new(Duration::from_secs(60)).unwrap();
        for (round, expected) in [("a", false), ("a", false), ("b", true)] {
            for number in 0..1_000 {
                let event = format!(
                    r#"{{"event_type":"a","event_timestamp":"2026-01-01T00:00:00Z","session_id":"{number}"}}"#
                );
                let id = format!("{round}{number}");
                check(&duplicates, &id, &event, "2026-01-01T00:00:01Z", expected);
            }
        }
    }
}
