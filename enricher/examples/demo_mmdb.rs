//! Makes the demo GeoIP file, `data/demo.mmdb`.
//!
//! ```sh
//! cargo run -p enricher --example demo_mmdb -- enricher/data/demo.mmdb
//! ```
//!
//! It holds only addresses that nobody has: the ranges for documentation (RFC 5737, RFC 3849) and
//! for benchmarks (RFC 2544). Which city a block gets is made up. The same program gives the same
//! bytes.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use mmdb_writer::{Value, Writer};

/// City, region, country, latitude, longitude, time zone.
type City = (
    &'static str,
    &'static str,
    &'static str,
    f64,
    f64,
    &'static str,
);

const CITIES: [City; 28] = [
    ("Berlin", "Land Berlin", "DE", 52.52, 13.41, "Europe/Berlin"),
    ("London", "England", "GB", 51.51, -0.13, "Europe/London"),
    ("Paris", "Île-de-France", "FR", 48.85, 2.35, "Europe/Paris"),
    ("Madrid", "Madrid", "ES", 40.42, -3.70, "Europe/Madrid"),
    ("Milan", "Lombardy", "IT", 45.46, 9.19, "Europe/Rome"),
    (
        "Amsterdam",
        "North Holland",
        "NL",
        52.37,
        4.90,
        "Europe/Amsterdam",
    ),
    (
        "Stockholm",
        "Stockholm County",
        "SE",
        59.33,
        18.07,
        "Europe/Stockholm",
    ),
    ("Warsaw", "Mazovia", "PL", 52.23, 21.01, "Europe/Warsaw"),
    ("Zürich", "Zurich", "CH", 47.37, 8.54, "Europe/Zurich"),
    (
        "Istanbul",
        "Istanbul",
        "TR",
        41.01,
        28.98,
        "Europe/Istanbul",
    ),
    (
        "New York",
        "New York",
        "US",
        40.71,
        -74.01,
        "America/New_York",
    ),
    (
        "Chicago",
        "Illinois",
        "US",
        41.88,
        -87.63,
        "America/Chicago",
    ),
    (
        "San Francisco",
        "California",
        "US",
        37.77,
        -122.42,
        "America/Los_Angeles",
    ),
    ("Austin", "Texas", "US", 30.27, -97.74, "America/Chicago"),
    ("Toronto", "Ontario", "CA", 43.65, -79.38, "America/Toronto"),
    (
        "Mexico City",
        "Mexico City",
        "MX",
        19.43,
        -99.13,
        "America/Mexico_City",
    ),
    (
        "São Paulo",
        "São Paulo",
        "BR",
        -23.55,
        -46.63,
        "America/Sao_Paulo",
    ),
    (
        "Buenos Aires",
        "Buenos Aires F.D.",
        "AR",
        -34.60,
        -58.38,
        "America/Argentina/Buenos_Aires",
    ),
    (
        "Bogotá",
        "Bogota D.C.",
        "CO",
        4.71,
        -74.07,
        "America/Bogota",
    ),
    ("Lagos", "Lagos", "NG", 6.52, 3.38, "Africa/Lagos"),
    (
        "Nairobi",
        "Nairobi County",
        "KE",
        -1.29,
        36.82,
        "Africa/Nairobi",
    ),
    (
        "Cape Town",
        "Western Cape",
        "ZA",
        -33.92,
        18.42,
        "Africa/Johannesburg",
    ),
    ("Dubai", "Dubai", "AE", 25.20, 55.27, "Asia/Dubai"),
    ("Mumbai", "Maharashtra", "IN", 19.08, 72.88, "Asia/Kolkata"),
    (
        "Singapore",
        "Singapore",
        "SG",
        1.35,
        103.82,
        "Asia/Singapore",
    ),
    ("Tokyo", "Tokyo", "JP", 35.68, 139.69, "Asia/Tokyo"),
    ("Seoul", "Seoul", "KR", 37.57, 126.98, "Asia/Seoul"),
    (
        "Sydney",
        "New South Wales",
        "AU",
        -33.87,
        151.21,
        "Australia/Sydney",
    ),
];

/// 2026-01-01, fixed so that the file is the same whenever it is made.
const BUILT: Duration = Duration::from_secs(1_767_225_600);

/// First of the numbers of autonomous systems for documentation (RFC 5398), 64496 to 64511.
const FIRST_AS: u32 = 64_496;

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("give the file to write")?;
    let bytes = demo()?;
    std::fs::write(&path, &bytes).with_context(|| format!("writing {path}"))?;
    println!("{path}: {} bytes", bytes.len());
    Ok(())
}

/// The bytes of the demo file.
///
/// # Errors
/// When a network cannot be inserted.
pub(crate) fn demo() -> anyhow::Result<Vec<u8>> {
    let text = "Made-up places for documentation and benchmark addresses. CC0-1.0.";
    let mut writer = Writer::builder("Weir-Demo-City")
        .description(&[("en", text)])
        .build_epoch(SystemTime::UNIX_EPOCH + BUILT)
        .build();
    for (place, network) in networks()?.into_iter().enumerate() {
        writer.insert_value(network, record(place))?;
    }
    Ok(writer.to_bytes()?)
}

/// Slices of the ranges; each gets the next city.
fn networks() -> anyhow::Result<Vec<IpNet>> {
    let mut networks = Vec::new();
    for range in ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"] {
        networks.extend(range.parse::<Ipv4Net>()?.subnets(28)?.map(IpNet::V4));
    }
    networks.extend(
        "198.18.0.0/15"
            .parse::<Ipv4Net>()?
            .subnets(24)?
            .map(IpNet::V4),
    );
    networks.extend(
        "2001:db8::/32"
            .parse::<Ipv6Net>()?
            .subnets(40)?
            .map(IpNet::V6),
    );
    Ok(networks)
}

fn record(place: usize) -> Value {
    let (city, region, country, latitude, longitude, time_zone) = CITIES[place % CITIES.len()];
    let system = place % 16;
    let names = |name: &str| Value::map([("names", Value::map([("en", Value::from(name))]))]);
    Value::map([
        ("city", names(city)),
        ("country", Value::map([("iso_code", Value::from(country))])),
        ("subdivisions", Value::array([names(region)])),
        (
            "location",
            Value::map([
                ("latitude", Value::from(latitude)),
                ("longitude", Value::from(longitude)),
                ("time_zone", Value::from(time_zone)),
            ]),
        ),
        (
            "autonomous_system_number",
            Value::from(FIRST_AS + system as u32),
        ),
        (
            "autonomous_system_organization",
            Value::from(format!("Example Network {system}").as_str()),
        ),
    ])
}
