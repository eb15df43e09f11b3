//! Finds the events in a body: one object, an array, NDJSON, or the snippet's envelope.
//!
//! Nothing is built: the parser validates the JSON and hands out the bytes of each event and of
//! each of its members as they were received. Its handling of raw values does not recurse, so depth
//! costs no stack; depth is checked by `admit`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// Most members of an object: more than the largest event has room for. What is larger is no event,
/// and no envelope either.
const MAX_MEMBERS: usize = 16_384;

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
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
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
        array(text, max_events)?
    } else {
        match serde_json::from_str::<Members<'_>>(text) {
            Ok(members) => match envelope(&members, max_events)? {
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

/// The events of an array, of which one above the limit is enough to know.
fn array(text: &str, max_events: usize) -> Result<Vec<&str>, Problem> {
    let mut events = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Events {
        events: &mut events,
        max_events,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end());
    match read {
        Err(_) if events.len() > max_events => Err(Problem::TooManyEvents),
        Err(_) => Err(Problem::BadJson),
        Ok(()) => Ok(events),
    }
}

/// Takes the events out of an array up to one above the limit, and fails there.
struct Events<'e, 'a> {
    events: &'e mut Vec<&'a str>,
    max_events: usize,
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for Events<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Events<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(event) = seq.next_element::<&'de RawValue>()? {
            self.events.push(event.get());
            if self.events.len() > self.max_events {
                return Err(A::Error::custom("too many events"));
            }
        }
        Ok(())
    }
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
fn envelope<'a>(members: &Members<'a>, max_events: usize) -> Result<Option<Batch<'a>>, Problem> {
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
        events: array(events.get(), max_events)?,
        shared,
    }))
}
