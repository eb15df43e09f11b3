//! The records of a request, as they are kept until they are durable.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use event::header;
use smallvec::SmallVec;
use stream::{Header, Record};

/// Those of every record: the format that this version writes.
static HEADERS: LazyLock<Arc<[Header]>> = LazyLock::new(|| {
    let format = Bytes::from_static(header::FORMAT.as_bytes());
    [(header::FORMAT_NAME, format).into()].into()
});

/// Records whose keys and values lie in one piece of memory. The stream has its own copy while it is at
/// work on them, and these are asked for again only where it fails; so they are kept as small as can be:
/// there are as many as requests under way, and what is touched when an answer comes has left the
/// processor's caches by then.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    bytes: Bytes,
    places: SmallVec<[Place; 1]>,
    timestamp_ms: i64,
}

#[derive(Debug)]
struct Place {
    key: Range<u32>,
    value: Range<u32>,
}

impl Packed {
    /// Those whose keys and values lie in `bytes`, which are less than 4 GiB, where `places` says.
    pub(crate) fn new(
        bytes: Bytes,
        places: impl Iterator<Item = (Range<usize>, Range<usize>)>,
        timestamp_ms: i64,
    ) -> Self {
        let narrow = |range: Range<usize>| range.start as u32..range.end as u32;
        let place = |(key, value)| Place {
            key: narrow(key),
            value: narrow(value),
        };
        Self {
            bytes,
            places: places.map(place).collect(),
            timestamp_ms,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let bytes = |range: &Range<u32>| self.bytes.slice(range.start as usize..range.end as usize);
        let record = |place: &Place| Record {
            key: Some(bytes(&place.key)),
            value: bytes(&place.value),
            headers: HEADERS.clone(),
            timestamp_ms: self.timestamp_ms,
        };
        self.places.iter().map(record).collect()
    }
}
