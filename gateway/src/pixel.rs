//! Reads an event from a query, for places that have only an image to send with.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// The smallest transparent GIF.
pub(crate) const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\
\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// The event of a query: every parameter a text member, but for the one named `without`; `pageview`
/// where no type is named.
pub(crate) fn event(query: &str, without: Option<&str>) -> String {
    let mut event = Map::new();
    event.insert("event_type".into(), "pageview".into());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if without != Some(name) {
            event.insert(decode(name), Value::String(decode(value)));
        }
    }
    Value::Object(event).to_string()
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
