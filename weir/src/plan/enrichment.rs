//! What the enricher takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use enricher::config::{
    Bots, Config, IpPolicy, Lookup, Privacy, PseudonymKey, QueryPolicy, Rule, SchemaMode,
};
use event::Gpc;
use event::redact::{Secret, Secrets};
use jiff::{Timestamp, tz::TimeZone};

use super::checks::Checks;
use crate::commands::geo::Source;
use crate::config::{Settings, settings};

/// The enricher's settings; what is wrong with them is told to `checks`.
pub(super) fn config(
    s: &Settings,
    gpc: Gpc,
    checks: &mut Checks,
    grace: Duration,
) -> Option<Config> {
    let bots = [
        ("tag", Bots::Tag),
        ("drop", Bots::Drop),
        ("route", Bots::Route),
    ];
    let bots = checks.choice("enricher.bots", &s.enricher.bots, &bots);
    let modes = [
        ("tag", SchemaMode::Tag),
        ("dead_letter", SchemaMode::DeadLetter),
    ];
    let schema_mode = checks.choice("enricher.schema_mode", &s.enricher.schema_mode, &modes);
    let privacy = privacy(&s.privacy, gpc, checks);
    let lookup = |(name, lookup): (&String, &settings::Lookup)| Lookup {
        name: name.clone(),
        file: lookup.file.clone(),
        key: lookup.key.clone(),
        column: lookup.column.clone(),
        fields: lookup.fields.clone(),
    };
    let config = Config {
        group: s.enricher.group.clone(),
        raw_topic: s.topics.raw.clone(),
        enriched_topic: s.topics.enriched.clone(),
        dead_topic: s.topics.dead.clone(),
        bot_topic: s.topics.bots.clone(),
        forgotten_topic: s.topics.forgotten.clone(),
        geoip: s.enricher.geoip.clone(),
        user_agent_regexes: file(&s.enricher.user_agent_regexes),
        drop_fields: s.enricher.drop_fields.clone(),
        bots: bots?,
        datacentre_as: s.enricher.datacentre_as.clone(),
        burst_per_minute: s.enricher.burst_per_minute,
        server_libs: s.enricher.server_libs.clone(),
        rules_file: file(&s.enricher.rules_file),
        lookups: s.enricher.lookup.iter().map(lookup).collect(),
        rules: s.enricher.rule.iter().enumerate().map(rule).collect(),
        schemas: s.enricher.schema.clone(),
        schema_mode: schema_mode?,
        duplicate_window: s.enricher.duplicate_window.0,
        privacy: privacy?,
        max_event_age: s.max_event_age.0,
        grace,
        ..Config::default()
    };
    for (key, words) in config.problems() {
        checks.0.push(format!("{key}: {words}"));
    }
    Some(config)
}

/// A file that is named at all.
fn file(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

fn rule((number, rule): (usize, &settings::Rule)) -> Rule {
    Rule {
        name: match rule.name.as_str() {
            "" => (number + 1).to_string(),
            name => name.to_owned(),
        },
        when: rule.when.clone(),
        drop: rule.drop,
        set: rule.set.clone(),
        compute: rule.compute.clone(),
        remove: rule.remove.clone(),
        rename: rule.rename.clone(),
    }
}

fn privacy(s: &settings::Privacy, gpc: Gpc, checks: &mut Checks) -> Option<Privacy> {
    let ip = [
        ("full", IpPolicy::Full),
        ("truncate", IpPolicy::Truncate),
        ("drop", IpPolicy::Drop),
    ];
    let ip = checks.choice("privacy.ip", &s.ip, &ip);
    let query = [
        ("allow", QueryPolicy::Allow),
        ("deny", QueryPolicy::Deny),
        ("keep", QueryPolicy::Keep),
    ];
    let query = checks.choice("privacy.query", &s.query, &query);
    let kinds = Secret::ALL.map(|secret| (secret.name(), secret));
    let mut redact = Secrets::default();
    for kind in &s.redact {
        redact = redact.with(checks.choice("privacy.redact", kind, &kinds)?);
    }
    let key = checks.secret(
        "privacy.pseudonym_key",
        &s.pseudonym_key,
        &s.pseudonym_key_file,
    );
    Some(Privacy {
        ip: ip?,
        gpc,
        query: query?,
        query_allow: s.query_allow.clone(),
        query_deny: s.query_deny.clone(),
        redact,
        pseudonyms: s.pseudonyms.clone(),
        pseudonym_key: PseudonymKey(key.unwrap_or_default()),
    })
}

/// Where GeoIP files come from.
#[derive(Debug, Clone)]
pub(crate) struct Geo {
    /// The account with MaxMind, where it is the source.
    account: Option<(String, String)>,
}

impl Geo {
    /// Checks the settings.
    pub(super) fn new(s: &settings::Geo, checks: &mut Checks) -> Option<Self> {
        let is_max_mind = [("dbip", false), ("maxmind", true)];
        let is_max_mind = checks.choice("geo.source", &s.source, &is_max_mind)?;
        let key = checks.secret("geo.license_key", &s.license_key, &s.license_key_file);
        if !is_max_mind {
            return Some(Self { account: None });
        }
        let (Some(key), false) = (key, s.account_id.is_empty()) else {
            let words = "geo.source: \"maxmind\" wants geo.account_id and geo.license_key";
            checks.0.push(words.into());
            return None;
        };
        Some(Self {
            account: Some((s.account_id.clone(), key)),
        })
    }

    /// Where an edition is fetched from; `url` instead of the usual addresses.
    pub(crate) fn source(&self, edition: &str, url: Option<String>) -> Source {
        let usual = match &self.account {
            Some((account, key)) => Source::max_mind(edition, account, key),
            None => {
                let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
                Source::db_ip(edition, now.date())
            }
        };
        match url {
            // A key is for its own server alone.
            Some(url) => Source {
                urls: vec![url],
                account: None,
            },
            None => usual,
        }
    }
}
