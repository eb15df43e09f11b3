//! Small files of the log's state, each replaced whole and sealed with a checksum.
//!
//! ```text
//! JSON
//! crc32c HEX
//! ```
//! A file whose seal does not fit is set aside under another name, so that the log opens without
//! it: what it held is found again another way or read again, never guessed.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fs::FileSystem;

const SEAL: &str = "crc32c ";

/// What a state file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded<T> {
    Missing,
    Whole(T),
    /// It was set aside as `NAME.damaged`.
    Damaged,
}

/// Reads a state file. One without a seal is of an older version and believed.
pub(super) fn load<T: DeserializeOwned>(fs: &dyn FileSystem, path: &Path) -> io::Result<Loaded<T>> {
    let Some(content) = fs.read(path)? else {
        return Ok(Loaded::Missing);
    };
    if let Some(state) = open(&content) {
        return Ok(Loaded::Whole(state));
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    fs.replace(Path::new(&aside), &content)?;
    fs.remove(path)?;
    let file = path.display();
    tracing::error!(%file, "a state file is damaged and was set aside");
    Ok(Loaded::Damaged)
}

/// Replaces a state file, durably.
pub(super) fn save<T: Serialize>(fs: &dyn FileSystem, path: &Path, state: &T) -> io::Result<()> {
    let mut content = serde_json::to_vec(state)?;
    let checksum = crc32c::crc32c(&content);
    content.extend_from_slice(format!("\n{SEAL}{checksum:08x}\n").as_bytes());
    fs.replace(path, &content)
}

fn open<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(content).ok()?;
    let json = match text.split_once('\n') {
        Some((json, rest)) => {
            let expected = format!("{SEAL}{:08x}\n", crc32c::crc32c(json.as_bytes()));
            (rest == expected).then_some(json)?
        }
        None => text,
    };
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Offsets = BTreeMap<String, u64>;

    fn content() -> Vec<u8> {
        let json = br#"{"a":12345}"#;
        let seal = format!("\n{SEAL}{:08x}\n", crc32c::crc32c(json));
        [json, seal.as_bytes()].concat()
    }

    #[test]
    fn whole_file_is_believed_with_and_without_a_seal() {
        let expected = Some(Offsets::from([("a".to_owned(), 12345)]));
        assert_eq!(open::<Offsets>(&content()), expected);
        assert_eq!(open::<Offsets>(br#"{"a":12345}"#), expected);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_seen() {
        let content = content();
        for at in 0..content.len() {
            for bit in 0..8 {
                let mut hurt = content.clone();
                hurt[at] ^= 1 << bit;
                assert_eq!(open::<Offsets>(&hurt), None, "bit {bit} of byte {at}");
            }
        }
        let json = content.iter().position(|byte| *byte == b'\n');
        for length in 0..content.len() {
            // Cut before the seal it is what an older version wrote, whole.
            if Some(length) != json {
                assert_eq!(open::<Offsets>(&content[..length]), None, "{length} bytes");
            }
        }
    }
}
