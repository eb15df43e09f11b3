//! Writing a document as JSON, members in the order of THE table, absent ones left out.

use std::net::IpAddr;
use std::sync::LazyLock;

use bytes::Bytes;
use event::{FIELDS, text, time};
use stream::Pieces;

use super::{Document, Value, props::Prop};
use crate::slot::{self, Slot};

/// `,"name":"` of a slot; the last mark belongs to texts alone.
struct Name {
    /// With zeros behind: as many bytes as the compiler copies without a call.
    padded: [u8; 32],
    length: usize,
}

const _: () = {
    let mut place = 0;
    while place < FIELDS.len() {
        assert!(FIELDS[place].name.len() + r#","":""#.len() <= 32);
        place += 1;
    }
};

/// The names of all slots.
static NAMES: LazyLock<Vec<Name>> = LazyLock::new(|| {
    let name = |slot: Slot| {
        let text = format!(",\"{}\":\"", slot.field().name);
        let mut padded = [0; 32];
        padded[..text.len()].copy_from_slice(text.as_bytes());
        Name {
            padded,
            length: text.len(),
        }
    };
    Slot::all().map(name).collect()
});

impl Name {
    #[inline]
    fn write(&self, out: &mut Vec<u8>, has_mark: bool) {
        let end = out.len() + self.length - usize::from(!has_mark);
        out.extend_from_slice(&self.padded);
        out.truncate(end);
    }
}

/// Writes one document after the other: each into a buffer that stays in the processor's caches, and
/// from there in one go to where it is kept, for an allocation of its own costs more than the copy.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    pieces: Pieces,
}

impl Writer {
    /// Writes a document, and texts beside it that live as long.
    pub(crate) fn write<const N: usize>(
        &mut self,
        document: &Document<'_>,
        texts: [&str; N],
    ) -> (Bytes, [Bytes; N]) {
        self.buffer.clear();
        json_into(&mut self.buffer, document);
        let mut keep = |bytes: &[u8]| self.pieces.keep(bytes);
        (keep(&self.buffer), texts.map(|text| keep(text.as_bytes())))
    }
}

#[cfg(test)]
pub(crate) fn json(document: &Document<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    json_into(&mut out, document);
    out
}

/// Writes the document into an empty buffer. One line, for JSON escapes line breaks.
fn json_into(out: &mut Vec<u8>, document: &Document<'_>) {
    let names = &*NAMES;
    let mut filled = document.filled();
    if !document.props.is_empty() {
        filled.add(slot::PROPS);
    }
    let plain = document.plain();
    filled.each(|slot| {
        let name = &names[slot.index()];
        match document.value(slot) {
            Value::Text(text) if plain.has(slot) || !text::must_escape(text.as_bytes()) => {
                name.write(out, true);
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            value => {
                name.write(out, false);
                match slot == slot::PROPS {
                    true => props(out, document.props.members()),
                    false => write(out, value),
                }
            }
        }
    });
    // The first separator is no comma but opens the object.
    match out.first_mut() {
        Some(first) => *first = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

fn write(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Absent => out.extend_from_slice(b"null"),
        Value::Text(text) => string(out, text),
        Value::Time(time) => {
            out.push(b'"');
            time::write(out, *time);
            out.push(b'"');
        }
        Value::Address(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            out.push(b'"');
            for (number, separator) in [(a, b'.'), (b, b'.'), (c, b'.'), (d, b'"')] {
                for of in [100, 10].into_iter().filter(|of| number >= *of) {
                    out.push(b'0' + number / of % 10);
                }
                out.push(b'0' + number % 10);
                out.push(separator);
            }
        }
        Value::Address(address) => serialize(out, address),
        Value::Long(number) => serialize(out, number),
        Value::Double(number) => serialize(out, number),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Point {
            latitude,
            longitude,
        } => {
            out.extend_from_slice(b"{\"lat\":");
            serialize(out, latitude);
            out.extend_from_slice(b",\"lon\":");
            serialize(out, longitude);
            out.push(b'}');
        }
        Value::List(texts) => serialize(out, texts),
        Value::Json(json) => serialize(out, json),
        Value::Raw(raw) => out.extend_from_slice(raw.as_bytes()),
    }
}

fn props<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a str, &'a Prop<'a>)>) {
    let mut separator = b'{';
    for (name, value) in members {
        out.push(separator);
        separator = b',';
        string(out, name);
        out.push(b':');
        match value {
            Prop::Text(text) => string(out, text),
            Prop::Json(json) => serialize(out, json),
        }
    }
    out.push(b'}');
}

/// Writes a text; nearly none needs escaping, which one look over it tells.
fn string(out: &mut Vec<u8>, text: &str) {
    if text::must_escape(text.as_bytes()) {
        return serialize(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn serialize(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers into memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_their_words() {
        for number in 0..=u8::MAX {
            let address = IpAddr::from([number, 0, 255 - number, 10]);
            let mut out = Vec::new();
            write(&mut out, &Value::Address(address));
            let expected = format!("\"{address}\"");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
