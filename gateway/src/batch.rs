//! Finds the events in a body: one object, an array, NDJSON, or the snippet's envelope.
//!
//! Nothing is built: the parser validates the JSON and hands out the bytes of each event and of
//! each of its members as they were received. Its handling of raw values does not recurse, so depth
//! costs no stack; depth is checked by `admit`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// The members of a JSON object in order, duplicates included, values as they were received.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        Ok(Members(members))
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The events of a request.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Each event as received.
    pub(crate) events: Vec<&'a str>,
    /// Members of the envelope that each event gets where it has none of the name.
    pub(crate) shared: Vec<(&'static str, &'a RawValue)>,
}

/// Members of the envelope that are copied into its events.
const SHARED: [&str; 4] = ["site", "sent_at", "lib", "hints"];

/// Splits a body into its events.
pub(crate) fn split(body: &[u8], is_ndjson: bool, max_events: usize) -> Result<Batch<'_>, Problem> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|_| Problem::BadEncoding)?;
    let events = if is_ndjson {
        lines(text, max_events)?
    } else if text.trim_start().starts_with('[') {
        array(text)?
    } else {
        match serde_json::from_str::<Members<'_>>(text) {
            Ok(members) => match envelope(&members)? {
                Some(batch) => return check(batch, max_events),
                None => vec![text.trim()],
            },
            // A scalar is JSON and an unfit event; several lines of objects are NDJSON.
            Err(_) => match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => vec![text.trim()],
                Err(_) if text.trim().contains('\n') => lines(text, max_events)?,
                Err(_) => return Err(Problem::BadJson),
            },
        }
    };
    check(
        Batch {
            events,
            shared: Vec::new(),
        },
        max_events,
    )
}

fn check(batch: Batch<'_>, max_events: usize) -> Result<Batch<'_>, Problem> {
    match batch.events.len() {
        0 => Err(Problem::BadJson),
        count if count > max_events => Err(Problem::TooManyEvents),
        _ => Ok(batch),
    }
}

fn array(text: &str) -> Result<Vec<&str>, Problem> {
    let events: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| Problem::BadJson)?;
    Ok(events.into_iter().map(RawValue::get).collect())
}

fn lines(text: &str, max_events: usize) -> Result<Vec<&str>, Problem> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(max_events + 1)
        .collect();
    for line in &lines {
        serde_json::from_str::<&RawValue>(line).map_err(|_| Problem::BadJson)?;
    }
    Ok(lines)
}

/// Reads an envelope: an object with `events` and without an `event_type` of its own.
fn envelope<'a>(members: &Members<'a>) -> Result<Option<Batch<'a>>, Problem> {
    let last = |name: &str| {
        members
            .0
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, v)| *v)
    };
    let events = match (last("events"), last("event_type")) {
        (Some(events), None) if events.get().starts_with('[') => events,
        _ => return Ok(None),
    };
    let shared = SHARED
        .into_iter()
        .filter_map(|name| Some((name, last(name)?)))
        .collect();
    Ok(Some(Batch {
        events: array(events.get())?,
        shared,
    }))
}
