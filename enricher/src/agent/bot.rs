//! Programs among the visitors: flagged, named where known, never dropped here.
//!
//! Three rules, from the surest: our own table, which also names and sorts; the patterns of isbot;
//! woothee's crawlers.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::document::{Document, Value};
use crate::slot;

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Its name, where known.
    pub name: Option<String>,
    /// Its kind, where known: search, ai_training, monitor and so on.
    pub class: Option<&'static str>,
    /// Which rule found it.
    pub reason: &'static str,
}

/// A row of `rules/bots.tsv`: token in lower case, name, class.
static ROWS: LazyLock<Vec<(&'static str, &'static str, &'static str)>> = LazyLock::new(|| {
    include_str!("../../rules/bots.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            Some((cells.next()?, cells.next()?, cells.next()?))
        })
        .collect()
});

/// The patterns of isbot. Without Unicode, as JavaScript reads them: classes and cases are ASCII's.
static PATTERNS: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = include_str!("../../rules/isbot.txt");
    let patterns = patterns.lines().filter(|line| !line.starts_with('#'));
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .unicode(false)
        .build()
        .expect("the committed patterns are read by a test")
});

/// Whether the npm package isbot, whose patterns these are, calls an agent a program's.
#[must_use]
pub fn is_listed(agent: &str) -> bool {
    PATTERNS.is_match(agent.as_bytes())
}

/// Tells a program by its agent; `parsed` is woothee's category and name.
pub(super) fn detect(agent: &str, parsed: Option<(&str, &str)>) -> Option<Bot> {
    let lower = agent.to_ascii_lowercase();
    let is_at_word = |at: usize| at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
    for (token, name, class) in ROWS.iter() {
        // `got (` and `java/` begin a word; `gptbot` may stand anywhere.
        let must_begin = token.ends_with(['/', '(']) || token.len() < 6;
        let is_found = lower
            .match_indices(token)
            .any(|(at, _)| !must_begin || is_at_word(at));
        if is_found {
            return Some(Bot {
                name: Some((*name).to_owned()),
                class: Some(class),
                reason: "ua_token",
            });
        }
    }
    if is_listed(agent) {
        return Some(Bot {
            name: own_name(agent),
            class: None,
            reason: "ua_isbot",
        });
    }
    let (category, name) = parsed?;
    // A maker of phones has "bot" at the end of its name.
    if category != "crawler" || lower.contains("cubot") {
        return None;
    }
    let name = Some(name).filter(|name| !matches!(*name, "" | "UNKNOWN" | "misc crawler"));
    Some(Bot {
        name: name.map(str::to_owned),
        class: None,
        reason: "ua_crawler",
    })
}

/// How a program calls itself: what follows `compatible;`, or the first product where the agent
/// does not pose as a browser.
fn own_name(agent: &str) -> Option<String> {
    let start = match agent.find("compatible; ") {
        Some(at) => &agent[at + "compatible; ".len()..],
        None if agent.starts_with("Mozilla/") => return None,
        None => agent,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let name = start.split(|c| !is_name(c)).next()?.trim();
    (name.len() <= 64 && name.contains(|c: char| c.is_ascii_alphabetic())).then(|| name.to_owned())
}

/// What speaks for a program beside its agent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signs {
    /// The browser says that a program drives it.
    pub(crate) is_webdriver: bool,
    /// The referrer is known for spam.
    pub(crate) is_spam: bool,
    /// The address is a data centre's. People sit behind such addresses too, so that this alone
    /// makes no bot.
    pub(crate) is_datacentre: bool,
    /// The visitor sent more within a minute than people do.
    pub(crate) is_burst: bool,
    /// A server sent the event on behalf of a visitor: agent and address are its own.
    pub(crate) is_server: bool,
}

/// The step: sets is_bot and why.
///
/// An empty agent counts only where the event came through a gateway: what other programs produce
/// to the stream need not have one.
pub(crate) fn apply<'a>(document: &mut Document<'a>, bot: Option<&'a Bot>, signs: Signs) -> bool {
    let mut reasons: Vec<Cow<'a, str>> = match document.take(slot::BOT_REASONS) {
        Value::List(reasons) => reasons,
        _ => Vec::new(),
    };
    if !signs.is_server {
        if let Some(bot) = bot {
            reasons.push(bot.reason.into());
            document.set_known(slot::BOT_NAME, bot.name.as_deref());
            document.set_known(slot::BOT_CLASS, bot.class);
        }
        if document.has(slot::RECEIVED_AT) && !document.has(slot::BROWSER_USER_AGENT) {
            reasons.push("ua_empty".into());
        }
        if signs.is_datacentre {
            reasons.push(DATACENTRE.into());
        }
    }
    if signs.is_webdriver {
        reasons.push("webdriver".into());
    }
    if signs.is_burst {
        reasons.push("burst".into());
    }
    if signs.is_spam {
        reasons.push("referrer_spam".into());
    }
    reasons.sort_unstable();
    reasons.dedup();
    let is_bot = reasons.iter().any(|reason| *reason != DATACENTRE);
    document.set(slot::IS_BOT, Value::Boolean(is_bot));
    if !reasons.is_empty() {
        document.set(slot::BOT_REASONS, Value::List(reasons));
    }
    is_bot
}

/// The reason that alone makes no bot.
const DATACENTRE: &str = "asn_dc";
