//! Slots: fields of THE table by number, so that a step names a field once and finds it at once.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use event::{FIELDS, Field, Origin, field};
use foldhash::fast::FixedState;

/// A field of [`FIELDS`] by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u8);

const _: () = assert!(FIELDS.len() <= u8::MAX as usize);

impl Slot {
    /// The slot of the field of this name; a name that the table lacks does not compile.
    const fn of(name: &str) -> Self {
        Self(field::place(name) as u8)
    }

    /// The place in the table.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The field.
    pub(crate) fn field(self) -> &'static Field {
        &FIELDS[self.index()]
    }

    /// Every slot in the order of the table.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..FIELDS.len() as u8).map(Self)
    }

    /// The slot of the field of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        // The names are ours, so nobody can make them collide.
        static SLOTS: LazyLock<HashMap<&'static str, Slot, FixedState>> =
            LazyLock::new(|| Slot::all().map(|slot| (slot.field().name, slot)).collect());
        SLOTS.get(name).copied()
    }

    /// The slot of the field of this name, which comes behind `previous`: looked for first where it
    /// was the last time, for senders keep to an order, which spares the hashing.
    pub(crate) fn find_behind(previous: Option<Self>, name: &str) -> Option<Self> {
        let place = previous.map_or(FIELDS.len(), Self::index);
        let last = FOLLOWERS[place].load(Ordering::Relaxed);
        match FIELDS.get(usize::from(last)) {
            Some(field) if field.name == name => Some(Self(last)),
            _ => {
                let found = Self::find(name)?;
                FOLLOWERS[place].store(found.0, Ordering::Relaxed);
                Some(found)
            }
        }
    }
}

/// The field that came last behind each field, and at the start of an event.
static FOLLOWERS: [AtomicU8; FIELDS.len() + 1] = [const { AtomicU8::new(0) }; FIELDS.len() + 1];

/// Some slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slots([u64; 2]);

const _: () = assert!(FIELDS.len() <= 128);

impl Slots {
    /// The fields that only the enricher may set.
    pub(crate) const ENRICHERS: Self = {
        let (mut slots, mut place) = (Self([0; 2]), 0);
        while place < FIELDS.len() {
            if matches!(FIELDS[place].origin, Origin::Enricher) {
                slots.add(Slot(place as u8));
            }
            place += 1;
        }
        slots
    };

    /// Adds a slot.
    pub(crate) const fn add(&mut self, slot: Slot) {
        self.0[slot.index() / 64] |= 1 << (slot.index() % 64);
    }

    /// Takes a slot out.
    pub(crate) const fn remove(&mut self, slot: Slot) {
        self.0[slot.index() / 64] &= !(1 << (slot.index() % 64));
    }

    /// Whether a slot is among them.
    pub(crate) const fn has(self, slot: Slot) -> bool {
        self.0[slot.index() / 64] & 1 << (slot.index() % 64) != 0
    }

    /// Those that are in both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }

    /// Calls `each` with every slot, in the order of the table.
    pub(crate) fn each(self, mut each: impl FnMut(Slot)) {
        for (word, first) in self.0.into_iter().zip([0, 64]) {
            let mut bits = word;
            while bits != 0 {
                each(Slot(first + bits.trailing_zeros() as u8));
                bits &= bits - 1;
            }
        }
    }
}

impl FromIterator<Slot> for Slots {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::default();
        slots.into_iter().for_each(|slot| set.add(slot));
        set
    }
}

pub(crate) const EVENT_ID: Slot = Slot::of("event_id");
pub(crate) const EVENT_ID_ORIGINAL: Slot = Slot::of("event_id_original");
pub(crate) const EVENT_TIMESTAMP: Slot = Slot::of("event_timestamp");
pub(crate) const EVENT_TYPE: Slot = Slot::of("event_type");
pub(crate) const PAGE_URL: Slot = Slot::of("page_url");
pub(crate) const PAGE_URL_PATH: Slot = Slot::of("page_url_path");
pub(crate) const PAGE_HOST: Slot = Slot::of("page_host");
pub(crate) const REFERER_URL: Slot = Slot::of("referer_url");
pub(crate) const REFERER_HOST: Slot = Slot::of("referer_host");
pub(crate) const UTM_MEDIUM: Slot = Slot::of("utm_medium");
pub(crate) const UTM_SOURCE: Slot = Slot::of("utm_source");
pub(crate) const UTM_CONTENT: Slot = Slot::of("utm_content");
pub(crate) const UTM_CAMPAIGN: Slot = Slot::of("utm_campaign");
pub(crate) const UTM_TERM: Slot = Slot::of("utm_term");
pub(crate) const UTM_ID: Slot = Slot::of("utm_id");
pub(crate) const CLICK_ID: Slot = Slot::of("click_id");
pub(crate) const CLICK_NETWORK: Slot = Slot::of("click_network");
pub(crate) const GEO_LATITUDE: Slot = Slot::of("geo_latitude");
pub(crate) const GEO_LONGITUDE: Slot = Slot::of("geo_longitude");
pub(crate) const GEO_COUNTRY: Slot = Slot::of("geo_country");
pub(crate) const GEO_TIMEZONE: Slot = Slot::of("geo_timezone");
pub(crate) const GEO_REGION_NAME: Slot = Slot::of("geo_region_name");
pub(crate) const GEO_CITY: Slot = Slot::of("geo_city");
pub(crate) const GEO_LOCATION: Slot = Slot::of("geo_location");
pub(crate) const GEO_SOURCE: Slot = Slot::of("geo_source");
pub(crate) const AS_NUMBER: Slot = Slot::of("as_number");
pub(crate) const AS_NAME: Slot = Slot::of("as_name");
pub(crate) const IP_ADDRESS: Slot = Slot::of("ip_address");
pub(crate) const BROWSER_NAME: Slot = Slot::of("browser_name");
pub(crate) const BROWSER_USER_AGENT: Slot = Slot::of("browser_user_agent");
pub(crate) const BROWSER_VERSION: Slot = Slot::of("browser_version");
pub(crate) const BROWSER_MAJOR: Slot = Slot::of("browser_major");
pub(crate) const OS: Slot = Slot::of("os");
pub(crate) const OS_NAME: Slot = Slot::of("os_name");
pub(crate) const OS_VERSION: Slot = Slot::of("os_version");
pub(crate) const DEVICE_TYPE: Slot = Slot::of("device_type");
pub(crate) const DEVICE_IS_MOBILE: Slot = Slot::of("device_is_mobile");
pub(crate) const DEVICE_BRAND: Slot = Slot::of("device_brand");
pub(crate) const DEVICE_MODEL: Slot = Slot::of("device_model");
pub(crate) const USER_CUSTOM_ID: Slot = Slot::of("user_custom_id");
pub(crate) const USER_DOMAIN_ID: Slot = Slot::of("user_domain_id");
pub(crate) const USER_EMAIL_DOMAIN: Slot = Slot::of("user_email_domain");
pub(crate) const SENT_AT: Slot = Slot::of("sent_at");
pub(crate) const SESSION_ID: Slot = Slot::of("session_id");
pub(crate) const CONSENT: Slot = Slot::of("consent");
pub(crate) const HINTS: Slot = Slot::of("hints");
pub(crate) const LIB: Slot = Slot::of("lib");
pub(crate) const PAGE_TITLE: Slot = Slot::of("page_title");
pub(crate) const SITE: Slot = Slot::of("site");
pub(crate) const IP_KIND: Slot = Slot::of("ip_kind");
pub(crate) const IS_DUPLICATE: Slot = Slot::of("is_duplicate");
pub(crate) const PROPS: Slot = Slot::of("props");
pub(crate) const RECEIVED_AT: Slot = Slot::of("received_at");
pub(crate) const GPC: Slot = Slot::of("gpc");
pub(crate) const TIMESTAMP: Slot = Slot::of("@timestamp");
pub(crate) const TIME_QUALITY: Slot = Slot::of("time_quality");
pub(crate) const IS_LATE: Slot = Slot::of("is_late");
pub(crate) const SOURCE_CATEGORY: Slot = Slot::of("source_category");
pub(crate) const CHANNEL: Slot = Slot::of("channel");
pub(crate) const CHANNEL_REASON: Slot = Slot::of("channel_reason");
pub(crate) const IS_BOT: Slot = Slot::of("is_bot");
pub(crate) const BOT_REASONS: Slot = Slot::of("bot_reasons");
pub(crate) const BOT_NAME: Slot = Slot::of("bot_name");
pub(crate) const BOT_CLASS: Slot = Slot::of("bot_class");
pub(crate) const INVALID_FIELDS: Slot = Slot::of("invalid_fields");
pub(crate) const ENRICHED_AT: Slot = Slot::of("enriched_at");
pub(crate) const WEIR_VERSION: Slot = Slot::of("weir_version");
pub(crate) const RULES_VERSION: Slot = Slot::of("rules_version");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_slot() {
        for slot in Slot::all() {
            assert_eq!(Slot::find(slot.field().name), Some(slot));
            for previous in [None, Some(EVENT_ID), Some(slot)] {
                for _ in 0..2 {
                    assert_eq!(Slot::find_behind(previous, slot.field().name), Some(slot));
                }
                assert_eq!(Slot::find_behind(previous, "no such field"), None);
            }
        }
        assert_eq!(Slot::find("no such field"), None);
    }
}
