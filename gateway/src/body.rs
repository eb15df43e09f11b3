//! Reads and inflates a request body within its caps.
//!
//! What a body inflates to is taken from the same budget as bodies under way, piece by piece: many
//! bombs at a time are refused as one is.

use std::io::Read;
use std::sync::{Arc, LazyLock};

use axum::body::HttpBody as Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Config;
use crate::problem::Problem;

/// Compressed bodies up to this size are inflated in place; a larger one could hold the thread for
/// more than a millisecond, and so could any of brotli, whose decoder fills its window first.
const INFLATE_IN_PLACE_BYTES: usize = 4 * 1024;

/// Bytes of a refused body that are read and thrown away, so that the client sees the answer
/// instead of a reset.
const DRAIN_BYTES: usize = 4 << 20;

/// A body may inflate to this size whatever was sent: events of one kind without ids are packed tightly.
const ANY_RATIO_BYTES: usize = 1 << 20;

/// Above that, the inflated bytes for each one that was sent. Batches of events with their ids come to
/// 8 by gzip and 20 by the slowest zstd, bombs to 1,000 and more.
const MAX_RATIO: usize = 32;

/// 4 MiB, what encoders use unless told otherwise. The decoder fills the window before it hands out a
/// byte, so a larger one costs time and memory before the limits above are looked at.
const MAX_BROTLI_WINDOW_BITS: u8 = 22;

/// Bytes by which an inflated body takes room in the budget.
const PIECE_BYTES: u32 = 64 * 1024;

/// Large bodies that are inflated at a time, one a processor: each has a thread and a window of up
/// to 8 MiB, and more at a time would not be done sooner.
static INFLATING: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism();
    Semaphore::new(processors.map_or(1, usize::from))
});

/// Reads the whole body and inflates it. `room` is the body's place in the budget of bytes under
/// way; what it inflates to is added.
pub(crate) async fn read<B>(
    config: &Config,
    headers: &HeaderMap,
    body: B,
    room: &mut OwnedSemaphorePermit,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let encoding = encoding(headers)?;
    let deadline = config.body_timeout;
    let read = tokio::time::timeout(deadline, collect(body, config.max_body_bytes));
    let sent = read.await.map_err(|_| Problem::TooSlow)??;
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
        let inflating = tokio::task::spawn_blocking(move || inflate(encoding, &sent, max, &budget));
        inflating.await.map_err(|_| Problem::BadEncoding)??
    };
    room.merge(taken);
    Ok(inflated)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = values.next() else {
        return Ok(Encoding::Identity);
    };
    let name = value
        .to_str()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match (name.as_str(), values.next()) {
        ("" | "identity", None) => Ok(Encoding::Identity),
        ("gzip" | "x-gzip", None) => Ok(Encoding::Gzip),
        ("deflate", None) => Ok(Encoding::Deflate),
        ("br", None) => Ok(Encoding::Brotli),
        ("zstd", None) => Ok(Encoding::Zstd),
        _ => Err(Problem::UnsupportedEncoding),
    }
}

async fn collect<B>(mut body: B, max_bytes: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
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

async fn drain(mut body: impl Body<Data = Bytes> + Unpin) {
    let mut drained = 0;
    while drained < DRAIN_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// An inflated body, and the room that it takes in the budget.
pub(crate) type Inflated = (Bytes, OwnedSemaphorePermit);

pub(crate) fn inflate(
    encoding: Encoding,
    sent: &[u8],
    max_bytes: usize,
    budget: &Arc<Semaphore>,
) -> Result<Inflated, Problem> {
    match encoding {
        Encoding::Identity => read_all(sent, max_bytes, budget),
        Encoding::Gzip => read_all(flate2::read::MultiGzDecoder::new(sent), max_bytes, budget),
        // RFC 9110 means zlib; some senders mean a bare deflate stream.
        Encoding::Deflate if sent.first().is_some_and(|byte| byte & 0x0f == 8) => {
            read_all(flate2::read::ZlibDecoder::new(sent), max_bytes, budget)
        }
        Encoding::Deflate => read_all(flate2::read::DeflateDecoder::new(sent), max_bytes, budget),
        Encoding::Brotli if brotli_window_bits(sent) > MAX_BROTLI_WINDOW_BITS => {
            Err(Problem::BadEncoding)
        }
        Encoding::Brotli => read_all(brotli::Decompressor::new(sent, 4_096), max_bytes, budget),
        Encoding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::new(sent).map_err(|_| Problem::BadEncoding)?;
            // 8 MiB, the window that RFC 8878 asks every decoder to have, and no more.
            decoder
                .window_log_max(23)
                .map_err(|_| Problem::BadEncoding)?;
            read_all(decoder, max_bytes, budget)
        }
    }
}

/// The size of the window that a brotli stream asks for (RFC 7932, section 9.1), as a power of two.
fn brotli_window_bits(sent: &[u8]) -> u8 {
    let first = sent.first().copied().unwrap_or(0);
    match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        // "Large window brotli", which is not of the RFC: up to 1 GiB.
        (_, 0, 1) => 30,
        (_, 0, n) => 8 + n,
        (_, n, _) => 17 + n,
    }
}

fn read_all(
    mut reader: impl Read,
    max_bytes: usize,
    budget: &Arc<Semaphore>,
) -> Result<Inflated, Problem> {
    let take = |bytes| {
        let taken = budget.clone().try_acquire_many_owned(bytes);
        taken.map_err(|_| Problem::Overloaded)
    };
    let mut room = take(0)?;
    let mut whole = Vec::new();
    loop {
        room.merge(take(PIECE_BYTES)?);
        let piece = reader.by_ref().take(u64::from(PIECE_BYTES));
        let mut piece = piece.take((max_bytes + 1 - whole.len()) as u64);
        let read = piece
            .read_to_end(&mut whole)
            .map_err(|_| Problem::BadEncoding)?;
        if whole.len() > max_bytes {
            return Err(Problem::InflatedTooLarge);
        }
        if read < PIECE_BYTES as usize {
            return Ok((whole.into(), room));
        }
    }
}
