//! What a sender says of browser, system and device where the agent of the visit does not: in the words
//! of this enricher, so that one browser is one name whoever tells it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::document::Document;
use crate::slot::{self, Slot};

/// The names by field and folded spelling.
static NAMES: LazyLock<HashMap<(&str, &str), &str>> = LazyLock::new(|| {
    include_str!("../../rules/claims.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            Some(((cells.next()?, cells.next()?), cells.next()?))
        })
        .collect()
});

/// Longest claim that is looked up, in bytes: more than any row has.
const MAX_BYTES: usize = 64;

/// Spells the claims that are left as the tables do; what they do not know stays as it is.
pub(super) fn apply(document: &mut Document<'_>) {
    let named = |document: &Document<'_>, slot: Slot| {
        let text = document.text(slot)?;
        let name = name(slot.field().name, text)?;
        (name != text).then_some(name)
    };
    for slot in [slot::BROWSER_NAME, slot::DEVICE_TYPE] {
        document.set_known(slot, named(document, slot));
    }
    let Some(family) = named(document, slot::OS_NAME) else {
        return;
    };
    // The label is the family with its version: "MacOS 14".
    let version = document
        .text(slot::OS)
        .zip(document.text(slot::OS_NAME))
        .and_then(|(label, claimed)| label.strip_prefix(claimed));
    if let Some(version) = version {
        document.set_text(slot::OS, format!("{family}{version}"));
    }
    document.set_text(slot::OS_NAME, family);
}

/// The name of this enricher for what a field says.
fn name(field: &str, text: &str) -> Option<&'static str> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let folded: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    NAMES.get(&(field, folded.as_str())).copied()
}
