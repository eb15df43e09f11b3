//! Reads and inflates a request body within its caps.

use std::io::{self, Read};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use crate::Config;
use crate::problem::Problem;

/// Compressed bodies up to this size are inflated in place; a larger one could hold the thread for
/// more than half a millisecond.
const INFLATE_IN_PLACE_BYTES: usize = 4 * 1024;

/// Bytes of a refused body that are read and thrown away, so that the client sees the answer
/// instead of a reset.
const DRAIN_BYTES: usize = 4 << 20;

/// Reads the whole body and inflates it.
pub(crate) async fn read(
    config: &Config,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Problem> {
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
    let max = config.max_inflated_bytes;
    if sent.len() <= INFLATE_IN_PLACE_BYTES {
        return inflate(encoding, &sent, max);
    }
    let inflated = tokio::task::spawn_blocking(move || inflate(encoding, &sent, max));
    inflated.await.map_err(|_| Problem::BadEncoding)?
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
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

async fn collect(mut body: Body, max_bytes: usize) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BadRequest)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > max_bytes {
            drain(body).await;
            return Err(Problem::BodyTooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

async fn drain(mut body: Body) {
    let mut drained = 0;
    while drained < DRAIN_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
}

fn inflate(encoding: Encoding, sent: &[u8], max_bytes: usize) -> Result<Bytes, Problem> {
    match encoding {
        Encoding::Identity => Ok(Bytes::copy_from_slice(sent)),
        Encoding::Gzip => read_all(flate2::read::MultiGzDecoder::new(sent), max_bytes),
        // RFC 9110 means zlib; some senders mean a bare deflate stream.
        Encoding::Deflate if sent.first().is_some_and(|byte| byte & 0x0f == 8) => {
            read_all(flate2::read::ZlibDecoder::new(sent), max_bytes)
        }
        Encoding::Deflate => read_all(flate2::read::DeflateDecoder::new(sent), max_bytes),
        Encoding::Brotli => read_all(brotli::Decompressor::new(sent, 4_096), max_bytes),
        Encoding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::new(sent).map_err(|_| Problem::BadEncoding)?;
            // 8 MiB, the window that RFC 8878 asks every decoder to have, and no more.
            decoder
                .window_log_max(23)
                .map_err(|_| Problem::BadEncoding)?;
            read_all(decoder, max_bytes)
        }
    }
}

fn read_all(reader: impl Read, max_bytes: usize) -> Result<Bytes, Problem> {
    let mut whole = Vec::new();
    let inflated: io::Result<usize> = reader.take(max_bytes as u64 + 1).read_to_end(&mut whole);
    match inflated {
        Ok(length) if length > max_bytes => Err(Problem::InflatedTooLarge),
        Ok(_) => Ok(whole.into()),
        Err(_) => Err(Problem::BadEncoding),
    }
}
