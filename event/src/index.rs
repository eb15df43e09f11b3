//! Ids, index days and index names.
//!
//! The index day is a pure function of the event as it was sent, never of the clock of whoever
//! writes it: a retry after midnight lands in the same index, where its id is recognised.

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::Offset};
use uuid::Uuid;

use crate::{limits::MAX_EVENT_ID_BYTES, time};

/// Namespace of ids that are derived from bytes or positions (UUIDv5 of the URL of a name that
/// only Weir uses).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f9a_3c1e_52d4_5b0f_9d1a_77c0_a4e8_31b6);

/// Whether an id can be used as it is: 1 to 128 printable ASCII characters.
#[must_use]
pub fn is_fit_id(id: &str) -> bool {
    // Without a way out in between, of which the compiler makes vectors.
    let is_printable = |is: bool, byte: u8| is & (0x20..0x7f).contains(&byte);
    (1..=MAX_EVENT_ID_BYTES).contains(&id.len()) && id.bytes().fold(true, is_printable)
}

/// The id that replaces one which cannot be used, or that an event without id gets from where it
/// lies: the same bytes give the same id.
#[must_use]
pub fn derived_id(bytes: &[u8]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, bytes)
}

/// The day whose index holds the event: by the client's own time if it is inside the accepted
/// window, else by the time inside a UUIDv7 id, else by `received` (the gateway's time of receipt,
/// or the record's timestamp where there is none).
#[must_use]
pub fn day(
    client_time: Option<Timestamp>,
    event_id: Option<&str>,
    received: Timestamp,
    max_age: Duration,
) -> Date {
    let accepted = |t: &Timestamp| time::is_accepted(*t, received, max_age);
    let day_time = client_time
        .filter(accepted)
        .or_else(|| event_id.and_then(id_time).filter(accepted))
        .unwrap_or(received);
    Offset::UTC.to_datetime(day_time).date()
}

/// The time inside a UUIDv7.
fn id_time(id: &str) -> Option<Timestamp> {
    let uuid = Uuid::try_parse(id)
        .ok()
        .filter(|uuid| uuid.get_version_num() == 7)?;
    let (seconds, nanoseconds) = uuid.get_timestamp()?.to_unix();
    Timestamp::new(
        i64::try_from(seconds).ok()?,
        i32::try_from(nanoseconds).ok()?,
    )
    .ok()
}

/// A day as it stands in index names: `YYYY.MM.dd`.
#[must_use]
pub fn day_text(day: Date) -> String {
    // By hand, for every event has one.
    let digit = |number: i16, of: i16| char::from(b'0' + (number / of % 10).unsigned_abs() as u8);
    let (year, month, day) = (day.year(), i16::from(day.month()), i16::from(day.day()));
    let mut text = String::with_capacity(10);
    text.extend([1000, 100, 10, 1].map(|of| digit(year, of)));
    text.push('.');
    text.extend([10, 1].map(|of| digit(month, of)));
    text.push('.');
    text.extend([10, 1].map(|of| digit(day, of)));
    text
}

/// Reads `YYYY.MM.dd`.
#[must_use]
pub fn parse_day(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10 && bytes[4] == b'.' && bytes[7] == b'.';
    if !shaped || !bytes.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    let month = i8::try_from(number(5..7)?).ok()?;
    Date::new(number(0..4)?, month, i8::try_from(number(8..10)?).ok()?).ok()
}

/// The daily index of `prefix` for `day`, `PREFIX-YYYY.MM.dd`.
#[must_use]
pub fn name(prefix: &str, day: Date) -> String {
    format!("{prefix}-{}", day_text(day))
}

/// The day of an index name of `prefix`.
#[must_use]
pub fn day_of(prefix: &str, name: &str) -> Option<Date> {
    parse_day(name.strip_prefix(prefix)?.strip_prefix('-')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn client_time_inside_the_window_decides() {
        let received = at("2026-03-02T00:10:00Z");
        let day = day(Some(at("2026-03-01T23:59:00Z")), None, received, MONTH);
        assert_eq!(day_text(day), "2026.03.01");
    }

    #[test]
    fn id_time_decides_where_the_client_time_is_unbelievable() {
        let received = at("2026-03-02T00:10:00Z");
        // UUIDv7 of 2026-03-01T23:59:59Z.
        let millis = at("2026-03-01T23:59:59Z").as_millisecond() as u64;
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid();
        let future = Some(at("2031-01-01T00:00:00Z"));
        assert_eq!(
            day_text(day(future, Some(&id.to_string()), received, MONTH)),
            "2026.03.01"
        );
        assert_eq!(
            day_text(day(future, Some("not a uuid"), received, MONTH)),
            "2026.03.02"
        );
    }

    #[test]
    fn names_round_trip() {
        let day = parse_day("2026.02.28").unwrap();
        assert_eq!(day_of("web-events", &name("web-events", day)), Some(day));
        for bad in [
            "2026.02.30",
            "2026-02-28",
            "20260.2.28",
            "2026.02.2é",
            "",
            "2026.02.28x",
        ] {
            assert_eq!(parse_day(bad), None, "{bad}");
        }
    }

    #[test]
    fn unfit_ids_are_seen() {
        assert!(is_fit_id("a b:c"));
        for id in ["", "é", "a\nb", &"x".repeat(129)] {
            assert!(!is_fit_id(id), "{id}");
        }
    }
}
