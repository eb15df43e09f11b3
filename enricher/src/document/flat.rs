//! Reading the form that nearly every record has: one line, no escapes, few members nested.
//!
//! Without an escape a text ends at the next quotation mark, which is found many bytes at a time.
//! Whatever is not sure is left to the general parser: this reader knows no errors, only what it
//! reads and what it does not.

use std::borrow::Cow;

use event::{limits, members, text};
use serde::de::DeserializeSeed as _;
use serde_json::{Deserializer, Value as Json};

use super::read::ValueSeed;
use super::{Document, Value, repair};
use crate::slot::{self, Slot};

/// Most members of an object that stays as it was sent: each name is compared with those before it.
const MAX_RAW_MEMBERS: usize = 16;

/// Reads a record; `None` where the general parser must look.
pub(super) fn read(text: &str) -> Option<Document<'_>> {
    if text::has_escape(text.as_bytes()) {
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
                scan.known(slot, &mut document)?;
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

/// A member's value, of an object that stayed as it was sent.
pub(super) enum Member<'a> {
    Text(&'a str),
    Other(Json),
}

/// Calls `each` with every member of an object that [`read`] left as it was sent, in its order.
pub(super) fn members_of<'a>(raw: &'a str, mut each: impl FnMut(&'a str, Member<'a>)) {
    let mut scan = Scan { text: raw, at: 1 };
    let mut next = || {
        let name = scan.string()?;
        scan.mark(b':')?;
        let value = match scan.peek()? {
            b'"' => Member::Text(scan.string()?),
            b'{' | b'[' => Member::Other(scan.json()?),
            _ => Member::Other(scan.number_or_word()?),
        };
        // The comma, or the end.
        scan.at += usize::from(scan.peek()? == b',');
        Some((name, value))
    };
    while let Some((name, value)) = next() {
        each(name, value);
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
        let start = self.at;
        let length = text::find_quote(self.text.as_bytes().get(start..)?)?;
        self.at += length + 1;
        self.text.get(start..start + length)
    }

    /// The value of a known member.
    fn known(&mut self, slot: Slot, document: &mut Document<'a>) -> Option<()> {
        let value = match self.peek()? {
            b'"' => {
                match self.string()? {
                    "" => document.clear(slot),
                    text => document.set_plain(slot, text),
                }
                return Some(());
            }
            b'{' | b'[' => {
                let raw = match slot {
                    slot::HINTS | slot::PROPS => self.raw(),
                    _ => None,
                };
                match raw {
                    Some(raw) => Value::Raw(raw),
                    None => Value::Json(Box::new(self.json()?)),
                }
            }
            _ => self.plain()?,
        };
        document.set(slot, value);
        Some(())
    }

    /// A number or a word.
    fn plain(&mut self) -> Option<Value<'a>> {
        let token = self.token();
        match token {
            "true" => return Some(Value::Boolean(true)),
            "false" => return Some(Value::Boolean(false)),
            _ => {}
        }
        let mut deserializer = Deserializer::from_str(token);
        let value = ValueSeed.deserialize(&mut deserializer).ok()?;
        deserializer.end().ok().map(|()| value)
    }

    /// A number, as exact as it was sent, or a word.
    fn number_or_word(&mut self) -> Option<Json> {
        let start = self.at;
        match self.plain()? {
            Value::Double(_) => {
                self.at = start;
                self.json()
            }
            value => Some(repair::json_of(&value)),
        }
    }

    /// An object that can stay as it was sent; `None`, with nothing read, where there is none.
    fn raw(&mut self) -> Option<&'a str> {
        self.peek().filter(|byte| *byte == b'{')?;
        let start = self.at;
        match self.skip(limits::MAX_DEPTH - 1) {
            Some(()) => self.text.get(start..self.at),
            None => {
                self.at = start;
                None
            }
        }
    }

    /// Passes over a value that is well-formed, at most `depth` deep, and has no name twice in one
    /// object.
    fn skip(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.skip_members(depth.checked_sub(1)?),
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.at += 1;
                if self.mark(b']').is_some() {
                    return Some(());
                }
                loop {
                    self.skip(depth)?;
                    if self.mark(b',').is_none() {
                        return self.mark(b']');
                    }
                }
            }
            _ => self.plain().map(drop),
        }
    }

    fn skip_members(&mut self, depth: usize) -> Option<()> {
        let (mut names, mut count) = ([""; MAX_RAW_MEMBERS], 0);
        self.at += 1;
        if self.mark(b'}').is_some() {
            return Some(());
        }
        loop {
            let name = self.string()?;
            if names[..count].contains(&name) {
                return None;
            }
            *names.get_mut(count)? = name;
            count += 1;
            self.mark(b':')?;
            self.skip(depth)?;
            if self.mark(b',').is_none() {
                return self.mark(b'}');
            }
        }
    }

    /// A number or a word: all up to what can follow one.
    fn token(&mut self) -> &'a str {
        let rest = self.rest();
        let is_end = |byte: u8| matches!(byte, b',' | b'}' | b']' | b' ');
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
    use crate::document::{read as general, repair, write};

    /// Both readers must agree wherever this one reads at all.
    fn check(text: &str) {
        let Some(flat) = read(text) else { return };
        let parsed = general::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(write_all(flat), write_all(parsed), "{text}");
    }

    /// What an object says counts, not how: one that is left as it was sent keeps its spaces.
    fn write_all(mut document: Document<'_>) -> (Json, Json, String) {
        let props = repair::json_of(&document.take(slot::PROPS));
        let unknown = format!("{:?}", document.unknown);
        let known = write::json(&document);
        (serde_json::from_slice(&known).unwrap(), props, unknown)
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

    /// An object of hints or properties, and whether it can stay as it was sent.
    fn check_raw(object: &str, expected: bool) {
        let text = format!("{{\"props\":{object},\"hints\":{object} }}");
        let mut document = read(&text).unwrap();
        let raw = match document.value(slot::PROPS) {
            Value::Raw(raw) => Some(*raw),
            _ => None,
        };
        assert_eq!(raw, expected.then(|| object.trim()), "{text}");
        assert_eq!(
            *document.value(slot::PROPS),
            *document.value(slot::HINTS),
            "{text}"
        );
        check(&text);
        let mut parsed = general::parse(&text).unwrap();
        repair::repair(&mut document);
        repair::repair(&mut parsed);
        assert_eq!(write_all(document), write_all(parsed), "{text}");
    }

    #[test]
    fn objects_stay_as_they_were_sent() {
        for object in [
            "{}",
            " { \"a\" : 1 , \"b\" : [ ] } ",
            r#"{"a":"é","b":{"c":[1,-2.50,{"d":null}]},"e":true,"f":""}"#,
            r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":0.1,"d":-0}"#,
            r#"{"a":[1,2,null],"a.b":1,"b":{"a":2},"":"x","c":[[1]]}"#,
        ] {
            check_raw(object, true);
        }
        let many = |count: usize| {
            let members: Vec<_> = (0..count).map(|n| format!("\"m{n}\":{n}")).collect();
            format!("{{{}}}", members.join(","))
        };
        check_raw(&many(MAX_RAW_MEMBERS), true);
        check_raw(&many(MAX_RAW_MEMBERS + 1), false);
        check_raw(r#"{"a":1,"b":2,"a":3}"#, false);
        check_raw(r#"{"a":{"b":2,"b":3}}"#, false);
        let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        check_raw(&nested(limits::MAX_DEPTH - 2), true);
        check_raw(&nested(limits::MAX_DEPTH - 1), false);
        for object in [
            "{\"a\":1e999}",
            "{\"a\":[1,]}",
            "{\"a\":01}",
            "{\"a\" 1}",
            "{,}",
            "{",
        ] {
            assert!(
                read(&format!("{{\"props\":{object}}}")).is_none(),
                "{object}"
            );
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
            check(&format!("{{\"props\":{{{}}}}}", parts.concat()));
        }
    }
}
