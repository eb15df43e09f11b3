//! Times in queries: RFC 3339, epoch milliseconds, and Elasticsearch's date math (`now-7d/d`).

use jiff::{Span, Timestamp, ToSpan as _, Unit, ZonedDateTime, tz::TimeZone};
use serde_json::Value;

/// Reads a time of a query; all is UTC.
pub(super) fn parse(value: &Value, now: Timestamp) -> Option<Timestamp> {
    let Value::String(text) = value else {
        return event::time::parse(value);
    };
    let (anchor, math) = match text.strip_prefix("now") {
        Some(math) => (now, math),
        None => match text.split_once("||") {
            Some((anchor, math)) => (event::time::parse_text(anchor)?, math),
            None => (event::time::parse_text(text)?, ""),
        },
    };
    let mut at = anchor.to_zoned_datetime(TimeZone::UTC);
    let mut rest = math;
    while let Some(sign) = rest.chars().next() {
        rest = rest.get(1..)?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let count: i64 = if digits == 0 {
            1
        } else {
            rest[..digits].parse().ok()?
        };
        rest = &rest[digits..];
        let unit = rest.chars().next()?;
        rest = &rest[unit.len_utf8()..];
        at = match sign {
            '+' => at.checked_add(span(unit, count)?).ok()?,
            '-' => at.checked_sub(span(unit, count)?).ok()?,
            '/' if digits == 0 => start_of(&at, unit)?,
            _ => return None,
        };
    }
    Some(at.timestamp())
}

fn span(unit: char, count: i64) -> Option<Span> {
    let span = Span::new();
    match unit {
        's' => span.try_seconds(count),
        'm' => span.try_minutes(count),
        'h' | 'H' => span.try_hours(count),
        'd' => span.try_days(count),
        'w' => span.try_weeks(count),
        'M' => span.try_months(count),
        'y' => span.try_years(count),
        _ => return None,
    }
    .ok()
}

fn start_of(at: &ZonedDateTime, unit: char) -> Option<ZonedDateTime> {
    let trunc = |unit| {
        at.round(
            jiff::ZonedDateTimeRound::new()
                .smallest(unit)
                .mode(jiff::RoundMode::Trunc),
        )
        .ok()
    };
    match unit {
        's' => trunc(Unit::Second),
        'm' => trunc(Unit::Minute),
        'h' | 'H' => trunc(Unit::Hour),
        'd' => at.start_of_day().ok(),
        'w' => {
            let day = i64::from(at.weekday().to_monday_zero_offset());
            at.checked_sub(day.days()).ok()?.start_of_day().ok()
        }
        'M' => at.first_of_month().ok()?.start_of_day().ok(),
        'y' => at.first_of_year().ok()?.start_of_day().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let now: Timestamp = "2026-03-04T05:06:07.890Z".parse().unwrap();
        let got = parse(&text.into(), now).map(event::time::format);
        assert_eq!(got.as_deref(), expected, "{text}");
    }

    #[test]
    fn date_math() {
        check("now", Some("2026-03-04T05:06:07.890Z"));
        check("now-15m", Some("2026-03-04T04:51:07.890Z"));
        check("now/d", Some("2026-03-04T00:00:00.000Z"));
        check("now-1M/M", Some("2026-02-01T00:00:00.000Z"));
        check("now/w", Some("2026-03-02T00:00:00.000Z"));
        check("2026-01-31||+1d/h", Some("2026-02-01T00:00:00.000Z"));
        check("2026-01-31", Some("2026-01-31T00:00:00.000Z"));
        for bad in ["now-", "now-5", "now*2d", "now-5q", "tomorrow", "now/2d"] {
            check(bad, None);
        }
    }
}
