//! Who may send to the gateway, how much, and what they are known by.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use gateway::Config;
use gateway::config::{ForwardedHeader, Rate, SaltPlace, Source, VisitorId};
use runtime::http::{Certificate, Limits};

use super::checks::Checks;
use crate::config::Settings;

/// The gateway's configuration as far as its clients are concerned.
pub(super) fn edge(
    s: &Settings,
    data_dir: Option<&Path>,
    is_kafka: bool,
    checks: &mut Checks,
) -> Option<Config> {
    let g = &s.gateway;
    let networks = g.trusted_proxies.iter().filter_map(|text| {
        let words = |_| format!("\"{text}\" is no network such as 10.0.0.0/8");
        checks.take("gateway.trusted_proxies", text.parse().map_err(words))
    });
    let trusted_proxies: Vec<_> = networks.collect();
    let headers = [
        ("x-forwarded-for", ForwardedHeader::XForwardedFor),
        ("forwarded", ForwardedHeader::Forwarded),
    ];
    let header = g.forwarded_header.to_lowercase();
    let forwarded_header = checks.choice("gateway.forwarded_header", &header, &headers);
    let versions = [("off", false), ("v2", true)];
    let proxy_protocol = checks.choice("gateway.proxy_protocol", &g.proxy_protocol, &versions);
    if proxy_protocol == Some(true) && g.trusted_proxies.is_empty() {
        let words = "\"v2\" needs the proxies' networks in gateway.trusted_proxies";
        checks.take::<()>("gateway.proxy_protocol", Err(words.into()));
    }
    origins("gateway.allowed_origins", &g.allowed_origins, checks);
    let rate_limit = rate("gateway.rate_limit", &g.rate_limit, checks);
    let sources = sources(s, checks);
    let visitor_id = visitor_id(s, checks);
    let salts = (visitor_id == Some(VisitorId::DailyHash)).then(|| match (is_kafka, data_dir) {
        (false, Some(folder)) => SaltPlace::File(folder.join("visitor-salts")),
        _ => SaltPlace::Topic(s.topics.salts.clone()),
    });
    Some(Config {
        trusted_proxies,
        proxy_protocol: proxy_protocol?,
        forwarded_header: forwarded_header?,
        allowed_origins: g.allowed_origins.clone(),
        rate_limit: rate_limit?,
        sources,
        visitor_id: visitor_id?,
        salts,
        certificate: certificate(s, checks)?,
        body_timeout: g.body_timeout.0,
        limits: Limits {
            max_connections: g.max_connections.max(1),
            header_timeout: g.header_timeout.0,
            idle_timeout: g.idle_timeout.0,
            ..Limits::default()
        },
        ..Config::default()
    })
}

/// The certificate of the settings; `Some(None)` where there is none.
fn certificate(s: &Settings, checks: &mut Checks) -> Option<Option<Arc<Certificate>>> {
    let (file, key) = (&s.gateway.tls_certificate_file, &s.gateway.tls_key_file);
    let opened = match (file.is_empty(), key.is_empty()) {
        (true, true) => return Some(None),
        (false, false) => Certificate::open(Path::new(file), Path::new(key)),
        _ => Err(anyhow::anyhow!(
            "certificate and key are wanted, or neither"
        )),
    };
    let opened = opened.map_err(|error| format!("{error:#}"));
    let certificate = checks.take("gateway.tls_certificate_file", opened)?;
    Some(Some(Arc::new(certificate)))
}

fn sources(s: &Settings, checks: &mut Checks) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut keys = HashSet::new();
    for (name, source) in &s.sources {
        let place = format!("sources.{name}");
        let key_of = format!("{place}.key");
        let errors = checks.0.len();
        let key = checks.secret(&key_of, &source.key, &source.key_file);
        let is_told = checks.0.len() > errors;
        origins(&format!("{place}.origins"), &source.origins, checks);
        let rate_limit = rate(&format!("{place}.rate_limit"), &source.rate_limit, checks);
        match key.filter(|key| !key.is_empty()) {
            None if is_told => {}
            None => {
                checks.take::<()>(&key_of, Err("a source needs a key".into()));
            }
            Some(key) if !keys.insert(key.clone()) => {
                checks.take::<()>(&key_of, Err("another source has this key".into()));
            }
            Some(key) => sources.push(Source {
                name: name.clone(),
                key,
                origins: source.origins.clone(),
                rate_limit: rate_limit.flatten(),
                event_types: source.event_types.clone(),
            }),
        }
    }
    sources
}

/// An origin is what a browser sends: scheme, host and a port that is not the scheme's own.
fn origins(key: &str, origins: &[String], checks: &mut Checks) {
    for origin in origins.iter().filter(|origin| *origin != "*") {
        let is_origin = url::Url::parse(origin).is_ok_and(|url| {
            url.origin().is_tuple() && url.origin().ascii_serialization() == *origin
        });
        if !is_origin {
            let words = format!("\"{origin}\" is no origin such as https://shop.example");
            checks.take::<()>(key, Err(words));
        }
    }
}

fn rate(key: &str, text: &str, checks: &mut Checks) -> Option<Option<Rate>> {
    if text == "off" {
        return Some(None);
    }
    let words = || format!("\"{text}\" is neither off nor a rate such as 100/s or 1000/m");
    checks.take(key, Rate::parse(text).map(Some).ok_or_else(words))
}

fn visitor_id(s: &Settings, checks: &mut Checks) -> Option<VisitorId> {
    let domain = s.privacy.cookie_domain.as_str();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if !domain.chars().all(fits) {
        let words = format!("\"{domain}\" is no domain such as example.org");
        checks.take::<()>("privacy.cookie_domain", Err(words));
    }
    let choices = [("daily_hash", 0), ("cookie", 1), ("off", 2)];
    let choice = checks.choice("privacy.visitor_id", &s.privacy.visitor_id, &choices)?;
    let lets_any = s.gateway.allowed_origins.iter().any(|one| one == "*");
    if choice == 1 && lets_any {
        let words =
            "\"cookie\" needs the origins of your pages in gateway.allowed_origins, not \"*\"";
        checks.take::<()>("privacy.visitor_id", Err(words.into()));
    }
    Some(match choice {
        0 => VisitorId::DailyHash,
        1 => VisitorId::Cookie {
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
        },
        _ => VisitorId::Off,
    })
}
