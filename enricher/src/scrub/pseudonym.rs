//! Ids replaced by keyed hashes: equal ids stay equal, and nobody without the key can tell whose.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::Privacy;
use crate::document::props::Prop;
use crate::document::{Document, Value};
use crate::slot::{self, Slot};

/// Hexadecimal digits kept of a hash: 128 bits, far from any collision.
const DIGITS: usize = 32;

/// What stands in documents for an id of this field; `None` where it stands there itself.
#[must_use]
pub fn pseudonym(privacy: &Privacy, field: &str, id: &str) -> Option<String> {
    let is_named = privacy.pseudonyms.iter().any(|named| named == field);
    let pseudonyms = Pseudonyms::new(privacy).filter(|_| is_named)?;
    Some(pseudonyms.of(id))
}

/// The step, made from the settings once.
#[derive(Debug)]
pub(crate) struct Pseudonyms {
    slots: Vec<Slot>,
    props: Vec<String>,
    mac: Hmac<Sha256>,
}

impl Pseudonyms {
    /// Makes the step; `None` where no field is named.
    pub(crate) fn new(privacy: &Privacy) -> Option<Self> {
        if privacy.pseudonyms.is_empty() {
            return None;
        }
        let mac = Hmac::new_from_slice(privacy.pseudonym_key.as_bytes()).ok()?;
        let named = |name: &String| Slot::find(name);
        let props = privacy
            .pseudonyms
            .iter()
            .filter(|name| named(name).is_none());
        Some(Self {
            slots: privacy.pseudonyms.iter().filter_map(named).collect(),
            props: props
                .map(|name| name.strip_prefix("props.").unwrap_or(name).to_owned())
                .collect(),
            mac,
        })
    }

    /// Whether the id that events are keyed by is replaced.
    pub(crate) fn has_key(&self) -> bool {
        self.slots.contains(&slot::USER_DOMAIN_ID) || self.slots.contains(&slot::SESSION_ID)
    }

    /// Replaces the values of the named fields.
    pub(crate) fn apply(&self, document: &mut Document<'_>) {
        for slot in &self.slots {
            if let Value::Text(text) = document.value(*slot) {
                let pseudonym = self.of(text);
                document.set_text(*slot, pseudonym);
            }
        }
        if self.props.is_empty() {
            return;
        }
        document.props.edit(|name, prop| {
            if !self.props.iter().any(|named| named == name) {
                return;
            }
            let pseudonym = match prop {
                Prop::Text(text) => self.of(text),
                Prop::Json(json) => self.of(&json.to_string()),
            };
            *prop = Prop::Text(pseudonym.into());
        });
    }

    fn of(&self, text: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        let hash = mac.finalize().into_bytes();
        // The letter in front tells it from a hash that the site sent, which would be taken out.
        let mut pseudonym = String::from("p");
        pseudonym.extend(hash.iter().map(|byte| format!("{byte:02x}")));
        pseudonym.truncate(1 + DIGITS);
        pseudonym
    }
}
