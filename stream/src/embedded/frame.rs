//! One record as it lies in a segment file.
//!
//! ```text
//! magic u32 | length u32 | crc32c u32 | body of `length` bytes
//! body: offset u64 | timestamp i64 | key length i32, -1 for none | key
//!       | headers u16 | (name length u16 | name | value length u32 | value)* | value
//! ```
//! Numbers are little-endian; the checksum is over the body. The magic lets a reader find the next
//! record behind a damaged one, and the offset inside the body tells how many were lost.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{Header, Record};

/// First bytes of a frame; the last of them is the version of this layout.
pub(super) const MAGIC: [u8; 4] = *b"WLR\x01";

/// Bytes before the body.
pub(super) const HEAD_BYTES: usize = 12;

/// Appends the frame of `record` to `out`.
pub(super) fn encode(out: &mut Vec<u8>, offset: u64, record: &Record) {
    let head = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 8]);
    let body = out.len();
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&record.timestamp_ms.to_le_bytes());
    let key_length = record.key.as_ref().map_or(-1, |key| key.len() as i32);
    out.extend_from_slice(&key_length.to_le_bytes());
    out.extend_from_slice(record.key.as_deref().unwrap_or_default());
    out.extend_from_slice(&(record.headers.len() as u16).to_le_bytes());
    for header in record.headers.iter() {
        out.extend_from_slice(&(header.name.len() as u16).to_le_bytes());
        out.extend_from_slice(header.name.as_bytes());
        out.extend_from_slice(&(header.value.len() as u32).to_le_bytes());
        out.extend_from_slice(&header.value);
    }
    out.extend_from_slice(&record.value);
    let length = (out.len() - body) as u32;
    let checksum = crc32c::crc32c(&out[body..]);
    out[head + 4..head + 8].copy_from_slice(&length.to_le_bytes());
    out[head + 8..body].copy_from_slice(&checksum.to_le_bytes());
}

/// What stands at the start of a piece of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A whole record, and the bytes that its frame takes.
    Record {
        offset: u64,
        record: Record,
        bytes: usize,
    },
    /// The start of a frame that needs at least this many bytes in all.
    Short(usize),
    /// No frame, or one that its checksum denies.
    Bad,
}

/// Reads the frame at the start of `data`; a frame of more than `max_bytes` is taken for damage.
pub(super) fn decode(data: &Bytes, max_bytes: usize) -> Decoded {
    let Some((head, body)) = data.split_at_checked(HEAD_BYTES) else {
        let plausible = data.iter().zip(MAGIC).all(|(have, want)| *have == want);
        return if plausible {
            Decoded::Short(HEAD_BYTES)
        } else {
            Decoded::Bad
        };
    };
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if head[..4] != MAGIC || length > max_bytes {
        return Decoded::Bad;
    }
    if body.len() < length {
        return Decoded::Short(HEAD_BYTES + length);
    }
    let checksum = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if crc32c::crc32c(&body[..length]) != checksum {
        return Decoded::Bad;
    }
    let mut body = Body(data.slice(HEAD_BYTES..HEAD_BYTES + length));
    match body.record() {
        Some((offset, record)) => Decoded::Record {
            offset,
            record,
            bytes: HEAD_BYTES + length,
        },
        None => Decoded::Bad,
    }
}

/// The unread rest of a body.
struct Body(Bytes);

impl Body {
    fn record(&mut self) -> Option<(u64, Record)> {
        let offset = u64::from_le_bytes(self.array()?);
        let timestamp_ms = i64::from_le_bytes(self.array()?);
        let key = match i32::from_le_bytes(self.array()?) {
            -1 => None,
            length => Some(self.take(usize::try_from(length).ok()?)?),
        };
        let count = u16::from_le_bytes(self.array()?);
        let mut headers = Vec::with_capacity(usize::from(count).min(64));
        for _ in 0..count {
            let length = u16::from_le_bytes(self.array()?);
            let name = String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()?;
            let length = u32::from_le_bytes(self.array()?);
            let value = self.take(length as usize)?;
            headers.push(Header {
                name: Cow::Owned(name),
                value,
            });
        }
        let value = std::mem::take(&mut self.0);
        Some((
            offset,
            Record {
                key,
                value,
                headers: headers.into(),
                timestamp_ms,
            },
        ))
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.as_ref().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from);
        let header = (".{0,10}", bytes()).prop_map(|(name, value)| Header {
            name: Cow::Owned(name),
            value,
        });
        (
            prop::option::of(bytes()),
            bytes(),
            prop::collection::vec(header, 0..4),
            any::<i64>(),
        )
            .prop_map(|(key, value, headers, timestamp_ms)| Record {
                key,
                value,
                headers: headers.into(),
                timestamp_ms,
            })
    }

    proptest! {
        #[test]
        fn any_record_round_trips(record in record(), offset: u64) {
            let mut out = Vec::new();
            encode(&mut out, offset, &record);
            let bytes = out.len();
            prop_assert_eq!(
                decode(&out.into(), 10_000),
                Decoded::Record { offset, record, bytes }
            );
        }

        #[test]
        fn any_flipped_bit_is_seen(record in record(), at: prop::sample::Index, bit in 0..8_u8) {
            let mut out = Vec::new();
            encode(&mut out, 7, &record);
            let at = at.index(out.len());
            out[at] ^= 1_u8 << bit;
            let is_record = matches!(decode(&out.into(), 10_000), Decoded::Record { .. });
            prop_assert!(!is_record);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut framed = MAGIC.to_vec();
            framed.extend(bytes);
            decode(&framed.into(), 10_000);
        }
    }
}
