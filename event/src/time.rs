//! Reading the times that clients send.
//!
//! Accepted: RFC 3339 with any offset; the same without an offset or with a space (`2026-01-02
//! 03:04:05.678901`, the form of the fake events), taken as UTC; and numbers, taken as epoch
//! seconds below 10^11 and as epoch milliseconds from there (10^11 s is the year 5138, 10^11 ms is
//! March 1973).

mod plain;

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;

pub use plain::write;

/// How far in the future a client's time may lie before it is disbelieved: five minutes, the
/// tolerance that peers use for clocks that are set by hand.
pub const MAX_FUTURE: Duration = Duration::from_secs(300);

/// Reads a client's time from its JSON value.
#[must_use]
pub fn parse(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => parse_text(text),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => from_number(whole as f64, Some(whole)),
            None => from_number(number.as_f64()?, None),
        },
        _ => None,
    }
}

/// Reads a client's time from text; text that is only a number is read as one.
#[must_use]
pub fn parse_text(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // The longest form, nanoseconds and offset, has 35 characters.
    if text.is_empty() || text.len() > 40 {
        return None;
    }
    plain::read(text.as_bytes()).or_else(|| parse_general(text))
}

fn parse_general(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(whole) = text.parse::<i64>() {
        return from_number(whole as f64, Some(whole));
    }
    let civil: DateTime = text.parse().ok()?;
    Some(
        civil
            .to_zoned_datetime(jiff::tz::TimeZone::UTC)
            .ok()?
            .timestamp(),
    )
}

fn from_number(number: f64, whole: Option<i64>) -> Option<Timestamp> {
    if number.abs() >= 1e11 {
        return Timestamp::from_millisecond(whole.unwrap_or(number as i64)).ok();
    }
    match whole {
        Some(seconds) => Timestamp::from_second(seconds).ok(),
        None => Timestamp::from_millisecond((number * 1000.0).round() as i64).ok(),
    }
}

/// Whether `time` lies in the window that is believed of an event received at `received`: not
/// more than `max_age` before it, not more than [`MAX_FUTURE`] after it.
#[must_use]
pub fn is_accepted(time: Timestamp, received: Timestamp, max_age: Duration) -> bool {
    let age_ms = received
        .as_millisecond()
        .saturating_sub(time.as_millisecond());
    age_ms <= i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX)
        && -age_ms <= MAX_FUTURE.as_millis() as i64
}

/// RFC 3339 in UTC with milliseconds, the form that Weir writes.
#[must_use]
pub fn format(time: Timestamp) -> String {
    if time < Timestamp::UNIX_EPOCH {
        return format!("{time:.3}");
    }
    let mut text = Vec::with_capacity(32);
    let milliseconds = Timestamp::from_millisecond(time.as_millisecond());
    write(&mut text, milliseconds.unwrap_or(time));
    String::from_utf8(text).expect("digits and marks are a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: serde_json::Value, expected: Option<&str>) {
        assert_eq!(parse(&value).map(format).as_deref(), expected, "{value}");
    }

    #[test]
    fn accepted_forms() {
        check(
            "2026-01-02T03:04:05Z".into(),
            Some("2026-01-02T03:04:05.000Z"),
        );
        check(
            "2026-01-02T03:04:05.678+01:00".into(),
            Some("2026-01-02T02:04:05.678Z"),
        );
        check(
            "2026-01-02 03:04:05.678901".into(),
            Some("2026-01-02T03:04:05.678Z"),
        );
        check(
            "2026-01-02T03:04:05".into(),
            Some("2026-01-02T03:04:05.000Z"),
        );
        check(1_767_323_045.into(), Some("2026-01-02T03:04:05.000Z"));
        check(
            1_767_323_045_678_i64.into(),
            Some("2026-01-02T03:04:05.678Z"),
        );
        check(1_767_323_045.5.into(), Some("2026-01-02T03:04:05.500Z"));
        check("1767323045678".into(), Some("2026-01-02T03:04:05.678Z"));
    }

    #[test]
    fn refused_forms() {
        for value in ["", "yesterday", "9999999-01-01", "2026-13-01T00:00:00Z"] {
            check(value.into(), None);
        }
        check(serde_json::json!(null), None);
        check(serde_json::json!(1e300), None);
        check(serde_json::json!(true), None);
    }

    #[test]
    fn window_is_bounded_on_both_sides() {
        let received: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let day = Duration::from_secs(86_400);
        let at = |text: &str| is_accepted(text.parse().unwrap(), received, day);
        assert!(at("2026-01-01T00:00:00Z"));
        assert!(!at("2025-12-31T23:59:59Z"));
        assert!(at("2026-01-02T00:05:00Z"));
        assert!(!at("2026-01-02T00:05:01Z"));
    }
}
