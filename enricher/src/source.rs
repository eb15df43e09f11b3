//! Where a visit came from: the source, what kind of site it is, and the acquisition channel.
//!
//! - `tables` holds the rules as data
//! - `own` are the site's own rules, which come first
//! - `token` finds the one source among campaign tags, click ids and the referrer
//! - `channel` names the channel, in the order and the names of Google Analytics 4

pub(crate) mod channel;
pub(crate) mod own;
pub(crate) mod tables;
pub(crate) mod token;

use std::borrow::Cow;

use crate::document::{Document, Value};
use crate::link::{self, Link};
use crate::slot::{self, Slot};
use channel::Channel;
use own::{Landing, Own};
use token::{Origin, Source};

/// What kind of site sent a visit. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Category {
    SearchEngine,
    SocialMedia,
    EmailMarketing,
    AiAssistant,
    Video,
    Shopping,
    Messaging,
    Audio,
    Display,
    Affiliate,
    Sms,
    Push,
    Referral,
    Internal,
    Direct,
    Unknown,
}

impl Category {
    const ALL: [Self; 16] = [
        Self::SearchEngine,
        Self::SocialMedia,
        Self::EmailMarketing,
        Self::AiAssistant,
        Self::Video,
        Self::Shopping,
        Self::Messaging,
        Self::Audio,
        Self::Display,
        Self::Affiliate,
        Self::Sms,
        Self::Push,
        Self::Referral,
        Self::Internal,
        Self::Direct,
        Self::Unknown,
    ];

    /// The stable name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SearchEngine => "search_engine",
            Self::SocialMedia => "social_media",
            Self::EmailMarketing => "email_marketing",
            Self::AiAssistant => "ai_assistant",
            Self::Video => "video",
            Self::Shopping => "shopping",
            Self::Messaging => "messaging",
            Self::Audio => "audio",
            Self::Display => "display",
            Self::Affiliate => "affiliate",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Referral => "referral",
            Self::Internal => "internal",
            Self::Direct => "direct",
            Self::Unknown => "other/unknown",
        }
    }

    /// The category of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.name() == name)
    }
}

/// What attribution reads: the campaign tags, the addresses, and what their queries hold.
#[derive(Debug, Default)]
pub(crate) struct Signals<'a> {
    pub(crate) page: Option<Link<'a>>,
    pub(crate) referrer: Option<Link<'a>>,
    pub(crate) utm_source: Option<Cow<'a, str>>,
    pub(crate) utm_medium: Option<Cow<'a, str>>,
    pub(crate) utm_campaign: Option<Cow<'a, str>>,
    /// The parameter `source` or else `ref` of the page.
    pub(crate) fallback: Option<Cow<'a, str>>,
    /// The strongest click id in the page's query.
    pub(crate) click: Option<tables::Click>,
    /// The site's own rules.
    pub(crate) own: Option<&'a Own>,
    /// The site, by whose name own rules may be told apart.
    pub(crate) site: Option<&'a str>,
}

impl<'a> Signals<'a> {
    /// Takes a parameter of the page that is no campaign tag.
    pub(crate) fn take_other(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "source" => self.fallback = Some(value),
            "ref" => {
                self.fallback.get_or_insert(value);
            }
            _ => {
                let Some(click) = tables::tables().click(name) else {
                    return;
                };
                // What only an advertisement adds outweighs a hint; of equals the first holds.
                if self.click.is_none_or(|known| click.is_ad && !known.is_ad) {
                    self.click = Some(click);
                }
            }
        }
    }
}

/// What attribution found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribution {
    pub(crate) category: Category,
    /// `None` within a visit: an internal page view belongs to the channel of its landing page.
    pub(crate) channel: Option<Cow<'static, str>>,
    /// Which rule decided, such as `medium:cpc+source:google`.
    pub(crate) reason: String,
    pub(crate) click_network: Option<&'static str>,
    /// Whether the referrer is known for spam.
    pub(crate) is_spam: bool,
}

/// Finds source, category and channel.
pub(crate) fn attribute(signals: &Signals<'_>) -> Attribution {
    let source = Source::resolve(signals);
    let (channel, reason) = channel::decide(signals, &source);
    let category = match source.origin {
        Origin::None => channel.map_or(source.category, Channel::implied),
        _ => source.category,
    };
    let (channel, reason) = match own_channel(signals, &source, category) {
        Some((channel, reason)) => (Some(Cow::Owned(channel)), reason),
        None => (channel.map(|channel| channel.name().into()), reason),
    };
    Attribution {
        category,
        channel,
        reason,
        click_network: signals.click.map(|click| click.network),
        is_spam: source.origin == Origin::Spam,
    }
}

/// The channel that the site's own rules name, and which rule does.
fn own_channel(
    signals: &Signals<'_>,
    source: &Source,
    category: Category,
) -> Option<(String, String)> {
    let own = signals.own?;
    let normal = |tag: &Option<Cow<'_, str>>| {
        let text = tag.as_deref().and_then(token::normal);
        text.map(Cow::into_owned).unwrap_or_default()
    };
    let landing = Landing {
        site: signals.site,
        source: &source.token,
        medium: &normal(&signals.utm_medium),
        campaign: &normal(&signals.utm_campaign),
        category,
    };
    let (channel, number) = own.channel(&landing)?;
    Some((channel.to_owned(), format!("own:{number}")))
}

/// What the step found, for what follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    pub(crate) category: Category,
    /// Whether the referrer is known for spam.
    pub(crate) is_spam: bool,
}

/// The step: fills campaign tags and hosts from the addresses and sets what attribution found.
pub(crate) fn apply<'a>(
    document: &mut Document<'a>,
    page: Option<&'a str>,
    referrer: Option<&'a str>,
    own: Option<&Own>,
) -> Applied {
    let site = document.kept_text(slot::SITE);
    let mut signals = Signals {
        page: page.and_then(Link::parse),
        referrer: referrer.and_then(Link::parse),
        ..Signals::default()
    };
    read_query(document, &mut signals);
    signals.utm_source = document.kept_text(slot::UTM_SOURCE);
    signals.utm_medium = document.kept_text(slot::UTM_MEDIUM);
    signals.utm_campaign = document.kept_text(slot::UTM_CAMPAIGN);
    // Taken first, for what follows lives no longer than the rules.
    let page = signals
        .page
        .as_ref()
        .map(|page| (page.host.clone(), page.path));
    let referrer_host = signals.referrer.as_ref().map(|link| link.host.clone());
    let found = attribute(&Signals {
        own,
        site: site.as_deref(),
        ..signals
    });
    document.set_text(slot::SOURCE_CATEGORY, found.category.name());
    match found.channel {
        Some(channel) => document.set_text(slot::CHANNEL, channel),
        None => document.clear(slot::CHANNEL),
    }
    document.set_text(slot::CHANNEL_REASON, found.reason);
    document.set_known(slot::CLICK_NETWORK, found.click_network);
    if let Some((host, path)) = page {
        if !document.has(slot::PAGE_URL_PATH) && !path.is_empty() {
            document.set_text(slot::PAGE_URL_PATH, path);
        }
        document.set_text(slot::PAGE_HOST, host);
    }
    if let Some(host) = referrer_host {
        document.set_text(slot::REFERER_HOST, host);
    }
    Applied {
        category: found.category,
        is_spam: found.is_spam,
    }
}

/// Takes campaign tags, click ids and fallbacks from the page's query; tags that the event carries
/// itself hold.
fn read_query<'a>(document: &mut Document<'a>, signals: &mut Signals<'a>) {
    let Some(page) = signals.page.clone() else {
        return;
    };
    for (name, value) in page.parameters() {
        let slot = match name {
            "utm_source" => slot::UTM_SOURCE,
            "utm_medium" => slot::UTM_MEDIUM,
            "utm_campaign" => slot::UTM_CAMPAIGN,
            "utm_content" => slot::UTM_CONTENT,
            "utm_term" => slot::UTM_TERM,
            "utm_id" => slot::UTM_ID,
            _ => {
                signals.take_other(name, link::decode(value));
                continue;
            }
        };
        set_tag(document, slot, link::decode(value));
    }
}

fn set_tag<'a>(document: &mut Document<'a>, slot: Slot, text: Cow<'a, str>) {
    if !document.has(slot) && !text.is_empty() {
        let text = crate::document::repair::clean(&text, event::limits::MAX_KEYWORD_CHARS)
            .map_or(text, Cow::Owned);
        document.set(slot, Value::Text(text));
    }
}

#[cfg(test)]
mod tests;
