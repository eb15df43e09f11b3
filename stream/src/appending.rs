//! An append under way.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::AppendError;

/// An append under way: ready once every record is durable.
#[must_use = "the answer comes to who waits for it"]
pub struct Appending<'a>(Kind<'a>);

enum Kind<'a> {
    Settled(Result<(), AppendError>),
    HandedOver(Arc<Ticket>),
    Future(Pin<Box<dyn Future<Output = Result<(), AppendError>> + Send + 'a>>),
}

/// The outcome of an append whose records are handed over already and reported one by one. There is one for
/// each request under way, so it is as large as a cache line.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Records without a report.
    left: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_settled: bool,
    failure: Option<Box<AppendError>>,
    waker: Option<Waker>,
}

impl<'a> Appending<'a> {
    /// One that a future makes, which begins when it is first polled.
    pub fn by(future: impl Future<Output = Result<(), AppendError>> + Send + 'a) -> Self {
        Self(Kind::Future(Box::pin(future)))
    }

    /// One that came to its end at once.
    pub(crate) fn settled(result: Result<(), AppendError>) -> Self {
        Self(Kind::Settled(result))
    }

    /// One that others report to.
    pub(crate) fn handed_over(ticket: Arc<Ticket>) -> Self {
        Self(Kind::HandedOver(ticket))
    }
}

impl Future for Appending<'_> {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Settled(result) => Poll::Ready(result.clone()),
            Kind::HandedOver(ticket) => ticket.poll(cx),
            Kind::Future(future) => future.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Appending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Appending")
    }
}

impl Ticket {
    /// One for this many records, more than none.
    pub(crate) fn new(records: usize) -> Self {
        Self {
            left: AtomicUsize::new(records),
            state: Mutex::default(),
        }
    }

    /// Counts `reports` records as settled; the last one wakes who waits.
    pub(crate) fn report(&self, reports: usize, failure: Option<AppendError>) {
        if let Some(failure) = failure {
            self.state().failure.get_or_insert(failure.into());
        }
        if self.left.fetch_sub(reports, Ordering::AcqRel) == reports {
            settle(self.state());
        }
    }

    /// Ends the wait, whatever the reports will say.
    pub(crate) fn fail(&self, failure: AppendError) {
        let mut state = self.state();
        if !state.is_settled {
            state.failure = Some(failure.into());
            settle(state);
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.state().is_settled
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<(), AppendError>> {
        let mut state = self.state();
        if state.is_settled {
            let failure = state.failure.as_deref().cloned();
            return Poll::Ready(failure.map_or(Ok(()), Err));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settle(mut state: MutexGuard<'_, State>) {
    state.is_settled = true;
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
