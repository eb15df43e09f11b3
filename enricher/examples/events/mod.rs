//! Events that are measured with.

use serde_json::json;

/// Agents that differ in their versions: browsers freeze theirs, so a site sees a few hundred.
const AGENTS: usize = 300;

const SOURCES: [&str; 5] = ["google", "bing", "facebook", "instagram", "mailchimp"];

/// An address that the demo GeoIP file knows.
fn address(number: usize) -> String {
    format!("198.18.{}.{}", number / 256 % 256, number % 256)
}

fn id(name: &str, number: usize) -> String {
    format!("{name}-{number:08}-4b4c-8bb4-2a2f6c1e9d77")
}

/// An event as fake-web-events makes them, members in its order.
pub(crate) fn seed(number: usize, now_ms: i64) -> String {
    let mediums = ["organic", "cpc", "social", "affiliate"];
    let source = SOURCES[number % SOURCES.len()];
    let at = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let text = |name: &str| id(name, number);
    let agent = number % AGENTS;
    let members = [
        ("event_id", json!(text("id"))),
        (
            "event_timestamp",
            json!(at.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()),
        ),
        ("event_type", json!("pageview")),
        ("page_url", json!("http://www.dummywebsite.com/product_a")),
        ("page_url_path", json!("/product_a")),
        ("referer_url", json!(format!("www.{source}.com"))),
        ("referer_url_scheme", json!("http")),
        ("referer_url_port", json!("80")),
        ("referer_medium", json!("internal")),
        ("utm_medium", json!(mediums[number % 4])),
        ("utm_source", json!(source)),
        ("utm_content", json!("ad_2")),
        ("utm_campaign", json!("campaign_1")),
        ("click_id", json!(text("click"))),
        ("geo_latitude", json!("54.77937")),
        ("geo_longitude", json!("11.86743")),
        ("geo_country", json!("DK")),
        ("geo_timezone", json!("Europe/Copenhagen")),
        ("geo_region_name", json!("Nykøbing Falster")),
        ("ip_address", json!(address(number))),
        ("browser_name", json!("Chrome")),
        (
            "browser_user_agent",
            json!(format!(
                "Mozilla/5.0 (Linux; Android 4.2.2) AppleWebKit/536.1 (KHTML, like Gecko) Chrome/41.0.{agent}.0 Safari/536.1"
            )),
        ),
        ("browser_language", json!("ms_MY")),
        ("os", json!("Android 5.0")),
        ("os_name", json!("Android")),
        ("os_timezone", json!("Europe/Copenhagen")),
        ("device_type", json!("Mobile")),
        ("device_is_mobile", json!(true)),
        (
            "user_custom_id",
            json!(format!("someone{number}@gmail.com")),
        ),
        ("user_domain_id", json!(text("user"))),
    ];
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// What the snippet sends and the gateway adds to it.
pub(crate) fn browser(number: usize) -> String {
    let now = jiff::Timestamp::now().to_string();
    let source = SOURCES[number % SOURCES.len()];
    json!({
        "event_id": id("0193a1c2", number),
        "event_timestamp": now,
        "event_type": "pageview",
        "site": "shop",
        "sent_at": now,
        "received_at": now,
        "lib": "weir.js/1",
        "page_url": format!(
            "https://shop.example/products/{}?utm_source={source}&utm_medium=cpc&utm_campaign=spring%20sale&gclid=abc{number}",
            number % 500
        ),
        "page_title": "Garden chairs – Shop",
        "page_language": "de",
        "referer_url": format!("https://www.{source}.com/search?q=garden+chairs"),
        "session_id": id("0193a1c2", number % 5_000),
        "page_view_id": id("0193a1c2", number),
        "screen_width": 1920,
        "screen_height": 1080,
        "consent": "granted",
        "ip_address": address(number),
        "ip_source": "connection",
        "browser_user_agent": format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
            120 + number % 30
        ),
        "browser_language": "de-DE",
        "hints": { "platform": "Windows", "platformVersion": "15.0.0", "mobile": false,
            "brands": [{ "brand": "Google Chrome", "version": "140" }, { "brand": "Not=A?Brand", "version": "24" }] },
        "user_domain_id": id("0193a1c2", number % 5_000),
        "props": { "sku": format!("A-{}", number % 500), "price": 49.9, "in_stock": true, "list": "spring" },
    })
    .to_string()
}
