//! Feeds readers of untrusted bytes with a corpus and with what it mutates to.
//!
//! A target is a test that calls [`check`] with the name of a folder below `fuzz/corpus` and a
//! function that must not panic, whatever bytes it is given. Each file of the folder is fed as it
//! is; then files are cut, joined and altered for a second, or for `WEIR_FUZZ_SECONDS` (`make fuzz`).
//! An input that makes the function panic is written into the folder, so that it is fed from then
//! on. `WEIR_FUZZ_SEED` repeats a run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Longest input, as long as a few events.
const MAX_BYTES: usize = 64 * 1024;

/// Pieces that matter to one of the readers.
const PIECES: [&[u8]; 34] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b":",
    b",",
    b"null",
    b"true",
    b"-",
    b"1e999",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"%",
    b"%00",
    b"&",
    b"=",
    b"+",
    b";",
    b"\"events\":[",
    b"\"event_type\":\"a\"",
    b"\"event_timestamp\":",
    b"for=",
    b"WLR\x01",
    b"://",
    b"9999-12-31",
    b"\xf0\x9f\x98\x80",
    b"[a.b]\n",
];

/// Feeds `target` with the corpus of this name and what it mutates to.
///
/// # Panics
/// When `target` does, after writing the input into the corpus.
pub fn check(name: &str, target: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let corpus = read(&folder);
    assert!(!corpus.is_empty(), "{} holds no file", folder.display());
    corpus
        .iter()
        .for_each(|input| feed(&folder, &target, input));
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seed = number("WEIR_FUZZ_SEED").unwrap_or_else(rand::random);
    let seconds = number("WEIR_FUZZ_SECONDS").unwrap_or(1);
    let mut random = StdRng::seed_from_u64(seed);
    let (until, mut count) = (Instant::now() + Duration::from_secs(seconds), 0_u64);
    println!("{name}: WEIR_FUZZ_SEED={seed}");
    while Instant::now() < until {
        let input = mutate(&corpus, &mut random);
        feed(&folder, &target, &input);
        count += 1;
    }
    println!(
        "{name}: {} files, {count} mutations in {seconds} s, no panic",
        corpus.len()
    );
}

/// The files of a folder, in order of name.
fn read(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

fn feed(folder: &Path, target: &impl Fn(&[u8]), input: &[u8]) {
    let fed = catch_unwind(AssertUnwindSafe(|| target(input)));
    if fed.is_err() {
        // Named by its bytes (FNV-1a): the same find gives the same file.
        let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let path = folder.join(format!("found-{hash:016x}"));
        let written = std::fs::write(&path, input);
        panic!("{}: {written:?}: this input makes it panic", path.display());
    }
}

fn mutate(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let pick = |random: &mut StdRng| &corpus[random.random_range(0..corpus.len())];
    let mut input = pick(random).clone();
    for _ in 0..random.random_range(1..=8) {
        let at = random.random_range(0..=input.len());
        let end = (at + random.random_range(0..32)).min(input.len());
        match random.random_range(0..7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            3 if at < input.len() => input[at] = random.random(),
            4 => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                // Now and then deep or long.
                let times = if random.random_ratio(1, 50) { 500 } else { 1 };
                let insert = piece.repeat(times);
                drop(input.splice(at..at, insert));
            }
            5 => {
                let repeated = input[at..end].to_vec();
                drop(input.splice(at..at, repeated));
            }
            _ => {
                let other = pick(random);
                let from = random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
    input.truncate(MAX_BYTES);
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_that_panics_at_a_mutation_is_found_and_its_input_written() {
        let folder = std::env::temp_dir().join(format!("weir-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let target = |input: &[u8]| assert!(!input.starts_with(b"bad"), "bad");
        let corpus = [b"good".to_vec(), b"xbad".to_vec()];
        let mut random = StdRng::seed_from_u64(1);
        let found = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..1_000_000 {
                feed(&folder, &target, &mutate(&corpus, &mut random));
            }
        }));
        let written = read(&folder);
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        assert!(found.is_err(), "the mutations reach it");
        assert!(
            written.len() == 1 && written[0].starts_with(b"bad"),
            "{written:?}"
        );
    }
}
