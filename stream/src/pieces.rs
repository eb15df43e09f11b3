//! Memory that many short byte strings share.

use bytes::{Bytes, BytesMut};

/// Memory that is taken at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Keeps copies of bytes in large pieces of memory, for an allocation each would cost more than the
/// copy. A piece is free again when the last of its copies is.
#[derive(Debug, Default)]
pub struct Pieces(BytesMut);

impl Pieces {
    /// A copy of `bytes`.
    #[inline]
    pub fn keep(&mut self, bytes: &[u8]) -> Bytes {
        if self.0.capacity() < bytes.len() {
            self.0 = BytesMut::with_capacity(PIECE_BYTES.max(bytes.len()));
        }
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }
}
