//! A visitor, whose traits never change: every event repeats them.

use std::net::Ipv4Addr;

use fake::Fake as _;
use fake::faker::internet::en::{FreeEmail, UserAgent};
use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};
use serde_json::{Value, json};
use uuid::Builder;

use crate::model::{self, draw};

/// Which addresses visitors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addresses {
    /// Any public IPv4 address.
    #[default]
    Public,
    /// Of 198.18.0.0/15, which belongs to nobody (RFC 2544) and which the demo GeoIP file knows.
    Benchmark,
}

/// A visitor, as the part of its events that never changes.
pub struct Visitor {
    /// The members from `referer_url` on, as JSON without the opening brace.
    pub(crate) tail: Vec<u8>,
}

impl Visitor {
    /// Draws the traits. As in the model, they are drawn apart and may contradict one another.
    pub fn draw(random: &mut (impl Rng + ?Sized), addresses: Addresses) -> Self {
        let source = draw(model::SOURCES, random);
        let (browser, marks) = draw(model::BROWSERS, random);
        let (os, os_name, is_mobile) = system(random);
        let place = model::PLACES.choose(random).expect("there are places");
        let (latitude, longitude, country, zone, region) = *place;
        let medium = match source {
            "google" | "bing" => "search",
            _ => "internal",
        };
        let email: String = FreeEmail().fake_with_rng(random);
        let members = [
            ("referer_url", json!(format!("www.{source}.com"))),
            ("referer_url_scheme", json!("http")),
            ("referer_url_port", json!("80")),
            ("referer_medium", json!(medium)),
            ("utm_medium", json!(draw(model::MEDIUMS, random))),
            ("utm_source", json!(source)),
            ("utm_content", json!(draw(model::ADS, random))),
            ("utm_campaign", json!(draw(model::CAMPAIGNS, random))),
            ("click_id", json!(uuid(random).to_string())),
            ("geo_latitude", json!(latitude)),
            ("geo_longitude", json!(longitude)),
            ("geo_country", json!(country)),
            ("geo_timezone", json!(zone)),
            ("geo_region_name", json!(region)),
            ("ip_address", json!(address(random, addresses).to_string())),
            ("browser_name", json!(browser)),
            ("browser_user_agent", json!(agent(marks, random))),
            ("browser_language", json!(model::LANGUAGES.choose(random))),
            ("os", json!(os)),
            ("os_name", json!(os_name)),
            ("os_timezone", json!(zone)),
            (
                "device_type",
                json!(if is_mobile { "Mobile" } else { "Computer" }),
            ),
            ("device_is_mobile", Value::Bool(is_mobile)),
            ("user_custom_id", json!(email.to_lowercase())),
            ("user_domain_id", json!(uuid(random).to_string())),
        ];
        let mut tail = Vec::new();
        for (name, value) in members {
            tail.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
        }
        tail.push(b'}');
        Self { tail }
    }
}

/// A random UUID from our own source of chance, so that a seed repeats it.
pub(crate) fn uuid(random: &mut (impl Rng + ?Sized)) -> uuid::Uuid {
    Builder::from_random_bytes(random.random()).into_uuid()
}

/// The label, the family, and whether it moves.
fn system(random: &mut (impl Rng + ?Sized)) -> (String, &'static str, bool) {
    let family = draw(model::SYSTEMS, random);
    let (major, minor) = (random.random_range(4..18), random.random_range(0..9));
    let label = match family {
        "iOS" => format!("iPhone; CPU iPhone OS {major}_{minor} like Mac OS X"),
        "Android" => format!("Android {major}.{minor}"),
        "MacOS" => format!("Macintosh; Intel Mac OS X 10_{major}_{minor}"),
        "Windows" => ["Windows NT 10.0", "Windows NT 6.1", "Windows NT 6.3"]
            .choose(random)
            .map_or_else(String::new, ToString::to_string),
        _ => "X11; Linux x86_64".to_owned(),
    };
    (label, family, matches!(family, "iOS" | "Android"))
}

/// A user agent of the browser that `marks` tell.
fn agent(marks: &[&str], random: &mut (impl Rng + ?Sized)) -> &'static str {
    loop {
        let agent: &'static str = UserAgent().fake_with_rng(random);
        if marks.iter().any(|mark| agent.contains(mark)) && !is_other(agent, marks) {
            return agent;
        }
    }
}

/// Opera of those years writes `Version/` as Safari does.
fn is_other(agent: &str, marks: &[&str]) -> bool {
    marks == ["Version/"] && agent.contains("Opera")
}

fn address(random: &mut (impl Rng + ?Sized), addresses: Addresses) -> Ipv4Addr {
    if addresses == Addresses::Benchmark {
        let host: u32 = random.random_range(0..1 << 17);
        return Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() | host);
    }
    loop {
        let address = Ipv4Addr::from_bits(random.random());
        let [first, second, ..] = address.octets();
        let is_reserved = first == 0
            || first >= 224
            || (first == 100 && (64..128).contains(&second))
            || (first == 198 && (18..20).contains(&second))
            || address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_documentation();
        if !is_reserved {
            return address;
        }
    }
}
