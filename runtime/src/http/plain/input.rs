//! What was read of a connection. Its memory is lent by the thread while it is looked at: what the last
//! request was read into is in the processor's caches still, which memory of each connection's own is
//! not. A connection that has to wait for more keeps what it has, and no more, in memory of its own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};

use super::MAX_BODY_BYTES;

/// Bytes that a connection reads at once: a head and the longest body.
const BYTES: usize = 8 * 1024 + MAX_BODY_BYTES;

/// The most that a thread keeps to lend.
const KEPT: usize = 16;

thread_local! {
    static LENT: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// What was read of a connection and not taken.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    is_own: bool,
}

impl Input {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether the memory is not lent.
    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    pub(super) fn take(&mut self, count: usize) {
        self.start += count;
    }

    /// Reads on, where nothing is left; false at the end of the connection.
    pub(super) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> bool {
        if self.len() > 0 {
            return true;
        }
        let read = poll_fn(|cx| {
            self.borrow();
            let mut buffer = ReadBuf::new(&mut self.bytes);
            let read = Pin::new(&mut *stream).poll_read(cx, &mut buffer);
            let end = buffer.filled().len();
            if read.is_pending() {
                self.give_back();
            }
            ready!(read)?;
            (self.start, self.end) = (0, end);
            io::Result::Ok(end).into()
        });
        read.await.is_ok_and(|end| end > 0)
    }

    fn borrow(&mut self) {
        if self.bytes.is_empty() {
            let lent = LENT.with_borrow_mut(Vec::pop);
            self.bytes = lent.unwrap_or_else(|| vec![0; BYTES].into());
        }
    }

    /// Gives lent memory back; what was not taken is copied.
    pub(super) fn give_back(&mut self) {
        let rest: Box<[u8]> = match self.is_own {
            true if self.len() > 0 => return,
            _ => self.bytes().into(),
        };
        let rest = Self {
            start: 0,
            end: rest.len(),
            is_own: !rest.is_empty(),
            bytes: rest,
        };
        let Self { bytes, is_own, .. } = std::mem::replace(self, rest);
        LENT.with_borrow_mut(|kept| {
            if kept.len() < KEPT && !is_own && !bytes.is_empty() {
                kept.push(bytes);
            }
        });
    }

    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len()
    }
}
