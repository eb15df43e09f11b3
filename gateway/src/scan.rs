//! One pass over JSON: checks it, and tells where the members of its objects lie.
//!
//! Nothing is built and nothing recurses: what is open is a stack of one byte a level, so depth costs
//! no call stack and any nesting is told from bad JSON. The grammar is that of RFC 8259, as serde_json
//! reads it where it skips a value; the tests hold the two against each other.

use std::borrow::Cow;
use std::ops::Range;

use event::text::plain_prefix;

use crate::names::Name;

/// The text is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Most members of an object: more than the largest event has room for. What is larger is no event,
/// and no envelope either.
const MAX_MEMBERS: usize = 16_384;

/// A member of an object: where it lies in [`Scanned::raw`], which its methods are given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    /// The field of its name.
    pub(crate) field: Option<Name>,
    /// Whether it is copied.
    pub(crate) stays: bool,
    name_has_escape: bool,
    value_has_escape: bool,
    start: u32,
    name_end: u32,
    value_start: u32,
    end: u32,
}

impl Member {
    pub(crate) fn name<'a>(&self, object: &'a str) -> Cow<'a, str> {
        let name = Value {
            raw: &object[self.start as usize..self.name_end as usize],
            has_escape: self.name_has_escape,
        };
        name.text().unwrap_or_default()
    }

    /// The name with its quotation marks; `None` where it has an escape.
    #[inline]
    pub(crate) fn plain_name<'a>(&self, object: &'a str) -> Option<&'a str> {
        let name = || &object[self.start as usize..self.name_end as usize];
        (!self.name_has_escape).then(name)
    }

    #[inline]
    pub(crate) fn value<'a>(&self, object: &'a str) -> Value<'a> {
        Value {
            raw: &object[self.value_start as usize..self.end as usize],
            has_escape: self.value_has_escape,
        }
    }

    /// Where name and value lie.
    #[inline]
    pub(crate) fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether they lie there without space or escapes in the name: `"name":value`.
    #[inline]
    pub(crate) fn is_compact(&self) -> bool {
        !self.name_has_escape && self.name_end + 1 == self.value_start
    }
}

/// A JSON value as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// Without space around it.
    pub(crate) raw: &'a str,
    /// Whether some string in it has an escape.
    has_escape: bool,
}

impl<'a> Value<'a> {
    /// The text of a string; `None` for anything else.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.raw.strip_prefix('"')?;
        match self.has_escape {
            false => Some(Cow::Borrowed(&inner[..inner.len() - 1])),
            true => serde_json::from_str(self.raw).ok().map(Cow::Owned),
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.raw == "null"
    }
}

/// A value that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned<'a> {
    /// As it was received, without space around it.
    pub(crate) raw: &'a str,
    /// The deepest nesting of arrays and objects; a scalar has 0.
    pub(crate) depth: usize,
    /// Whether it is an object whose members were handed out.
    pub(crate) is_object: bool,
}

/// Reads one JSON value after another from a text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// What closes each array and object that is open.
    open: Vec<u8>,
    depth: usize,
    has_escape: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            depth: 0,
            has_escape: false,
        }
    }

    /// Goes on in another text.
    pub(crate) fn restart(&mut self, text: &'a str) {
        self.text = text;
        self.at = 0;
    }

    /// Reads a value, behind space. The members of an object replace `members`: in order, duplicates included.
    pub(crate) fn value(&mut self, members: &mut Vec<Member>) -> Result<Scanned<'a>, Malformed> {
        members.clear();
        self.open.clear();
        self.depth = 0;
        self.skip_space();
        let start = self.at;
        let is_object = match self.peek() {
            b'{' => self.object(members)?,
            _ => {
                self.skip_value()?;
                false
            }
        };
        Ok(Scanned {
            raw: &self.text[start..self.at],
            depth: self.depth,
            is_object,
        })
    }

    /// Reads the object that starts here; false for one that is JSON and yet no event.
    fn object(&mut self, members: &mut Vec<Member>) -> Result<bool, Malformed> {
        let (base, mut previous, mut is_fit) = (self.at, None, true);
        self.at += 1;
        self.skip_space();
        if self.closes(b'}') {
            return Ok(true);
        }
        self.open(b'}');
        loop {
            self.skip_space();
            let member = match self.usual_member(base, previous) {
                None => self.member(base, previous)?,
                usual => usual,
            };
            match member {
                Some(member) if members.len() < MAX_MEMBERS => {
                    previous = member.field.or(previous);
                    members.push(member);
                }
                _ => is_fit = false,
            }
            if self.ends()? {
                self.open.pop();
                return Ok(is_fit);
            }
        }
    }

    /// Takes `byte` if it comes next, behind space.
    pub(crate) fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    /// Whether nothing but space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// The member that comes next where it is as nearly all are: of the name that is guessed, and a
    /// text without escapes. `None` for any other, of which nothing is taken.
    fn usual_member(&mut self, base: usize, previous: Option<Name>) -> Option<Member> {
        let text = self.text.as_bytes();
        let guess = Name::guess_behind(previous);
        let start = self.at;
        if !guess.starts(text.get(start..)?) {
            return None;
        }
        let behind = start + guess.quoted().len();
        let value_start = behind + usize::from(text.get(behind) == Some(&b' '));
        let (b'"', inner) = text.get(value_start..)?.split_first()? else {
            return None;
        };
        let length = plain_prefix(inner);
        if inner.get(length) != Some(&b'"') {
            return None;
        }
        let end = value_start + length + 2;
        let member = Member {
            field: Some(guess),
            stays: true,
            name_has_escape: false,
            value_has_escape: false,
            start: (start - base) as u32,
            name_end: (behind - 1 - base) as u32,
            value_start: (value_start - base) as u32,
            // What lies further behind is in no event.
            end: u32::try_from(end - base).ok()?,
        };
        self.at = end;
        Some(member)
    }

    /// The member that comes next, behind one of the field `previous`, of the object that starts at
    /// `base`; `None` for a name whose escapes are no text.
    fn member(&mut self, base: usize, previous: Option<Name>) -> Result<Option<Member>, Malformed> {
        let start = self.at;
        self.has_escape = false;
        let guess = Name::guess_behind(previous);
        let (mut field, mut is_text) = (Some(guess), true);
        if !self.takes_name(guess.as_str()) {
            self.skip_name()?;
            let name = Value {
                raw: &self.text[start..self.at],
                has_escape: self.has_escape,
            };
            let name = name.text();
            is_text = name.is_some();
            field = name.and_then(|name| Name::find_behind(previous, &name));
        }
        let (name_end, name_has_escape) = (self.at, self.has_escape);
        self.colon()?;
        self.skip_space();
        let value_start = self.at;
        self.has_escape = false;
        self.skip_value()?;
        // As above.
        let Some(end) = u32::try_from(self.at - base).ok().filter(|_| is_text) else {
            return Ok(None);
        };
        Ok(Some(Member {
            field,
            stays: true,
            name_has_escape,
            value_has_escape: self.has_escape,
            start: (start - base) as u32,
            name_end: (name_end - base) as u32,
            value_start: (value_start - base) as u32,
            end,
        }))
    }

    /// Takes the name of a member if it comes next, letter by letter.
    fn takes_name(&mut self, name: &str) -> bool {
        let end = self.at + name.len() + 2;
        let next = self.text.as_bytes().get(self.at..end);
        let is_next = next.is_some_and(
            |next| matches!(next, [b'"', next @ .., b'"'] if *next == *name.as_bytes()),
        );
        if is_next {
            self.at = end;
        }
        is_next
    }

    /// The name of a member, and the colon.
    fn name(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        self.skip_name()?;
        self.colon()
    }

    fn skip_name(&mut self) -> Result<(), Malformed> {
        match self.next() {
            b'"' => self.skip_string(),
            _ => Err(Malformed),
        }
    }

    fn colon(&mut self) -> Result<(), Malformed> {
        match self.takes(b':') {
            true => Ok(()),
            false => Err(Malformed),
        }
    }

    /// Skips a value and whatever is in it.
    fn skip_value(&mut self) -> Result<(), Malformed> {
        let base = self.open.len();
        loop {
            self.skip_space();
            match self.next() {
                b'"' => self.skip_string()?,
                b'{' => {
                    self.skip_space();
                    if !self.closes(b'}') {
                        self.open(b'}');
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.skip_space();
                    if !self.closes(b']') {
                        self.open(b']');
                        continue;
                    }
                }
                b't' => self.skip_word(b"rue")?,
                b'f' => self.skip_word(b"alse")?,
                b'n' => self.skip_word(b"ull")?,
                b'-' => {
                    let digit = self.next();
                    self.skip_number(digit)?;
                }
                digit => self.skip_number(digit)?,
            }
            // A value has ended, and with it maybe some of what it is in.
            loop {
                if self.open.len() == base {
                    return Ok(());
                }
                if !self.ends()? {
                    if self.open.last() == Some(&b'}') {
                        self.name()?;
                    }
                    break;
                }
                self.open.pop();
            }
        }
    }

    /// Behind a value: whether the innermost array or object ends, or goes on behind a comma.
    fn ends(&mut self) -> Result<bool, Malformed> {
        self.skip_space();
        match self.next() {
            b',' => Ok(false),
            byte if self.open.last() == Some(&byte) => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Takes the end of an array or object that has nothing in it.
    fn closes(&mut self, close: u8) -> bool {
        let is_empty = self.peek() == close;
        if is_empty {
            self.at += 1;
            self.depth = self.depth.max(self.open.len() + 1);
        }
        is_empty
    }

    fn open(&mut self, close: u8) {
        self.open.push(close);
        self.depth = self.depth.max(self.open.len());
    }

    /// Skips a string behind its first quote.
    fn skip_string(&mut self) -> Result<(), Malformed> {
        loop {
            self.at += plain_prefix(&self.text.as_bytes()[self.at..]);
            match self.next() {
                b'"' => return Ok(()),
                b'\\' => self.skip_escape()?,
                _ => return Err(Malformed),
            }
        }
    }

    /// Skips an escape behind its backslash.
    fn skip_escape(&mut self) -> Result<(), Malformed> {
        self.has_escape = true;
        match self.next() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4);
                let digits = digits.ok_or(Malformed)?;
                self.at += 4;
                match digits.iter().all(u8::is_ascii_hexdigit) {
                    true => Ok(()),
                    false => Err(Malformed),
                }
            }
            _ => Err(Malformed),
        }
    }

    /// Skips a number whose first digit was taken.
    fn skip_number(&mut self, first: u8) -> Result<(), Malformed> {
        match first {
            b'0' if self.peek().is_ascii_digit() => return Err(Malformed),
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return Err(Malformed),
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.skip_some_digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.skip_some_digits()?;
        }
        Ok(())
    }

    fn skip_some_digits(&mut self) -> Result<(), Malformed> {
        match self.next().is_ascii_digit() {
            true => {
                self.skip_digits();
                Ok(())
            }
            false => Err(Malformed),
        }
    }

    fn skip_digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn skip_word(&mut self, rest: &[u8]) -> Result<(), Malformed> {
        match self.text.as_bytes()[self.at..].starts_with(rest) {
            true => {
                self.at += rest.len();
                Ok(())
            }
            false => Err(Malformed),
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// The next byte; 0, which JSON has nowhere, at the end.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at += usize::from(self.at < self.text.len());
        byte
    }
}

#[cfg(test)]
mod tests;
