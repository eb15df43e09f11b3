//! Checks events and adds what only the gateway knows.
//!
//! An event stays as it was sent: its members are copied byte for byte behind the gateway's own, but
//! for those that only Weir may set, those that privacy takes away, and all but the last of several
//! with one name.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use event::{Code, Gpc, index, limits, privacy, time};
use jiff::Timestamp;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::config::Config;
use crate::names::{Name, Named};
use crate::packed::{Packed, Place, Places};
use crate::scan::{Member, Scanned, Scanner, Value};
use crate::sender::{Sender, Visitor};
use crate::splice::Splice;
use crate::visitor::{self, Traits};

/// Members that go when the visitor asks for privacy.
const IDENTIFYING: [Name; 3] = [Name::USER_CUSTOM_ID, Name::USER_DOMAIN_ID, Name::CLICK_ID];

/// Members that are addresses of pages, which may carry click ids.
const ADDRESSES: [Name; 2] = [Name::PAGE_URL, Name::REFERER_URL];

/// Bytes that the gateway's own members take, about.
const OWN_BYTES: usize = 512;

/// Admits the events of one request: what they have in common is made once.
pub(crate) struct Admission<'a> {
    sender: &'a Sender<'a>,
    config: &'a Config,
    shared: &'a [(Name, Value<'a>)],
    shared_bytes: usize,
    shared_depth: usize,
    /// Where the members lie that every record of the request starts with, once one was written.
    opening: Option<Range<usize>>,
    /// What the browser's headers hint, as JSON.
    hints: Option<String>,
    out: Splice,
    /// Where the record of each event that was admitted lies.
    places: Places,
    /// Whether some visitor asked for privacy.
    is_private: bool,
}

impl<'a> Admission<'a> {
    /// For the events of a body of `bytes`, which share some members.
    pub(crate) fn new(
        sender: &'a Sender<'a>,
        config: &'a Config,
        shared: &'a [(Name, Value<'a>)],
        bytes: usize,
    ) -> Self {
        let depth = |value: &Value<'_>| match value.raw.starts_with(['[', '{']) {
            true => {
                let scanned = Scanner::new(value.raw).value(&mut Vec::new());
                scanned.map_or(0, |scanned| scanned.depth)
            }
            false => 0,
        };
        Self {
            sender,
            config,
            shared,
            shared_bytes: shared.iter().map(|(_, value)| value.raw.len()).sum(),
            shared_depth: shared
                .iter()
                .map(|(_, value)| depth(value))
                .max()
                .unwrap_or(0),
            opening: None,
            hints: sender.hints.as_ref().map(Json::to_string),
            out: Splice::with_capacity(bytes + bytes / 4 + OWN_BYTES),
            places: Places::new(),
            is_private: false,
        }
    }

    /// Checks an event and makes the record of it; false for one that privacy drops.
    pub(crate) fn admit(
        &mut self,
        event: &Scanned<'_>,
        members: &mut [Member],
    ) -> Result<bool, Code> {
        let (sender, config) = (self.sender, self.config);
        if event.raw.len() + self.shared_bytes > config.max_event_bytes {
            return Err(Code::EventTooLarge);
        }
        if event.depth.max(self.shared_depth) > limits::MAX_DEPTH {
            return Err(Code::TooDeep);
        }
        if !event.is_object {
            return Err(Code::NotAnObject);
        }
        let mut named = Named::sort(event.raw, members);
        let out = &mut self.out;
        check_type(named.value(Name::EVENT_TYPE), sender)?;
        let client_time = check_age(named.value(Name::EVENT_TIMESTAMP), sender, config)?;

        let consent = named.value(Name::CONSENT).and_then(Value::text);
        let is_denied = consent.is_some_and(|c| c.trim().eq_ignore_ascii_case("denied"));
        if (sender.gpc || is_denied) && config.gpc == Gpc::Drop {
            return Ok(false);
        }
        // Whatever the header means to the operator, a visitor who said no said no.
        let anonymize = is_denied || sender.gpc && config.gpc == Gpc::Anonymize;
        let is_absent = |value: Option<Value<'_>>| value.is_none_or(Value::is_null);
        let shared = |name: Name| {
            let found = self.shared.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| *value)
        };
        let visitor_id = match is_absent(named.value(Name::USER_DOMAIN_ID)) && !anonymize {
            true => visitor_id(sender, client_time, |name| {
                let value = named.value(name).or_else(|| shared(name));
                value.and_then(Value::text)
            }),
            false => None,
        };
        let event_id = EventId::of(named.value(Name::EVENT_ID));
        let key = match anonymize {
            true => Cow::Owned(Uuid::new_v4().to_string()),
            false => visitor_id
                .as_deref()
                .map(Cow::Borrowed)
                .or_else(|| named.value(Name::USER_DOMAIN_ID).and_then(Value::text))
                .or_else(|| named.value(Name::SESSION_ID).and_then(Value::text))
                .filter(|id| !id.is_empty() && id.len() <= limits::MAX_EVENT_ID_BYTES)
                .unwrap_or_else(|| Cow::Borrowed(event_id.as_str())),
        };
        let key = out.alone(&key);
        out.start();

        match &self.opening {
            Some(opening) => out.again(opening),
            None => {
                open(out, sender, config);
                self.opening = Some(out.members_so_far());
            }
        }
        if let EventId::Made(id, original) = &event_id {
            if let Some(original) = original {
                out.text(Name::EVENT_ID_ORIGINAL, original);
            }
            out.text(Name::EVENT_ID, id);
            named.leave_out(Name::EVENT_ID);
        }
        let claimed = named.value(Name::IP_ADDRESS).and_then(Value::text);
        let claimed = claimed.as_deref().filter(|text| !text.is_empty());
        let source = claimed.map_or("connection", |_| "claimed");
        out.text(Name::IP_SOURCE, source);
        if let Some(address) = address(claimed, sender.address, anonymize) {
            out.address(Name::IP_ADDRESS, address);
        }
        // Under privacy a claim that is no address cannot be cut, so it goes.
        if claimed.is_none() || anonymize {
            named.leave_out(Name::IP_ADDRESS);
        }
        for (name, value) in [
            (Name::USER_AGENT, sender.user_agent),
            (Name::LANGUAGE, sender.language),
        ] {
            if let Some(value) = value.filter(|_| is_absent(named.value(name))) {
                out.text(name, value);
                named.leave_out(name);
            }
        }
        let hints = named.value(Name::HINTS).or_else(|| shared(Name::HINTS));
        let hints = hints
            .map(|value| value.raw)
            .filter(|raw| raw.starts_with('{'));
        let hints = match (hints, &sender.hints) {
            (Some(sent), Some(headers)) => merged_hints(sent, headers).map(Cow::Owned),
            (sent, _) => sent.or(self.hints.as_deref()).map(Cow::Borrowed),
        };
        if let Some(hints) = hints {
            out.raw(Name::HINTS, &hints);
        }
        named.leave_out(Name::HINTS);
        for (name, value) in self.shared.iter().copied() {
            if name != Name::HINTS && is_absent(named.value(name)) {
                out.raw(name, value.raw);
                named.leave_out(name);
            }
        }
        if let Some(id) = &visitor_id {
            out.text(Name::USER_DOMAIN_ID, id);
            named.leave_out(Name::USER_DOMAIN_ID);
        }
        if anonymize {
            IDENTIFYING
                .into_iter()
                .for_each(|name| named.leave_out(name));
            for name in ADDRESSES {
                let address = named.value(name).and_then(Value::text);
                if let Some(blanked) = address.and_then(|a| privacy::blank_click_ids(&a)) {
                    out.text(name, &blanked);
                    named.leave_out(name);
                }
            }
        }
        out.copy(event.raw, named.staying());
        self.places.push(Place::new(key, out.finish()));
        self.is_private |= anonymize;
        Ok(true)
    }

    /// Whether some visitor whose event was admitted asked for privacy.
    pub(crate) fn is_private(&self) -> bool {
        self.is_private
    }

    /// The records of the events that were admitted.
    pub(crate) fn packed(self) -> Packed {
        let timestamp_ms = self.sender.received_at.as_millisecond();
        Packed::new(self.out.into_bytes(), self.places, timestamp_ms)
    }
}

/// Writes what the records of a request have in common.
fn open(out: &mut Splice, sender: &Sender<'_>, config: &Config) {
    out.text(Name::RECEIVED_AT, &time::format(sender.received_at));
    out.text(Name::COLLECTOR, &config.collector);
    if sender.gpc {
        out.raw(Name::GPC, "true");
    }
    if let Some(known) = sender.source {
        out.text(Name::SOURCE_NAME, &known.source.name);
    }
}

fn check_type(value: Option<Value<'_>>, sender: &Sender<'_>) -> Result<(), Code> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Err(Code::MissingEventType);
    };
    let name = value.text().ok_or(Code::InvalidEventType)?;
    // No text has more characters than bytes, and nearly all are short.
    let is_fit = !name.is_empty()
        && (name.len() <= limits::MAX_EVENT_TYPE_CHARS
            || name.chars().count() <= limits::MAX_EVENT_TYPE_CHARS);
    if !is_fit {
        return Err(Code::InvalidEventType);
    }
    match sender.source.is_none_or(|known| known.takes(&name)) {
        true => Ok(()),
        false => Err(Code::EventTypeRefused),
    }
}

/// The id of the visitor of an event that has none.
fn visitor_id<'a>(
    sender: &Sender<'_>,
    client_time: Option<Timestamp>,
    member: impl Fn(Name) -> Option<Cow<'a, str>>,
) -> Option<String> {
    match &sender.visitor {
        Visitor::Unknown => None,
        Visitor::Cookie { id, .. } => Some(id.to_string()),
        Visitor::Hashed(live) => {
            let salt = live.of(client_time, sender.received_at)?;
            let agent = member(Name::USER_AGENT);
            let traits = Traits {
                site: &member(Name::SITE).unwrap_or_default(),
                page_url: &member(Name::PAGE_URL).unwrap_or_default(),
                address: visitor::address(member(Name::IP_ADDRESS).as_deref(), sender.address),
                agent: agent.as_deref().or(sender.user_agent).unwrap_or_default(),
            };
            Some(visitor::daily_hash(salt, &traits))
        }
    }
}

/// The event's own time where it has one that can be read; too long ago it is refused.
fn check_age(
    value: Option<Value<'_>>,
    sender: &Sender<'_>,
    config: &Config,
) -> Result<Option<Timestamp>, Code> {
    // A time that cannot be read is the enricher's to judge.
    let value = value.filter(|value| value.raw.len() <= 64);
    let parsed = value.and_then(|value| match value.text() {
        Some(text) => time::parse_text(&text),
        None => time::parse(&serde_json::from_str::<Json>(value.raw).ok()?),
    });
    let Some(at) = parsed else {
        return Ok(None);
    };
    let age_ms = sender
        .received_at
        .as_millisecond()
        .saturating_sub(at.as_millisecond());
    match u128::try_from(age_ms).is_ok_and(|age_ms| age_ms > config.max_event_age.as_millis()) {
        true => Err(Code::TooOld),
        false => Ok(Some(at)),
    }
}

enum EventId<'a> {
    /// As it was sent.
    Sent(Cow<'a, str>),
    /// Made for an event that has none that can be used; what it has is kept beside it.
    Made(String, Option<String>),
}

impl<'a> EventId<'a> {
    fn of(sent: Option<Value<'a>>) -> Self {
        let Some(value) = sent.filter(|value| !value.is_null()) else {
            return Self::Made(Uuid::now_v7().to_string(), None);
        };
        if let Some(id) = value.text().filter(|id| index::is_fit_id(id)) {
            return Self::Sent(id);
        }
        let original = value.raw.chars().take(limits::MAX_EVENT_ID_BYTES);
        let id = index::derived_id(value.raw.as_bytes());
        Self::Made(id.to_string(), Some(original.collect()))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Sent(id) => id,
            Self::Made(id, _) => id,
        }
    }
}

/// The address that the record gets in place of what the event claims; `None` where the claim stays.
fn address(claimed: Option<&str>, connection: IpAddr, anonymize: bool) -> Option<IpAddr> {
    match (claimed, anonymize) {
        (None, false) => Some(connection),
        (None, true) => Some(privacy::truncate(connection)),
        (Some(_), false) => None,
        (Some(text), true) => text.parse().ok().map(privacy::truncate),
    }
}

/// What the sender hints, over what the browser's headers hint.
fn merged_hints(sent: &str, headers: &Json) -> Option<String> {
    let mut merged = headers.as_object().cloned().unwrap_or_default();
    let sent: serde_json::Map<String, Json> = serde_json::from_str(sent).ok()?;
    merged.extend(sent);
    Some(Json::Object(merged).to_string())
}
