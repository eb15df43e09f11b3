//! Writes JSON objects member by member, one after another into one buffer.

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use event::text::must_escape;

use crate::names::Name;
use crate::scan::Member;

/// The objects being written.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    out: BytesMut,
    is_first: bool,
}

impl Splice {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: BytesMut::with_capacity(bytes),
            is_first: true,
        }
    }

    /// Bytes of a text on their own, in the same buffer.
    pub(crate) fn bytes(&mut self, text: &str) -> Bytes {
        self.out.extend_from_slice(text.as_bytes());
        self.out.split().freeze()
    }

    /// Starts an object that will take about `bytes`.
    pub(crate) fn start(&mut self, bytes: usize) {
        self.out.clear();
        self.out.reserve(bytes);
        self.is_first = true;
    }

    /// Ends the object.
    pub(crate) fn finish(&mut self) -> Bytes {
        if self.is_first {
            self.out.extend_from_slice(b"{");
        }
        self.out.extend_from_slice(b"}");
        self.out.split().freeze()
    }

    /// A member whose value is JSON.
    pub(crate) fn raw(&mut self, name: Name, value: &str) {
        self.separate();
        self.out.extend_from_slice(name.quoted());
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A member whose value is a text.
    pub(crate) fn text(&mut self, name: Name, value: &str) {
        self.raw(name, "");
        self.string(value);
    }

    /// A member whose value is an address.
    pub(crate) fn address(&mut self, name: Name, address: IpAddr) {
        self.raw(name, "\"");
        match address {
            // By hand, for nearly every event has one.
            IpAddr::V4(address) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|d| b'0' + d);
                    let zeros = usize::from(octet < 100) + usize::from(octet < 10);
                    self.out
                        .extend_from_slice(if place == 0 { b"" } else { b"." });
                    self.out.extend_from_slice(&digits[zeros..]);
                }
            }
            IpAddr::V6(address) => {
                write!(self.out, "{address}").expect("memory takes whatever is written");
            }
        }
        self.out.extend_from_slice(b"\"");
    }

    /// The members written so far, as [`members`](Self::members) takes them.
    pub(crate) fn written(&self) -> &[u8] {
        self.out.get(1..).unwrap_or_default()
    }

    /// Members as they are, separated by commas.
    pub(crate) fn members(&mut self, members: &[u8]) {
        self.separate();
        self.out.extend_from_slice(members);
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
        self.out.extend_from_slice(b":");
        self.out
            .extend_from_slice(member.value(object).raw.as_bytes());
    }

    fn piece(&mut self, object: &str, piece: std::ops::Range<usize>) {
        if !piece.is_empty() {
            self.members(&object.as_bytes()[piece]);
        }
    }

    fn separate(&mut self) {
        let before: &[u8] = if self.is_first { b"{" } else { b"," };
        self.out.extend_from_slice(before);
        self.is_first = false;
    }

    fn string(&mut self, text: &str) {
        if must_escape(text.as_bytes()) {
            let text = serde_json::to_string(text).expect("a string can be written to memory");
            return self.out.extend_from_slice(text.as_bytes());
        }
        self.out.extend_from_slice(b"\"");
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\"");
    }
}
