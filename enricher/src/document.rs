//! One event as the steps see it: a slot for every field of THE table, and the members that the
//! table does not know.
//!
//! Values borrow from the record wherever its text needs no unescaping, and from the caches of the
//! agent and geo steps, so that enriching copies little.
//!
//! - `read` makes a document from JSON, `flat` most of them without a general parser
//! - `repair` brings every value into the kind of its field
//! - `props` bounds and flattens the members that Weir does not know
//! - `instant` reads times
//! - `write` makes JSON of it

mod flat;
pub(crate) mod instant;
pub(crate) mod props;
pub(crate) mod read;
pub(crate) mod repair;
pub(crate) mod write;

use std::borrow::Cow;
use std::net::IpAddr;

use event::FIELDS;
use jiff::Timestamp;

use crate::slot::{self, Slot, Slots};

/// The value of one slot.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Value<'a> {
    /// Not there; null and empty text count as such.
    #[default]
    Absent,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Long(i64),
    /// Any other number; finite.
    Double(f64),
    /// True or false.
    Boolean(bool),
    /// A time.
    Time(Timestamp),
    /// An address, IPv4 never inside IPv6.
    Address(IpAddr),
    /// Degrees.
    Point { latitude: f64, longitude: f64 },
    /// Several texts.
    List(Vec<Cow<'a, str>>),
    /// An array or an object.
    Json(Box<serde_json::Value>),
    /// An object as it was sent, with all that the general parser would check of it checked.
    Raw(&'a str),
}

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Document<'a> {
    /// The value of every slot, in the order of the table.
    values: Vec<Value<'a>>,
    /// The slots that have a value: every step goes over these alone, for an event has half of the
    /// fields at most.
    filled: Slots,
    /// Slots whose text is known to need no escape and to be free of control characters.
    plain: Slots,
    /// Members that the table does not know, in the order sent; of equal names the last wins.
    pub(crate) unknown: Vec<(Cow<'a, str>, serde_json::Value)>,
    /// The finished `props`, once repaired.
    pub(crate) props: props::Props<'a>,
}

impl Default for Document<'_> {
    fn default() -> Self {
        Self {
            values: FIELDS.iter().map(|_| Value::Absent).collect(),
            filled: Slots::default(),
            plain: Slots::default(),
            unknown: Vec::new(),
            props: props::Props::default(),
        }
    }
}

impl<'a> Document<'a> {
    /// The value of a slot.
    pub(crate) fn value(&self, slot: Slot) -> &Value<'a> {
        &self.values[slot.index()]
    }

    /// Takes the value of a slot, leaving it absent.
    pub(crate) fn take(&mut self, slot: Slot) -> Value<'a> {
        self.filled.remove(slot);
        std::mem::take(&mut self.values[slot.index()])
    }

    /// Whether a slot has a value.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.filled.has(slot)
    }

    /// The slots that have a value now.
    pub(crate) fn filled(&self) -> Slots {
        self.filled
    }

    /// The text of a slot; `None` where it holds none.
    pub(crate) fn text(&self, slot: Slot) -> Option<&str> {
        match self.value(slot) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a slot, to be kept beside the document: free where it is borrowed.
    pub(crate) fn kept_text(&self, slot: Slot) -> Option<Cow<'a, str>> {
        match self.value(slot) {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The number of a slot; `None` where it holds none.
    pub(crate) fn double(&self, slot: Slot) -> Option<f64> {
        match self.value(slot) {
            Value::Double(number) => Some(*number),
            Value::Long(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// Sets a slot.
    #[inline]
    pub(crate) fn set(&mut self, slot: Slot, value: Value<'a>) {
        match value {
            Value::Absent => self.filled.remove(slot),
            _ => self.filled.add(slot),
        }
        self.plain.remove(slot);
        self.values[slot.index()] = value;
    }

    /// Sets a slot to a text, not empty, that needs no escape and holds no control character.
    #[inline]
    fn set_plain(&mut self, slot: Slot, text: &'a str) {
        self.filled.add(slot);
        self.plain.add(slot);
        self.values[slot.index()] = Value::Text(Cow::Borrowed(text));
    }

    /// The slots that are known to hold a text that needs no escape and holds no control character.
    fn plain(&self) -> Slots {
        self.plain.and(self.filled)
    }

    /// Sets a slot to a text.
    pub(crate) fn set_text(&mut self, slot: Slot, text: impl Into<Cow<'a, str>>) {
        self.set(slot, Value::Text(text.into()));
    }

    /// Sets a slot to a text where there is one; else the slot keeps its value.
    pub(crate) fn set_known(&mut self, slot: Slot, text: Option<&'a str>) {
        if let Some(text) = text {
            self.set_text(slot, text);
        }
    }

    /// Notes that a member's value did not fit.
    pub(crate) fn add_invalid(&mut self, name: impl Into<Cow<'a, str>>) {
        let name = name.into();
        let mut invalid = match self.take(slot::INVALID_FIELDS) {
            Value::List(invalid) => invalid,
            _ => Vec::new(),
        };
        if let Err(place) = invalid.binary_search(&name) {
            invalid.insert(place, name);
        }
        self.set(slot::INVALID_FIELDS, Value::List(invalid));
    }

    /// Empties a slot.
    pub(crate) fn clear(&mut self, slot: Slot) {
        self.set(slot, Value::Absent);
    }
}
