//! What each step finds in an address, a referrer, an agent and an address of the network, and why.

use std::borrow::Cow;
use std::net::IpAddr;

use event::redact::{Secret, Secrets};

use crate::address;
use crate::document::Document;
use crate::enrich::Enricher;
use crate::geo::Outcome;
use crate::link::{self, Link};
use crate::slot;
use crate::source::{self, Signals, tables, token::Source};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question<'a> {
    /// Address of the page, with its query.
    pub url: Option<&'a str>,
    /// Address of the referring page.
    pub referrer: Option<&'a str>,
    /// User agent.
    pub agent: Option<&'a str>,
    /// Address of the visitor.
    pub ip: Option<IpAddr>,
}

/// One field that a step would set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The step: agent, geo, source or privacy.
    pub step: &'static str,
    /// The field.
    pub field: &'static str,
    /// Its value; empty where there is none.
    pub value: String,
    /// Which rule said so.
    pub reason: String,
}

/// Answers in the order of the steps. Pure; values come from the question and may be hostile.
#[must_use]
pub fn explain(enricher: &Enricher, question: &Question<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(agent) = question.agent {
        explain_agent(enricher, agent, &mut findings);
    }
    if let Some(ip) = question.ip {
        explain_ip(enricher, ip, &mut findings);
    }
    if question.url.is_some() || question.referrer.is_some() {
        explain_source(enricher, question, &mut findings);
        explain_privacy(enricher, question, &mut findings);
    }
    findings
}

fn add(
    findings: &mut Vec<Finding>,
    step: &'static str,
    field: &'static str,
    value: impl Into<String>,
    reason: impl Into<String>,
) {
    findings.push(Finding {
        step,
        field,
        value: value.into(),
        reason: reason.into(),
    });
}

fn explain_agent(enricher: &Enricher, text: &str, findings: &mut Vec<Finding>) {
    let client = enricher.agents.parse(Some(text), None);
    let Some(agent) = &client.agent else { return };
    let (is_bot, reason) = match &agent.bot {
        Some(bot) => ("true", bot.reason),
        None => ("false", "no rule for bots matches"),
    };
    add(findings, "agent", "is_bot", is_bot, reason);
    if let Some(bot) = &agent.bot {
        add(
            findings,
            "agent",
            "bot_name",
            bot.name.clone().unwrap_or_default(),
            reason,
        );
        add(
            findings,
            "agent",
            "bot_class",
            bot.class.unwrap_or_default(),
            reason,
        );
    }
    let own = [
        ("browser_name", agent.browser_name.as_deref()),
        ("browser_version", agent.browser_version.as_deref()),
        ("os_name", agent.os_name.as_deref()),
        ("os", agent.os.as_deref()),
        ("device_type", agent.device_type),
        ("device_brand", agent.device_brand.as_deref()),
        ("device_model", agent.device_model.as_deref()),
    ];
    for (field, value) in own {
        let reason = match value {
            Some(_) => "read from the agent",
            None => "the agent does not say",
        };
        add(findings, "agent", field, value.unwrap_or_default(), reason);
    }
}

fn explain_ip(enricher: &Enricher, ip: IpAddr, findings: &mut Vec<Finding>) {
    let place = match enricher.databases.load().lookup(ip) {
        Outcome::Hit(place) => place,
        Outcome::Private => {
            return add(
                findings,
                "geo",
                "geo_country",
                "",
                "the address is private and not looked up",
            );
        }
        Outcome::Miss | Outcome::None => {
            return add(
                findings,
                "geo",
                "geo_country",
                "",
                "no GeoIP file knows the address",
            );
        }
    };
    let degrees = place
        .location
        .map(|(latitude, longitude)| format!("{latitude}, {longitude}"));
    let known = [
        ("geo_country", place.country.clone()),
        ("geo_region_name", place.region.clone()),
        ("geo_city", place.city.clone()),
        ("geo_timezone", place.time_zone.clone()),
        ("geo_location", degrees),
        (
            "as_number",
            place.as_number.map(|number| number.to_string()),
        ),
        ("as_name", place.as_name.clone()),
    ];
    for (field, value) in known {
        let reason = match value {
            Some(_) => "GeoIP record of the address",
            None => "the GeoIP record does not say",
        };
        add(findings, "geo", field, value.unwrap_or_default(), reason);
    }
    let listed = place
        .as_number
        .filter(|number| enricher.datacentres.has(i64::from(*number)));
    let (kind, reason) = match (listed, place.ip_kind) {
        (Some(number), _) => (
            "asn_dc",
            format!("AS{number} is in [enricher] datacentre_as"),
        ),
        (None, Some(kind)) => (kind, "Anonymous-IP record of the address".to_owned()),
        (None, None) => (
            "",
            "no sign of a data centre, a relay or a proxy".to_owned(),
        ),
    };
    add(findings, "geo", "ip_kind", kind, reason);
    let policy = enricher.config.privacy.ip;
    let kept = address::keep(ip, policy).map(|address| address.to_string());
    let reason = format!("[privacy] ip is {policy:?} after the look-up");
    add(
        findings,
        "geo",
        "ip_address",
        kept.unwrap_or_default(),
        reason,
    );
}

fn explain_source(enricher: &Enricher, question: &Question<'_>, findings: &mut Vec<Finding>) {
    let own = enricher.own.as_ref().map(|file| file.load());
    let mut signals = signals(question);
    signals.own = own.as_ref().map(|own| &***own);
    let source = Source::resolve(&signals);
    let found = source::attribute(&signals);
    let origin = format!("{:?}", source.origin).to_lowercase();
    for (field, value) in [
        ("utm_source", &signals.utm_source),
        ("utm_medium", &signals.utm_medium),
        ("utm_campaign", &signals.utm_campaign),
    ] {
        if let Some(value) = value {
            add(findings, "source", field, &**value, "query of the page");
        }
    }
    if let Some(click) = signals.click {
        let kind = if click.is_ad {
            "only advertisements add it"
        } else {
            "sharing adds it too"
        };
        add(
            findings,
            "source",
            "click_network",
            click.network,
            format!("{}: {kind}", click.parameter),
        );
    }
    let name = signals
        .referrer
        .as_ref()
        .and_then(|r| tables::tables().host(&r.host, r.path));
    let reason = match (source.token.as_str(), name) {
        ("", _) => format!("found by: {origin}"),
        (token, Some(entry)) => format!(
            "found by: {origin}, {token}; the referrer is {}",
            entry.name
        ),
        (token, None) => format!("found by: {origin}, {token}"),
    };
    add(
        findings,
        "source",
        "source_category",
        found.category.name(),
        reason,
    );
    let channel = found.channel.as_deref();
    add(
        findings,
        "source",
        "channel",
        channel.unwrap_or_default(),
        found.reason,
    );
}

/// What is kept of the addresses.
fn explain_privacy(enricher: &Enricher, question: &Question<'_>, findings: &mut Vec<Finding>) {
    for (slot, sent) in [
        (slot::PAGE_URL, question.url),
        (slot::REFERER_URL, question.referrer),
    ] {
        let Some(sent) = sent else { continue };
        let mut document = Document::default();
        document.set_text(slot, sent);
        let counts = enricher.scrub.apply(&mut document, Secrets::ALL, false);
        let found: Vec<String> = Secret::ALL
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(secret, count)| format!("{} {count}", secret.name()))
            .collect();
        let mut reason = match document.text(slot) {
            None => "no address of a page".to_owned(),
            Some(kept) if kept == sent => "kept as it is".to_owned(),
            Some(_) => {
                format!("[privacy] query is {:?}", enricher.config.privacy.query).to_lowercase()
            }
        };
        if !found.is_empty() {
            reason.push_str(&format!("; taken out: {}", found.join(", ")));
        }
        let kept = document.text(slot).unwrap_or_default().to_owned();
        add(findings, "privacy", slot.field().name, kept, reason);
    }
}

fn signals<'a>(question: &Question<'a>) -> Signals<'a> {
    let mut signals = Signals {
        page: question.url.and_then(Link::parse),
        referrer: question.referrer.and_then(Link::parse),
        ..Signals::default()
    };
    let pairs: Vec<(&str, &str)> = signals.page.iter().flat_map(Link::parameters).collect();
    for (name, value) in pairs {
        let value: Cow<'a, str> = link::decode(value);
        let tag = match name {
            "utm_source" => &mut signals.utm_source,
            "utm_medium" => &mut signals.utm_medium,
            "utm_campaign" => &mut signals.utm_campaign,
            _ => {
                signals.take_other(name, value);
                continue;
            }
        };
        tag.get_or_insert(value);
    }
    signals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn every_step_says_what_and_why() {
        let enricher = Enricher::new(Config::default()).unwrap();
        let question = Question {
            url: Some("https://shop.example/u/jo@b.example?utm_source=fb&utm_medium=cpc&gclid=1"),
            referrer: Some("https://l.facebook.com/"),
            agent: Some("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)"),
            ip: Some("192.0.2.1".parse().unwrap()),
        };
        let findings = explain(&enricher, &question);
        let value = |field: &str| {
            let finding = findings.iter().find(|finding| finding.field == field);
            finding.map(|finding| finding.value.as_str())
        };
        assert_eq!(value("bot_name"), Some("GPTBot"));
        assert_eq!(value("geo_city"), Some("Berlin"));
        assert_eq!(value("ip_address"), Some("192.0.2.0"));
        assert_eq!(value("source_category"), Some("social_media"));
        assert_eq!(value("channel"), Some("Paid Search"));
        assert_eq!(
            value("page_url"),
            Some(
                "https://shop.example/u/[redacted:email]?utm_source=fb&utm_medium=cpc&gclid=removed"
            )
        );
        assert!(findings.iter().all(|finding| !finding.reason.is_empty()));
    }
}
