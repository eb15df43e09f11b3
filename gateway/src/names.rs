//! What becomes of each member of an event, by its name.

use std::collections::HashMap;
use std::sync::LazyLock;

use event::{FIELDS, Origin};
use foldhash::fast::FixedState;

use crate::scan::{Member, Value};

/// Members that the gateway looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    EventType,
    EventTimestamp,
    EventId,
    Consent,
    Site,
    SentAt,
    Lib,
    Hints,
    IpAddress,
    UserAgent,
    Language,
    PageUrl,
    RefererUrl,
    UserDomainId,
    UserCustomId,
    SessionId,
    ClickId,
}

const NAMES: [(&str, Name); 17] = [
    ("event_type", Name::EventType),
    ("event_timestamp", Name::EventTimestamp),
    ("event_id", Name::EventId),
    ("consent", Name::Consent),
    ("site", Name::Site),
    ("sent_at", Name::SentAt),
    ("lib", Name::Lib),
    ("hints", Name::Hints),
    ("ip_address", Name::IpAddress),
    ("browser_user_agent", Name::UserAgent),
    ("browser_language", Name::Language),
    ("page_url", Name::PageUrl),
    ("referer_url", Name::RefererUrl),
    ("user_domain_id", Name::UserDomainId),
    ("user_custom_id", Name::UserCustomId),
    ("session_id", Name::SessionId),
    ("click_id", Name::ClickId),
];

/// Members of an envelope that each event gets where it has none of the name.
pub(crate) const SHARED: [Name; 4] = [Name::Site, Name::SentAt, Name::Lib, Name::Hints];

impl Name {
    pub(crate) fn as_str(self) -> &'static str {
        NAMES[self as usize].0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Named(Name),
    /// Clients may not set it.
    Reserved,
}

/// The names are constants, so nobody can choose them to collide.
static CLASSES: LazyLock<HashMap<&str, Class, FixedState>> = LazyLock::new(|| {
    let ours = FIELDS.iter().filter(|field| field.origin != Origin::Client);
    let reserved = ours.map(|field| (field.name, Class::Reserved));
    let named = NAMES.map(|(name, which)| (name, Class::Named(which)));
    reserved.chain(named).collect()
});

/// Members without a class of which each is compared with those before it; above it they are hashed.
const COMPARED: usize = 64;

/// Where the members of an event lie that the gateway looks at: of several with one name the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places([Option<usize>; NAMES.len()]);

impl Places {
    /// The value of a member of the event.
    pub(crate) fn value<'a>(&self, members: &[Member<'a>], which: Name) -> Option<Value<'a>> {
        self.0[which as usize].map(|at| members[at].value)
    }
}

/// Which members of an event are copied.
#[derive(Debug)]
pub(crate) struct Copied {
    stays: Vec<bool>,
    others: Vec<usize>,
}

impl Default for Copied {
    /// With room for the members of most events.
    fn default() -> Self {
        Self {
            stays: Vec::with_capacity(64),
            others: Vec::with_capacity(64),
        }
    }
}

impl Copied {
    /// Sorts the members of another event. Those that clients may not set go, and all but the last of
    /// several with one name.
    pub(crate) fn sort(&mut self, members: &[Member<'_>]) -> Places {
        let mut places = [None; NAMES.len()];
        self.others.clear();
        self.stays.clear();
        self.stays.resize(members.len(), true);
        let mut seen = 0_u64;
        for (at, member) in members.iter().enumerate() {
            let name: &str = &member.name;
            match CLASSES.get(name) {
                Some(Class::Reserved) => self.stays[at] = false,
                Some(Class::Named(which)) => {
                    if let Some(earlier) = places[*which as usize].replace(at) {
                        self.stays[earlier] = false;
                    }
                }
                None => {
                    if self.others.len() < COMPARED {
                        let bit = 1 << (fingerprint(name) % 64);
                        if seen & bit != 0 {
                            let same = |one: &&usize| members[**one].name == name;
                            if let Some(earlier) = self.others.iter().rfind(same) {
                                self.stays[*earlier] = false;
                            }
                        }
                        seen |= bit;
                    }
                    self.others.push(at);
                }
            }
        }
        if self.others.len() > COMPARED {
            let mut last = HashMap::with_capacity(self.others.len());
            for at in &self.others {
                if let Some(earlier) = last.insert(&*members[*at].name, *at) {
                    self.stays[earlier] = false;
                }
            }
        }
        Places(places)
    }

    /// Leaves a member out.
    pub(crate) fn leave_out(&mut self, places: &Places, which: Name) {
        if let Some(at) = places.0[which as usize] {
            self.stays[at] = false;
        }
    }

    /// The members that stay, in order.
    pub(crate) fn staying<'m, 'a>(
        &'m self,
        members: &'m [Member<'a>],
    ) -> impl Iterator<Item = &'m Member<'a>> {
        let stays = self.stays.iter().zip(members);
        stays.filter(|(stays, _)| **stays).map(|(_, member)| member)
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
        scanned.expect("JSON");
        let mut copied = Copied::default();
        copied.sort(&members);
        let staying = copied.staying(&members);
        staying
            .map(|member| format!("{}={}", member.name, member.value.raw))
            .collect()
    }

    #[test]
    fn names_know_their_place() {
        for (at, (name, which)) in NAMES.iter().enumerate() {
            assert_eq!(*which as usize, at, "{name}");
            assert_eq!(which.as_str(), *name);
        }
    }

    #[test]
    fn last_of_equal_names_stays_in_its_place() {
        assert_eq!(
            staying(r#"{"site":1,"a":1,"b":2,"\u0061":3,"site":4,"received_at":5,"c":6}"#),
            ["b=2", "a=3", "site=4", "c=6"]
        );
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
