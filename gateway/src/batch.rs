//! Finds the events in a body: one object, an array, NDJSON, or the snippet's envelope.

use crate::names::{Name, Named, SHARED};
use crate::problem::Problem;
use crate::scan::{Malformed, Member, Scanned, Scanner, Value};

/// Members of the envelope that each event gets where it has none of the name.
pub(crate) type Shared<'a> = Vec<(Name, Value<'a>)>;

/// The events of a request, one after another.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) shared: Shared<'a>,
    scanner: Scanner<'a>,
    layout: Layout<'a>,
    max_events: usize,
    count: usize,
}

#[derive(Debug)]
enum Layout<'a> {
    /// One event, read while looking what the body is.
    One(Option<Scanned<'a>>),
    /// What is left of an array, in front of an element.
    Array,
    /// The lines that are left.
    Lines(&'a str),
    /// None are left.
    End,
}

impl<'a> Batch<'a> {
    /// Looks what `body` is. A single event's members are in `members` when it is handed out.
    ///
    /// # Errors
    /// When the body is not JSON as far as was looked, or has no event.
    pub(crate) fn open(
        body: &'a [u8],
        is_ndjson: bool,
        max_events: usize,
        members: &mut Vec<Member>,
    ) -> Result<Self, Problem> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(|_| Problem::BadEncoding)?;
        let mut batch = Self {
            shared: Vec::new(),
            scanner: Scanner::new(text),
            layout: Layout::Lines(text),
            max_events,
            count: 0,
        };
        if is_ndjson {
            return Ok(batch);
        }
        if batch.scanner.takes(b'[') {
            batch.enter_array()?;
            return Ok(batch);
        }
        match batch.scanner.value(members) {
            Ok(scanned) if batch.scanner.is_at_end() => match envelope(&scanned, members) {
                None => batch.layout = Layout::One(Some(scanned)),
                Some((events, shared)) => {
                    batch.shared = shared;
                    batch.scanner.restart(events.raw);
                    batch.scanner.takes(b'[');
                    batch.enter_array()?;
                }
            },
            // Several lines of objects.
            _ if text.trim().contains('\n') => {}
            _ => return Err(Problem::BadJson),
        }
        Ok(batch)
    }

    /// The next event; its members replace `members`.
    ///
    /// # Errors
    /// When there is one above the limit, when what comes next is not JSON, and when there was none
    /// at all.
    pub(crate) fn next(
        &mut self,
        members: &mut Vec<Member>,
    ) -> Result<Option<Scanned<'a>>, Problem> {
        let event = match &mut self.layout {
            Layout::One(event) => event.take(),
            Layout::Array => {
                let event = self.scanner.value(members)?;
                if !self.scanner.takes(b',') {
                    self.leave_array()?;
                }
                Some(event)
            }
            Layout::Lines(lines) => match next_line(lines) {
                None => None,
                Some(line) => {
                    self.scanner.restart(line);
                    let event = self.scanner.value(members)?;
                    if !self.scanner.is_at_end() {
                        return Err(Problem::BadJson);
                    }
                    Some(event)
                }
            },
            Layout::End => None,
        };
        match event {
            None if self.count == 0 => Err(Problem::BadJson),
            None => Ok(None),
            Some(_) if self.count == self.max_events => Err(Problem::TooManyEvents),
            Some(event) => {
                self.count += 1;
                Ok(Some(event))
            }
        }
    }

    /// Behind the opening bracket.
    fn enter_array(&mut self) -> Result<(), Problem> {
        self.layout = Layout::Array;
        match self.scanner.takes(b']') {
            true => Err(Problem::BadJson),
            false => Ok(()),
        }
    }

    fn leave_array(&mut self) -> Result<(), Problem> {
        self.layout = Layout::End;
        match self.scanner.takes(b']') && self.scanner.is_at_end() {
            true => Ok(()),
            false => Err(Problem::BadJson),
        }
    }
}

/// Takes the next line that has more than space, without space around it.
fn next_line<'a>(lines: &mut &'a str) -> Option<&'a str> {
    while !lines.is_empty() {
        let end = memchr::memchr(b'\n', lines.as_bytes()).unwrap_or(lines.len());
        let line = lines[..end].trim();
        *lines = lines.get(end + 1..).unwrap_or_default();
        if !line.is_empty() {
            return Some(line);
        }
    }
    None
}

impl From<Malformed> for Problem {
    fn from(_: Malformed) -> Self {
        Self::BadJson
    }
}

/// The events of an envelope, which is an object with `events` and without an `event_type` of its
/// own, and what they share.
fn envelope<'a>(scanned: &Scanned<'a>, members: &mut [Member]) -> Option<(Value<'a>, Shared<'a>)> {
    if !scanned.is_object {
        return None;
    }
    let is_events =
        |member: &&Member| member.field.is_none() && member.name(scanned.raw) == "events";
    let events = members.iter().rfind(is_events)?.value(scanned.raw);
    let named = Named::sort(scanned.raw, members);
    if !events.raw.starts_with('[') || named.value(Name::EVENT_TYPE).is_some() {
        return None;
    }
    let shared = SHARED.into_iter();
    let shared = shared.filter_map(|name| Some((name, named.value(name)?)));
    Some((events, shared.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_standard_library_without_space_around_them() {
        for text in [
            "",
            "\n",
            "a",
            "a\n",
            "a\r\nb\n\n \t\u{a0}\n\u{2028}c\r",
            "\n\r\n a b \n\n",
        ] {
            let expected = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let mut left = text;
            let lines = std::iter::from_fn(|| next_line(&mut left));
            assert!(lines.eq(expected), "{text:?}");
        }
    }
}
