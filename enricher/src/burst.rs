//! Visitors that send more within a minute than people do, in bounded memory.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::document::{Document, Value};
use crate::slot;

/// Visitors remembered; each takes about 60 bytes. Where more come within a minute those that send
/// least are forgotten first, so that somebody is missed rather than suspected.
const MAX_REMEMBERED: usize = 100_000;

/// The minute of a visitor's last event, and the events since it began.
type Minute = (i64, u32);

/// What visitors sent within the minute.
#[derive(Debug)]
pub(crate) struct Bursts {
    per_minute: u32,
    /// By the hash of the visitor.
    seen: Cache<u64, Minute>,
    hasher: RandomState,
}

impl Bursts {
    /// Takes more than `per_minute` events of one visitor for a burst; `None` for zero.
    pub(crate) fn new(per_minute: u32) -> Option<Self> {
        (per_minute > 0).then(|| Self {
            per_minute,
            seen: Cache::new(MAX_REMEMBERED),
            hasher: RandomState::default(),
        })
    }

    /// Counts an event and tells whether it is one too many of its visitor: by the id, else the
    /// visit, else the address, which says nothing where a server sent the event for the visitor.
    pub(crate) fn is_over(
        &self,
        document: &Document<'_>,
        is_server: bool,
        received: Timestamp,
    ) -> bool {
        let id = document.text(slot::USER_DOMAIN_ID);
        let visitor = match (
            id.or_else(|| document.text(slot::SESSION_ID)),
            document.value(slot::IP_ADDRESS),
        ) {
            (Some(id), _) => self.hasher.hash_one(id),
            (None, Value::Address(address)) if !is_server => self.hasher.hash_one(address),
            _ => return false,
        };
        let minute = received.as_second().div_euclid(60);
        let count = match self.seen.get(&visitor) {
            Some((last, count)) if last == minute => count.saturating_add(1),
            // Partitions are read side by side, so that a minute may come after the next.
            Some((last, _)) if last > minute => return false,
            _ => 1,
        };
        self.seen.insert(visitor, (minute, count));
        count > self.per_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{read, repair};

    fn check(bursts: &Bursts, event: &str, received: &str, expected: bool) {
        let mut document = read::document(event.as_bytes()).unwrap();
        repair::repair(&mut document);
        let is_over = bursts.is_over(
            &document,
            event.contains("server"),
            received.parse().unwrap(),
        );
        assert_eq!(is_over, expected, "{event} {received}");
    }

    #[test]
    fn more_than_the_bound_within_a_minute_is_a_burst() {
        let bursts = Bursts::new(2).unwrap();
        let check = |event: &str, at, expected| check(&bursts, event, at, expected);
        let visitor = r#"{"user_domain_id":"v","ip_address":"192.0.2.1"}"#;
        let other = r#"{"session_id":"s","ip_address":"192.0.2.1"}"#;
        let address = r#"{"ip_address":"192.0.2.1"}"#;
        let server = r#"{"ip_address":"192.0.2.1","lib":"server"}"#;
        for (event, is_known) in [
            (visitor, true),
            (other, true),
            (address, true),
            (server, false),
        ] {
            check(event, "2026-01-01T00:00:00Z", false);
            check(event, "2026-01-01T00:00:10Z", false);
            check(event, "2026-01-01T00:00:59Z", is_known);
            check(event, "2026-01-01T00:01:00Z", false);
            check(event, "2026-01-01T00:00:59Z", false);
        }
        check("{}", "2026-01-01T00:00:00Z", false);
        assert!(Bursts::new(0).is_none());
    }

    #[test]
    fn memory_is_bounded_and_forgetting_suspects_nobody() {
        let bursts = Bursts::new(1).unwrap();
        for number in 0..3 * MAX_REMEMBERED {
            let event = format!(r#"{{"user_domain_id":"v{number}"}}"#);
            let document = read::document(event.as_bytes()).unwrap();
            assert!(!bursts.is_over(&document, false, Timestamp::UNIX_EPOCH));
        }
        assert!(bursts.seen.len() <= MAX_REMEMBERED);
    }
}
