use super::*;

/// Attributes a landing by its query and referrer.
fn attribution(query: &str, referrer: &str) -> Attribution {
    let page = format!("https://www.shop.example/{query}");
    let raw = serde_json::json!({"event_type": "pageview"}).to_string();
    let mut document = crate::document::read::document(raw.as_bytes()).unwrap();
    let mut signals = Signals {
        page: Link::parse(&page),
        referrer: Link::parse(referrer),
        ..Signals::default()
    };
    read_query(&mut document, &mut signals);
    signals.utm_source = document.kept_text(slot::UTM_SOURCE);
    signals.utm_medium = document.kept_text(slot::UTM_MEDIUM);
    signals.utm_campaign = document.kept_text(slot::UTM_CAMPAIGN);
    attribute(&signals)
}

#[test]
fn vectors_hold() {
    let rows: Vec<Vec<&str>> = include_str!("vectors.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.split('\t')
                .map(|cell| if cell == "-" { "" } else { cell })
                .collect()
        })
        .collect();
    assert!(rows.len() >= 80);
    let mut failures = Vec::new();
    for row in rows {
        let [query, referrer, category, channel, reason] = row[..] else {
            panic!("five cells a row, not {row:?}");
        };
        let found = attribution(query, referrer);
        let name = found.channel.as_deref().unwrap_or_default();
        let seen = (found.category.name(), name, found.reason.as_str());
        if seen != (category, channel, reason) {
            failures.push(format!("{query} {referrer}: {seen:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn long_referrer_is_harmless() {
    let referrer = format!("https://example.org/{}", "a/".repeat(5_000));
    let signals = Signals {
        referrer: Link::parse(&referrer),
        ..Signals::default()
    };
    assert_eq!(attribute(&signals).reason, "referrer:example.org");
    let labels = format!("https://{}google.com/", "a.".repeat(100));
    let signals = Signals {
        referrer: Link::parse(&labels),
        ..Signals::default()
    };
    assert_eq!(attribute(&signals).category, Category::SearchEngine);
}

#[test]
fn reasons_are_bounded() {
    let medium = "x".repeat(10_000);
    let signals = Signals {
        utm_source: Some("y".repeat(10_000).into()),
        utm_medium: Some(medium.into()),
        ..Signals::default()
    };
    assert!(attribute(&signals).reason.len() < 150);
}

#[test]
fn tags_of_the_page_fill_what_the_event_lacks() {
    let raw = r#"{"utm_source":"bing"}"#;
    let mut document = crate::document::read::document(raw.as_bytes()).unwrap();
    let page = "https://a.example/p/q?utm_source=google&utm_term=red+shoes&utm_id=7";
    apply(&mut document, Some(page), None, None);
    assert_eq!(document.text(slot::UTM_SOURCE), Some("bing"));
    assert_eq!(document.text(slot::UTM_TERM), Some("red shoes"));
    assert_eq!(document.text(slot::UTM_ID), Some("7"));
    assert_eq!(document.text(slot::PAGE_URL_PATH), Some("/p/q"));
    assert_eq!(document.text(slot::PAGE_HOST), Some("a.example"));
}
