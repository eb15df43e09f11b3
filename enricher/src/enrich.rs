//! One event from raw to enriched: every step in its order.
//!
//! Pure and total: the same record and tables give the same document, and no input makes it fail
//! in any way but a [`Code`].

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use event::{Code, index, limits};
use jiff::Timestamp;
use stream::Position;

use crate::address;
use crate::agent::hints::Hints;
use crate::agent::{self, Agent, AgentParser, Agents, WootheeParser, bot};
use crate::clock::Clock;
use crate::config::{Bots, Config, IpPolicy};
use crate::consent::Gate;
use crate::document::{Document, Value, read, repair, write};
use crate::geo::{self, Databases, Outcome};
use crate::slot::{self, Slot};
use crate::source::{self, tables::RULES_VERSION};

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
    Document(Box<EnrichedEvent>),
    /// Settings say that it is not kept.
    Dropped,
}

/// An enriched event.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedEvent {
    /// The document, one line of JSON.
    pub value: Vec<u8>,
    /// The document's id, 1 to 128 printable ASCII characters.
    pub id: String,
    /// The index day, `YYYY.MM.dd`.
    pub day: String,
    /// What the record's key is where the raw record has none.
    pub key: String,
    /// What came of the GeoIP look-up.
    pub geo: GeoOutcome,
}

/// What came of a GeoIP look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeoOutcome {
    /// The event has no address, or was looked up before.
    None,
    /// The address can have no place.
    Private,
    /// No file knows the address.
    Miss,
    /// A place.
    Hit,
}

/// Everything that the steps need: settings, parser, GeoIP files. Shared by all threads.
#[derive(Debug)]
pub struct Enricher {
    pub(crate) config: Config,
    pub(crate) agents: Agents,
    pub(crate) databases: Arc<ArcSwap<Databases>>,
    dropped_slots: Vec<Slot>,
    dropped_props: Vec<String>,
}

impl Enricher {
    /// Opens the GeoIP files and makes the tables.
    ///
    /// # Errors
    /// When a GeoIP file cannot be used; names the setting.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        Self::with_parser(config, Box::new(WootheeParser))
    }

    /// As [`Enricher::new`], with another parser of user agents.
    ///
    /// # Errors
    /// As [`Enricher::new`].
    pub fn with_parser(config: Config, parser: Box<dyn AgentParser>) -> anyhow::Result<Self> {
        let databases = Databases::open(&config.geoip)?;
        let (dropped_slots, dropped_props) = config.dropped();
        Ok(Self {
            config,
            agents: Agents::new(parser),
            databases: Arc::new(ArcSwap::from_pointee(databases)),
            dropped_slots,
            dropped_props,
        })
    }

    fn drop_fields(&self, document: &mut Document<'_>) {
        for slot in &self.dropped_slots {
            document.clear(*slot);
            if *slot == slot::PROPS {
                document.props.clear();
            }
        }
        for name in &self.dropped_props {
            document.props.remove(name);
        }
    }
}

/// Enriches the value of one raw record.
///
/// # Errors
/// The code of the dead letter.
pub fn enrich(
    enricher: &Enricher,
    raw: &[u8],
    context: RecordContext<'_>,
) -> Result<Enriched, Code> {
    let config = &enricher.config;
    // What the document borrows from stands before it.
    let (agent, place, page, referrer);
    let mut document = read::document(raw)?;
    check_type(&document)?;
    let was_enriched = document.has(slot::WEIR_VERSION);

    let gate = Gate::read(&document, &config.privacy);
    if gate == Gate::Drop {
        return Ok(Enriched::Dropped);
    }
    gate.apply(&mut document);

    let clock = Clock::read(&mut document, record_time(context));
    clock.check_age(config.max_event_age)?;
    let (id, day) = identify(&mut document, &clock, context.position, config);
    repair::repair(&mut document);
    clock.apply(&mut document);

    let hints = Hints::read(&document);
    agent = parse_agent(enricher, &document, hints.as_ref());
    if let Some(agent) = &agent {
        agent::apply(&mut document, agent);
    }
    if let Some(is_mobile) = hints.as_ref().and_then(Hints::is_mobile) {
        document.set(slot::DEVICE_IS_MOBILE, Value::Boolean(is_mobile));
    }

    place = look_up(enricher, &document, was_enriched);
    geo::apply(&mut document, &place);

    page = document.kept_text(slot::PAGE_URL);
    referrer = document.kept_text(slot::REFERER_URL);
    let is_spam = source::apply(&mut document, page.as_deref(), referrer.as_deref());

    let bot = agent.as_deref().and_then(|agent| agent.bot.as_ref());
    let is_webdriver = hints.is_some_and(|hints| hints.is_webdriver);
    let is_bot = bot::apply(&mut document, bot, is_webdriver, is_spam);
    if is_bot && config.bots == Bots::Drop {
        return Ok(Enriched::Dropped);
    }

    set_email_domain(&mut document);
    keep_address(&mut document, config.privacy.ip, gate);
    document.set(slot::ENRICHED_AT, Value::Time(at(context.now_ms)));
    document.set_text(slot::WEIR_VERSION, env!("CARGO_PKG_VERSION"));
    document.set_text(slot::RULES_VERSION, RULES_VERSION);
    let key = key(&document, &id);
    enricher.drop_fields(&mut document);
    Ok(Enriched::Document(Box::new(EnrichedEvent {
        // What enrichment adds is about 700 bytes.
        value: write::json(&document, raw.len() + 1_024),
        id,
        day,
        key,
        geo: GeoOutcome::of(&place),
    })))
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
fn identify(
    document: &mut Document<'_>,
    clock: &Clock,
    position: &Position,
    config: &Config,
) -> (String, String) {
    let sent = match document.take(slot::EVENT_ID) {
        Value::Text(text) => Some(text.into_owned()),
        Value::Long(number) => Some(number.to_string()),
        _ => None,
    };
    let day = index::day(
        clock.client,
        sent.as_deref(),
        clock.received,
        config.max_event_age,
    );
    let id = match sent {
        Some(sent) if index::is_fit_id(&sent) => sent,
        Some(unfit) => {
            let id = index::derived_id(unfit.as_bytes()).to_string();
            document.set_text(slot::EVENT_ID_ORIGINAL, unfit);
            id
        }
        None => index::derived_id(position.to_string().as_bytes()).to_string(),
    };
    document.set_text(slot::EVENT_ID, id.clone());
    (id, index::day_text(day))
}

fn parse_agent(
    enricher: &Enricher,
    document: &Document<'_>,
    hints: Option<&Hints>,
) -> Option<Arc<Agent>> {
    let sent = document.text(slot::BROWSER_USER_AGENT);
    let agent = sent.map(|agent| enricher.agents.parse(agent));
    match (hints, agent) {
        (Some(hints), agent) => Some(Arc::new(hints.refine(&agent.unwrap_or_default()))),
        (None, agent) => agent,
    }
}

fn look_up(enricher: &Enricher, document: &Document<'_>, was_enriched: bool) -> Outcome {
    // The address of an enriched event is cut; its place was found before that.
    if was_enriched && document.text(slot::GEO_SOURCE) == Some("ip") {
        return Outcome::None;
    }
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
fn key(document: &Document<'_>, id: &str) -> String {
    [slot::USER_DOMAIN_ID, slot::SESSION_ID]
        .into_iter()
        .find_map(|slot| document.text(slot))
        .unwrap_or(id)
        .to_owned()
}

impl GeoOutcome {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::None => Self::None,
            Outcome::Private => Self::Private,
            Outcome::Miss => Self::Miss,
            Outcome::Hit(_) => Self::Hit,
        }
    }
}

#[cfg(test)]
mod tests;
