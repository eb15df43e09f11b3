//! Names of the record headers between the stages.

/// Format of the record; [`FORMAT`] is what this version writes.
pub const FORMAT_NAME: &str = "weir-format";
/// The record format that this version writes and the newest that it reads.
pub const FORMAT: &str = "1";
/// On an enriched record: the document's id.
pub const ID: &str = "weir-id";
/// On an enriched record: the index day, `YYYY.MM.dd`.
pub const DAY: &str = "weir-day";
/// On a dead letter: the stage that refused the event.
pub const STAGE: &str = "weir-stage";
/// On a dead letter: the [`crate::Code`].
pub const CODE: &str = "weir-code";
/// On a dead letter: a sentence for people, without event data.
pub const DETAIL: &str = "weir-detail";
/// On a dead letter that the store refused: the store's own words, which may quote the event.
pub const CAUSE: &str = "weir-cause";
/// On a dead letter: when it was refused, RFC 3339 UTC.
pub const TIME: &str = "weir-time";
/// On a dead letter: where the original lay, `topic-partition-offset`, or `gateway`.
pub const SOURCE: &str = "weir-source";
/// On a dead letter: the timestamp of the original's record, milliseconds since the Unix epoch.
pub const TIMESTAMP: &str = "weir-timestamp";
/// On a dead letter whose original was cut: the original's length in bytes.
pub const LENGTH: &str = "weir-length";
/// On a dead letter whose original was cut: the original's SHA-256, hexadecimal.
pub const SHA256: &str = "weir-sha256";
