//! Durations and sizes as people write them: `500ms`, `30d`, `1 MiB`, or a plain integer.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration; a plain integer counts seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

const SPANS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

fn parse(text: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let count: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim();
    let factor = match unit {
        "" => plain,
        unit => {
            units
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
                .1
        }
    };
    count.checked_mul(factor)
}

fn show(value: u64, units: &[(&str, u64)], gap: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((name, factor)) => write!(f, "{}{gap}{name}", value / factor),
        None => write!(f, "{value}"),
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(
            u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX),
            &SPANS,
            "",
            f,
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &SIZES, " ", f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value as it may stand in the file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl Written {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Written::deserialize(deserializer)?.text();
        let millis = parse(&text, &SPANS, 1_000);
        let millis = millis.ok_or_else(|| {
            de::Error::custom(format!(
                "\"{text}\" is no duration such as 500ms, 10s or 30d"
            ))
        })?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Written::deserialize(deserializer)?.text();
        let bytes = parse(&text, &SIZES, 1);
        let bytes = bytes.ok_or_else(|| {
            de::Error::custom(format!("\"{text}\" is no size such as 64 KiB or 1 GiB"))
        })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_shown() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("30d", 2_592_000_000, "30d"),
            ("90", 90_000, "90s"),
            ("60 s", 60_000, "1m"),
        ] {
            let read = parse(text, &SPANS, 1_000).unwrap();
            assert_eq!(read, millis, "{text}");
            assert_eq!(Span(Duration::from_millis(read)).to_string(), shown);
        }
        for (text, bytes, shown) in [
            ("1 MiB", 1_048_576, "1 MiB"),
            ("64kib", 65_536, "64 KiB"),
            ("1000", 1_000, "1 kB"),
        ] {
            let read = parse(text, &SIZES, 1).unwrap();
            assert_eq!(
                (read, Size(read).to_string().as_str()),
                (bytes, shown),
                "{text}"
            );
        }
        for bad in ["", "ten", "5 parsecs", "-1s", "99999999999999999999d"] {
            assert_eq!(parse(bad, &SPANS, 1), None, "{bad}");
        }
    }
}
