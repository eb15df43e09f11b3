//! What becomes of each member of an event, by its name.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::num::NonZeroU8;
use std::sync::LazyLock;

use event::{FIELDS, Origin, field};
use foldhash::fast::FixedState;

use crate::scan::{Member, Value};

/// The name of a field of [`FIELDS`], by its place there, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name(NonZeroU8);

const _: () = assert!(FIELDS.len() < u8::MAX as usize);

impl Name {
    pub(crate) const RECEIVED_AT: Self = Self::of("received_at");
    pub(crate) const COLLECTOR: Self = Self::of("collector");
    pub(crate) const GPC: Self = Self::of("gpc");
    pub(crate) const SOURCE_NAME: Self = Self::of("source_name");
    pub(crate) const EVENT_ID_ORIGINAL: Self = Self::of("event_id_original");
    pub(crate) const IP_SOURCE: Self = Self::of("ip_source");
    pub(crate) const EVENT_TYPE: Self = Self::of("event_type");
    pub(crate) const EVENT_TIMESTAMP: Self = Self::of("event_timestamp");
    pub(crate) const EVENT_ID: Self = Self::of("event_id");
    pub(crate) const CONSENT: Self = Self::of("consent");
    pub(crate) const SITE: Self = Self::of("site");
    pub(crate) const SENT_AT: Self = Self::of("sent_at");
    pub(crate) const LIB: Self = Self::of("lib");
    pub(crate) const HINTS: Self = Self::of("hints");
    pub(crate) const IP_ADDRESS: Self = Self::of("ip_address");
    pub(crate) const USER_AGENT: Self = Self::of("browser_user_agent");
    pub(crate) const LANGUAGE: Self = Self::of("browser_language");
    pub(crate) const PAGE_URL: Self = Self::of("page_url");
    pub(crate) const REFERER_URL: Self = Self::of("referer_url");
    pub(crate) const USER_DOMAIN_ID: Self = Self::of("user_domain_id");
    pub(crate) const USER_CUSTOM_ID: Self = Self::of("user_custom_id");
    pub(crate) const SESSION_ID: Self = Self::of("session_id");
    pub(crate) const CLICK_ID: Self = Self::of("click_id");

    /// The name of a field; one that the table lacks does not compile.
    const fn of(name: &str) -> Self {
        Self::at(field::place(name))
    }

    const fn at(place: usize) -> Self {
        Self(NonZeroU8::MIN.saturating_add(place as u8))
    }

    pub(crate) fn as_str(self) -> &'static str {
        FIELDS[self.index()].name
    }

    /// `"name":`, as it mostly stands in an event.
    #[inline]
    pub(crate) fn quoted(self) -> &'static [u8] {
        let quoted = &QUOTED[self.index()];
        &quoted.padded[..usize::from(quoted.length)]
    }

    /// Whether `text` starts with [`quoted`](Self::quoted).
    #[inline]
    pub(crate) fn starts(self, text: &[u8]) -> bool {
        let quoted = &QUOTED[self.index()];
        // All at once, for a comparison of a length that is not known is a call.
        match text.first_chunk::<QUOTED_BYTES>() {
            Some(chunk) => {
                let bytes = chunk.iter().zip(&quoted.padded).zip(&quoted.mask);
                bytes.fold(0, |other, ((a, b), mask)| other | (a ^ b) & mask) == 0
            }
            None => text.starts_with(self.quoted()),
        }
    }

    /// Whether clients may not set it.
    fn is_reserved(self) -> bool {
        FIELDS[self.index()].origin != Origin::Client
    }

    fn index(self) -> usize {
        usize::from(self.0.get()) - 1
    }

    /// `None` where the table has no field of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        /// The names are constants, so nobody can choose them to collide.
        static NAMES: LazyLock<HashMap<&str, Name, FixedState>> = LazyLock::new(|| {
            let names = (0..FIELDS.len()).map(Name::at);
            names.map(|name| (name.as_str(), name)).collect()
        });
        NAMES.get(name).copied()
    }

    /// The name that came behind `previous` the last time, on this thread: senders keep to an order.
    #[inline]
    pub(crate) fn guess_behind(previous: Option<Self>) -> Self {
        FOLLOWERS.with(|followers| followers[place_behind(previous)].get())
    }

    /// [`find`](Self::find), to be guessed the next time.
    pub(crate) fn find_behind(previous: Option<Self>, name: &str) -> Option<Self> {
        let found = Self::find(name)?;
        FOLLOWERS.with(|followers| followers[place_behind(previous)].set(found));
        Some(found)
    }
}

/// The longest `"name":`; a longer one does not compile.
const QUOTED_BYTES: usize = 32;

/// `"name":`, with zeros behind.
struct Quoted {
    padded: [u8; QUOTED_BYTES],
    /// Ones where the name is.
    mask: [u8; QUOTED_BYTES],
    length: u8,
}

static QUOTED: [Quoted; FIELDS.len()] = {
    let mut all = [const {
        Quoted {
            padded: [0; QUOTED_BYTES],
            mask: [0; QUOTED_BYTES],
            length: 0,
        }
    }; FIELDS.len()];
    let mut place = 0;
    while place < FIELDS.len() {
        let name = FIELDS[place].name.as_bytes();
        let quoted = &mut all[place];
        quoted.padded[0] = b'"';
        let mut at = 0;
        while at < name.len() {
            quoted.padded[at + 1] = name[at];
            at += 1;
        }
        quoted.padded[at + 1] = b'"';
        quoted.padded[at + 2] = b':';
        quoted.length = at as u8 + 3;
        let mut masked = 0;
        while masked < quoted.length as usize {
            quoted.mask[masked] = u8::MAX;
            masked += 1;
        }
        place += 1;
    }
    all
};

thread_local! {
    /// The name that came last at the start of an event, and behind each.
    static FOLLOWERS: [Cell<Name>; FIELDS.len() + 1] =
        const { [const { Cell::new(Name::at(0)) }; FIELDS.len() + 1] };
}

fn place_behind(previous: Option<Name>) -> usize {
    previous.map_or(0, |name| usize::from(name.0.get()))
}

/// Members of an envelope that each event gets where it has none of the name.
pub(crate) const SHARED: [Name; 4] = [Name::SITE, Name::SENT_AT, Name::LIB, Name::HINTS];

/// Members of other names of which each is compared with those before it; above it they are hashed.
const COMPARED: usize = 64;

/// No member of an event: they are fewer.
const NOWHERE: u16 = u16::MAX;

/// The members of an event by their names.
pub(crate) struct Named<'e, 'a> {
    event: &'a str,
    members: &'e mut [Member],
    /// Where each field lies: of several with one name the last.
    places: [u16; FIELDS.len()],
}

impl<'e, 'a> Named<'e, 'a> {
    /// Sorts the members of an event. Those that clients may not set do not stay, nor do any but the
    /// last of several with one name.
    pub(crate) fn sort(event: &'a str, members: &'e mut [Member]) -> Self {
        let mut places = [NOWHERE; FIELDS.len()];
        let mut others = 0;
        for at in 0..members.len() {
            let Some(field) = members[at].field else {
                others += 1;
                continue;
            };
            if field.is_reserved() {
                members[at].stays = false;
                continue;
            }
            let earlier = std::mem::replace(&mut places[field.index()], at as u16);
            if earlier != NOWHERE {
                members[usize::from(earlier)].stays = false;
            }
        }
        if others > 1 {
            keep_last_of_others(event, members);
        }
        Self {
            event,
            members,
            places,
        }
    }

    /// The value of a field.
    #[inline]
    pub(crate) fn value(&self, name: Name) -> Option<Value<'a>> {
        match self.places[name.index()] {
            NOWHERE => None,
            at => Some(self.members[usize::from(at)].value(self.event)),
        }
    }

    /// Lets a field not stay.
    pub(crate) fn leave_out(&mut self, name: Name) {
        let at = self.places[name.index()];
        if at != NOWHERE {
            self.members[usize::from(at)].stays = false;
        }
    }

    /// The members that stay, in order.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.stays)
    }
}

/// Of the members that are no fields all but the last of several with one name do not stay.
fn keep_last_of_others(event: &str, members: &mut [Member]) {
    let mut others: Vec<(Cow<'_, str>, usize)> = Vec::new();
    let mut seen = 0_u64;
    for at in 0..members.len() {
        if members[at].field.is_some() {
            continue;
        }
        let name = members[at].name(event);
        if others.len() < COMPARED {
            let bit = 1 << (fingerprint(&name) % 64);
            if seen & bit != 0
                && let Some((_, earlier)) = others.iter().rfind(|(other, _)| *other == name)
            {
                members[*earlier].stays = false;
            }
            seen |= bit;
        }
        others.push((name, at));
    }
    if others.len() > COMPARED {
        let mut last = HashMap::with_capacity(others.len());
        for (name, at) in others {
            if let Some(earlier) = last.insert(name, at) {
                members[earlier].stays = false;
            }
        }
    }
}

/// Differs for most names that differ.
fn fingerprint(name: &str) -> usize {
    let bytes = name.as_bytes();
    let at = |index: usize| bytes.get(index).map_or(0, |byte| usize::from(*byte));
    bytes.len() + 3 * at(0) + 7 * at(bytes.len() / 2) + 13 * at(bytes.len().wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Scanner;

    fn staying(event: &str) -> Vec<String> {
        let mut members = Vec::new();
        let scanned = Scanner::new(event).value(&mut members);
        let raw = scanned.expect("JSON").raw;
        let staying = Named::sort(raw, &mut members);
        let staying = staying.staying();
        staying
            .map(|member| format!("{}={}", member.name(raw), member.value(raw).raw))
            .collect()
    }

    #[test]
    fn every_field_is_found_by_its_name_and_guessed_the_next_time() {
        for (place, field) in FIELDS.iter().enumerate() {
            let name = Name::find(field.name).expect("a field");
            assert_eq!((name.index(), name.as_str()), (place, field.name));
            for previous in [None, Some(Name::SITE), Some(name)] {
                assert_eq!(Name::find_behind(previous, field.name), Some(name));
                assert_eq!(Name::find_behind(previous, "no such field"), None);
                assert_eq!(Name::guess_behind(previous), name);
            }
        }
        assert_eq!(Name::find("no such field"), None);
    }

    #[test]
    fn last_of_equal_names_stays_in_its_place() {
        assert_eq!(
            staying(r#"{"site":1,"a":1,"b":2,"\u0061":3,"site":4,"received_at":5,"c":6}"#),
            ["b=2", "a=3", "site=4", "c=6"]
        );
    }

    #[test]
    fn a_field_is_known_however_its_name_is_written() {
        let event = r#"{"site":1,"\u0073ite":2,"\u0072eceived_at":3,"lib" : 4}"#;
        assert_eq!(staying(event), ["site=2", "lib=4"]);
    }

    #[test]
    fn many_members_are_told_apart_as_few_are() {
        let names = (0..200).map(|n| n % 90);
        let members: Vec<String> = names.map(|n| format!("\"m{n}\":{n}")).collect();
        let staying = staying(&format!("{{{}}}", members.join(",")));
        let last = (110..200).map(|n| n % 90);
        let expected: Vec<String> = last.map(|n| format!("m{n}={n}")).collect();
        assert_eq!(staying, expected);
    }
}
