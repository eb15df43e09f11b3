//! Reading a document from JSON: one pass, borrowing where the text allows.
//!
//! Nearly every record is of the form that `flat` reads; what it leaves is read by the general
//! parser, which also finds the words for what is no JSON.

use std::borrow::Cow;
use std::fmt;

use event::{Code, limits, members};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Document, Value, flat};
use crate::slot::{self, Slot, Slots};

/// Reads one record.
///
/// Members that only the enricher may set are removed, unless the event was enriched before.
///
/// # Errors
/// The code of the dead letter.
pub(crate) fn document(raw: &[u8]) -> Result<Document<'_>, Code> {
    // Checked once as a whole, then not again for each text.
    let text = std::str::from_utf8(raw).map_err(|_| Code::BadJson)?;
    let mut document = match flat::read(text) {
        Some(document) => document,
        None => parse(text).map_err(|error| code_of(&error))?,
    };
    check_depth(&document)?;
    if !document.has(slot::WEIR_VERSION) {
        let taken = document.filled().and(Slots::ENRICHERS);
        taken.each(|slot| document.clear(slot));
    }
    Ok(document)
}

pub(super) fn parse(text: &str) -> serde_json::Result<Document<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = deserializer.deserialize_map(DocumentVisitor)?;
    deserializer.end()?;
    Ok(document)
}

fn code_of(error: &serde_json::Error) -> Code {
    if error.is_data() {
        // Every kind of value is taken inside, so only the whole can be of the wrong one.
        return Code::NotAnObject;
    }
    // serde_json has no other sign for its own bound of 128 levels.
    if error.to_string().starts_with("recursion limit exceeded") {
        return Code::TooDeep;
    }
    Code::BadJson
}

fn check_depth(document: &Document<'_>) -> Result<(), Code> {
    let mut is_shallow = true;
    // The event itself is the first level.
    let mut look = |value: &serde_json::Value| {
        is_shallow &= is_within(value, limits::MAX_DEPTH - 1);
    };
    document.filled().each(|slot| {
        if let Value::Json(json) = document.value(slot) {
            look(json);
        }
    });
    document.unknown.iter().for_each(|(_, value)| look(value));
    match is_shallow {
        true => Ok(()),
        false => Err(Code::TooDeep),
    }
}

fn is_within(value: &serde_json::Value, depth: usize) -> bool {
    match value {
        serde_json::Value::Array(items) => {
            depth > 0 && items.iter().all(|item| is_within(item, depth - 1))
        }
        serde_json::Value::Object(members) => {
            depth > 0 && members.values().all(|item| is_within(item, depth - 1))
        }
        _ => true,
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document<'de>, A::Error> {
        let mut document = Document::default();
        let mut previous = None;
        while let Some(key) = map.next_key_seed(KeySeed { previous })? {
            match key {
                Key::Known(slot) => {
                    previous = Some(slot);
                    document.set(slot, map.next_value_seed(ValueSeed)?);
                }
                Key::Unknown(name) => {
                    let value: serde_json::Value = map.next_value()?;
                    document.unknown.push((name, value));
                }
            }
        }
        members::keep_last(&mut document.unknown);
        Ok(document)
    }
}

enum Key<'a> {
    Known(Slot),
    Unknown(Cow<'a, str>),
}

struct KeySeed {
    previous: Option<Slot>,
}

impl KeySeed {
    fn find(&self, name: &str) -> Option<Slot> {
        Slot::find_behind(self.previous, name)
    }
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
        Ok(self
            .find(name)
            .map_or(Key::Unknown(Cow::Borrowed(name)), Key::Known))
    }

    fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
        Ok(self
            .find(name)
            .map_or_else(|| Key::Unknown(Cow::Owned(name.to_owned())), Key::Known))
    }
}

pub(super) struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(if text.is_empty() {
            Value::Absent
        } else {
            Value::Text(Cow::Borrowed(text))
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(if text.is_empty() {
            Value::Absent
        } else {
            Value::Text(Cow::Owned(text.to_owned()))
        })
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value<'de>, E> {
        Ok(Value::Boolean(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Long(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(number).map_or(Value::Double(number as f64), Value::Long))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Double(number))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Value<'de>, A::Error> {
        let json = serde_json::Value::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Value::Json(Box::new(json)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
        let json = serde_json::Value::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Value::Json(Box::new(json)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &[u8], expected: Code) {
        let shown = String::from_utf8_lossy(&raw[..raw.len().min(40)]).into_owned();
        assert_eq!(document(raw).err(), Some(expected), "{shown}");
    }

    #[test]
    fn what_is_no_object_has_a_code() {
        for raw in ["[]", "1", "\"text\"", "null", "[{}]"] {
            check(raw.as_bytes(), Code::NotAnObject);
        }
        for raw in [
            "",
            "{",
            "{} {}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
            "\u{feff}{}",
        ] {
            check(raw.as_bytes(), Code::BadJson);
        }
        check(b"{\"a\":\"\xff\"}", Code::BadJson);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize, name: &str| {
            format!("{{\"{name}\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
        };
        assert!(document(nested(31, "a").as_bytes()).is_ok());
        assert!(document(nested(31, "props").as_bytes()).is_ok());
        for depth in [32, 100, 100_000] {
            check(nested(depth, "a").as_bytes(), Code::TooDeep);
            check(nested(depth, "props").as_bytes(), Code::TooDeep);
        }
    }

    #[test]
    fn last_of_equal_members_wins() {
        let document = document(br#"{"event_type":"a","x":1,"event_type":"b"}"#).unwrap();
        assert_eq!(document.text(slot::EVENT_TYPE), Some("b"));
        let document = super::document(br#"{"x":1,"y":2,"x":3}"#).unwrap();
        let unknown: Vec<_> = document
            .unknown
            .iter()
            .map(|(n, v)| format!("{n}{v}"))
            .collect();
        assert_eq!(unknown, ["y2", "x3"]);
    }

    #[test]
    fn enrichers_members_are_not_taken_from_clients() {
        let sent = document(br#"{"is_bot":true,"channel":"Email","os":"x"}"#).unwrap();
        assert!(!sent.has(slot::IS_BOT) && !sent.has(slot::CHANNEL) && sent.has(slot::OS));
        let enriched = document(br#"{"is_bot":true,"weir_version":"0.1.0"}"#).unwrap();
        assert!(enriched.has(slot::IS_BOT));
    }
}
