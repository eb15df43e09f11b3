use serde_json::json;

use super::*;
use crate::config::{Privacy, QueryPolicy};
use crate::document::{read, repair, write};

fn scrubbed(privacy: &Privacy, event: &Json) -> (Json, Counts) {
    let raw = event.to_string();
    let mut document = read::document(raw.as_bytes()).unwrap();
    let scrub = Scrub::new(&Config {
        privacy: privacy.clone(),
        ..Config::default()
    });
    let possible = scrub.possible(raw.as_bytes(), &document);
    repair::repair(&mut document);
    let counts = scrub.apply(&mut document, possible, false);
    let written = serde_json::from_slice(&write::json(&document)).unwrap();
    (written, counts)
}

fn page(privacy: &Privacy, sent: &str, expected: &str) {
    let (document, _) = scrubbed(privacy, &json!({"page_url": sent}));
    assert_eq!(
        document["page_url"].as_str().unwrap_or_default(),
        expected,
        "{sent}"
    );
    let (again, _) = scrubbed(privacy, &document);
    assert_eq!(document, again, "{sent}");
}

#[test]
fn queries_keep_what_attribution_reads() {
    let check = |sent, expected| page(&Privacy::default(), sent, expected);
    check(
        "https://a.example/p?q=my+name&utm_source=x&UTM_Medium=y&ref=z&token=1&gclid=SECRET",
        "https://a.example/p?utm_source=x&UTM_Medium=y&ref=z&gclid=removed",
    );
    check("https://a.example/p?q=1", "https://a.example/p");
    check("https://a.example/p?fbclid", "https://a.example/p?fbclid");
    check("https://a.example/#access_token=1", "https://a.example/");
    check(
        "https://a.example/#/route/7?secret=1",
        "https://a.example/#/route/7",
    );
    check("https://a.example/#prices", "https://a.example/#prices");
}

#[test]
fn click_ids_stay_where_they_were_granted() {
    let sent = json!({"page_url": "https://a.example/?gclid=1", "consent": "granted"});
    let (document, _) = scrubbed(&Privacy::default(), &sent);
    assert_eq!(document["page_url"], "https://a.example/?gclid=1");
}

#[test]
fn queries_are_kept_as_configured() {
    let privacy = |query, allow: &[&str], deny: &[&str]| Privacy {
        query,
        query_allow: allow.iter().map(|name| (*name).to_owned()).collect(),
        query_deny: deny.iter().map(|name| (*name).to_owned()).collect(),
        ..Privacy::default()
    };
    let sent = "https://a.example/?q=a&Token=b&gclid=c&x=d";
    let allow = privacy(QueryPolicy::Allow, &["Q"], &[]);
    page(&allow, sent, "https://a.example/?q=a&gclid=removed");
    let deny = privacy(QueryPolicy::Deny, &[], &["x"]);
    page(&deny, sent, "https://a.example/?q=a&gclid=removed");
    let keep = privacy(QueryPolicy::Keep, &[], &["x"]);
    page(&keep, sent, "https://a.example/?q=a&Token=b&gclid=c");
}

#[test]
fn addresses_become_canonical() {
    let check = |sent, expected| page(&Privacy::default(), sent, expected);
    check(
        "HTTPS://user:pw@Shop.Example.:443/A/b",
        "https://shop.example/A/b",
    );
    check("http://a.example:8080/x", "http://a.example:8080/x");
    check(
        "https://bücher.example/ü",
        "https://xn--bcher-kva.example/ü",
    );
    check(" https://a.example/a\u{1}b\nc ", "https://a.example/abc");
    check(
        "https://a.example/p;jsessionid=12/q;v=1",
        "https://a.example/p/q;v=1",
    );
    check("www.Example.com/x://y", "www.example.com/x://y");
    check("//a.example/x", "//a.example/x");
    check("/only/a/path?x=1", "/only/a/path");
    check("android-app://com.example/", "android-app://com.example/");
    let long = format!("https://a.example/{}", "é".repeat(3_000));
    let (document, _) = scrubbed(&Privacy::default(), &json!({ "page_url": long }));
    assert_eq!(document["page_url"].as_str().map(str::len), Some(2_048));
}

#[test]
fn content_and_code_are_no_addresses() {
    for sent in ["data:text/html,<b>", " JavaScript:alert(1)"] {
        let (document, _) = scrubbed(&Privacy::default(), &json!({ "page_url": sent }));
        assert_eq!(document, json!({"invalid_fields": ["page_url"]}), "{sent}");
    }
}

#[test]
fn referrers_lose_their_query() {
    let sent = json!({"referer_url": "https://a.example/p?q=1&utm_source=x#y"});
    let (document, _) = scrubbed(&Privacy::default(), &sent);
    assert_eq!(document["referer_url"], "https://a.example/p");
}

#[test]
fn what_people_typed_is_taken_out_and_counted() {
    let sent = json!({
        "page_url": "https://a.example/u/jo%40b.example/+442079460958",
        "page_title": "Order of jo@b.example, 4111 1111 1111 1111",
        "utm_content": "d41d8cd98f00b204e9800998ecf8427e",
        "site": "of jo@b.example",
        "user_domain_id": "d41d8cd98f00b204e9800998ecf8427e",
        "user_custom_id": "jo@b.example",
        "props": {"jo@b.example": 1, "li@b.example": 2, "list": ["jo@b.example"], "card": 4_111_111_111_111_111_u64},
    });
    let (document, counts) = scrubbed(&Privacy::default(), &sent);
    let expected = json!({
        "page_url": "https://a.example/u/[redacted:email]/[redacted:phone]",
        "page_title": "Order of [redacted:email], [redacted:card]",
        "utm_content": "[redacted:hex]",
        "site": "of [redacted:email]",
        "user_domain_id": "d41d8cd98f00b204e9800998ecf8427e",
        "user_custom_id": "jo@b.example",
        "props": {"[redacted:email]": 1, "[redacted:email]_2": 2, "list": ["[redacted:email]"], "card": "[redacted:card]"},
    });
    assert_eq!(document, expected);
    assert_eq!(counts, [6, 0, 1, 2, 1]);
}

#[test]
fn nothing_is_looked_for_where_settings_say_so() {
    let privacy = Privacy {
        redact: Secrets::default(),
        ..Privacy::default()
    };
    let sent = json!({"page_title": "jo@b.example"});
    assert_eq!(scrubbed(&privacy, &sent), (sent, Counts::default()));
}
