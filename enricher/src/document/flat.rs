//! Reading the form that nearly every record has: one line, no escapes, few members nested.
//!
//! Without an escape a text ends at the next quotation mark, which is found many bytes at a time.
//! Whatever is not sure is left to the general parser: this reader knows no errors, only what it
//! reads and what it does not.

use std::borrow::Cow;

use event::members;
use serde::de::DeserializeSeed as _;
use serde_json::{Deserializer, Value as Json};

use super::read::ValueSeed;
use super::{Document, Value, plain};
use crate::slot::Slot;

/// Reads a record; `None` where the general parser must look.
pub(super) fn read(text: &str) -> Option<Document<'_>> {
    if plain::has_escape(text.as_bytes()) {
        return None;
    }
    let mut scan = Scan { text, at: 0 };
    let mut document = Document::default();
    let mut previous = None;
    scan.mark(b'{')?;
    if scan.mark(b'}').is_some() {
        return scan.is_done().then_some(document);
    }
    loop {
        let name = scan.string()?;
        scan.mark(b':')?;
        match Slot::find_behind(previous, name) {
            Some(slot) => {
                previous = Some(slot);
                let value = scan.value()?;
                document.set(slot, value);
            }
            None => {
                let value = scan.json()?;
                document.unknown.push((Cow::Borrowed(name), value));
            }
        }
        if scan.mark(b',').is_some() {
            continue;
        }
        scan.mark(b'}')?;
        members::keep_last(&mut document.unknown);
        return scan.is_done().then_some(document);
    }
}

/// How far a record is read.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space, which is not read by this.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn is_done(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads this byte; `None` where there is another.
    fn mark(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn string(&mut self) -> Option<&'a str> {
        self.mark(b'"')?;
        let length = memchr::memchr(b'"', self.text.as_bytes().get(self.at..)?)?;
        let start = self.at;
        self.at += length + 1;
        self.text.get(start..start + length)
    }

    /// A value of a known member.
    fn value(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => Some(match self.string()? {
                "" => Value::Absent,
                text => Value::Text(Cow::Borrowed(text)),
            }),
            b'{' | b'[' => Some(Value::Json(Box::new(self.json()?))),
            _ => {
                let token = self.token();
                let mut deserializer = Deserializer::from_str(token);
                let value = ValueSeed.deserialize(&mut deserializer).ok()?;
                deserializer.end().ok().map(|()| value)
            }
        }
    }

    /// A number or a word: all up to what can follow one.
    fn token(&mut self) -> &'a str {
        let rest = self.rest();
        let is_end = |byte: u8| matches!(byte, b',' | b'}' | b' ');
        let length = rest.bytes().position(is_end).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A value of any kind.
    fn json(&mut self) -> Option<Json> {
        self.peek()?;
        let mut values = Deserializer::from_str(self.rest()).into_iter::<Json>();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::{read as general, write};

    /// Both readers must agree wherever this one reads at all.
    fn check(text: &str) {
        let Some(flat) = read(text) else { return };
        let parsed = general::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (flat, parsed) = (write_all(flat), write_all(parsed));
        assert_eq!(flat, parsed, "{text}");
    }

    fn write_all(document: Document<'_>) -> String {
        let unknown = format!("{:?}", document.unknown);
        let known = write::json(&document, 0);
        String::from_utf8_lossy(&known).into_owned() + &unknown
    }

    #[test]
    fn usual_records_are_read_here() {
        for text in [
            r#"{}"#,
            r#"{"event_type":"pageview"}"#,
            r#" { "event_id" : "a" , "event_type" : "é" , "screen_width" : -1.5e3 } "#,
            r#"{"props":{"a":[1,{"b":"c"}]},"x":null,"device_is_mobile":true,"y":"z","x":2}"#,
        ] {
            assert!(read(text).is_some(), "{text}");
            check(text);
        }
    }

    #[test]
    fn what_is_not_sure_is_left() {
        for text in [
            "",
            "{",
            "[]",
            "{}x",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            r#"{"screen_width":01}"#,
            r#"{"screen_width":1 2}"#,
            r#"{"screen_width":tru}"#,
            r#"{"screen_width":1e999}"#,
            r#"{"event_type":"a\"b"}"#,
            "{\n}",
            r#"{"a":1}{"#,
            r#"{"event_type":"a"#,
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_as_the_general_parser(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ":", ",", " ", "\"", "\"event_type\"", "\"props\"", "\"x\"",
                    "\"screen_width\":", "1", "-0.5", "01", "1e400", "true", "nul", "\"é\"", "\"\"",
                ]),
                0..12,
            ),
        ) {
            check(&parts.concat());
            check(&format!("{{{}}}", parts.concat()));
            check(&format!("{{\"event_type\":{}}}", parts.concat()));
        }
    }
}
