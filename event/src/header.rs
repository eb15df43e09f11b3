//! Names of the record headers between the stages.

/// Format of the record; [`FORMAT`] is what this version writes.
pub const FORMAT_NAME: &str = "weir-format";
/// The record format that this version writes and the newest that it reads.
pub const FORMAT: &str = "1";
/// What a reader does with a record of some format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Reads it.
    Known,
    /// Waits for a newer version of itself: the record is good, and not lost.
    Newer(u32),
    /// Refuses it: no version of Weir wrote it.
    Unknown,
}

impl Format {
    /// The format that a record's header names; a record without one is of another producer and is
    /// read as the first.
    #[must_use]
    pub fn of(header: Option<&[u8]>) -> Self {
        let Some(header) = header else {
            return Self::Known;
        };
        let text = std::str::from_utf8(header).unwrap_or_default();
        let known: u32 = FORMAT.parse().unwrap_or(u32::MAX);
        match text.parse::<u32>() {
            Ok(format) if format > known => Self::Newer(format),
            Ok(format) if format > 0 => Self::Known,
            _ => Self::Unknown,
        }
    }

    /// What a stage says that is not ready because records at `position` are of a newer format.
    #[must_use]
    pub fn words(position: &dyn std::fmt::Display) -> String {
        format!(
            "the record at {position} has a newer format than this version reads ({FORMAT}); it waits, upgrade this stage"
        )
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_format_is_told_from_nonsense() {
        let check = |header: Option<&str>, expected| {
            assert_eq!(
                Format::of(header.map(str::as_bytes)),
                expected,
                "{header:?}"
            );
        };
        check(None, Format::Known);
        check(Some(FORMAT), Format::Known);
        check(Some("2"), Format::Newer(2));
        check(Some("0"), Format::Unknown);
        check(Some("x"), Format::Unknown);
        check(Some(""), Format::Unknown);
    }
}
