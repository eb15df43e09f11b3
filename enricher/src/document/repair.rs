//! Bringing every value into the kind of its field.
//!
//! A value that fits after an honest conversion (a number written as text, a truth as 0 or 1) is
//! converted in silence. One that does not fit is moved to `props` under its name and listed in
//! `invalid_fields`; the event is kept. So the store never refuses a document for its types.

use std::borrow::Cow;
use std::net::IpAddr;

use event::{Kind, limits::MAX_KEYWORD_CHARS};
use serde_json::Value as Json;

use super::{Document, Value, instant};
use crate::slot::{self, Slot};

/// Repairs every value, flattens `props` and takes the unknown members into them.
pub(crate) fn repair(document: &mut Document<'_>) {
    let mut invalid = match document.take(slot::INVALID_FIELDS) {
        Value::Json(json) => texts(&json).unwrap_or_default(),
        Value::Text(text) => vec![text],
        _ => Vec::new(),
    };
    match document.take(slot::PROPS) {
        Value::Absent => {}
        Value::Raw(raw) => document.props.add_raw(raw),
        Value::Json(json) if json.is_object() => {
            if let Json::Object(members) = *json {
                for (name, value) in members {
                    document.props.add(name, value);
                }
            }
        }
        misfit => {
            invalid.push(slot::PROPS.field().name.into());
            keep(document, slot::PROPS, misfit);
        }
    }
    let plain = document.plain();
    document.filled().each(|slot| {
        if is_fit(slot, document.value(slot), plain.has(slot)) {
            return;
        }
        match fit(slot, document.take(slot)) {
            Ok(value) => document.set(slot, value),
            Err(misfit) => {
                let name = slot.field().name;
                invalid.push(name.into());
                keep(document, slot, misfit);
            }
        }
    });
    for (name, value) in std::mem::take(&mut document.unknown) {
        document.props.add(name, value);
    }
    if document.props.is_cut {
        invalid.push("props".into());
    }
    invalid.sort_unstable();
    invalid.dedup();
    if !invalid.is_empty() {
        document.set(slot::INVALID_FIELDS, Value::List(invalid));
    }
}

/// Sets a slot from JSON, as if the event had said so.
pub(crate) fn set(document: &mut Document<'_>, slot: Slot, value: Json) {
    let value = match value {
        Json::Null => Value::Absent,
        Json::String(text) if text.is_empty() => Value::Absent,
        Json::String(text) => Value::Text(text.into()),
        Json::Bool(truth) => Value::Boolean(truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Long(whole),
            None => number.as_f64().map_or(Value::Absent, Value::Double),
        },
        nested => Value::Json(Box::new(nested)),
    };
    let fitted = match &value {
        Value::Absent => Ok(value),
        _ => fit(slot, value),
    };
    match fitted {
        Ok(value) => document.set(slot, value),
        Err(misfit) => {
            keep(document, slot, misfit);
            document.add_invalid(slot.field().name);
        }
    }
}

/// A value as JSON; null where it is absent.
pub(crate) fn json_of(value: &Value<'_>) -> Json {
    match value {
        Value::Absent => Json::Null,
        Value::Text(text) => Json::from(&**text),
        Value::Long(number) => Json::from(*number),
        Value::Double(number) => Json::from(*number),
        Value::Boolean(truth) => Json::from(*truth),
        Value::Time(time) => Json::from(event::time::format(*time)),
        Value::Address(address) => Json::from(address.to_string()),
        Value::Point {
            latitude,
            longitude,
        } => serde_json::json!({"lat": latitude, "lon": longitude}),
        Value::List(texts) => texts.iter().map(|text| Json::from(&**text)).collect(),
        Value::Json(json) => (**json).clone(),
        Value::Raw(raw) => parsed(raw),
    }
}

/// An object that was left as it was sent.
pub(crate) fn parsed(raw: &str) -> Json {
    serde_json::from_str(raw).unwrap_or_default()
}

/// Whether a value needs no look: nearly all are absent or short texts.
fn is_fit(slot: Slot, value: &Value<'_>, is_plain: bool) -> bool {
    match value {
        Value::Absent | Value::Time(_) => true,
        Value::Raw(_) => slot.field().kind == Kind::Stored,
        Value::Text(text) => {
            slot.field().kind == Kind::Keyword
                && text.len() <= MAX_KEYWORD_CHARS
                && (is_plain || memchr::memchr(0, text.as_bytes()).is_none())
        }
        _ => false,
    }
}

/// Keeps a misfit in `props`, except where that would slip past the privacy settings.
fn keep<'a>(document: &mut Document<'a>, slot: Slot, misfit: Value<'a>) {
    if slot == slot::IP_ADDRESS {
        return;
    }
    let name = slot.field().name;
    match misfit {
        Value::Text(text) => document.props.add_text(name, text),
        Value::Long(number) => document.props.add(name, number.into()),
        Value::Double(number) => document.props.add(name, number.into()),
        Value::Boolean(truth) => document.props.add(name, truth.into()),
        Value::Json(json) => document.props.add(name, *json),
        Value::Absent
        | Value::Time(_)
        | Value::Address(_)
        | Value::Point { .. }
        | Value::List(_)
        | Value::Raw(_) => {}
    }
}

/// The value in the kind of its field, or back as it was.
fn fit<'a>(slot: Slot, value: Value<'a>) -> Result<Value<'a>, Value<'a>> {
    match slot.field().kind {
        Kind::Keyword => keyword(slot, value),
        Kind::Long => long(value),
        Kind::Double => double(slot, value),
        Kind::Boolean => boolean(value),
        Kind::Date => date(value),
        Kind::Ip => address(value),
        Kind::GeoPoint => point(value),
        Kind::Stored => match value {
            Value::Json(json) if json.is_object() => Ok(Value::Json(json)),
            other => Err(other),
        },
        // Taken out before.
        Kind::Flattened => Err(value),
    }
}

fn keyword<'a>(slot: Slot, value: Value<'a>) -> Result<Value<'a>, Value<'a>> {
    match value {
        Value::Text(text) => Ok(match clean(&text, MAX_KEYWORD_CHARS) {
            Some(cleaned) => Value::Text(cleaned.into()),
            None => Value::Text(text),
        }),
        Value::Long(number) => Ok(Value::Text(number.to_string().into())),
        Value::Double(number) => Ok(Value::Text(number.to_string().into())),
        Value::Boolean(truth) => Ok(Value::Text(if truth { "true" } else { "false" }.into())),
        Value::Json(json) if slot == slot::BOT_REASONS => match texts(&json) {
            Some(texts) => Ok(Value::List(texts)),
            None => Err(Value::Json(json)),
        },
        other => Err(other),
    }
}

fn long(value: Value<'_>) -> Result<Value<'_>, Value<'_>> {
    // Every whole number below 2^53 is a double of its own.
    let whole = |number: f64| {
        (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
    };
    let fitted = match &value {
        Value::Long(number) => Some(*number),
        Value::Double(number) => whole(*number),
        Value::Text(text) => {
            let text = text.trim();
            text.parse()
                .ok()
                .or_else(|| text.parse().ok().and_then(whole))
        }
        _ => None,
    };
    fitted.map(Value::Long).ok_or(value)
}

fn double(slot: Slot, value: Value<'_>) -> Result<Value<'_>, Value<'_>> {
    let fitted = match &value {
        Value::Long(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let bound = match slot {
        slot::GEO_LATITUDE => 90.0,
        slot::GEO_LONGITUDE => 180.0,
        _ => f64::MAX,
    };
    fitted
        .filter(|number: &f64| number.is_finite() && number.abs() <= bound)
        .map(Value::Double)
        .ok_or(value)
}

fn boolean(value: Value<'_>) -> Result<Value<'_>, Value<'_>> {
    let fitted = match &value {
        Value::Boolean(truth) => Some(*truth),
        Value::Long(0) => Some(false),
        Value::Long(1) => Some(true),
        Value::Text(text) => match text.trim() {
            "true" | "True" | "TRUE" | "1" => Some(true),
            "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    fitted.map(Value::Boolean).ok_or(value)
}

fn date(value: Value<'_>) -> Result<Value<'_>, Value<'_>> {
    instant::read(&value).map(Value::Time).ok_or(value)
}

fn address(value: Value<'_>) -> Result<Value<'_>, Value<'_>> {
    let Value::Text(text) = &value else {
        return Err(value);
    };
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(Value::Address(address.to_canonical())),
        Err(_) => Err(value),
    }
}

fn point(value: Value<'_>) -> Result<Value<'_>, Value<'_>> {
    let Value::Json(json) = &value else {
        return Err(value);
    };
    let degrees = |name: &str, bound: f64| {
        let number = json.get(name)?.as_f64()?;
        (number.abs() <= bound).then_some(number)
    };
    match (degrees("lat", 90.0), degrees("lon", 180.0)) {
        (Some(latitude), Some(longitude)) => Ok(Value::Point {
            latitude,
            longitude,
        }),
        _ => Err(value),
    }
}

fn texts(json: &Json) -> Option<Vec<Cow<'static, str>>> {
    let items = json.as_array()?.iter();
    items
        .map(|item| item.as_str().map(|text| text.to_owned().into()))
        .collect()
}

/// The text without NUL, which engines refuse in places, and cut to `max_chars`; `None` where it
/// is so already.
pub(crate) fn clean(text: &str, max_chars: usize) -> Option<String> {
    let is_long = text.len() > max_chars && text.chars().nth(max_chars).is_some();
    if !is_long && memchr::memchr(0, text.as_bytes()).is_none() {
        return None;
    }
    let replaced = |c| {
        if c == '\0' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    Some(text.chars().take(max_chars).map(replaced).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{read, write};

    fn check(event: Json, expected: Json) {
        let raw = event.to_string();
        let mut document = read::document(raw.as_bytes()).unwrap();
        repair(&mut document);
        let written: Json = serde_json::from_slice(&write::json(&document)).unwrap();
        assert_eq!(written, expected, "{raw}");
    }

    #[test]
    fn honest_conversions_are_silent() {
        check(
            json!({"geo_latitude": "54.79", "screen_width": "1920", "screen_height": 1080.0,
                "referer_url_port": 80, "device_is_mobile": "True", "site": true,
                "sent_at": 1_767_323_045, "event_timestamp": "2026-01-02 03:04:05.678901"}),
            json!({"geo_latitude": 54.79, "screen_width": 1920, "screen_height": 1080,
                "referer_url_port": "80", "device_is_mobile": true, "site": "true",
                "sent_at": "2026-01-02T03:04:05.000Z", "event_timestamp": "2026-01-02T03:04:05.678901Z"}),
        );
    }

    #[test]
    fn misfits_move_to_props_and_are_listed() {
        check(
            json!({"geo_latitude": "north", "geo_longitude": 181, "screen_width": 1.5,
                "device_is_mobile": "maybe", "event_timestamp": "yesterday", "page_title": {"a": 1},
                "received_at": "9999-01-01T00:00:00Z", "x": {"y": 1}, "hints": "no"}),
            json!({"props": {"geo_latitude": "north", "geo_longitude": 181, "screen_width": 1.5,
                "device_is_mobile": "maybe", "event_timestamp": "yesterday", "page_title.a": 1,
                "received_at": "9999-01-01T00:00:00Z", "x.y": 1, "hints": "no"},
                "invalid_fields": ["device_is_mobile", "event_timestamp", "geo_latitude",
                    "geo_longitude", "hints", "page_title", "received_at", "screen_width"]}),
        );
    }

    #[test]
    fn address_that_does_not_fit_is_not_kept() {
        check(
            json!({"ip_address": "203.0.113.7, 10.0.0.1"}),
            json!({"invalid_fields": ["ip_address"]}),
        );
        check(
            json!({"ip_address": "::ffff:203.0.113.7"}),
            json!({"ip_address": "203.0.113.7"}),
        );
    }

    #[test]
    fn texts_are_cut_and_cleaned() {
        check(
            json!({"page_title": "a\u{0}b"}),
            json!({"page_title": "a\u{fffd}b"}),
        );
        check(
            json!({"page_title": "é".repeat(9_000)}),
            json!({"page_title": "é".repeat(MAX_KEYWORD_CHARS)}),
        );
    }

    #[test]
    fn props_that_is_no_object_is_kept() {
        let invalid = json!(["props"]);
        check(
            json!({"props": [1, 2]}),
            json!({"props": {"props": [1, 2]}, "invalid_fields": invalid}),
        );
        check(
            json!({"props": "x"}),
            json!({"props": {"props": "x"}, "invalid_fields": invalid}),
        );
    }
}
