//! Reads a request body and has it inflated, within its caps.
//!
//! What a body inflates to is taken from the same budget as bodies under way: many bombs at a time are
//! refused as one is.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::Poll;

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use runtime::http::{Fields, Held, PlainBody, text};
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::Config;
use crate::inflate::{Encoding, inflate};
use crate::problem::Problem;

/// Compressed bodies up to this size are inflated in place; a larger one could hold the thread for
/// more than a millisecond, and so could any of brotli, whose decoder fills its window first.
const INFLATE_IN_PLACE_BYTES: usize = 4 * 1024;

/// Bytes of a refused body that are read and thrown away, so that the client sees the answer
/// instead of a reset.
const DRAIN_BYTES: usize = 4 << 20;

/// A body may inflate to this size whatever was sent: events of one kind without ids are packed tightly.
/// With what its decoder needs, a bomb costs less than a MiB before it is refused. As much as lies in a
/// window of brotli of half a MiB: one byte more, and its decoder fills a whole one.
const ANY_RATIO_BYTES: usize = (512 << 10) - 16;

/// Above that, the inflated bytes for each one that was sent. Batches of events with their ids come to
/// 8 by gzip and 20 by the slowest zstd, bombs to 1,000 and more.
const MAX_RATIO: usize = 32;

/// Large bodies that are inflated at a time, one a processor: each has a thread and up to 12 MiB, and
/// more at a time would not be done sooner.
static INFLATING: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism();
    Semaphore::new(processors.map_or(1, usize::from))
});

/// A body that is still to be read.
pub(crate) trait Body {
    /// Reads all of it; refuses one of more than `max_bytes`.
    fn read(&mut self, max_bytes: usize) -> impl Future<Output = Result<Held<'_>, Problem>> + Send;
}

impl<S: AsyncRead + Unpin + Send> Body for PlainBody<'_, S> {
    async fn read(&mut self, max_bytes: usize) -> Result<Held<'_>, Problem> {
        if self.bytes_left() > max_bytes {
            return Err(Problem::BodyTooLarge);
        }
        self.read().await.map_err(|_| Problem::BadRequest)
    }
}

/// A body as hyper hands it out, frame by frame.
pub(crate) struct Framed<B>(pub(crate) B);

impl<B: HttpBody<Data = Bytes, Error: Send> + Unpin + Send> Body for Framed<B> {
    async fn read(&mut self, max_bytes: usize) -> Result<Held<'_>, Problem> {
        Ok(Held::Own(collect(&mut self.0, max_bytes).await?))
    }
}

/// Reads the whole body and inflates it. `room` is the body's place in the budget of bytes under
/// way; what it inflates to is added.
pub(crate) async fn read<'a>(
    config: &Config,
    fields: Fields<'_>,
    body: &'a mut impl Body,
    room: &mut OwnedSemaphorePermit,
) -> Result<Held<'a>, Problem> {
    let encoding = encoding(fields)?;
    let deadline = config.body_timeout;
    let mut reading = pin!(body.read(config.max_body_bytes));
    // Most bodies are here already, and need no timer.
    let sent = match poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
        Poll::Ready(sent) => sent?,
        Poll::Pending => {
            let read = Box::pin(timeout(deadline, reading));
            read.await.map_err(|_| Problem::TooSlow)??
        }
    };
    let encoding = match encoding {
        // Some senders forget the header; the magic of gzip cannot start JSON.
        Encoding::Identity if sent.starts_with(&[0x1f, 0x8b]) => Encoding::Gzip,
        encoding => encoding,
    };
    if encoding == Encoding::Identity {
        return Ok(sent);
    }
    let credible = ANY_RATIO_BYTES.max(sent.len().saturating_mul(MAX_RATIO));
    let max = config.max_inflated_bytes.min(credible);
    let budget = room.semaphore().clone();
    let is_quick = sent.len() <= INFLATE_IN_PLACE_BYTES && encoding != Encoding::Brotli;
    let (inflated, taken) = if is_quick {
        inflate(encoding, &sent, max, &budget)?
    } else {
        let _place = INFLATING.acquire().await;
        let sent = match sent {
            Held::Own(bytes) => bytes,
            Held::Here(bytes) => Bytes::copy_from_slice(bytes),
        };
        let inflating = tokio::task::spawn_blocking(move || inflate(encoding, &sent, max, &budget));
        inflating.await.map_err(|_| Problem::BadEncoding)??
    };
    room.merge(taken);
    Ok(Held::Own(inflated))
}

fn encoding(fields: Fields<'_>) -> Result<Encoding, Problem> {
    let mut values = fields.all("content-encoding");
    let Some(value) = values.next() else {
        return Ok(Encoding::Identity);
    };
    let name = text(value).unwrap_or_default().trim().to_ascii_lowercase();
    match (name.as_str(), values.next()) {
        ("" | "identity", None) => Ok(Encoding::Identity),
        ("gzip" | "x-gzip", None) => Ok(Encoding::Gzip),
        ("deflate", None) => Ok(Encoding::Deflate),
        ("br", None) => Ok(Encoding::Brotli),
        ("zstd", None) => Ok(Encoding::Zstd),
        _ => Err(Problem::UnsupportedEncoding),
    }
}

async fn collect<B>(body: &mut B, max_bytes: usize) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    // Most bodies come in one piece, which is taken as it is.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BadRequest)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + whole.len() + data.len() > max_bytes {
            drain(body).await;
            return Err(Problem::BodyTooLarge);
        }
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        whole.extend_from_slice(&std::mem::take(&mut first));
        whole.extend_from_slice(&data);
    }
    match whole.is_empty() {
        true => Ok(first),
        false => Ok(whole.freeze()),
    }
}

async fn drain(body: &mut (impl HttpBody<Data = Bytes> + Unpin)) {
    let mut drained = 0;
    while drained < DRAIN_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
}
