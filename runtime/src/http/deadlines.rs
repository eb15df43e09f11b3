//! A connection's bytes under deadlines, so that no client holds a place by doing nothing.
//!
//! Hyper knows one deadline, from the wait for a request to the end of its head. Clients and
//! proxies keep a connection for the next request far longer than a head may take, and a client
//! that does not read its answers must end too, so the deadlines are kept here, below hyper. While a
//! request is being answered nothing is timed here: its body and its work have deadlines of their
//! own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;

/// Counts the beginnings and ends of answers of one connection: odd while a request is answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps(Arc<AtomicUsize>);

impl Steps {
    /// Notes that an answer begins or ends.
    pub(super) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Work of ours; nothing is timed.
    Work,
    /// The rest of a request's head.
    Head,
    /// The next request.
    Request,
    /// An answer of ours.
    Answer,
}

#[derive(Default)]
struct HandedOver {
    /// Read already; comes before what the stream has.
    unread: Vec<u8>,
    steps: Steps,
    /// The count of `steps` at the last read.
    seen: usize,
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] when the other side is too slow.
pub(super) struct Timed<S> {
    stream: S,
    limits: Arc<Limits>,
    /// What hyper needs of it; `None` until that has the connection.
    handed_over: Option<Box<HandedOver>>,
    waiting: Waiting,
    /// When what it waits for must be there; `None` until it has to wait.
    read_by: Option<Instant>,
    /// When what is being written must be out; `None` while nothing waits.
    written_by: Option<Instant>,
    /// One timer for both, set anew only when it fires or is too late: a busy connection does not
    /// touch it at every request.
    timer: Pin<Box<Sleep>>,
    /// When the timer wakes the task, where it will.
    wakes_at: Option<Instant>,
}

impl<S> Timed<S> {
    /// A fresh connection: its first head is awaited from this moment on.
    pub(super) fn new(stream: S, limits: Arc<Limits>) -> Self {
        let read_by = Instant::now() + limits.header_timeout;
        Self {
            stream,
            limits,
            handed_over: None,
            waiting: Waiting::Head,
            read_by: Some(read_by),
            written_by: None,
            timer: Box::pin(sleep_until(read_by)),
            wakes_at: None,
        }
    }

    /// Gives back what was read, to be read again.
    pub(super) fn unread(&mut self, bytes: Vec<u8>) {
        self.handed_over.get_or_insert_default().unread = bytes;
    }

    /// The steps that tell from elsewhere when an answer begins and ends.
    pub(super) fn steps(&mut self) -> Steps {
        self.handed_over.get_or_insert_default().steps.clone()
    }

    /// Notes, as [`Steps::step`] does from elsewhere, that an answer begins.
    pub(super) fn answering(&mut self) {
        self.waiting = Waiting::Work;
    }

    /// Notes that it ended.
    pub(super) fn answered(&mut self) {
        self.waiting = Waiting::Answer;
    }

    /// Ready once `deadline` is over. The task that asks is always the connection's: a timer that will
    /// wake it is not asked again.
    fn poll_deadline(&mut self, deadline: Instant, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.wakes_at.is_some_and(|at| now < at && at <= deadline) {
            return Poll::Pending;
        }
        self.wakes_at = None;
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            ready!(self.poll_timer(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let rung = self.timer.as_mut().poll(cx);
        self.wakes_at = rung.is_pending().then(|| self.timer.deadline());
        rung
    }

    /// Passes on what a write came to; one that waits too long fails.
    fn timed<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let now = Instant::now();
        let deadline = now + self.limits.write_timeout;
        let deadline = *self.written_by.get_or_insert(deadline);
        ready!(self.poll_deadline(deadline, now, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(handed_over) = &mut this.handed_over {
            let unread = &mut handed_over.unread;
            if !unread.is_empty() {
                let count = unread.len().min(buffer.remaining());
                buffer.put_slice(&unread[..count]);
                unread.drain(..count);
                return Poll::Ready(Ok(()));
            }
        }
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some(handed_over) = &mut this.handed_over {
            let steps = handed_over.steps.0.load(Ordering::Relaxed);
            if steps != handed_over.seen {
                handed_over.seen = steps;
                this.waiting = match steps % 2 {
                    0 => Waiting::Answer,
                    _ => Waiting::Work,
                };
            }
        }
        if this.waiting == Waiting::Work {
            return read;
        }
        if read.is_ready() {
            if this.waiting != Waiting::Head {
                this.waiting = Waiting::Head;
                this.read_by = None;
            }
            return read;
        }
        if this.waiting == Waiting::Answer {
            this.waiting = Waiting::Request;
            this.read_by = None;
        }
        let now = Instant::now();
        let patience = match this.waiting {
            Waiting::Head => this.limits.header_timeout,
            _ => this.limits.idle_timeout,
        };
        let read_by = *this.read_by.get_or_insert(now + patience);
        ready!(this.poll_deadline(read_by, now, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.timed(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.timed(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            // Hyper flushes when it has written all it had: a client that takes a byte now and
            // then has not gained time by it.
            self.written_by = None;
        }
        self.timed(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.timed(closed, cx)
    }
}
