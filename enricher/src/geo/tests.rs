use std::fs;
use std::path::Path;
use std::time::Instant;

use arc_swap::ArcSwap;
use mmdb_writer::{Value as Record, Writer};

use super::watch::Watch;
use super::*;
use crate::document::read;

#[expect(dead_code, reason = "an example's main is not called by a test")]
#[path = "../../examples/demo_mmdb.rs"]
mod demo_mmdb;

fn place(databases: &Databases, address: &str) -> Option<Arc<Place>> {
    match databases.lookup(address.parse().unwrap()) {
        Outcome::Hit(place) => Some(place),
        _ => None,
    }
}

pub(crate) fn country_file(database_type: &str, code: &str) -> Vec<u8> {
    let mut writer = Writer::builder(database_type)
        .description(&[("en", "test")])
        .build();
    let country = Record::map([("iso_code", Record::from(code))]);
    let network: ipnet::IpNet = "203.0.113.0/24".parse().unwrap();
    writer
        .insert_value(network, Record::map([("country", country)]))
        .unwrap();
    writer.to_bytes().unwrap()
}

fn asn_file() -> Vec<u8> {
    let mut writer = Writer::builder("Test-ASN")
        .description(&[("en", "test")])
        .build();
    let network: ipnet::IpNet = "203.0.113.0/24".parse().unwrap();
    let record = Record::map([
        ("autonomous_system_number", Record::from(64_500_u32)),
        ("autonomous_system_organization", Record::from("Example")),
    ]);
    writer.insert_value(network, record).unwrap();
    writer.to_bytes().unwrap()
}

/// Replaces a file as its users should: by renaming.
pub(crate) fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn committed_demo_file_is_the_generators() {
    assert!(
        DEMO == demo_mmdb::demo().unwrap(),
        "run the example demo_mmdb"
    );
}

#[test]
fn demo_file_knows_documentation_addresses() {
    let databases = Databases::open(&[]).unwrap();
    let berlin = place(&databases, "192.0.2.1").unwrap();
    assert_eq!(berlin.city.as_deref(), Some("Berlin"));
    assert_eq!(berlin.country.as_deref(), Some("DE"));
    assert_eq!(berlin.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(berlin.location, Some((52.52, 13.41)));
    assert_eq!(berlin.as_number, Some(64_496));
    assert_eq!(place(&databases, "::ffff:192.0.2.1"), Some(berlin));
    assert!(place(&databases, "2001:db8::1").is_some());
    assert!(place(&databases, "198.18.7.9").is_some());
    assert_eq!(databases.lookup("8.8.8.8".parse().unwrap()), Outcome::Miss);
    assert_eq!(
        databases.lookup("10.0.0.1".parse().unwrap()),
        Outcome::Private
    );
}

fn anonymous_file() -> Vec<u8> {
    let mut writer = Writer::builder("Test-Anonymous-IP")
        .description(&[("en", "test")])
        .build();
    let network: ipnet::IpNet = "203.0.113.0/24".parse().unwrap();
    let record = Record::map([
        ("is_hosting_provider", Record::from(true)),
        ("is_anonymous_vpn", Record::from(true)),
    ]);
    writer.insert_value(network, record).unwrap();
    writer.to_bytes().unwrap()
}

#[test]
fn all_kinds_of_files_serve_together() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = [
        anonymous_file(),
        asn_file(),
        country_file("Test-Country", "NO"),
        DEMO.to_vec(),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, bytes)| {
        let path = folder.path().join(format!("{number}.mmdb"));
        fs::write(&path, bytes).unwrap();
        path
    })
    .collect();
    let databases = Databases::open(&paths).unwrap();
    let found = place(&databases, "203.0.113.9").unwrap();
    assert_eq!(found.ip_kind, Some("vpn"));
    assert_eq!(found.as_number, Some(64_500));
    assert_eq!(found.country.as_deref(), Some("NO"));
    let berlin = place(&databases, "192.0.2.1").unwrap();
    assert_eq!(berlin.city.as_deref(), Some("Berlin"));
}

/// Threads look addresses up without a pause while files are swapped for new ones and for broken
/// ones: every look-up answers, and what it says is one of the versions.
#[test]
fn swapping_under_load_fails_no_look_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("geo.mmdb");
    replace(&path, &country_file("Test-Country", "C0"));
    let paths = [path.clone()];
    let databases = Arc::new(ArcSwap::from_pointee(Databases::open(&paths).unwrap()));
    let mut watch = Watch::new(&paths, databases.clone());
    std::thread::scope(|scope| {
        let look = || {
            let (mut seen, mut count, since) = (0_u32, 0_u64, Instant::now());
            // Until the last version has come.
            while seen < 9 || count < 100 {
                let found = place(&databases.load(), "203.0.113.9").unwrap();
                let version = found.country.as_deref().unwrap()[1..].parse().unwrap();
                assert!(version >= seen, "an old file came back");
                assert!(since.elapsed() < Duration::from_secs(60), "{seen}");
                (seen, count) = (version, count + 1);
            }
        };
        for _ in 0..2 {
            scope.spawn(look);
        }
        for version in 1..10_u32 {
            replace(&path, &country_file("Test-Country", &format!("C{version}")));
            watch.look();
            let whole = fs::read(&path).unwrap();
            replace(&path, &whole[..whole.len() / 2]);
            watch.look();
            assert!(watch.refused().is_some());
        }
    });
    assert_eq!(Arc::strong_count(&databases.load().files[0]), 1);
}

#[test]
fn files_complete_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let (asn, country) = (
        folder.path().join("asn.mmdb"),
        folder.path().join("country.mmdb"),
    );
    fs::write(&asn, asn_file()).unwrap();
    fs::write(&country, country_file("Test-Country", "NO")).unwrap();
    let databases = Databases::open(&[asn, country]).unwrap();
    let found = place(&databases, "203.0.113.9").unwrap();
    assert_eq!(
        (found.country.as_deref(), found.as_number),
        (Some("NO"), Some(64_500))
    );
}

#[test]
fn unusable_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("geo.mmdb");
    let refused = || {
        let error = Databases::open(std::slice::from_ref(&path)).unwrap_err();
        format!("{error:#}")
    };
    assert!(refused().starts_with(&format!("[enricher] geoip: GeoIP file {}", path.display())));
    fs::write(&path, "no database").unwrap();
    assert!(refused().contains("not a MaxMind database"));
    fs::write(&path, country_file("Test-Anything", "NO")).unwrap();
    assert!(refused().contains("\"Test-Anything\""));
    let mut damaged = DEMO.to_vec();
    let middle = damaged.len() * 3 / 4;
    damaged[middle..middle + 200].fill(0xff);
    fs::write(&path, damaged).unwrap();
    assert!(refused().contains("damaged"), "{}", refused());
}

#[test]
fn changed_file_is_swapped_and_damaged_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("geo.mmdb");
    fs::write(&path, country_file("Test-Country", "NO")).unwrap();
    let paths = [path.clone()];
    let databases = Arc::new(ArcSwap::from_pointee(Databases::open(&paths).unwrap()));
    let country = || {
        place(&databases.load(), "203.0.113.9")
            .unwrap()
            .country
            .clone()
    };
    let mut watch = Watch::new(&paths, databases.clone());
    let old = Arc::downgrade(&databases.load_full());

    let truncated = country_file("Test-Country", "SE");
    replace(&path, &truncated[..truncated.len() - 40]);
    watch.look();
    assert!(watch.refused().is_some());
    assert_eq!(country().as_deref(), Some("NO"));

    replace(&path, &asn_file());
    watch.look();
    assert!(watch.refused().is_some_and(|reason| reason.contains("Asn")));

    replace(&path, &country_file("Test-Country", "SE"));
    watch.look();
    assert_eq!(watch.refused(), None);
    assert_eq!(country().as_deref(), Some("SE"));
    assert!(old.upgrade().is_none(), "the old file is freed");
}

#[test]
fn place_replaces_claims_as_a_whole() {
    let raw = r#"{"geo_country":"FR","geo_region_name":"Normandy","geo_latitude":49.0,"geo_longitude":1.0}"#;
    let outcome = Outcome::Hit(Arc::new(Place {
        country: Some("NO".into()),
        ..Place::default()
    }));
    let mut document = read::document(raw.as_bytes()).unwrap();
    apply(&mut document, &outcome, false);
    assert_eq!(document.text(slot::GEO_COUNTRY), Some("NO"));
    assert_eq!(document.text(slot::GEO_SOURCE), Some("ip"));
    assert!(!document.has(slot::GEO_REGION_NAME) && !document.has(slot::GEO_LOCATION));
}

#[test]
fn miss_keeps_the_events_own_place() {
    let raw = r#"{"geo_country":"FR","geo_latitude":49.0,"geo_longitude":1.5}"#;
    let outcome = Outcome::Miss;
    let mut document = read::document(raw.as_bytes()).unwrap();
    apply(&mut document, &outcome, false);
    let own = Value::Point {
        latitude: 49.0,
        longitude: 1.5,
    };
    assert_eq!(*document.value(slot::GEO_LOCATION), own);
    assert_eq!(document.text(slot::GEO_SOURCE), Some("event"));
}
