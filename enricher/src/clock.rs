//! When an event happened: the client's clock, corrected where it is known to be wrong.

use std::time::Duration;

use event::{Code, time};
use jiff::{SignedDuration, Timestamp};

use crate::document::{Document, Value, instant};
use crate::slot;

/// Skew between the client's clock and ours that counts as transit rather than as a wrong clock.
const MAX_TRANSIT: SignedDuration = SignedDuration::from_secs(60);

/// After this an event is late: what peers accept of back-dated events.
const LATE: SignedDuration = SignedDuration::from_hours(72);

/// The times of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// When the client says that it happened.
    pub(crate) client: Option<Timestamp>,
    /// When it was received: by the gateway, else when the record was written.
    pub(crate) received: Timestamp,
    /// Whether a gateway said when it received it.
    pub(crate) is_gateway: bool,
    /// When it happened.
    pub(crate) event: Timestamp,
    /// How `event` came about.
    pub(crate) quality: &'static str,
}

impl Clock {
    /// Reads the times of an event whose record was written at `record`, and leaves them parsed.
    pub(crate) fn read(document: &mut Document<'_>, record: Timestamp) -> Self {
        let mut read = |slot| {
            let time = instant::read(document.value(slot))?;
            document.set(slot, Value::Time(time));
            Some(time)
        };
        let client = read(slot::EVENT_TIMESTAMP);
        let gateway = read(slot::RECEIVED_AT);
        let received = gateway.unwrap_or(record);
        let fallback = (
            received,
            if gateway.is_some() {
                "received"
            } else {
                "record"
            },
        );
        let skew = match (gateway, read(slot::SENT_AT)) {
            (Some(gateway), Some(sent)) => gateway.duration_since(sent),
            _ => SignedDuration::ZERO,
        };
        let (event, quality) = match client {
            None => fallback,
            Some(client) => {
                let (event, quality) = if skew.abs() > MAX_TRANSIT {
                    (client.saturating_add(skew).unwrap_or(received), "corrected")
                } else {
                    (client, "client")
                };
                let is_future = event.duration_since(received)
                    > SignedDuration::try_from(time::MAX_FUTURE).unwrap_or_default();
                if is_future {
                    fallback
                } else {
                    (event, quality)
                }
            }
        };
        Self {
            client,
            received,
            is_gateway: gateway.is_some(),
            event,
            quality,
        }
    }

    /// Refuses what is older than `max_age` at receipt, save what a gateway received: it made this
    /// check and answered for the event.
    ///
    /// # Errors
    /// [`Code::TooOld`].
    pub(crate) fn check_age(&self, max_age: Duration) -> Result<(), Code> {
        let max_age = SignedDuration::try_from(max_age).unwrap_or(SignedDuration::MAX);
        if !self.is_gateway && self.received.duration_since(self.event) > max_age {
            return Err(Code::TooOld);
        }
        Ok(())
    }

    /// The step.
    pub(crate) fn apply(&self, document: &mut Document<'_>) {
        let event = instant::whole_milliseconds(self.event);
        document.set(slot::TIMESTAMP, Value::Time(event));
        document.set_text(slot::TIME_QUALITY, self.quality);
        let is_late = self.received.duration_since(self.event) > LATE;
        document.set(slot::IS_LATE, Value::Boolean(is_late));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;

    fn check(raw: &str, expected: (&str, &str)) {
        let mut document = read::document(raw.as_bytes()).unwrap();
        let record = "2026-01-02T00:00:10Z".parse().unwrap();
        let clock = Clock::read(&mut document, record);
        assert_eq!(
            (time::format(clock.event).as_str(), clock.quality),
            expected,
            "{raw}"
        );
    }

    #[test]
    fn client_time_holds_within_transit() {
        check(
            r#"{"event_timestamp":"2026-01-01 23:00:00.5","sent_at":"2026-01-02T00:00:00Z","received_at":"2026-01-02T00:00:59Z"}"#,
            ("2026-01-01T23:00:00.500Z", "client"),
        );
    }

    #[test]
    fn skew_is_corrected() {
        check(
            r#"{"event_timestamp":"2019-12-31T23:59:00Z","sent_at":"2020-01-01T00:00:00Z","received_at":"2026-01-02T00:00:00Z"}"#,
            ("2026-01-01T23:59:00.000Z", "corrected"),
        );
    }

    #[test]
    fn unbelievable_times_fall_back() {
        check(
            r#"{"event_timestamp":"2026-01-02T00:05:01Z","received_at":"2026-01-02T00:00:00Z"}"#,
            ("2026-01-02T00:00:00.000Z", "received"),
        );
        check(
            r#"{"event_timestamp":"yesterday"}"#,
            ("2026-01-02T00:00:10.000Z", "record"),
        );
        check(
            r#"{"event_timestamp":"2026-07-02T00:00:00Z"}"#,
            ("2026-01-02T00:00:10.000Z", "record"),
        );
    }

    #[test]
    fn age_is_measured_at_receipt() {
        let age_of = |raw: &str, days: u64| {
            let mut document = read::document(raw.as_bytes()).unwrap();
            let record = "2026-01-31T00:00:00Z".parse().unwrap();
            Clock::read(&mut document, record).check_age(Duration::from_secs(days * 86_400))
        };
        let raw = r#"{"event_timestamp":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(age_of(raw, 30), Ok(()));
        assert_eq!(age_of(raw, 29), Err(Code::TooOld));
        let old =
            r#"{"event_timestamp":"2026-01-01T00:00:00Z","received_at":"2026-01-01T00:00:01Z"}"#;
        assert_eq!(age_of(old, 1), Ok(()));
    }
}
