//! The fields of a request's head, whoever read it.

use http::HeaderMap;
pub use httparse::Header as Field;

/// The fields of a head, in order, their names in any case.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub(super) &'a [Field<'a>]);

impl<'a> From<&'a [Field<'a>]> for Fields<'a> {
    fn from(fields: &'a [Field<'a>]) -> Self {
        Self(fields)
    }
}

/// The fields of a head that hyper read.
pub fn fields(headers: &HeaderMap) -> Vec<Field<'_>> {
    let fields = headers.iter().map(|(name, value)| Field {
        name: name.as_str(),
        value: value.as_bytes(),
    });
    fields.collect()
}

impl<'a> Fields<'a> {
    /// The value of the first field of this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The same where it is visible ASCII, with spaces and tabs.
    #[must_use]
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(text)
    }

    /// The values of all fields of this name, in order.
    pub fn all(self, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let fields = self.0.iter();
        let named = fields.filter(move |field| is_named(field, name));
        named.map(|field| field.value)
    }
}

/// A field's value where it is visible ASCII, with spaces and tabs.
#[must_use]
pub fn text(value: &[u8]) -> Option<&str> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let is_text = value.iter().all(is_text);
    is_text.then(|| std::str::from_utf8(value).ok()).flatten()
}

/// Whether a field has this name, which is given in lower case.
pub(super) fn is_named(field: &Field<'_>, name: &str) -> bool {
    field.name.len() == name.len() && field.name.eq_ignore_ascii_case(name)
}
