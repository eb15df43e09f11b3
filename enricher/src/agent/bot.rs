//! Programs among the visitors: flagged, named where known, never dropped here.

use std::borrow::Cow;
use std::sync::LazyLock;

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

/// The step: sets is_bot and why.
///
/// An empty agent counts only where the event came through a gateway: what other programs produce
/// to the stream need not have one.
pub(crate) fn apply<'a>(
    document: &mut Document<'a>,
    bot: Option<&'a Bot>,
    is_webdriver: bool,
    is_spam: bool,
) -> bool {
    let mut reasons: Vec<Cow<'a, str>> = match document.take(slot::BOT_REASONS) {
        Value::List(reasons) => reasons,
        _ => Vec::new(),
    };
    if let Some(bot) = bot {
        reasons.push(bot.reason.into());
        document.set_known(slot::BOT_NAME, bot.name.as_deref());
        document.set_known(slot::BOT_CLASS, bot.class);
    }
    if document.has(slot::RECEIVED_AT) && !document.has(slot::BROWSER_USER_AGENT) {
        reasons.push("ua_empty".into());
    }
    if is_webdriver {
        reasons.push("webdriver".into());
    }
    if is_spam {
        reasons.push("referrer_spam".into());
    }
    reasons.sort_unstable();
    reasons.dedup();
    let is_bot = !reasons.is_empty();
    document.set(slot::IS_BOT, Value::Boolean(is_bot));
    if is_bot {
        document.set(slot::BOT_REASONS, Value::List(reasons));
    }
    is_bot
}
