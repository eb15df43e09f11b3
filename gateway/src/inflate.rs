//! Inflates a request body, up to a size and no further.
//!
//! A decoder with a window of its own holds most of what it inflates twice. So zstd inflates in one go,
//! with the output for its window; brotli has no window larger than the output, and is refused
//! before that is copied.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zstd::zstd_safe::{self, zstd_sys::ZSTD_ErrorCode};

use crate::problem::Problem;

/// 4 MiB, what encoders use unless told otherwise.
const MAX_BROTLI_WINDOW_BITS: u8 = 22;

/// Bytes by which an inflated body takes room in the budget.
const PIECE_BYTES: usize = 64 * 1024;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// An inflated body, and the room that it takes in the budget.
pub(crate) type Inflated = (Bytes, OwnedSemaphorePermit);

/// Inflates a body; refuses what comes to more than `max_bytes`.
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
        Encoding::Brotli => inflate_brotli(sent, max_bytes, budget),
        Encoding::Zstd => inflate_zstd(sent, max_bytes, budget),
    }
}

/// The decoder fills its window before it hands out a byte, so what lies there is counted before it is
/// copied.
fn inflate_brotli(
    sent: &[u8],
    max_bytes: usize,
    budget: &Arc<Semaphore>,
) -> Result<Inflated, Problem> {
    let sent = with_window_for(sent, max_bytes);
    let allocator = StandardAlloc::default;
    let mut state = BrotliState::new(allocator(), allocator(), allocator());
    let (mut left, mut read) = (sent.len(), 0);
    let (mut whole, mut written) = (Vec::new(), 0);
    let mut room = take(budget, 0)?;
    loop {
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            &sent,
            &mut (whole.len() - written),
            &mut written,
            &mut whole,
            &mut 0,
            &mut state,
        );
        match result {
            BrotliResult::ResultSuccess if left == 0 => return Ok((whole.into(), room)),
            BrotliResult::NeedsMoreOutput => {
                let window = usize::try_from(state.ringbuffer_size).unwrap_or(0);
                let filled = usize::try_from(state.pos).unwrap_or(0).min(window);
                let inflated = state.rb_roundtrips * window + filled;
                if inflated > max_bytes {
                    return Err(Problem::InflatedTooLarge);
                }
                room.merge(take(budget, inflated - written)?);
                whole.resize(inflated, 0);
            }
            _ => return Err(Problem::BadEncoding),
        }
    }
}

/// A brotli stream with the least window that holds `max_bytes`: up to there it means the same, for no
/// distance reaches further back than to the beginning.
fn with_window_for(sent: &[u8], max_bytes: usize) -> Cow<'_, [u8]> {
    // The last 16 bytes of a window cannot be referred to.
    let least = (max_bytes + 16).next_power_of_two().ilog2().max(18) as u8;
    if brotli_window_bits(sent) <= least {
        return sent.into();
    }
    let mut narrow = sent.to_vec();
    narrow[0] = narrow[0] & 0xf0 | (least - 17) << 1 | 1;
    narrow.into()
}

/// In one go, for then the output is the window.
fn inflate_zstd(
    sent: &[u8],
    max_bytes: usize,
    budget: &Arc<Semaphore>,
) -> Result<Inflated, Problem> {
    let mut room = take(budget, max_bytes)?;
    let mut whole = Vec::with_capacity(max_bytes);
    match zstd_safe::decompress(&mut whole, sent) {
        Ok(inflated) => {
            drop(room.split(max_bytes - inflated));
            Ok((whole.into(), room))
        }
        Err(code) if is_too_small(code) => Err(Problem::InflatedTooLarge),
        Err(_) => Err(Problem::BadEncoding),
    }
}

/// Whether an error of zstd says that there is not enough room for the output.
fn is_too_small(code: zstd_safe::ErrorCode) -> bool {
    // Errors are negative.
    code.wrapping_neg() == ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize
}

/// Room in the budget of bytes under way.
fn take(budget: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let taken = budget.clone().try_acquire_many_owned(bytes);
    taken.map_err(|_| Problem::Overloaded)
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
    let mut room = take(budget, 0)?;
    let mut whole = Vec::with_capacity(PIECE_BYTES);
    loop {
        room.merge(take(budget, PIECE_BYTES)?);
        let most = PIECE_BYTES.min(max_bytes + 1 - whole.len());
        if whole.capacity() < whole.len() + most {
            // Not by doubling, which holds the body twice where it has to move.
            whole.reserve_exact(max_bytes + 1 - whole.len());
        }
        let mut piece = reader.by_ref().take(most as u64);
        let read = piece
            .read_to_end(&mut whole)
            .map_err(|_| Problem::BadEncoding)?;
        if whole.len() > max_bytes {
            return Err(Problem::InflatedTooLarge);
        }
        if read < most {
            return Ok((whole.into(), room));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// Letters of which the second half repeats the first, as far back as can be.
    fn letters(count: usize) -> Vec<u8> {
        let mut random = StdRng::seed_from_u64(1);
        let half: Vec<u8> = (0..count.div_ceil(2))
            .map(|_| random.random_range(b'a'..=b'z'))
            .collect();
        [&half[..], &half].concat()[..count].to_vec()
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli<const WINDOW_BITS: u32>(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4_096, 5, WINDOW_BITS)
            .write_all(data)
            .unwrap();
        out
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::encode_all(data, 1).unwrap()
    }

    #[test]
    fn body_is_inflated_up_to_its_cap_and_no_further() {
        let encoders: [(Encoding, fn(&[u8]) -> Vec<u8>); 8] = [
            (Encoding::Identity, <[u8]>::to_vec),
            (Encoding::Gzip, gzip),
            (Encoding::Deflate, deflate),
            (Encoding::Brotli, brotli::<10>),
            (Encoding::Brotli, brotli::<18>),
            (Encoding::Brotli, brotli::<20>),
            (Encoding::Brotli, brotli::<22>),
            (Encoding::Zstd, zstd),
        ];
        let room = 4 << 20;
        let budget = Arc::new(Semaphore::new(room));
        // On both sides of what a window of brotli holds.
        for count in [1, 1_000, (1 << 18) - 16, (1 << 18) - 15, 768 << 10, 1 << 20] {
            let data = letters(count);
            for (encoding, encode) in encoders {
                let sent = encode(&data);
                let what = format!("{encoding:?}, {count} bytes");
                let (inflated, taken) = inflate(encoding, &sent, count, &budget).expect(&what);
                assert!(inflated == data, "{what}");
                assert!(taken.num_permits() >= count, "{what}");
                drop(taken);
                let refused = inflate(encoding, &sent, count - 1, &budget).map(|_| ());
                assert_eq!(refused, Err(Problem::InflatedTooLarge), "{what}");
                assert_eq!(
                    budget.available_permits(),
                    room,
                    "{what}: room is given back"
                );
            }
        }
    }

    #[test]
    fn body_of_several_frames_is_inflated_whole() {
        let budget = Arc::new(Semaphore::new(4 << 20));
        let encoders: [(Encoding, fn(&[u8]) -> Vec<u8>); 2] =
            [(Encoding::Gzip, gzip), (Encoding::Zstd, zstd)];
        for (encoding, encode) in encoders {
            let sent = [encode(b"one,"), encode(b"two")].concat();
            let (inflated, _room) = inflate(encoding, &sent, 7, &budget).unwrap();
            assert_eq!(inflated, "one,two");
        }
    }
}
