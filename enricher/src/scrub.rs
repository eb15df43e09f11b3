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
use memchr::memmem;
use serde_json::Value as Json;

use crate::config::Config;
use crate::document::props::Prop;
use crate::document::{Document, Value, repair};
use crate::slot::{self, Slot, Slots};

/// Texts that are looked through for every kind: those in which sites put what people typed.
const FREE_TEXTS: [Slot; 11] = [
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
    slot::INVALID_FIELDS,
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

/// The step, made from the settings once.
#[derive(Debug)]
pub(crate) struct Scrub {
    rules: address::Rules,
    wanted: Secrets,
    /// Texts that are looked through for every kind that is wanted.
    wholes: Slots,
    /// Texts that are looked through for e-mail addresses: all but the enricher's own words.
    emails: Slots,
    /// The same of an event that says it was enriched.
    emails_of_enriched: Slots,
    /// Whether texts come from elsewhere than the record.
    has_other_texts: bool,
    /// How every web token begins.
    token: memmem::Finder<'static>,
}

impl Scrub {
    /// Makes the step.
    pub(crate) fn new(config: &Config) -> Self {
        let is_whole = |slot: &Slot| FREE_TEXTS.contains(slot);
        let is_own =
            |slot: Slot| slot.field().origin == Origin::Enricher && !ECHOES.contains(&slot);
        let others = || Slot::all().filter(|slot| *slot != slot::USER_CUSTOM_ID && !is_whole(slot));
        Self {
            rules: address::Rules::new(&config.privacy),
            wanted: config.privacy.redact,
            wholes: Slot::all().filter(is_whole).collect(),
            emails: others().filter(|slot| !is_own(*slot)).collect(),
            emails_of_enriched: others().collect(),
            has_other_texts: !config.rules.is_empty()
                || !config.lookups.is_empty()
                || config.rules_file.is_some(),
            token: memmem::Finder::new(b"eyJ"),
        }
    }

    /// Rewrites addresses and takes out what is found, of the kinds that are possible. Click ids stay
    /// where the visitor granted it.
    pub(crate) fn apply(
        &self,
        document: &mut Document<'_>,
        possible: Secrets,
        was_enriched: bool,
    ) -> Counts {
        let has_consent = document
            .text(slot::CONSENT)
            .is_some_and(|consent| consent.trim().eq_ignore_ascii_case("granted"));
        self.rewrite(document, slot::PAGE_URL, has_consent);
        self.rewrite(document, slot::REFERER_URL, has_consent);
        let mut counts = Counts::default();
        let wanted = self.wanted.and(possible);
        if wanted == Secrets::default() {
            return counts;
        }
        // Another program may have written what an enriched event says.
        let others = match was_enriched {
            true => self.emails_of_enriched,
            false => self.emails,
        };
        let filled = document.filled();
        filled
            .and(self.wholes)
            .each(|slot| self.text(document, slot, wanted, &mut counts));
        if wanted.has(Secret::Email) {
            filled
                .and(others)
                .each(|slot| self.text(document, slot, Secrets::EMAIL, &mut counts));
        }
        self.props(document, wanted, &mut counts);
        counts
    }

    /// The kinds that the texts of a record can hold at all. Nearly no record holds a sign of an
    /// e-mail address or a token outside of the visitor's id, which stays as it is; texts that come
    /// from elsewhere, such as the user's tables, must be looked at in any case.
    pub(crate) fn possible(&self, raw: &[u8], document: &Document<'_>) -> Secrets {
        if self.has_other_texts || memchr::memchr(b'\\', raw).is_some() {
            return Secrets::ALL;
        }
        let id = document.text(slot::USER_CUSTOM_ID).unwrap_or_default();
        let of_id = signs(id.as_bytes());
        let mut possible = Secrets::ALL;
        // Of more than one sign in the id, one may stand in its domain. An id that is there twice
        // counts once, and then every text is looked at.
        if signs(raw) == of_id && of_id <= 1 {
            possible = possible.without(Secret::Email);
        }
        if self.token.find(raw).is_none() {
            possible = possible.without(Secret::Jwt);
        }
        possible
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
            // What stands in one of its texts stands in the whole.
            Value::Raw(raw) if redact::redact(raw, wanted, &mut Counts::default()).is_some() => {
                let mut json = repair::parsed(raw);
                redact_json(&mut json, wanted, counts);
                document.set(slot, Value::Json(Box::new(json)));
            }
            _ => {}
        }
    }

    fn props(&self, document: &mut Document<'_>, wanted: Secrets, counts: &mut Counts) {
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

/// How many signs of an e-mail address there are: `@`, and `%40` or `%25`, which may become one.
fn signs(text: &[u8]) -> usize {
    let is_sign = |at: &usize| {
        text[*at] == b'@' || matches!(text.get(at + 1..at + 3), Some(b"40") | Some(b"25"))
    };
    memchr::memchr2_iter(b'@', b'%', text)
        .filter(is_sign)
        .count()
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
