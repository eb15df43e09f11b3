//! The one source of a visit, out of everything that hints at it.
//!
//! A click id that only an advertisement adds names its network; then come `utm_source`, the
//! parameters `source` and `ref`, the referrer, and last the click ids that mere sharing adds.

use std::borrow::Cow;

use super::tables::{self, Kind};
use super::{Category, Signals};
use crate::link::{self, Link};

/// Longest campaign value that is looked at, in bytes; real ones are names.
const MAX_TOKEN_BYTES: usize = 256;

/// Where the source was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An advertisement's click id, without any campaign source.
    Click,
    /// `utm_source`.
    Campaign,
    /// The parameter `source` or `ref`.
    Parameter,
    /// The referrer.
    Referrer,
    /// A click id that sharing adds.
    Hint,
    /// The referrer is of the same site.
    Internal,
    /// The referrer is a payment or sign-in page.
    Return,
    /// The referrer is known for spam.
    Spam,
    /// Nothing hints at a source.
    None,
}

/// The source of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// The source in lower case, by its usual spelling; a host where it is one.
    pub(crate) token: String,
    pub(crate) category: Category,
    /// Whether the spelling itself says that it was paid for.
    pub(crate) is_paid: bool,
}

impl Source {
    fn of(origin: Origin, token: &str, category: Category) -> Self {
        Self {
            origin,
            token: token.to_owned(),
            category,
            is_paid: false,
        }
    }

    /// Finds the source.
    pub(crate) fn resolve(signals: &Signals<'_>) -> Self {
        let campaign = signals.utm_source.as_deref().and_then(normal);
        if let Some(token) = campaign {
            // `(direct)` is how Google Analytics writes that there was no source.
            return match &*token {
                "(direct)" | "direct" => Self::of(Origin::None, "", Category::Direct),
                token => Self::tagged(Origin::Campaign, token, signals),
            };
        }
        let click = signals.click;
        if let Some(click) = click.filter(|click| click.is_ad) {
            return Self::tagged(Origin::Click, click.source, signals);
        }
        let fallback = signals.fallback.as_deref().and_then(normal);
        if let Some(source) = fallback.and_then(|token| Self::parameter(&token, signals)) {
            return source;
        }
        let by_referrer = signals
            .referrer
            .as_ref()
            .map(|referrer| Self::referred(referrer, signals));
        match (by_referrer, click) {
            (Some(source), _) if source.origin == Origin::Referrer => source,
            (_, Some(click)) => Self::tagged(Origin::Hint, click.source, signals),
            (Some(source), None) => source,
            (None, None) => Self::of(Origin::None, "", Category::Direct),
        }
    }

    /// A source that somebody wrote down.
    fn tagged(origin: Origin, token: &str, signals: &Signals<'_>) -> Self {
        if let Some(category) = own_category(token, signals) {
            return Self::of(origin, token, category);
        }
        let (token, is_paid) = tables::tables().alias(token);
        let category = lookup(token).unwrap_or(Category::Unknown);
        Self {
            is_paid,
            ..Self::of(origin, token, category)
        }
    }

    /// The parameters `source` and `ref` serve many purposes, so an unknown value counts only
    /// where it looks like a host.
    fn parameter(token: &str, signals: &Signals<'_>) -> Option<Self> {
        let source = Self::tagged(Origin::Parameter, token, signals);
        if source.category != Category::Unknown {
            return Some(source);
        }
        let is_host = token.contains('.')
            && Link::parse(token).is_some_and(|l| domain::registrable(&l.host).is_some());
        is_host.then_some(source)
    }

    fn referred(referrer: &Link<'_>, signals: &Signals<'_>) -> Self {
        let host = &*referrer.host;
        let (page, site) = (signals.page.as_ref(), signals.site);
        let is_own = signals.own.is_some_and(|own| own.is_internal(site, host));
        if is_own || page.is_some_and(|page| link::is_same_site(host, &page.host)) {
            return Self::of(Origin::Internal, host, Category::Internal);
        }
        let own = signals.own;
        if let Some(category) = own.and_then(|own| own.category(site, host, referrer.path)) {
            return Self::of(Origin::Referrer, host, category);
        }
        if tables::tables().is_spam(host) {
            return Self::of(Origin::Spam, host, Category::Referral);
        }
        match tables::tables()
            .host(host, referrer.path)
            .map(|entry| entry.kind)
        {
            Some(Kind::Return) => Self::of(Origin::Return, host, Category::Internal),
            Some(Kind::Source(category)) => Self::of(Origin::Referrer, host, category),
            None => Self::of(Origin::Referrer, host, Category::Referral),
        }
    }
}

/// What the site's own rules say of a campaign source.
fn own_category(token: &str, signals: &Signals<'_>) -> Option<Category> {
    let own = signals.own?;
    match Link::parse(token).filter(|_| token.contains('.')) {
        Some(link) => own.category(signals.site, &link.host, link.path),
        None => own.category(signals.site, token, ""),
    }
}

fn lookup(token: &str) -> Option<Category> {
    let entry = tables::tables().word(token).or_else(|| {
        let link = Link::parse(token).filter(|_| token.contains('.'))?;
        tables::tables().host(&link.host, link.path)
    });
    match entry?.kind {
        Kind::Source(category) => Some(category),
        Kind::Return => None,
    }
}

/// A campaign value as it is compared: trimmed, in lower case, bounded; `None` where empty.
pub(crate) fn normal(text: &str) -> Option<Cow<'_, str>> {
    let mut text = text.trim();
    if text.len() > MAX_TOKEN_BYTES {
        let mut end = MAX_TOKEN_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text = &text[..end];
    }
    if text.is_empty() {
        return None;
    }
    // Names in lower case, which nearly all are, are used as they stand.
    if text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b))
    {
        return Some(Cow::Borrowed(text));
    }
    let decoded = if text.contains('%') {
        link::decode(text)
    } else {
        Cow::Borrowed(text)
    };
    if decoded.chars().any(char::is_uppercase) {
        return Some(Cow::Owned(decoded.to_lowercase()));
    }
    Some(decoded)
}
