//! An event that was refused, as it lies on the dead topic.
//!
//! The value is the original bytes, so that a replay sends what was refused; everything else is in
//! headers. An original of more than [`MAX_DEAD_LETTER_BYTES`] is cut: its length and SHA-256 stay.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{Code, header, limits::MAX_DEAD_LETTER_BYTES};

/// Longest explanation of a store that is kept, in characters: names of a document's fields and a
/// value or two.
pub const MAX_CAUSE_CHARS: usize = 1_000;

/// Headers of an original that its dead letter keeps.
pub const KEPT: [&str; 3] = [header::FORMAT_NAME, header::ID, header::DAY];

/// The stage that refused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// HTTP to stream.
    Gateway,
    /// Stream to stream.
    Enricher,
    /// Stream to store.
    Sink,
}

impl Stage {
    /// Every stage, in the order of the flow.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Enricher, Self::Sink];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Enricher => "enricher",
            Self::Sink => "sink",
        }
    }

    /// The stage of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refused event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the original lay (`topic-partition-offset`), or a UUIDv7 from the gateway. It is the
    /// record's key, so that a refusal that is repeated after a crash carries the same id.
    pub id: String,
    /// Who refused it.
    pub stage: Stage,
    /// Why.
    pub code: Code,
    /// A sentence for people, without event data.
    pub detail: String,
    /// The store's own words where it refused the document; may quote the event, so it is not for
    /// lists and logs.
    pub cause: Option<String>,
    /// When, RFC 3339 UTC.
    pub time: String,
    /// Timestamp of the original's record, milliseconds since the Unix epoch.
    pub timestamp_ms: Option<i64>,
    /// The original's own headers of [`KEPT`], so that a replay is the record as it was.
    pub kept: Vec<(&'static str, Bytes)>,
    /// The original, or its first [`MAX_DEAD_LETTER_BYTES`].
    pub original: Bytes,
    /// Length in bytes and SHA-256 of an original that was cut.
    pub cut: Option<(u64, String)>,
}

impl DeadLetter {
    /// Makes a dead letter of `original`, cutting it where it is too large.
    #[must_use]
    pub fn new(id: String, stage: Stage, code: Code, time: String, original: Bytes) -> Self {
        let (original, cut) = if original.len() > MAX_DEAD_LETTER_BYTES {
            let sum = Sha256::digest(&original)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            (
                original.slice(..MAX_DEAD_LETTER_BYTES),
                Some((original.len() as u64, sum)),
            )
        } else {
            (original, None)
        };
        Self {
            id,
            stage,
            code,
            detail: code.sentence().to_owned(),
            cause: None,
            timestamp_ms: None,
            kept: Vec::new(),
            time,
            original,
            cut,
        }
    }

    /// Replaces the sentence for people; it must hold no event data.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds the store's own words, cut at [`MAX_CAUSE_CHARS`].
    #[must_use]
    pub fn with_cause(mut self, cause: &str) -> Self {
        self.cause = Some(cause.chars().take(MAX_CAUSE_CHARS).collect());
        self
    }

    /// Keeps what a replay needs of the original's record beside its bytes: its timestamp and the
    /// headers that stages read; `header` looks one up by name.
    #[must_use]
    pub fn of_record<'a>(
        mut self,
        timestamp_ms: i64,
        header: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self.kept = kept(header);
        self
    }

    /// Whether the original is whole, so that it can be sent again.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        self.cut.is_none()
    }

    /// The headers of the record: name and value.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, Bytes)> {
        let text = |value: &str| Bytes::copy_from_slice(value.as_bytes());
        let mut headers = vec![
            (
                header::STAGE,
                Bytes::from_static(self.stage.name().as_bytes()),
            ),
            (
                header::CODE,
                Bytes::from_static(self.code.name().as_bytes()),
            ),
            (header::DETAIL, text(&self.detail)),
            (header::TIME, text(&self.time)),
            (header::SOURCE, text(&self.id)),
        ];
        if let Some(timestamp_ms) = self.timestamp_ms {
            headers.push((header::TIMESTAMP, timestamp_ms.to_string().into()));
        }
        headers.extend(self.kept.iter().cloned());
        if let Some(cause) = &self.cause {
            headers.push((header::CAUSE, text(cause)));
        }
        if let Some((length, sum)) = &self.cut {
            headers.push((header::LENGTH, length.to_string().into()));
            headers.push((header::SHA256, text(sum)));
        }
        headers
    }

    /// Reads a record of the dead topic back; `header` looks a header up by name.
    ///
    /// `None` for a record that is not a dead letter of a known form.
    pub fn read<'a>(value: Bytes, header: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Self> {
        let text = |name: &str| header(name).and_then(|v| std::str::from_utf8(v).ok());
        let cut = match (text(header::LENGTH), text(header::SHA256)) {
            (Some(length), Some(sum)) => Some((length.parse().ok()?, sum.to_owned())),
            _ => None,
        };
        Some(Self {
            id: text(header::SOURCE)?.to_owned(),
            stage: Stage::from_name(text(header::STAGE)?)?,
            code: Code::from_name(text(header::CODE)?)?,
            detail: text(header::DETAIL).unwrap_or_default().to_owned(),
            timestamp_ms: text(header::TIMESTAMP).and_then(|ms| ms.parse().ok()),
            kept: kept(&header),
            cause: text(header::CAUSE).map(str::to_owned),
            time: text(header::TIME).unwrap_or_default().to_owned(),
            original: value,
            cut,
        })
    }
}

fn kept<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Vec<(&'static str, Bytes)> {
    let found = |name: &'static str| Some((name, Bytes::copy_from_slice(header(name)?)));
    KEPT.into_iter().filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(letter: &DeadLetter) -> DeadLetter {
        let headers = letter.headers();
        DeadLetter::read(letter.original.clone(), |name| {
            headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_ref())
        })
        .expect("a dead letter reads what it wrote")
    }

    #[test]
    fn headers_round_trip() {
        let time = "2026-01-02T03:04:05Z".to_owned();
        let letter = DeadLetter::new(
            "raw-0-7".into(),
            Stage::Enricher,
            Code::BadJson,
            time,
            "{".into(),
        );
        assert_eq!(round_trip(&letter), letter);
        let letter = letter.with_cause("failed to parse [ü]");
        assert_eq!(round_trip(&letter), letter);
        let day = |name: &str| (name == header::DAY).then_some(&b"2026.01.02"[..]);
        let letter = letter.of_record(7, day);
        assert_eq!(letter.kept, [(header::DAY, Bytes::from("2026.01.02"))]);
        assert_eq!(round_trip(&letter), letter);
        assert!(letter.is_replayable());
    }

    #[test]
    fn large_original_is_cut_and_measured() {
        let original = Bytes::from(vec![b'x'; MAX_DEAD_LETTER_BYTES + 1]);
        let letter = DeadLetter::new(
            "id".into(),
            Stage::Gateway,
            Code::EventTooLarge,
            String::new(),
            original,
        );
        assert_eq!(letter.original.len(), MAX_DEAD_LETTER_BYTES);
        assert_eq!(
            letter.cut.as_ref().map(|c| c.0),
            Some(MAX_DEAD_LETTER_BYTES as u64 + 1)
        );
        assert!(!round_trip(&letter).is_replayable());
    }
}
