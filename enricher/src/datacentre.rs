//! Whether an address is a machine's in a data centre, by its autonomous system.

use std::collections::HashSet;

use anyhow::{Context as _, ensure};

/// The word for the table of this build.
const BUILTIN: &str = "builtin";

/// Autonomous systems of hosting companies.
#[derive(Debug, Default)]
pub(crate) struct Datacentres(HashSet<u32>);

impl Datacentres {
    /// Reads numbers, with or without `AS`, and the word `builtin`.
    ///
    /// # Errors
    /// For any other text; names the setting.
    pub(crate) fn new(listed: &[String]) -> anyhow::Result<Self> {
        let mut numbers = HashSet::new();
        for text in listed {
            if text == BUILTIN {
                numbers.extend(builtin());
                continue;
            }
            let digits = text.trim().trim_start_matches("AS");
            let number = digits.parse().ok().filter(|number| *number > 0);
            let number = number.with_context(|| {
                format!("[enricher] datacentre_as: {text:?} is neither a number nor \"builtin\"")
            })?;
            numbers.insert(number);
        }
        ensure!(
            numbers.len() <= 200_000,
            "[enricher] datacentre_as: more than there are"
        );
        Ok(Self(numbers))
    }

    /// Whether it is one of them.
    pub(crate) fn has(&self, number: i64) -> bool {
        u32::try_from(number).is_ok_and(|number| self.0.contains(&number))
    }
}

fn builtin() -> impl Iterator<Item = u32> {
    include_str!("../rules/datacentres.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_the_builtin_table_are_read() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let listed = Datacentres::new(&texts(&["builtin", "AS64496", "64497"])).unwrap();
        assert!(listed.has(16_509) && listed.has(64_496) && listed.has(64_497));
        assert!(!listed.has(3_320) && !listed.has(-1));
        assert!(builtin().count() > 40);
        let error = Datacentres::new(&texts(&["amazon"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("datacentre_as: \"amazon\""), "{error}");
    }
}
