//! The reader of segment files, fed with a corpus and with what it mutates to.

use std::io;
use std::sync::Arc;

use super::frame;
use super::fs::LogFile;
use super::segment::Segment;

struct Bytes(Vec<u8>);

impl LogFile for Bytes {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn write_at(&self, _position: u64, _data: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(position as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _length: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

#[test]
fn segment() {
    ::fuzz::check("segment", |input| {
        let mut segment = Segment::new(Arc::new(Bytes(input.to_vec())), 64 * 1024);
        let (mut read, mut skipped) = (0, 0);
        while let Ok(Some((offset, record, damage))) = segment.next() {
            let mut whole = Vec::new();
            frame::encode(&mut whole, offset, &record);
            read += whole.len() as u64;
            skipped += damage;
        }
        // Every byte is a whole record's or damage that is counted, or behind the last record.
        assert_eq!(segment.position(), read + skipped);
        assert!(segment.position() <= input.len() as u64);
    });
}
