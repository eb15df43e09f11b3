//! Reading times within the bounds that the engines share.

use event::time;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::Value;

/// Dates that a 64-bit count of nanoseconds since 1970 holds, which is what the engines share:
/// the years 1678 to 2261.
const SECONDS: std::ops::Range<i64> = -9_214_560_000..9_214_646_400;

/// Reads a value as a time, in any form that clients send.
pub(crate) fn read(value: &Value<'_>) -> Option<Timestamp> {
    let time = match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => time::parse_text(text),
        Value::Long(number) => time::parse(&Json::from(*number)),
        Value::Double(number) => time::parse(&Json::from(*number)),
        _ => None,
    };
    time.filter(|time| SECONDS.contains(&time.as_second()))
}

/// The time without what is finer than a millisecond.
pub(crate) fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_out_of_the_engines_range_are_none() {
        for text in [
            "1600-01-01T00:00:00Z",
            "2262-01-01T00:00:00Z",
            "0000-01-01",
            "9999-01-01",
        ] {
            assert_eq!(read(&Value::Text(text.into())), None, "{text}");
        }
    }
}
