//! A site's own rules, asked before the tables of this build.
//!
//! ```toml
//! internal_domains = ["pay.example"]   # of every site
//!
//! [site.shop]                          # events whose `site` is "shop"
//! internal_domains = ["shop.example"]
//!
//! [[source]]                           # a host, host/path, Android package or campaign source
//! source = "partner.example"
//! category = "affiliate"
//! site = "shop"                        # optional
//!
//! [[channel]]                          # every condition given must hold; * stands for anything
//! medium = "partner*"
//! channel = "Partners"
//! ```

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Category;
use super::tables::{is_below, label_starts};

/// Longest name of a channel, in characters.
const MAX_CHANNEL_CHARS: usize = 60;

/// The rules of all sites.
#[derive(Debug, Default)]
pub(crate) struct Own {
    internal: HashMap<String, Vec<Option<String>>>,
    /// By host, package or word.
    sources: HashMap<String, Vec<SourceRule>>,
    channels: Vec<ChannelRule>,
}

#[derive(Debug)]
struct SourceRule {
    path: String,
    site: Option<String>,
    category: Category,
}

#[derive(Debug)]
struct ChannelRule {
    site: Option<String>,
    source: Pattern,
    medium: Pattern,
    campaign: Pattern,
    category: Option<Category>,
    channel: String,
}

/// A text in which `*` at the start or the end stands for anything; empty: any text.
#[derive(Debug, Default)]
struct Pattern(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    internal_domains: Vec<String>,
    #[serde(default)]
    site: HashMap<String, SiteContent>,
    #[serde(default)]
    source: Vec<SourceContent>,
    #[serde(default)]
    channel: Vec<ChannelContent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteContent {
    #[serde(default)]
    internal_domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceContent {
    source: String,
    category: String,
    site: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelContent {
    site: Option<String>,
    #[serde(default)]
    source: String,
    #[serde(default)]
    medium: String,
    #[serde(default)]
    campaign: String,
    category: Option<String>,
    channel: String,
}

impl Own {
    /// Reads rules from TOML.
    ///
    /// # Errors
    /// With line or row, and what is wrong.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let content: Content = toml::from_str(text)?;
        let mut own = Self::default();
        let mut internal = |domains: Vec<String>, site: Option<&String>| {
            for domain in domains {
                let domain = domain.trim_matches('.').to_lowercase();
                own.internal.entry(domain).or_default().push(site.cloned());
            }
        };
        internal(content.internal_domains, None);
        for (site, rules) in content.site {
            internal(rules.internal_domains, Some(&site));
        }
        for (number, rule) in content.source.into_iter().enumerate() {
            let row = || format!("[[source]] {} ({})", number + 1, rule.source);
            let place = rule.source.trim().to_lowercase();
            ensure!(!place.is_empty(), "{}: source is empty", row());
            let category = category(&rule.category).with_context(row)?;
            let split = place.find('/').unwrap_or(place.len());
            let (host, path) = place.split_at(split);
            own.sources
                .entry(host.to_owned())
                .or_default()
                .push(SourceRule {
                    path: path.to_owned(),
                    site: rule.site.clone(),
                    category,
                });
        }
        for (number, rule) in content.channel.into_iter().enumerate() {
            let row = || format!("[[channel]] {} ({})", number + 1, rule.channel);
            let is_name = (1..=MAX_CHANNEL_CHARS).contains(&rule.channel.chars().count());
            ensure!(is_name, "{}: a name of 1 to 60 characters is wanted", row());
            let category = rule
                .category
                .as_deref()
                .map(category)
                .transpose()
                .with_context(row)?;
            let has_condition = category.is_some()
                || [&rule.source, &rule.medium, &rule.campaign]
                    .iter()
                    .any(|c| !c.is_empty());
            ensure!(
                has_condition,
                "{}: source, medium, campaign or category is wanted",
                row()
            );
            own.channels.push(ChannelRule {
                site: rule.site,
                source: Pattern(rule.source.to_lowercase()),
                medium: Pattern(rule.medium.to_lowercase()),
                campaign: Pattern(rule.campaign.to_lowercase()),
                category,
                channel: rule.channel,
            });
        }
        Ok(own)
    }

    /// Whether a referring host is the site's own.
    pub(crate) fn is_internal(&self, site: Option<&str>, host: &str) -> bool {
        !self.internal.is_empty()
            && label_starts(host).any(|start| {
                let sites = self.internal.get(&host[start..]);
                sites.is_some_and(|sites| sites.iter().any(|of| is_of(of.as_deref(), site)))
            })
    }

    /// The category of a host, a package or a campaign source.
    pub(crate) fn category(&self, site: Option<&str>, host: &str, path: &str) -> Option<Category> {
        if self.sources.is_empty() {
            return None;
        }
        label_starts(host).find_map(|start| {
            let rules = self.sources.get(&host[start..])?;
            let mut fitting = rules.iter().filter(|rule| {
                is_of(rule.site.as_deref(), site)
                    && (rule.path.is_empty() || is_below(path, &rule.path))
            });
            // A path says more than a host alone.
            let first = fitting.next()?;
            let deepest = fitting.fold(first, |deepest, rule| {
                match rule.path.len() > deepest.path.len() {
                    true => rule,
                    false => deepest,
                }
            });
            Some(deepest.category)
        })
    }

    /// The channel that a rule names, and the rule's number.
    pub(crate) fn channel(&self, of: &Landing<'_>) -> Option<(&str, usize)> {
        let fits = |rule: &ChannelRule| {
            is_of(rule.site.as_deref(), of.site)
                && rule.source.fits(of.source)
                && rule.medium.fits(of.medium)
                && rule.campaign.fits(of.campaign)
                && rule.category.is_none_or(|category| category == of.category)
        };
        let at = self.channels.iter().position(fits)?;
        Some((&self.channels[at].channel, at + 1))
    }
}

/// What channel rules look at; texts in lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landing<'a> {
    pub(crate) site: Option<&'a str>,
    pub(crate) source: &'a str,
    pub(crate) medium: &'a str,
    pub(crate) campaign: &'a str,
    pub(crate) category: Category,
}

fn is_of(rule: Option<&str>, site: Option<&str>) -> bool {
    rule.is_none_or(|rule| site == Some(rule))
}

fn category(name: &str) -> anyhow::Result<Category> {
    Category::from_name(name).with_context(|| {
        let known = Category::ALL.map(Category::name);
        format!("{name:?} is no category; known are {}", known.join(", "))
    })
}

impl Pattern {
    fn fits(&self, text: &str) -> bool {
        let pattern = self.0.as_str();
        match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            _ if pattern.is_empty() || pattern == "*" => true,
            (Some(rest), Some(_)) => text.contains(rest.trim_end_matches('*')),
            (Some(end), None) => text.ends_with(end),
            (None, Some(start)) => text.starts_with(start),
            (None, None) => text == pattern,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Link;
    use crate::source::{Signals, attribute};

    const RULES: &str = r#"
        internal_domains = ["pay.example"]
        [site.shop]
        internal_domains = ["other-shop.example"]
        [[source]]
        source = "google.com"
        category = "other/unknown"
        site = "odd"
        [[source]]
        source = "partner.example/deals"
        category = "affiliate"
        [[source]]
        source = "Summer"
        category = "email_marketing"
        [[channel]]
        medium = "partner*"
        site = "shop"
        channel = "Partners"
    "#;

    fn check(
        site: Option<&str>,
        source: &str,
        medium: &str,
        referrer: &str,
        expected: (&str, &str),
    ) {
        let own = Own::read(RULES).unwrap();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned().into());
        let signals = Signals {
            page: Link::parse("https://www.shop.example/"),
            referrer: Link::parse(referrer),
            utm_source: text(source),
            utm_medium: text(medium),
            own: Some(&own),
            site,
            ..Signals::default()
        };
        let found = attribute(&signals);
        let channel = found.channel.as_deref().unwrap_or_default();
        assert_eq!(
            (found.category.name(), channel),
            expected,
            "{site:?} {source:?} {referrer}"
        );
    }

    #[test]
    fn own_rules_come_first() {
        check(None, "", "", "https://pay.example/x", ("internal", ""));
        check(
            Some("shop"),
            "",
            "",
            "https://a.other-shop.example/",
            ("internal", ""),
        );
        check(
            None,
            "",
            "",
            "https://a.other-shop.example/",
            ("referral", "Referral"),
        );
        check(
            None,
            "",
            "",
            "https://partner.example/deals/1",
            ("affiliate", "Affiliates"),
        );
        check(
            None,
            "",
            "",
            "https://partner.example/",
            ("referral", "Referral"),
        );
        check(None, "summer", "", "", ("email_marketing", "Email"));
        check(
            Some("odd"),
            "google.com",
            "",
            "",
            ("other/unknown", "Unassigned"),
        );
        check(
            Some("shop"),
            "google.com",
            "",
            "",
            ("search_engine", "Organic Search"),
        );
        check(
            Some("shop"),
            "zz",
            "Partner-A",
            "",
            ("other/unknown", "Partners"),
        );
        check(
            Some("blog"),
            "zz",
            "partner-a",
            "",
            ("other/unknown", "Unassigned"),
        );
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (rules, words) in [
            (
                "[[source]]\nsource = \"a\"\ncategory = \"nice\"",
                "[[source]] 1 (a): \"nice\" is no category",
            ),
            (
                "[[channel]]\nchannel = \"A\"",
                "[[channel]] 1 (A): source, medium",
            ),
            ("internal = []", "unknown field `internal`"),
            ("[[source]]\nsource = ", "line 2"),
        ] {
            let error = format!("{:#}", Own::read(rules).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }
}
