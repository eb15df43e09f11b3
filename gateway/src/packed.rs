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
#[derive(Debug)]
pub(crate) struct Packed {
    bytes: Bytes,
    places: Places,
    timestamp_ms: i64,
}

/// Where the records of a request lie: one, mostly.
pub(crate) type Places = SmallVec<[Place; 1]>;

/// Where key and value of a record lie.
#[derive(Debug)]
pub(crate) struct Place {
    key: Range<u32>,
    value: Range<u32>,
}

impl Place {
    /// Both within 4 GiB.
    pub(crate) fn new(key: Range<usize>, value: Range<usize>) -> Self {
        let narrow = |range: Range<usize>| range.start as u32..range.end as u32;
        Self {
            key: narrow(key),
            value: narrow(value),
        }
    }
}

impl Packed {
    pub(crate) fn new(bytes: Bytes, places: Places, timestamp_ms: i64) -> Self {
        Self {
            bytes,
            places,
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
