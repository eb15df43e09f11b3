//! One event from raw to enriched: every step in its order.
//!
//! - `enricher` holds what the steps need
//! - `mark` is what a step can come to
//! - `trace` notes what the steps came to, and how long they took
//!
//! Pure and total: the same record and tables give the same document, and no input makes it fail
//! in any way but a [`Code`].

mod enricher;
pub(crate) mod mark;
pub(crate) mod trace;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event::forgotten::Tombstone;
use event::redact;
use event::{Code, index, limits};
use jiff::Timestamp;
use stream::Position;

use crate::address;
use crate::agent::{self, Client, bot};
use crate::clock::Clock;
use crate::config::{Bots, Config, IpPolicy, SchemaMode};
use crate::consent::Gate;
pub use crate::document::write::Writer;
use crate::document::{Document, Value, read, repair};
use crate::geo::{self, Outcome};
use crate::lookup;
use crate::rule;
use crate::scrub::pseudonym::Pseudonyms;
use crate::slot;
use crate::source::{self, tables::RULES_VERSION};
pub use enricher::Enricher;
use mark::Mark;
use trace::{Step, Trace};

/// Where a record lies and when it was written.
#[derive(Debug, Clone, Copy)]
pub struct RecordContext<'a> {
    /// When the record was written, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The present, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Where the record lies; the id of an event that has none derives from it.
    pub position: &'a Position,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Enriched {
    /// A document.
    Document(EnrichedEvent),
    /// A program's event, which settings send to a topic of its own.
    Routed(EnrichedEvent),
    /// Settings say that it is not kept.
    Dropped,
    /// Its visitor was forgotten.
    Forgotten,
}

/// An enriched event.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedEvent {
    /// The document, one line of JSON.
    pub value: Bytes,
    /// The document's id, 1 to 128 printable ASCII characters.
    pub id: Bytes,
    /// The index day, `YYYY.MM.dd`.
    pub day: Bytes,
    /// What the record's key is where the raw record has none, UTF-8.
    pub key: Bytes,
    /// Whether the raw record's key is an id that was replaced, so that it may not be used.
    pub replaces_key: bool,
}

/// Enriches the value of one raw record; a writer serves for many.
///
/// # Errors
/// The code of the dead letter.
pub fn enrich(
    enricher: &Enricher,
    raw: &[u8],
    context: RecordContext<'_>,
    writer: &mut Writer,
) -> Result<Enriched, Code> {
    enrich_traced(enricher, raw, context, &mut Trace::default(), writer)
}

/// As [`enrich`], and tells how long each step took, in their order: zero where it did not run.
pub fn enrich_timed(
    enricher: &Enricher,
    raw: &[u8],
    context: RecordContext<'_>,
    writer: &mut Writer,
) -> (Result<Enriched, Code>, Vec<(&'static str, Duration)>) {
    let mut trace = Trace::timed();
    let enriched = enrich_traced(enricher, raw, context, &mut trace, writer);
    let laps = trace.laps().into_iter().flatten();
    let laps = laps.map(|nanoseconds| Duration::from_nanos(u64::from(*nanoseconds)));
    (
        enriched,
        Step::ALL.map(Step::name).into_iter().zip(laps).collect(),
    )
}

/// As [`enrich`], and notes what the steps came to.
pub(crate) fn enrich_traced(
    enricher: &Enricher,
    raw: &[u8],
    context: RecordContext<'_>,
    trace: &mut Trace,
    writer: &mut Writer,
) -> Result<Enriched, Code> {
    let config = &enricher.config;
    // What the document borrows from stands before it.
    let (client, place, page, referrer);
    let mut document = read::document(raw)?;
    check_type(&document)?;
    let was_enriched = document.has(slot::WEIR_VERSION);
    trace.end(Step::Read);

    // Before the gate takes ids away.
    let tombstones = find_tombstones(enricher, &document);
    let gate = Gate::read(&document, &config.privacy);
    trace.mark(gate.mark());
    if gate == Gate::Drop {
        return Ok(Enriched::Dropped);
    }
    let possible = enricher.scrub.possible(raw, &document);
    gate.apply(&mut document);
    trace.end(Step::Consent);

    let clock = Clock::read(&mut document, record_time(context));
    let blocks = |tombstone: Tombstone| tombstone.blocks(clock.event, clock.received);
    if tombstones.into_iter().flatten().any(blocks) {
        return Ok(Enriched::Forgotten);
    }
    clock.check_age(config.max_event_age)?;
    trace.mark(clock.mark());
    let (id, day) = identify(&mut document, &clock, context.position, config);
    trace.end(Step::Clock);
    let misfits = match was_enriched {
        true => Vec::new(),
        false => find_misfits(enricher, raw, &document, trace)?,
    };
    repair::repair(&mut document);
    clock.apply(&mut document);
    trace.mark(match document.has(slot::INVALID_FIELDS) {
        true => Mark::RepairMisfit,
        false => Mark::RepairFit,
    });
    for name in misfits {
        document.add_invalid(name);
    }
    trace.end(Step::Repair);

    let is_bot = if was_enriched {
        // What the steps read may be cut since; what they found stands.
        *document.value(slot::IS_BOT) == Value::Boolean(true)
    } else {
        let is_server = is_server(&document, &config.server_libs);
        client = parse_agent(enricher, &document);
        let agent = client.agent.as_ref().filter(|_| !is_server);
        agent::apply(&mut document, agent);
        if let Some(is_mobile) = client.is_mobile {
            document.set(slot::DEVICE_IS_MOBILE, Value::Boolean(is_mobile));
        }
        trace.mark(Mark::of_agent(agent));
        trace.end(Step::Agent);

        place = look_up(enricher, &document);
        geo::apply(&mut document, &place, gate == Gate::Anonymize);
        trace.mark(place.mark());
        trace.end(Step::Place);

        page = document.kept_text(slot::PAGE_URL);
        referrer = document.kept_text(slot::REFERER_URL);
        let own = enricher.own.as_ref().map(|file| file.load());
        let own = own.as_ref().map(|own| &***own);
        let found = source::apply(&mut document, page.as_deref(), referrer.as_deref(), own);
        trace.mark(found.category.mark());
        trace.end(Step::Source);

        let bot = agent.and_then(|agent| agent.bot.as_ref());
        let signs = bot::Signs {
            is_webdriver: client.is_webdriver,
            is_spam: found.is_spam,
            is_datacentre: is_datacentre(enricher, &document),
            is_burst: enricher
                .bursts
                .as_ref()
                .is_some_and(|bursts| bursts.is_over(&document, is_server, clock.received)),
            is_server,
        };
        set_email_domain(&mut document);
        let is_bot = bot::apply(&mut document, bot, signs);
        trace.mark(if is_bot {
            Mark::BotsProgram
        } else {
            Mark::BotsPerson
        });
        trace.end(Step::Bots);
        is_bot
    };
    if is_bot && config.bots == Bots::Drop {
        return Ok(Enriched::Dropped);
    }

    // These were done to an event that was enriched before.
    if !was_enriched {
        if let Some(duplicates) = &enricher.duplicates {
            duplicates.apply(&mut document, &id, clock.received);
            trace.mark(match document.has(slot::IS_DUPLICATE) {
                true => Mark::DuplicatesAgain,
                false => Mark::DuplicatesFirst,
            });
            trace.end(Step::Duplicates);
        }
        complete(enricher, &mut document, trace);
        if apply_rules(enricher, &mut document, trace) == rule::Outcome::Dropped {
            return Ok(Enriched::Dropped);
        }
        if let Some(pseudonyms) = &enricher.pseudonyms {
            pseudonyms.apply(&mut document);
        }
        trace.end(Step::Rules);
    }
    trace.redactions = enricher.scrub.apply(&mut document, possible, was_enriched);
    keep_address(&mut document, config.privacy.ip, gate);
    trace.mark(match trace.redactions.iter().any(|count| *count > 0) {
        true => Mark::PrivacyRedacted,
        false => Mark::PrivacyClean,
    });
    trace.end(Step::Privacy);
    document.set(slot::ENRICHED_AT, Value::Time(at(context.now_ms)));
    document.set_text(slot::WEIR_VERSION, env!("CARGO_PKG_VERSION"));
    document.set_text(slot::RULES_VERSION, RULES_VERSION);
    let key = key(&document, &id);
    enricher.drop_fields(&mut document);
    let (value, [id, day, key]) = writer.write(&document, [&id, &day, &key]);
    let event = EnrichedEvent {
        value,
        id,
        day,
        key,
        replaces_key: enricher
            .pseudonyms
            .as_ref()
            .is_some_and(Pseudonyms::has_key),
    };
    trace.end(Step::Write);
    Ok(match is_bot && config.bots == Bots::Route {
        true => Enriched::Routed(event),
        false => Enriched::Document(event),
    })
}

/// The tombstones of the ids that the event is known by, where a visitor was forgotten.
fn find_tombstones(enricher: &Enricher, document: &Document<'_>) -> [Option<Tombstone>; 2] {
    let forgotten = enricher.forgotten.load();
    if forgotten.is_empty() {
        return [None; 2];
    }
    [slot::USER_CUSTOM_ID, slot::USER_DOMAIN_ID].map(|slot| match document.value(slot) {
        Value::Text(id) => forgotten.of(id),
        Value::Long(id) => forgotten.of(&id.to_string()),
        _ => None,
    })
}

/// The members that do not fit the schema of the event's type.
fn find_misfits(
    enricher: &Enricher,
    raw: &[u8],
    document: &Document<'_>,
    trace: &mut Trace,
) -> Result<Vec<String>, Code> {
    let name = document.text(slot::EVENT_TYPE).unwrap_or_default();
    let Some(misfits) = enricher.schemas.misfits(name, raw) else {
        return Ok(Vec::new());
    };
    trace.end(Step::Schema);
    if misfits.is_empty() {
        trace.mark(Mark::SchemaValid);
        return Ok(misfits);
    }
    trace.mark(Mark::SchemaInvalid);
    match enricher.schemas.mode {
        SchemaMode::Tag => Ok(misfits),
        SchemaMode::DeadLetter => {
            trace.misfits = misfits;
            Err(Code::SchemaMismatch)
        }
    }
}

/// Whether a server sent the event for a visitor.
fn is_server(document: &Document<'_>, libs: &[String]) -> bool {
    let lib = document.text(slot::LIB);
    lib.is_some_and(|lib| libs.iter().any(|server| lib.starts_with(&**server)))
}

fn is_datacentre(enricher: &Enricher, document: &Document<'_>) -> bool {
    let is_listed = match document.value(slot::AS_NUMBER) {
        Value::Long(number) => enricher.datacentres.has(*number),
        _ => false,
    };
    is_listed || document.text(slot::IP_KIND) == Some("hosting")
}

/// Completes the event from the user's tables.
fn complete(enricher: &Enricher, document: &mut Document<'_>, trace: &mut Trace) {
    for lookup in &enricher.lookups {
        match lookup.apply(document) {
            lookup::Outcome::Hit => trace.lookups.0 += 1,
            lookup::Outcome::Miss => trace.lookups.1 += 1,
            lookup::Outcome::None => {}
        }
    }
}

/// Applies the user's rules in order; tells whether one drops the event.
fn apply_rules(
    enricher: &Enricher,
    document: &mut Document<'_>,
    trace: &mut Trace,
) -> rule::Outcome {
    for rule in &enricher.rules {
        match rule.apply(document) {
            rule::Outcome::Dropped => return rule::Outcome::Dropped,
            rule::Outcome::Matched => trace.rules.0 += 1,
            rule::Outcome::Failed => trace.rules.1 += 1,
            rule::Outcome::Passed => {}
        }
    }
    rule::Outcome::Passed
}

/// The event's name is the one member that every event must have.
fn check_type(document: &Document<'_>) -> Result<(), Code> {
    match document.value(slot::EVENT_TYPE) {
        Value::Absent => Err(Code::MissingEventType),
        Value::Text(name) if name.chars().nth(limits::MAX_EVENT_TYPE_CHARS).is_none() => Ok(()),
        _ => Err(Code::InvalidEventType),
    }
}

/// When the record was written; the present where the stream does not say.
fn record_time(context: RecordContext<'_>) -> Timestamp {
    match context.timestamp_ms {
        1.. => at(context.timestamp_ms),
        _ => at(context.now_ms),
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Gives the event its id and its index day, both pure functions of the event as sent and of where
/// it lies, so that a repetition is recognised.
fn identify<'a>(
    document: &mut Document<'a>,
    clock: &Clock,
    position: &Position,
    config: &Config,
) -> (Cow<'a, str>, String) {
    let sent: Option<Cow<'a, str>> = match document.value(slot::EVENT_ID) {
        Value::Text(text) => Some(text.clone()),
        Value::Long(number) => Some(number.to_string().into()),
        _ => None,
    };
    let day = index::day(
        clock.client,
        sent.as_deref(),
        clock.received,
        config.max_event_age,
    );
    let id = match sent {
        // An address of a person is no id: ids are in headers and logs of other programs.
        Some(sent) if index::is_fit_id(&sent) && !redact::has_email(&sent) => sent,
        Some(unfit) => {
            let id = index::derived_id(unfit.as_bytes()).to_string();
            document.set_text(slot::EVENT_ID_ORIGINAL, unfit);
            id.into()
        }
        None => index::derived_id(position.to_string().as_bytes())
            .to_string()
            .into(),
    };
    if document.text(slot::EVENT_ID) != Some(&id) {
        document.set_text(slot::EVENT_ID, id.clone());
    }
    (id, index::day_text(day))
}

fn parse_agent(enricher: &Enricher, document: &Document<'_>) -> Arc<Client> {
    let hints = match document.value(slot::HINTS) {
        Value::Raw(raw) => Some(Cow::Borrowed(*raw)),
        Value::Json(json) => Some(json.to_string().into()),
        _ => None,
    };
    let agent = document.text(slot::BROWSER_USER_AGENT);
    enricher.agents.parse(agent, hints.as_deref())
}

fn look_up(enricher: &Enricher, document: &Document<'_>) -> Outcome {
    match document.value(slot::IP_ADDRESS) {
        Value::Address(address) => enricher.databases.load().lookup(*address),
        _ => Outcome::None,
    }
}

fn set_email_domain(document: &mut Document<'_>) {
    match document.kept_text(slot::USER_CUSTOM_ID) {
        Some(Cow::Borrowed(id)) => document.set_text(slot::USER_EMAIL_DOMAIN, email_domain(id)),
        Some(Cow::Owned(id)) => {
            document.set_text(slot::USER_EMAIL_DOMAIN, email_domain(&id).to_owned());
        }
        None => {}
    }
}

/// The text behind the last `@`; `n/a` where there is none.
fn email_domain(id: &str) -> &str {
    match id.rsplit_once('@') {
        Some((_, domain)) if !domain.is_empty() => domain,
        _ => "n/a",
    }
}

/// Cuts the address: the last of the steps that see it whole has run.
fn keep_address(document: &mut Document<'_>, policy: IpPolicy, gate: Gate) {
    let Value::Address(address) = *document.value(slot::IP_ADDRESS) else {
        return;
    };
    let policy = match (policy, gate) {
        (IpPolicy::Full, Gate::Anonymize) => IpPolicy::Truncate,
        (policy, _) => policy,
    };
    match address::keep(address, policy) {
        Some(address) => document.set(slot::IP_ADDRESS, Value::Address(address)),
        None => document.clear(slot::IP_ADDRESS),
    }
}

/// The visitor, so that a visitor's events stay in order.
fn key<'a>(document: &Document<'a>, id: &Cow<'a, str>) -> Cow<'a, str> {
    [slot::USER_DOMAIN_ID, slot::SESSION_ID]
        .into_iter()
        .find_map(|slot| document.kept_text(slot))
        .unwrap_or_else(|| id.clone())
}

#[cfg(test)]
mod tests;
