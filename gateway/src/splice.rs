//! Writes JSON objects member by member, one after another into one buffer.

use std::io::Write as _;
use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;
use event::text::must_escape;

use crate::names::Name;
use crate::scan::Member;

/// The objects being written.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    out: Vec<u8>,
    /// Where the object starts.
    start: usize,
}

impl Splice {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
            start: 0,
        }
    }

    /// Writes a text on its own, and tells where it lies.
    pub(crate) fn alone(&mut self, text: &str) -> Range<usize> {
        let start = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        start..self.out.len()
    }

    /// Starts an object.
    pub(crate) fn start(&mut self) {
        self.start = self.out.len();
    }

    /// Ends the object, and tells where it lies.
    pub(crate) fn finish(&mut self) -> Range<usize> {
        if self.out.len() == self.start {
            self.out.push(b'{');
        }
        self.out.push(b'}');
        self.start..self.out.len()
    }

    /// All that was written.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.out.into()
    }

    /// A member whose value is JSON.
    pub(crate) fn raw(&mut self, name: Name, value: &str) {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A member whose value is a text.
    pub(crate) fn text(&mut self, name: Name, value: &str) {
        self.name(name);
        self.string(value);
    }

    /// A member whose value is an address.
    pub(crate) fn address(&mut self, name: Name, address: IpAddr) {
        self.name(name);
        self.out.push(b'"');
        match address {
            // By hand, for nearly every event has one.
            IpAddr::V4(address) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    if place > 0 {
                        self.out.push(b'.');
                    }
                    let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|d| b'0' + d);
                    let zeros = usize::from(octet < 100) + usize::from(octet < 10);
                    self.out.extend(&digits[zeros..]);
                }
            }
            IpAddr::V6(address) => {
                write!(self.out, "{address}").expect("memory takes whatever is written");
            }
        }
        self.out.push(b'"');
    }

    /// Where the members of the object so far lie.
    pub(crate) fn members_so_far(&self) -> Range<usize> {
        self.out.len().min(self.start + 1)..self.out.len()
    }

    /// Members that were written before.
    pub(crate) fn again(&mut self, members: &Range<usize>) {
        self.separate();
        self.out.extend_from_within(members.clone());
    }

    /// Members of `object` as they lie in it: neighbours in one piece.
    pub(crate) fn copy<'m>(&mut self, object: &str, members: impl Iterator<Item = &'m Member>) {
        let mut piece = 0..0;
        for member in members {
            let span = member.span();
            if !member.is_compact() {
                self.piece(object, std::mem::take(&mut piece));
                self.rewrite(object, member);
            } else if !piece.is_empty() && piece.end + 1 == span.start {
                piece.end = span.end;
            } else {
                self.piece(object, std::mem::replace(&mut piece, span));
            }
        }
        self.piece(object, piece);
    }

    /// A member without the space in it, and without escapes in the name that need not be.
    fn rewrite(&mut self, object: &str, member: &Member) {
        self.separate();
        match member.plain_name(object) {
            Some(name) => self.out.extend_from_slice(name.as_bytes()),
            None => self.string(&member.name(object)),
        }
        self.out.push(b':');
        self.out
            .extend_from_slice(member.value(object).raw.as_bytes());
    }

    fn piece(&mut self, object: &str, piece: Range<usize>) {
        if !piece.is_empty() {
            self.separate();
            self.out.extend_from_slice(&object.as_bytes()[piece]);
        }
    }

    #[inline]
    fn name(&mut self, name: Name) {
        self.separate();
        self.out.extend_from_slice(name.quoted());
    }

    fn separate(&mut self) {
        let is_first = self.out.len() == self.start;
        self.out.push(if is_first { b'{' } else { b',' });
    }

    fn string(&mut self, text: &str) {
        if must_escape(text.as_bytes()) {
            let text = serde_json::to_string(text).expect("a string can be written to memory");
            return self.out.extend_from_slice(text.as_bytes());
        }
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }
}
