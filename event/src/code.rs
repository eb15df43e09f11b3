//! The closed set of reasons for which an event is refused.

use std::fmt;

/// Why an event was refused. The names are stable: clients and dashboards match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// Not a JSON object.
    NotAnObject,
    /// Nested deeper than [`crate::limits::MAX_DEPTH`].
    TooDeep,
    /// Larger than the limit.
    EventTooLarge,
    /// Has no `event_type`.
    MissingEventType,
    /// `event_type` is not a text of 1 to 200 characters.
    InvalidEventType,
    /// `event_type` is none that the source of the write key may send.
    EventTypeRefused,
    /// Does not fit the JSON Schema of its type.
    SchemaMismatch,
    /// Older than `max_event_age` at receipt.
    TooOld,
    /// A record that is not JSON.
    BadJson,
    /// A record in a format that this version does not read.
    UnsupportedFormat,
    /// The store refused the document for good.
    StoreRefused,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 11] = [
        Self::NotAnObject,
        Self::TooDeep,
        Self::EventTooLarge,
        Self::MissingEventType,
        Self::InvalidEventType,
        Self::EventTypeRefused,
        Self::SchemaMismatch,
        Self::TooOld,
        Self::BadJson,
        Self::UnsupportedFormat,
        Self::StoreRefused,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::TooDeep => "too_deep",
            Self::EventTooLarge => "event_too_large",
            Self::MissingEventType => "missing_event_type",
            Self::InvalidEventType => "invalid_event_type",
            Self::EventTypeRefused => "event_type_refused",
            Self::SchemaMismatch => "schema_mismatch",
            Self::TooOld => "too_old",
            Self::BadJson => "bad_json",
            Self::UnsupportedFormat => "unsupported_format",
            Self::StoreRefused => "store_refused",
        }
    }

    /// A sentence for people, without event data.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotAnObject => "The event is not a JSON object.",
            Self::TooDeep => "The event is nested too deeply.",
            Self::EventTooLarge => "The event is larger than the limit.",
            Self::MissingEventType => "The event has no event_type.",
            Self::InvalidEventType => "The event_type is not a text of 1 to 200 characters.",
            Self::EventTypeRefused => "The source may not send events of this event_type.",
            Self::SchemaMismatch => "The event does not fit the JSON Schema of its event_type.",
            Self::TooOld => "The event is older than max_event_age.",
            Self::BadJson => "The record is not valid JSON.",
            Self::UnsupportedFormat => "The record has a format that this version does not read.",
            Self::StoreRefused => "The store refused the document.",
        }
    }

    /// The code of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
