//! What a user agent says of browser, system and device.
//!
//! - `browser` names the browser: own tokens before woothee
//! - `system` reads the operating system
//! - `device` tells the kind of device, its maker and model
//! - `regexes` reads patterns that the user supplies
//! - `hints` are what browsers say beside the agent, and what only they can know
//! - `bot` tells programs from people
//! - `claim` spells what a sender says where the agent says nothing

pub(crate) mod bot;
mod browser;
mod claim;
mod device;
pub(crate) mod hints;
mod regexes;
mod system;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use hints::Hints;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::document::{Document, Value};
use crate::reload::{File, Reload};
use crate::slot;
pub use bot::{Bot, is_listed};
use regexes::RegexParser;
use system::System;

/// Agents kept parsed, about, with the hints that came with them. Browsers freeze their agents, so a
/// busy site sees a few thousand.
const CACHED: usize = 20_000;

/// Memory that they take at most, in bytes.
const MAX_CACHED_BYTES: u64 = 16 << 20;

/// What is kept of one, beside its text, in bytes.
const CLIENT_BYTES: u64 = 600;

/// Longest agent that is parsed, in bytes; the rest of a longer one is not looked at. Real ones
/// stay below 500.
const MAX_AGENT_BYTES: usize = 1_024;

/// What an agent says. What it does not say is `None`, never a word for unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agent {
    /// Family of the browser, or the bot's name.
    pub browser_name: Option<String>,
    /// Version of the browser.
    pub browser_version: Option<String>,
    /// Family of the operating system, such as Android.
    pub os_name: Option<Cow<'static, str>>,
    /// Operating system with version where the agent tells it honestly, such as "Android 14".
    pub os: Option<String>,
    /// Version of the operating system.
    pub os_version: Option<String>,
    /// Computer, Mobile, Tablet, TV, Console or XR.
    pub device_type: Option<&'static str>,
    /// Maker of the device.
    pub device_brand: Option<Cow<'static, str>>,
    /// Model of the device.
    pub device_model: Option<String>,
    /// The program, where it is one.
    pub bot: Option<Bot>,
}

/// What agent and hints say together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Client {
    /// The agent, refined by the hints; `None` where there was neither.
    pub(crate) agent: Option<Agent>,
    /// Whether the device is a phone, where the hints say so.
    pub(crate) is_mobile: Option<bool>,
    /// Whether the browser says that a program drives it.
    pub(crate) is_webdriver: bool,
}

/// Parses user agents. Pure: the same text gives the same answer, for answers are cached.
pub trait AgentParser: Send + Sync + fmt::Debug {
    /// Parses one agent, which is neither empty nor longer than 1,024 bytes.
    fn parse(&self, agent: &str) -> Agent;
}

/// woothee, with our own tokens before and behind it.
#[derive(Debug, Default)]
pub struct WootheeParser;

impl AgentParser for WootheeParser {
    fn parse(&self, agent: &str) -> Agent {
        let parsed = woothee::parser::Parser::new().parse(agent);
        let bot = bot::detect(agent, parsed.as_ref().map(|p| (p.category, p.name)));
        let (name, version) = match &bot {
            Some(bot) => (bot.name.clone(), None),
            None => browser::identify(agent, parsed.as_ref()),
        };
        let system = System::of(agent);
        let (device_brand, device_model) = device::make(agent);
        Agent {
            browser_name: name,
            browser_version: version,
            os_name: system.family.map(Cow::Borrowed),
            os: system.label(),
            os_version: system.version,
            device_type: device::kind(agent),
            device_brand: device_brand.map(Cow::Borrowed),
            device_model,
            bot,
        }
    }
}

/// What parses the agents.
#[derive(Debug)]
pub(crate) enum Agents {
    /// Our own parser.
    Own(Cached),
    /// The patterns of a file, which is looked at for changes, before it.
    File(Arc<File<Cached>>),
}

impl Agents {
    /// Our own parser, with the patterns of a `regexes.yaml` before it where there is one.
    ///
    /// # Errors
    /// When the file cannot be used; names the setting.
    pub(crate) fn open(regexes: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = regexes else {
            return Ok(Self::Own(Cached::new(Box::new(WootheeParser))));
        };
        let read = |text: &str| Ok(Cached::new(Box::new(RegexParser::read(text)?)));
        let file = File::open(path, read).context("[enricher] user_agent_regexes")?;
        Ok(Self::File(Arc::new(file)))
    }

    /// The file, to be looked at for changes.
    pub(crate) fn file(&self) -> Option<Arc<dyn Reload>> {
        match self {
            Self::Own(_) => None,
            Self::File(file) => Some(file.clone()),
        }
    }

    /// What an agent says, and hints as JSON text beside it.
    pub(crate) fn parse(&self, agent: Option<&str>, hints: Option<&str>) -> Arc<Client> {
        match self {
            Self::Own(cached) => cached.parse(agent, hints),
            Self::File(file) => file.load().parse(agent, hints),
        }
    }
}

/// A parser behind a bounded cache.
#[derive(Debug)]
pub(crate) struct Cached {
    parser: Box<dyn AgentParser>,
    cache: Cache<(Box<str>, Box<str>), Arc<Client>, Weights>,
}

/// What is parsed: agent and hints, empty where there is none.
#[derive(Hash)]
struct Key<'a>(&'a str, &'a str);

impl Equivalent<(Box<str>, Box<str>)> for Key<'_> {
    fn equivalent(&self, key: &(Box<str>, Box<str>)) -> bool {
        (self.0, self.1) == (&*key.0, &*key.1)
    }
}

#[derive(Debug, Clone)]
struct Weights;

impl Weighter<(Box<str>, Box<str>), Arc<Client>> for Weights {
    fn weight(&self, (agent, hints): &(Box<str>, Box<str>), _: &Arc<Client>) -> u64 {
        (agent.len() + hints.len()) as u64 + CLIENT_BYTES
    }
}

impl Cached {
    /// Wraps a parser.
    fn new(parser: Box<dyn AgentParser>) -> Self {
        Self {
            parser,
            cache: Cache::with_weighter(CACHED, MAX_CACHED_BYTES, Weights),
        }
    }

    fn parse(&self, agent: Option<&str>, hints: Option<&str>) -> Arc<Client> {
        let agent = agent.unwrap_or_default();
        let mut end = agent.len().min(MAX_AGENT_BYTES);
        while !agent.is_char_boundary(end) {
            end -= 1;
        }
        let key = Key(&agent[..end], hints.unwrap_or_default());
        if let Some(known) = self.cache.get(&key) {
            return known;
        }
        let agent = match (key.0, hints) {
            ("", _) => None,
            (agent, None) => Some(self.parser.parse(agent)),
            // Of hints there are many more than of agents, and these take longer to parse.
            (agent, Some(_)) => self.parse(Some(agent), None).agent.clone(),
        };
        let hints = hints.and_then(Hints::read);
        let client = Arc::new(match hints {
            Some(hints) => hints.refine(agent.unwrap_or_default()),
            None => Client {
                agent,
                ..Client::default()
            },
        });
        self.cache
            .insert((key.0.into(), key.1.into()), client.clone());
        client
    }
}

/// The step: derived values replace claimed ones only where the derivation succeeded. `agent` is `None`
/// where there is none to read.
pub(crate) fn apply<'a>(document: &mut Document<'a>, agent: Option<&'a Agent>) {
    if let Some(agent) = agent {
        derive(document, agent);
    }
    let is_known = |agent: &Agent| {
        agent.browser_name.is_some() && agent.os_name.is_some() && agent.device_type.is_some()
    };
    if !agent.is_some_and(is_known) {
        claim::apply(document);
    }
}

fn derive<'a>(document: &mut Document<'a>, agent: &'a Agent) {
    document.set_known(slot::BROWSER_NAME, agent.browser_name.as_deref());
    if let Some(version) = agent.browser_version.as_deref() {
        document.set_text(slot::BROWSER_VERSION, version);
        document.set_known(slot::BROWSER_MAJOR, version.split('.').next());
    }
    document.set_known(slot::OS_NAME, agent.os_name.as_deref());
    document.set_known(slot::OS, agent.os.as_deref());
    document.set_known(slot::OS_VERSION, agent.os_version.as_deref());
    document.set_known(slot::DEVICE_TYPE, agent.device_type);
    if let Some(kind) = agent.device_type {
        document.set(slot::DEVICE_IS_MOBILE, Value::Boolean(kind == "Mobile"));
    }
    document.set_known(slot::DEVICE_BRAND, agent.device_brand.as_deref());
    document.set_known(slot::DEVICE_MODEL, agent.device_model.as_deref());
}

#[cfg(test)]
mod tests;
