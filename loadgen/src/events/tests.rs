use std::collections::HashMap;

use serde_json::Value;

use super::*;

/// The 30 members of the model, in its order.
const NAMES: [&str; 30] = [
    "event_id",
    "event_timestamp",
    "event_type",
    "page_url",
    "page_url_path",
    "referer_url",
    "referer_url_scheme",
    "referer_url_port",
    "referer_medium",
    "utm_medium",
    "utm_source",
    "utm_content",
    "utm_campaign",
    "click_id",
    "geo_latitude",
    "geo_longitude",
    "geo_country",
    "geo_timezone",
    "geo_region_name",
    "ip_address",
    "browser_name",
    "browser_user_agent",
    "browser_language",
    "os",
    "os_name",
    "os_timezone",
    "device_type",
    "device_is_mobile",
    "user_custom_id",
    "user_domain_id",
];

fn time() -> Timestamp {
    "2026-01-31T12:34:56.000789Z".parse().unwrap()
}

fn take(seed: u64, users: usize, count: usize) -> Vec<Value> {
    let mut events = Events::new(seed, users, Addresses::Public);
    let event = |_| {
        let mut line = Vec::new();
        let id = events.write(time(), &mut line);
        let event: Value = serde_json::from_slice(&line).expect("an event is JSON");
        assert_eq!(event["event_id"], id.to_string());
        event
    };
    (0..count).map(event).collect()
}

/// Holds the shares of a member's values among independent draws against the model.
fn check(events: &[Value], member: &str, expected: &[(&str, f64)]) {
    let mut counts = HashMap::new();
    for event in events {
        *counts.entry(event[member].to_string()).or_insert(0_u32) += 1;
    }
    let total = events.len() as f64;
    for (value, weight) in expected {
        let count = counts.remove(&format!("\"{value}\"")).unwrap_or(0);
        // Five standard deviations: a right model fails once in a million.
        let tolerance = 5.0 * (total * weight * (1.0 - weight)).sqrt();
        let off = (f64::from(count) - total * weight).abs();
        assert!(off <= tolerance, "{member} {value}: {count} of {total}");
    }
    assert!(
        counts.is_empty(),
        "{member}: {counts:?} are not in the model"
    );
}

#[test]
fn an_event_has_the_members_of_the_model_in_their_order() {
    let mut line = Vec::new();
    Events::new(1, 5, Addresses::Public).write(time(), &mut line);
    let text = String::from_utf8(line).unwrap();
    let mut at = 0;
    for name in NAMES {
        let found = text[at..].find(&format!("\"{name}\":"));
        at += found.unwrap_or_else(|| panic!("{name} is missing or misplaced: {text}"));
    }
    let event: Value = serde_json::from_str(&text).unwrap();
    let event = event.as_object().unwrap();
    assert_eq!(event.len(), NAMES.len());
    assert_eq!(event["event_timestamp"], "2026-01-31 12:34:56.000789");
    let strings = event.values().filter(|value| value.is_string()).count();
    assert_eq!(
        (strings, event["device_is_mobile"].is_boolean()),
        (29, true)
    );
}

#[test]
fn a_seed_repeats_its_events() {
    assert_eq!(take(7, 10, 500), take(7, 10, 500));
    assert_ne!(take(7, 10, 5), take(8, 10, 5));
}

#[test]
fn traits_of_visitors_follow_the_weights() {
    // A visitor each, so that the draws are independent.
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let visitor = |_| {
        let mut line = b"{\"a\":0".to_vec();
        line.extend(Visitor::draw(&mut random, Addresses::Public).tail);
        serde_json::from_slice(&line).expect("a visitor is JSON")
    };
    let visitors: Vec<Value> = (0..20_000).map(visitor).collect();
    use crate::model;
    check(&visitors, "os_name", model::SYSTEMS);
    check(&visitors, "utm_source", model::SOURCES);
    check(&visitors, "utm_medium", model::MEDIUMS);
    check(&visitors, "utm_content", model::ADS);
    check(&visitors, "utm_campaign", model::CAMPAIGNS);
    check(
        &visitors,
        "device_type",
        &[("Mobile", 0.70), ("Computer", 0.30)],
    );
    let browsers: Vec<_> = model::BROWSERS
        .iter()
        .map(|((name, _), w)| (*name, *w))
        .collect();
    check(&visitors, "browser_name", &browsers);
}

#[test]
fn pages_follow_the_walk() {
    let events = take(5, 1_000, 200_000);
    let mut counts = HashMap::new();
    for event in &events {
        *counts
            .entry(event["page_url_path"].as_str().unwrap())
            .or_insert(0.0) += 1.0;
    }
    // The chain's own shares; neighbours of a session depend on one another, hence the room.
    for (path, share) in [
        ("/home", 0.404),
        ("/product_a", 0.228),
        ("/product_b", 0.150),
        ("/cart", 0.102),
        ("/payment", 0.068),
        ("/confirmation", 0.049),
    ] {
        let found = counts[path] / events.len() as f64;
        assert!(
            (found - share).abs() < 0.006,
            "{path}: {found} instead of {share}"
        );
    }
}

#[test]
fn benchmark_addresses_are_nobodys() {
    let mut events = Events::new(1, 50, Addresses::Benchmark);
    for _ in 0..200 {
        let mut line = Vec::new();
        events.write(time(), &mut line);
        let event: Value = serde_json::from_slice(&line).unwrap();
        let address = event["ip_address"].as_str().unwrap();
        assert!(
            address.starts_with("198.18.") || address.starts_with("198.19."),
            "{address}"
        );
    }
}
