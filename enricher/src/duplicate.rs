//! The same sent twice: by a tag that is on the page two times, or a retry under another id.
//!
//! The store recognises an id for ever, which survives restarts; here the same content under
//! another id is recognised, in bounded memory and for a while.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::time::Duration;

use foldhash::fast::RandomState;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::document::{Document, Value};
use crate::slot;

/// Contents remembered; each takes about 60 bytes.
const MAX_REMEMBERED: usize = 100_000;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Duplicates {
    window: Duration,
    /// Hash of the content to hash of the id and time of receipt.
    seen: Cache<u64, (u64, Timestamp)>,
    hasher: RandomState,
}

impl Duplicates {
    /// Remembers contents for `window`; `None` for zero.
    pub(crate) fn new(window: Duration) -> Option<Self> {
        (!window.is_zero()).then(|| Self {
            window,
            seen: Cache::new(MAX_REMEMBERED),
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
        let id = self.hasher.hash_one(id);
        match self.seen.get(&content) {
            Some((first, time)) if received.duration_since(time).unsigned_abs() <= self.window => {
                // A record that is read again has its own id and is no duplicate.
                if first != id {
                    document.set(slot::IS_DUPLICATE, Value::Boolean(true));
                }
            }
            _ => self.seen.insert(content, (id, received)),
        }
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
}
