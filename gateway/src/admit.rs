//! Checks one event and adds what only the gateway knows.
//!
//! The event stays as it was sent: its members are copied byte for byte behind the gateway's own,
//! but for those that only Weir may set, those that privacy takes away, and all but the last of
//! several with one name.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use bytes::Bytes;
use event::{Code, FIELDS, Gpc, Origin, index, limits, members, privacy, time};
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::batch::Members;
use crate::config::Config;
use crate::sender::{Sender, Visitor};
use crate::visitor::{self, Traits};

/// Members that clients may not set.
static RESERVED: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let ours = FIELDS.iter().filter(|field| field.origin != Origin::Client);
    ours.map(|field| field.name).collect()
});

/// Members that go when the visitor asks for privacy.
const IDENTIFYING: [&str; 3] = ["user_custom_id", "user_domain_id", "click_id"];

/// Members that are addresses of pages, which may carry click ids.
const ADDRESSES: [&str; 2] = ["page_url", "referer_url"];

/// An event that is fit for the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    /// Whether the visitor asks for privacy.
    pub(crate) is_private: bool,
}

/// Checks `event` and makes the record of it; `None` for one that privacy drops.
pub(crate) fn admit(
    event: &str,
    shared: &[(&'static str, &RawValue)],
    sender: &Sender<'_>,
    config: &Config,
) -> Result<Option<Admitted>, Code> {
    let shared_bytes: usize = shared.iter().map(|(_, value)| value.get().len()).sum();
    if event.len() + shared_bytes > config.max_event_bytes {
        return Err(Code::EventTooLarge);
    }
    let is_deep = |text: &str| depth(text.as_bytes()) > limits::MAX_DEPTH;
    if is_deep(event) || shared.iter().any(|(_, value)| is_deep(value.get())) {
        return Err(Code::TooDeep);
    }
    let Members(mut members) = serde_json::from_str(event).map_err(|_| Code::NotAnObject)?;
    members::keep_last(&mut members);
    let own = |name: &str| {
        members
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| *value)
    };
    let all = |name: &str| own(name).or_else(|| Some(shared.iter().find(|(n, _)| *n == name)?.1));
    check_type(own("event_type"), sender)?;
    let client_time = check_age(own("event_timestamp"), sender, config)?;

    let consent = text(all("consent"));
    let is_denied = consent.is_some_and(|c| c.trim().eq_ignore_ascii_case("denied"));
    if (sender.gpc || is_denied) && config.gpc == Gpc::Drop {
        return Ok(None);
    }
    // Whatever the header means to the operator, a visitor who said no said no.
    let anonymize = is_denied || sender.gpc && config.gpc == Gpc::Anonymize;
    let mut out = Splice::new(event.len() + shared_bytes + 512);
    out.text("received_at", &time::format(sender.received_at));
    out.text("collector", &config.collector);
    if sender.gpc {
        out.raw("gpc", "true");
    }
    if let Some(known) = sender.source {
        out.text("source_name", &known.source.name);
    }
    let mut replaced: Vec<&str> = vec!["hints"];
    let event_id = write_id(&mut out, own("event_id"), &mut replaced);
    write_address(
        &mut out,
        text(own("ip_address")),
        sender.address,
        anonymize,
        &mut replaced,
    );
    let is_absent = |name: &str| own(name).is_none_or(|value| value.get() == "null");
    for (name, value) in [
        ("browser_user_agent", &sender.user_agent),
        ("browser_language", &sender.language),
    ] {
        if let Some(value) = value.as_deref().filter(|_| is_absent(name)) {
            out.text(name, value);
            replaced.push(name);
        }
    }
    if let Some(hints) = merged_hints(all("hints"), sender) {
        out.raw("hints", &hints);
    }
    for (name, value) in shared
        .iter()
        .filter(|(name, _)| *name != "hints" && is_absent(name))
    {
        out.raw(name, value.get());
        replaced.push(name);
    }
    let has_none = is_absent("user_domain_id") && !anonymize;
    let visitor_id = has_none.then(|| {
        let all_text = |name: &str| text(all(name));
        visitor_id(sender, client_time, all_text)
    });
    let visitor_id = visitor_id.flatten();
    if let Some(id) = &visitor_id {
        out.text("user_domain_id", id);
        replaced.push("user_domain_id");
    }
    for (name, value) in &members {
        let name: &str = name;
        let goes = RESERVED.contains(name)
            || replaced.contains(&name)
            || anonymize && IDENTIFYING.contains(&name);
        if goes {
            continue;
        }
        let is_address = anonymize && ADDRESSES.contains(&name);
        let address = text(Some(*value)).filter(|_| is_address);
        match address.and_then(|address| privacy::blank_click_ids(&address)) {
            Some(blanked) => out.text(name, &blanked),
            None => out.raw(name, value.get()),
        }
    }
    let key = match anonymize {
        true => Uuid::new_v4().to_string(),
        false => visitor_id
            .map(Cow::Owned)
            .or_else(|| text(own("user_domain_id")))
            .or_else(|| text(own("session_id")))
            .filter(|id| !id.is_empty() && id.len() <= limits::MAX_EVENT_ID_BYTES)
            .map_or(event_id, Cow::into_owned),
    };
    Ok(Some(Admitted {
        key: key.into(),
        value: out.finish(),
        is_private: anonymize,
    }))
}

/// The deepest nesting of arrays and objects, by a flat look at the bytes of valid JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The text of a JSON string; `None` for anything else.
fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let value = value?.get();
    // Most strings have no escape and can be used in place.
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => serde_json::from_str(value).ok().map(Cow::Owned),
    }
}

fn check_type(value: Option<&RawValue>, sender: &Sender<'_>) -> Result<(), Code> {
    let Some(value) = value.filter(|value| value.get() != "null") else {
        return Err(Code::MissingEventType);
    };
    let name = text(Some(value)).ok_or(Code::InvalidEventType)?;
    if !(1..=limits::MAX_EVENT_TYPE_CHARS).contains(&name.chars().count()) {
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
    member: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Option<String> {
    match &sender.visitor {
        Visitor::Unknown => None,
        Visitor::Cookie { id, .. } => Some(id.to_string()),
        Visitor::Hashed(live) => {
            let salt = live.of(client_time, sender.received_at)?;
            let agent = member("browser_user_agent");
            let traits = Traits {
                site: &member("site").unwrap_or_default(),
                page_url: &member("page_url").unwrap_or_default(),
                address: visitor::address(member("ip_address").as_deref(), sender.address),
                agent: agent
                    .as_deref()
                    .or(sender.user_agent.as_deref())
                    .unwrap_or_default(),
            };
            Some(visitor::daily_hash(salt, &traits))
        }
    }
}

/// The event's own time where it has one that can be read; too long ago it is refused.
fn check_age(
    value: Option<&RawValue>,
    sender: &Sender<'_>,
    config: &Config,
) -> Result<Option<Timestamp>, Code> {
    // A time that cannot be read is the enricher's to judge.
    let parsed = value.filter(|value| value.get().len() <= 64);
    let parsed = parsed.and_then(|value| serde_json::from_str::<Value>(value.get()).ok());
    let Some(at) = parsed.as_ref().and_then(time::parse) else {
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

/// Writes an id where the event has none that can be used; returns the id.
fn write_id(out: &mut Splice, sent: Option<&RawValue>, replaced: &mut Vec<&str>) -> String {
    if let Some(id) = text(sent).filter(|id| index::is_fit_id(id)) {
        return id.into_owned();
    }
    replaced.push("event_id");
    let id = match sent.filter(|value| value.get() != "null") {
        Some(value) => {
            let original: String = value
                .get()
                .chars()
                .take(limits::MAX_EVENT_ID_BYTES)
                .collect();
            out.text("event_id_original", &original);
            index::derived_id(value.get().as_bytes())
        }
        None => Uuid::now_v7(),
    };
    let id = id.to_string();
    out.text("event_id", &id);
    id
}

fn write_address(
    out: &mut Splice,
    claimed: Option<Cow<'_, str>>,
    connection: IpAddr,
    anonymize: bool,
    replaced: &mut Vec<&str>,
) {
    let claimed = claimed.filter(|text| !text.is_empty());
    out.text(
        "ip_source",
        if claimed.is_some() {
            "claimed"
        } else {
            "connection"
        },
    );
    let address = match (&claimed, anonymize) {
        (None, false) => Some(connection),
        (None, true) => Some(privacy::truncate(connection)),
        (Some(_), false) => None,
        (Some(text), true) => text.parse().ok().map(privacy::truncate),
    };
    if let Some(address) = address {
        out.text("ip_address", &address.to_string());
    }
    // Under privacy a claim that is no address cannot be cut, so it goes.
    if claimed.is_none() || anonymize {
        replaced.push("ip_address");
    }
}

/// What the sender hints, over what the browser's headers hint.
fn merged_hints(sent: Option<&RawValue>, sender: &Sender<'_>) -> Option<String> {
    let sent = sent.filter(|value| value.get().starts_with('{'));
    let (Some(sent), Some(headers)) = (sent, &sender.hints) else {
        let headers = || sender.hints.as_ref().map(Value::to_string);
        return sent.map(|value| value.get().to_owned()).or_else(headers);
    };
    let mut merged = headers.as_object().cloned().unwrap_or_default();
    let sent: serde_json::Map<String, Value> = serde_json::from_str(sent.get()).ok()?;
    merged.extend(sent);
    Some(Value::Object(merged).to_string())
}

/// A JSON object being written member by member.
struct Splice(Vec<u8>);

impl Splice {
    fn new(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(b'{');
        Self(out)
    }

    fn raw(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.string(name);
        self.0.push(b':');
        self.0.extend_from_slice(value.as_bytes());
    }

    fn text(&mut self, name: &str, value: &str) {
        self.raw(name, "");
        self.string(value);
    }

    fn string(&mut self, text: &str) {
        serde_json::to_writer(&mut self.0, text).expect("a string can be written to memory");
    }

    fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        self.0.into()
    }
}
