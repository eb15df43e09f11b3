//! What was read of a connection. Its memory is lent by the thread while it holds anything: what the
//! last request was read into is in the processor's caches still, which memory of each connection's own
//! is not.

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
}

impl Input {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
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

    /// Gives the memory back, if all that it held was taken.
    pub(super) fn give_back(&mut self) {
        if self.len() == 0 {
            let Self { bytes, .. } = std::mem::take(self);
            LENT.with_borrow_mut(|kept| {
                if kept.len() < KEPT && !bytes.is_empty() {
                    kept.push(bytes);
                }
            });
        }
    }
}
