//! The acquisition channel, in the order and the names of Google Analytics 4's default group.
//!
//! Deliberately different from it where it is known to mislead: a medium counts by whole words
//! (`.*cp.*` there matches any medium with "cp" in it), an explicit medium such as email wins over
//! an old click id in a copied link and over a campaign name that contains "shop", and a source
//! that the tables know decides where the medium says only "organic".

use super::token::{self, Origin, Source};
use super::{Category, Signals};

/// A channel by the names of Google Analytics 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Direct,
    CrossNetwork,
    PaidShopping,
    PaidSearch,
    PaidSocial,
    PaidVideo,
    Display,
    PaidOther,
    OrganicShopping,
    OrganicSocial,
    OrganicVideo,
    AiAssistant,
    OrganicSearch,
    Referral,
    Email,
    Affiliates,
    Audio,
    Sms,
    MobilePush,
    Unassigned,
}

impl Channel {
    /// The stable name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "Direct",
            Self::CrossNetwork => "Cross-network",
            Self::PaidShopping => "Paid Shopping",
            Self::PaidSearch => "Paid Search",
            Self::PaidSocial => "Paid Social",
            Self::PaidVideo => "Paid Video",
            Self::Display => "Display",
            Self::PaidOther => "Paid Other",
            Self::OrganicShopping => "Organic Shopping",
            Self::OrganicSocial => "Organic Social",
            Self::OrganicVideo => "Organic Video",
            Self::AiAssistant => "AI Assistant",
            Self::OrganicSearch => "Organic Search",
            Self::Referral => "Referral",
            Self::Email => "Email",
            Self::Affiliates => "Affiliates",
            Self::Audio => "Audio",
            Self::Sms => "SMS",
            Self::MobilePush => "Mobile Push Notifications",
            Self::Unassigned => "Unassigned",
        }
    }

    /// What kind of site sent a visit of which only the channel is known.
    pub(crate) const fn implied(self) -> Category {
        match self {
            Self::Direct => Category::Direct,
            Self::PaidShopping | Self::OrganicShopping => Category::Shopping,
            Self::PaidSearch | Self::OrganicSearch => Category::SearchEngine,
            Self::PaidSocial | Self::OrganicSocial => Category::SocialMedia,
            Self::PaidVideo | Self::OrganicVideo => Category::Video,
            Self::Display => Category::Display,
            Self::AiAssistant => Category::AiAssistant,
            Self::Referral => Category::Referral,
            Self::Email => Category::EmailMarketing,
            Self::Affiliates => Category::Affiliate,
            Self::Audio => Category::Audio,
            Self::Sms => Category::Sms,
            Self::MobilePush => Category::Push,
            Self::CrossNetwork | Self::PaidOther | Self::Unassigned => Category::Unknown,
        }
    }
}

/// Longest part of a reason that comes from the event, in characters.
const MAX_REASON_PART: usize = 60;

/// Decides the channel and says which rule did.
pub(crate) fn decide(signals: &Signals<'_>, source: &Source) -> (Option<Channel>, String) {
    let campaign = signals.utm_campaign.as_deref().and_then(token::normal);
    let campaign = campaign.as_deref().unwrap_or_default();
    let medium = signals.utm_medium.as_deref().and_then(token::normal);
    let medium = Medium(match medium.as_deref().unwrap_or_default() {
        "(none)" | "(not set)" => "",
        medium => medium,
    });
    if campaign.contains("cross-network") {
        return (Some(Channel::CrossNetwork), "campaign:cross-network".into());
    }
    if let Some((channel, kind)) = medium.addressed() {
        return (Some(channel), reason(kind, medium.0, source));
    }
    let is_shop = source.category == Category::Shopping || is_shop_campaign(campaign);
    if let Some(click) = signals.click.filter(|click| click.is_ad) {
        let reason = format!("clickid:{}", click.parameter);
        return (Some(clicked(click.source, source, medium, is_shop)), reason);
    }
    if medium.is_paid() || source.is_paid {
        let kind = if medium.is_paid() { "medium" } else { "alias" };
        let channel = paid(source.category, is_shop, medium);
        return (Some(channel), reason(kind, medium.0, source));
    }
    if medium.is_display() {
        return (Some(Channel::Display), reason("medium", medium.0, source));
    }
    unpaid(signals, source, medium, campaign, is_shop)
}

/// The channel of an advertisement's click id. The network decides, save that videos and shops are
/// told apart where the source or campaign says so.
fn clicked(network: &str, source: &Source, medium: Medium<'_>, is_shop: bool) -> Channel {
    if network == "doubleclick" {
        return Channel::Display;
    }
    let category = match source.category {
        Category::Video => Category::Video,
        _ => super::tables::tables()
            .word(network)
            .and_then(|entry| match entry.kind {
                super::tables::Kind::Source(category) => Some(category),
                super::tables::Kind::Return => None,
            })
            .unwrap_or(Category::Unknown),
    };
    match paid(category, is_shop, medium) {
        Channel::PaidSearch if medium.is_display() && medium.0 != "cpm" => Channel::Display,
        channel => channel,
    }
}

fn paid(category: Category, is_shop: bool, medium: Medium<'_>) -> Channel {
    match category {
        _ if is_shop => Channel::PaidShopping,
        Category::SearchEngine => Channel::PaidSearch,
        Category::SocialMedia | Category::Messaging => Channel::PaidSocial,
        Category::Video => Channel::PaidVideo,
        Category::Display => Channel::Display,
        _ if medium.is_display() => Channel::Display,
        _ => Channel::PaidOther,
    }
}

fn unpaid(
    signals: &Signals<'_>,
    source: &Source,
    medium: Medium<'_>,
    campaign: &str,
    is_shop: bool,
) -> (Option<Channel>, String) {
    let by_medium = |channel| (Some(channel), reason("medium", medium.0, source));
    let by_source = |channel| (Some(channel), reason("", "", source));
    if is_shop {
        return match source.category {
            Category::Shopping => by_source(Channel::OrganicShopping),
            _ => (Some(Channel::OrganicShopping), "campaign:shop".into()),
        };
    }
    if medium.is_social() {
        return by_medium(Channel::OrganicSocial);
    }
    if medium.0.contains("video") {
        return by_medium(Channel::OrganicVideo);
    }
    if medium.0 == "ai-assistant" || campaign == "(ai-assistant)" {
        return by_medium(Channel::AiAssistant);
    }
    // A referral that is tagged as such is one, wherever it came from, unless a rule of higher
    // rank knows the source.
    let is_referral = matches!(medium.0, "referral" | "app" | "link");
    match source.category {
        Category::SocialMedia | Category::Messaging => return by_source(Channel::OrganicSocial),
        Category::Video => return by_source(Channel::OrganicVideo),
        Category::AiAssistant => return by_source(Channel::AiAssistant),
        Category::SearchEngine => return by_source(Channel::OrganicSearch),
        _ if is_referral => return by_medium(Channel::Referral),
        Category::EmailMarketing => return by_source(Channel::Email),
        Category::Affiliate => return by_source(Channel::Affiliates),
        Category::Audio if source.origin != Origin::Referrer => return by_source(Channel::Audio),
        Category::Display if source.origin != Origin::Referrer => {
            return by_source(Channel::Display);
        }
        Category::Sms => return by_source(Channel::Sms),
        Category::Push => return by_source(Channel::MobilePush),
        _ => {}
    }
    if medium.0 == "organic" {
        return by_medium(Channel::OrganicSearch);
    }
    if let Some(click) = signals.click {
        // The source is given but unknown; the id in the link is a hint at least.
        let channel = match click.source {
            "google_shopping" => Channel::OrganicShopping,
            "mailchimp" | "klaviyo" => Channel::Email,
            _ => Channel::OrganicSocial,
        };
        return (Some(channel), format!("clickid:{}", click.parameter));
    }
    match source.origin {
        Origin::Internal => (None, "referrer:internal".into()),
        Origin::Return => (None, "referrer:return".into()),
        Origin::Spam => (Some(Channel::Referral), "referrer:spam".into()),
        Origin::Referrer | Origin::Parameter => by_source(Channel::Referral),
        Origin::None if medium.0.is_empty() => (Some(Channel::Direct), "none".into()),
        _ => (
            Some(Channel::Unassigned),
            reason("medium", medium.0, source),
        ),
    }
}

/// A campaign medium in lower case.
#[derive(Debug, Clone, Copy)]
struct Medium<'a>(&'a str);

impl<'a> Medium<'a> {
    fn words(self) -> impl Iterator<Item = &'a str> {
        self.0
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
    }

    /// A medium that says outright how the visitor was addressed.
    fn addressed(self) -> Option<(Channel, &'static str)> {
        let channel = match self.0 {
            "email" | "e-mail" | "e_mail" | "e mail" | "newsletter" => Channel::Email,
            "affiliate" | "affiliates" => Channel::Affiliates,
            "audio" => Channel::Audio,
            "sms" => Channel::Sms,
            medium if medium.ends_with("push") => Channel::MobilePush,
            medium if medium.contains("notification") => Channel::MobilePush,
            "mobile" => Channel::MobilePush,
            _ => return None,
        };
        Some((channel, "medium"))
    }

    fn is_paid(self) -> bool {
        const PAID: [&str; 8] = [
            "cpc",
            "ppc",
            "cpm",
            "cpv",
            "cpa",
            "cpp",
            "retargeting",
            "remarketing",
        ];
        self.0.starts_with("paid") || self.words().any(|word| PAID.contains(&word))
    }

    fn is_display(self) -> bool {
        matches!(
            self.0,
            "display" | "banner" | "expandable" | "interstitial" | "cpm"
        )
    }

    fn is_social(self) -> bool {
        matches!(
            self.0,
            "social"
                | "social-network"
                | "social-media"
                | "sm"
                | "social network"
                | "social media"
                | "social_network"
                | "social_media"
        )
    }
}

/// Whether a campaign is about a shop: it contains "shopping", or "shop" at the start, after
/// something that is no letter, or after "e" (eshop; not workshop or photoshop).
fn is_shop_campaign(campaign: &str) -> bool {
    // Nearly none is, and looking for the word piece by piece costs more than this look.
    campaign.contains("shop")
        && (campaign.contains("shopping")
            || campaign.match_indices("shop").any(|(at, _)| {
                campaign[..at]
                    .chars()
                    .next_back()
                    .is_none_or(|before| before == 'e' || !before.is_ascii_lowercase())
            }))
}

/// `medium:cpc+source:google`, `referrer:www.google.com`; bounded, for parts come from the event.
fn reason(kind: &str, value: &str, source: &Source) -> String {
    let mut reason = String::with_capacity(64);
    let mut part = |kind: &str, value: &str| {
        if value.is_empty() {
            return;
        }
        if !reason.is_empty() {
            reason.push('+');
        }
        reason.push_str(kind);
        reason.push(':');
        reason.extend(
            value
                .chars()
                .take(MAX_REASON_PART)
                .filter(|c| !c.is_control()),
        );
    };
    if !kind.is_empty() && kind != "alias" {
        part(kind, value);
    }
    let kind = match source.origin {
        _ if kind == "alias" => "alias",
        Origin::Click | Origin::Hint => "clickid",
        Origin::Campaign => "source",
        Origin::Parameter => "ref",
        Origin::Referrer | Origin::Internal | Origin::Return | Origin::Spam => "referrer",
        Origin::None => "",
    };
    if !kind.is_empty() {
        part(kind, &source.token);
    }
    if reason.is_empty() {
        reason.push_str("none");
    }
    reason
}
