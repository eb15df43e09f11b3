//! What is kept of addresses of pages, and texts without what people are known by.
//!
//! - `address` rewrites addresses: canonical, and with the wanted parameters alone
//! - `pseudonym` replaces ids by keyed hashes
//!
//! Runs behind every step that reads addresses and ids, so that nothing it removes is missed there.

mod address;
pub(crate) mod pseudonym;

use std::borrow::Cow;

use event::Origin;
use event::redact::{self, Counts, Secret, Secrets};
use serde_json::Value as Json;

use crate::config::Privacy;
use crate::document::props::Prop;
use crate::document::{Document, Value};
use crate::slot::{self, Slot};

/// Texts that are looked through for every kind: those in which sites put what people typed.
const FREE_TEXTS: [Slot; 10] = [
    slot::PAGE_URL,
    slot::PAGE_URL_PATH,
    slot::REFERER_URL,
    slot::PAGE_TITLE,
    slot::UTM_TERM,
    slot::UTM_CONTENT,
    slot::UTM_CAMPAIGN,
    slot::UTM_SOURCE,
    slot::UTM_MEDIUM,
    slot::CHANNEL_REASON,
];

/// Of the enricher's own fields, those whose text comes from the event.
const ECHOES: [Slot; 7] = [
    slot::USER_EMAIL_DOMAIN,
    slot::UTM_ID,
    slot::PAGE_HOST,
    slot::REFERER_HOST,
    slot::DEVICE_MODEL,
    slot::BOT_NAME,
    slot::BROWSER_NAME,
];

/// How texts are looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Not at all: the enricher's own words.
    Never,
    /// For e-mail addresses.
    Email,
    /// For every kind that is wanted.
    Whole,
}

/// The step, made from the settings once.
#[derive(Debug)]
pub(crate) struct Scrub {
    rules: address::Rules,
    wanted: Secrets,
    looks: Vec<Look>,
}

impl Scrub {
    /// Makes the step.
    pub(crate) fn new(privacy: &Privacy) -> Self {
        let look = |slot: Slot| {
            if slot == slot::USER_CUSTOM_ID {
                Look::Never
            } else if FREE_TEXTS.contains(&slot) {
                Look::Whole
            } else if slot.field().origin == Origin::Enricher && !ECHOES.contains(&slot) {
                Look::Never
            } else {
                Look::Email
            }
        };
        Self {
            rules: address::Rules::new(privacy),
            wanted: privacy.redact,
            looks: Slot::all().map(look).collect(),
        }
    }

    /// Rewrites addresses and takes out what is found. Click ids stay where the visitor granted it.
    pub(crate) fn apply(&self, document: &mut Document<'_>, was_enriched: bool) -> Counts {
        let has_consent = document
            .text(slot::CONSENT)
            .is_some_and(|consent| consent.trim().eq_ignore_ascii_case("granted"));
        self.rewrite(document, slot::PAGE_URL, has_consent);
        self.rewrite(document, slot::REFERER_URL, has_consent);
        let mut counts = Counts::default();
        if self.wanted == Secrets::default() {
            return counts;
        }
        for (slot, look) in Slot::all().zip(&self.looks) {
            let look = match look {
                // Another program may have written what an enriched event says.
                Look::Never if was_enriched && slot != slot::USER_CUSTOM_ID => Look::Email,
                look => *look,
            };
            if look == Look::Never {
                continue;
            }
            let wanted = match look {
                Look::Whole => self.wanted,
                _ => self.wanted.and(Secrets::EMAIL),
            };
            self.text(document, slot, wanted, &mut counts);
        }
        self.props(document, &mut counts);
        counts
    }

    fn rewrite(&self, document: &mut Document<'_>, slot: Slot, has_consent: bool) {
        let Some(text) = document.text(slot) else {
            return;
        };
        let is_referrer = slot == slot::REFERER_URL;
        match self.rules.rewrite(text, is_referrer, has_consent) {
            address::Rewritten::AsIs => {}
            address::Rewritten::Other(text) if text.is_empty() => document.clear(slot),
            address::Rewritten::Other(text) => document.set_text(slot, text),
            address::Rewritten::Refused => {
                document.clear(slot);
                document.add_invalid(slot.field().name);
            }
        }
    }

    fn text(&self, document: &mut Document<'_>, slot: Slot, wanted: Secrets, counts: &mut Counts) {
        match document.value(slot) {
            Value::Text(text) => {
                if let Some(redacted) = redact::redact(text, wanted, counts) {
                    document.set_text(slot, redacted);
                }
            }
            Value::List(texts) => {
                let redacted: Vec<_> = texts
                    .iter()
                    .map(|text| redact::redact(text, wanted, counts).map(Cow::Owned))
                    .collect();
                if redacted.iter().any(Option::is_some)
                    && let Value::List(texts) = document.take(slot)
                {
                    let texts = texts.into_iter().zip(redacted);
                    let texts = texts.map(|(text, redacted)| redacted.unwrap_or(text));
                    document.set(slot, Value::List(texts.collect()));
                }
            }
            Value::Json(_) => {
                if let Value::Json(mut json) = document.take(slot) {
                    redact_json(&mut json, wanted, counts);
                    document.set(slot, Value::Json(json));
                }
            }
            _ => {}
        }
    }

    fn props(&self, document: &mut Document<'_>, counts: &mut Counts) {
        let wanted = self.wanted;
        document
            .props
            .rename_all(|name| redact::redact(name, wanted, counts));
        document.props.edit(|_, prop| match prop {
            Prop::Text(text) => {
                if let Some(redacted) = redact::redact(text, wanted, counts) {
                    *text = redacted.into();
                }
            }
            // A card's number may come as a number.
            Prop::Json(Json::Number(number)) if wanted.has(Secret::Card) => {
                if number
                    .as_u64()
                    .is_some_and(|number| number >= 1_000_000_000_000)
                    && let Some(redacted) = redact::redact(&number.to_string(), wanted, counts)
                {
                    *prop = Prop::Text(redacted.into());
                }
            }
            Prop::Json(json) => redact_json(json, wanted, counts),
        });
    }
}

/// Texts and names of members, at any depth; depth was bounded when the event was read.
fn redact_json(json: &mut Json, wanted: Secrets, counts: &mut Counts) {
    match json {
        Json::String(text) => {
            if let Some(redacted) = redact::redact(text, wanted, counts) {
                *text = redacted;
            }
        }
        Json::Array(items) => {
            for item in items {
                redact_json(item, wanted, counts);
            }
        }
        Json::Object(members) => {
            let names: Vec<_> = members
                .keys()
                .filter_map(|name| {
                    let redacted = redact::redact(name, wanted, counts)?;
                    Some((name.clone(), redacted))
                })
                .collect();
            for (name, redacted) in names {
                if let Some(value) = members.remove(&name) {
                    members.insert(redacted, value);
                }
            }
            for value in members.values_mut() {
                redact_json(value, wanted, counts);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
