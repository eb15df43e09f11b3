//! What an event may measure. Bounds are checked where data enters, before anything is allocated.

/// Longest event, in bytes of JSON, unless configured otherwise.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Deepest nesting of arrays and objects in an event, the event itself counting as 1. Analytics
/// events are flat; the bound keeps recursive readers downstream safe.
pub const MAX_DEPTH: usize = 32;

/// Longest `event_type`, in characters.
pub const MAX_EVENT_TYPE_CHARS: usize = 200;

/// Longest `event_id` taken as it is, in bytes of printable ASCII.
pub const MAX_EVENT_ID_BYTES: usize = 128;

/// Longest keyword that is indexed, in characters; four bytes each stay below Lucene's bound of
/// 32,766 bytes a term.
pub const MAX_KEYWORD_CHARS: usize = 8_191;

/// Most members of `props`.
pub const MAX_PROPS: usize = 100;

/// Longest name of a member of `props`, in characters.
pub const MAX_PROP_NAME_CHARS: usize = 300;

/// Longest text value of a member of `props`, in characters.
pub const MAX_PROP_VALUE_CHARS: usize = 2_000;

/// Bytes of the original that a dead letter keeps; a larger original cannot be replayed.
pub const MAX_DEAD_LETTER_BYTES: usize = 64 * 1024;
