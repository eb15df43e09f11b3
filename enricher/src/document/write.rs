//! Writing a document as JSON, members in the order of THE table, absent ones left out.

use std::sync::LazyLock;

use super::{Document, Value, instant, props::Prop};
use crate::slot::{self, Slot};

/// `,"name":` of every slot.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    Slot::all()
        .map(|slot| format!(",\"{}\":", slot.field().name))
        .collect()
});

/// Writes the document. One line, for JSON escapes line breaks.
pub(crate) fn json(document: &Document<'_>, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    for (slot, name) in Slot::all().zip(NAMES.iter()) {
        let value = document.value(slot);
        let is_props = slot == slot::PROPS && !document.props.is_empty();
        if matches!(value, Value::Absent) && !is_props {
            continue;
        }
        out.extend_from_slice(name.as_bytes());
        if is_props {
            props(&mut out, document.props.members());
        } else {
            write(&mut out, value);
        }
    }
    // The first separator is no comma but opens the object.
    match out.first_mut() {
        Some(first) => *first = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    out
}

fn write(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Absent => out.extend_from_slice(b"null"),
        Value::Text(text) => string(out, text),
        Value::Time(time) => {
            out.push(b'"');
            instant::write(out, *time);
            out.push(b'"');
        }
        Value::Address(address) => serialize(out, address),
        Value::Long(number) => serialize(out, number),
        Value::Double(number) => serialize(out, number),
        Value::Boolean(truth) => serialize(out, truth),
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
    let must_escape = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    // Without an early end, so that the compiler looks at many bytes at a time.
    let escapes = text
        .as_bytes()
        .iter()
        .fold(false, |any, byte| any | must_escape(byte));
    if escapes {
        return serialize(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn serialize(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers into memory cannot fail");
}
