//! Writing a document as JSON, members in the order of THE table, absent ones left out.

use super::{Document, Value, props::Prop};
use crate::slot::{self, Slot};

/// Writes the document. One line, for JSON escapes line breaks.
pub(crate) fn json(document: &Document<'_>, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    let mut separator = b'{';
    for slot in Slot::all() {
        let value = document.value(slot);
        let is_props = slot == slot::PROPS && !document.props.is_empty();
        if matches!(value, Value::Absent) && !is_props {
            continue;
        }
        out.push(separator);
        separator = b',';
        // Names of the table hold nothing that JSON escapes.
        out.push(b'"');
        out.extend_from_slice(slot.field().name.as_bytes());
        out.extend_from_slice(b"\":");
        if is_props {
            props(&mut out, document.props.members());
        } else {
            write(&mut out, value);
        }
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
    out
}

fn write(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Absent => out.extend_from_slice(b"null"),
        Value::Text(text) => serialize(out, text),
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
        serialize(out, name);
        out.push(b':');
        match value {
            Prop::Text(text) => serialize(out, text),
            Prop::Json(json) => serialize(out, json),
        }
    }
    out.push(b'}');
}

fn serialize(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers into memory cannot fail");
}
