//! Reading a segment file record by record, across damage.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::frame::{self, Decoded, HEAD_BYTES, MAGIC};
use super::fs::LogFile;
use crate::Record;

/// Bytes read at a time: large enough that a system call is shared by hundreds of events.
const CHUNK_BYTES: usize = 256 * 1024;

/// A reader of one segment. Damaged bytes are passed over and counted: the next whole record with
/// a higher offset is found by its magic.
pub(super) struct Segment {
    file: Arc<dyn LogFile>,
    /// Where in the file `data` starts.
    position: u64,
    data: Bytes,
    max_record_bytes: usize,
    /// Bytes passed over since the last whole record.
    skipping: u64,
}

impl Segment {
    pub(super) fn new(file: Arc<dyn LogFile>, max_record_bytes: usize) -> Self {
        Self {
            file,
            position: 0,
            data: Bytes::new(),
            max_record_bytes,
            skipping: 0,
        }
    }

    /// The next whole record, with its offset and the damaged bytes passed over before it; `None`
    /// at the end of what the file holds. May be called again when the file has grown.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Record, u64)>> {
        loop {
            match frame::decode(&self.data, self.max_record_bytes) {
                Decoded::Record {
                    offset,
                    record,
                    bytes,
                } => {
                    self.advance(bytes);
                    return Ok(Some((offset, record, std::mem::take(&mut self.skipping))));
                }
                Decoded::Short(need) if self.fill(need)? => {}
                // No frame here, or one that never ends: damage with whole records behind it, or
                // the end of the file.
                Decoded::Short(_) | Decoded::Bad => {
                    if !self.resume()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Where the next unread byte lies.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Where the file ends, and how many bytes lie unread before that.
    pub(super) fn rest(&self) -> io::Result<(u64, u64)> {
        let end = self.file.length()?;
        Ok((end, end.saturating_sub(self.position)))
    }

    fn advance(&mut self, bytes: usize) {
        self.data = self.data.slice(bytes..);
        self.position += bytes as u64;
    }

    /// Looks for a whole record further on; moves there and returns true, or stays and returns
    /// false when the file holds none.
    fn resume(&mut self) -> io::Result<bool> {
        let mut at = 1;
        loop {
            if self.data.len() < at + HEAD_BYTES && !self.fill(at + HEAD_BYTES)? {
                return Ok(false);
            }
            let Some(found) = find(&self.data[at..]) else {
                at = self.data.len().saturating_sub(MAGIC.len() - 1).max(at + 1);
                continue;
            };
            at += found;
            match frame::decode(&self.data.slice(at..), self.max_record_bytes) {
                Decoded::Record { .. } => {
                    self.skipping += at as u64;
                    self.advance(at);
                    return Ok(true);
                }
                Decoded::Short(need) if self.fill(at + need)? => {}
                Decoded::Short(_) | Decoded::Bad => at += 1,
            }
        }
    }

    /// Reads until `data` has `need` bytes; false when the file ends before.
    fn fill(&mut self, need: usize) -> io::Result<bool> {
        if self.data.len() >= need {
            return Ok(true);
        }
        let mut buffer = BytesMut::with_capacity(need.max(CHUNK_BYTES));
        buffer.extend_from_slice(&self.data);
        buffer.resize(need.max(CHUNK_BYTES), 0);
        let mut length = self.data.len();
        while length < need {
            let end = self.position + length as u64;
            match self.file.read_at(end, &mut buffer[length..])? {
                0 => break,
                read => length += read,
            }
        }
        buffer.truncate(length);
        self.data = buffer.freeze();
        Ok(length >= need)
    }
}

fn find(data: &[u8]) -> Option<usize> {
    data.windows(MAGIC.len()).position(|window| window == MAGIC)
}
