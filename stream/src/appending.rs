//! An append under way.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::AppendError;

/// An append under way: ready once every record is durable. A back end that has the records already
/// needs no memory for the wait.
#[must_use = "the answer comes to who waits for it"]
pub struct Appending<'a>(Kind<'a>);

enum Kind<'a> {
    Settled(Option<Result<(), AppendError>>),
    HandedOver(oneshot::Receiver<Result<(), AppendError>>),
    Future(Pin<Box<dyn Future<Output = Result<(), AppendError>> + Send + 'a>>),
}

impl<'a> Appending<'a> {
    /// One that a future makes, which begins when it is first polled.
    pub fn by(future: impl Future<Output = Result<(), AppendError>> + Send + 'a) -> Self {
        Self(Kind::Future(Box::pin(future)))
    }

    /// One that came to its end at once.
    pub(crate) fn settled(result: Result<(), AppendError>) -> Self {
        Self(Kind::Settled(Some(result)))
    }

    /// One whose records were handed over to who answers; no answer means that the stream was closed.
    pub(crate) fn handed_over(answer: oneshot::Receiver<Result<(), AppendError>>) -> Self {
        Self(Kind::HandedOver(answer))
    }
}

impl Future for Appending<'_> {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Settled(result) => Poll::Ready(result.take().unwrap_or(Ok(()))),
            Kind::HandedOver(answer) => {
                let answered = Pin::new(answer).poll(cx);
                answered.map(|answered| answered.unwrap_or(Err(AppendError::Closed)))
            }
            Kind::Future(future) => future.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Appending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Appending")
    }
}
