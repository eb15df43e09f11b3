//! Places of addresses, from files in the MaxMind format.
//!
//! - `record` is what is read of a file's record
//! - `watch` swaps the files when they change
//!
//! Files are read into memory and verified as a whole before they serve: a mapped file that is
//! truncated under a reader would end the process.

mod record;
pub(crate) mod watch;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use maxminddb::Reader;
use quick_cache::sync::Cache;

use crate::address;
use crate::document::{Document, Value};
use crate::slot;
pub use record::Place;

/// The demo file: documentation ranges and synthetic blocks.
const DEMO: &[u8] = include_bytes!("../data/demo.mmdb");

/// Places kept decoded for each file; visitors share networks, so that few records serve most.
const MAX_CACHED: usize = 20_000;

/// Largest file read, in bytes. The largest City files are about 130 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// What a file knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    City,
    Country,
    Asn,
    Anonymous,
}

impl Kind {
    /// Reads the kind from the type in a file's metadata, such as `GeoLite2-City`.
    fn of(database_type: &str) -> Option<Self> {
        let has = |word: &str| database_type.contains(word);
        if has("Anonymous") {
            Some(Self::Anonymous)
        } else if has("City") || has("Enterprise") || has("Insights") {
            Some(Self::City)
        } else if has("Country") {
            Some(Self::Country)
        } else if has("ASN") || has("ISP") {
            Some(Self::Asn)
        } else {
            None
        }
    }
}

/// One file, read and verified.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) kind: Kind,
    pub(crate) built: SystemTime,
    reader: Reader<Vec<u8>>,
    /// Places by their record's offset in this file.
    places: Cache<usize, Arc<Place>>,
}

impl Database {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// When they are damaged or of a kind that is not known.
    pub(crate) fn read(bytes: Vec<u8>) -> anyhow::Result<Self> {
        let reader = Reader::from_source(bytes).context("not a MaxMind database")?;
        let database_type = reader.metadata().database_type.clone();
        let Some(kind) = Kind::of(&database_type) else {
            bail!("of type {database_type:?}; City, Country, ASN and Anonymous-IP files are read");
        };
        reader.verify().context("damaged")?;
        let built = SystemTime::UNIX_EPOCH + Duration::from_secs(reader.metadata().build_epoch);
        Ok(Self {
            kind,
            built,
            reader,
            places: Cache::new(MAX_CACHED),
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or as for [`Database::read`]; names the path.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let read = || {
            let length = fs::metadata(path)?.len();
            if length > MAX_FILE_BYTES {
                bail!("larger than 1 GiB");
            }
            Self::read(fs::read(path)?)
        };
        read().with_context(|| format!("GeoIP file {}", path.display()))
    }

    fn lookup(&self, address: IpAddr) -> Option<Arc<Place>> {
        let found = self.reader.lookup(address).ok()?;
        let offset = found.offset()?;
        if let Some(place) = self.places.get(&offset) {
            return Some(place);
        }
        let record: record::Record<'_> = found.decode().ok()??;
        let place = Arc::new(record.place());
        self.places.insert(offset, place.clone());
        Some(place)
    }
}

/// Verifies a GeoIP file as a whole; returns its type and when it was built.
///
/// # Errors
/// When it could not serve; names the path.
pub fn verify_geoip(path: &Path) -> anyhow::Result<String> {
    let database = Database::open(path)?;
    let metadata = database.reader.metadata();
    let built = i64::try_from(metadata.build_epoch).unwrap_or(i64::MAX);
    let built = jiff::Timestamp::from_second(built).unwrap_or_default();
    let kind = &metadata.database_type;
    Ok(format!("{kind}, built {}", built.strftime("%Y-%m-%d")))
}

/// Says whether a file could serve.
///
/// # Errors
/// When it could not; names the path.
pub(crate) fn check(path: &Path) -> anyhow::Result<()> {
    Database::open(path).map(drop)
}

/// All files, in the order configured.
#[derive(Debug, Default)]
pub(crate) struct Databases {
    pub(crate) files: Vec<Arc<Database>>,
}

impl Databases {
    /// Opens the files, or the demo file where there are none.
    ///
    /// # Errors
    /// One for the first file that cannot be used, naming the setting.
    pub(crate) fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        if paths.is_empty() {
            let demo = Database::read(DEMO.to_vec()).context("the demo GeoIP file")?;
            return Ok(Self {
                files: vec![Arc::new(demo)],
            });
        }
        let files = paths.iter().map(|path| Database::open(path).map(Arc::new));
        let files = files
            .collect::<anyhow::Result<_>>()
            .context("[enricher] geoip")?;
        Ok(Self { files })
    }

    /// What the files know of an address: of each fact, the first that is known.
    pub(crate) fn lookup(&self, address: IpAddr) -> Outcome {
        let address = address.to_canonical();
        if !address::is_public(address) {
            return Outcome::Private;
        }
        let mut found: Option<Arc<Place>> = None;
        for file in &self.files {
            let Some(place) = file.lookup(address) else {
                continue;
            };
            found = Some(match found {
                None => place,
                Some(known) => Arc::new(known.completed_by(&place)),
            });
        }
        found.map_or(Outcome::Miss, Outcome::Hit)
    }

    /// When the oldest of the files was built.
    pub(crate) fn oldest(&self) -> Option<SystemTime> {
        self.files.iter().map(|file| file.built).min()
    }
}

/// What came of a look-up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The event has no address.
    None,
    /// The address can have no place.
    Private,
    /// No file knows the address.
    Miss,
    /// A place.
    Hit(Arc<Place>),
}

/// The step: a place replaces what the event says; without one the event's own values hold. A
/// coarse one is rounded to about ten kilometres.
pub(crate) fn apply<'a>(document: &mut Document<'a>, outcome: &'a Outcome, is_coarse: bool) {
    if let Outcome::Hit(place) = outcome {
        // A partial answer (a country alone) must not be completed by a claimed city.
        if place.country.is_some() {
            for slot in [
                slot::GEO_REGION_NAME,
                slot::GEO_CITY,
                slot::GEO_TIMEZONE,
                slot::GEO_LATITUDE,
                slot::GEO_LONGITUDE,
                slot::GEO_LOCATION,
            ] {
                document.clear(slot);
            }
            document.set_text(slot::GEO_SOURCE, "ip");
        }
        document.set_known(slot::GEO_COUNTRY, place.country.as_deref());
        document.set_known(slot::GEO_REGION_NAME, place.region.as_deref());
        document.set_known(slot::GEO_CITY, place.city.as_deref());
        document.set_known(slot::GEO_TIMEZONE, place.time_zone.as_deref());
        if let Some((latitude, longitude)) = place.location {
            document.set(slot::GEO_LATITUDE, Value::Double(latitude));
            document.set(slot::GEO_LONGITUDE, Value::Double(longitude));
        }
        if let Some(number) = place.as_number {
            document.set(slot::AS_NUMBER, Value::Long(i64::from(number)));
        }
        document.set_known(slot::AS_NAME, place.as_name.as_deref());
        document.set_known(slot::IP_KIND, place.ip_kind);
    }
    if is_coarse {
        for slot in [slot::GEO_LATITUDE, slot::GEO_LONGITUDE] {
            if let Some(degrees) = document.double(slot) {
                document.set(slot, Value::Double((degrees * 10.0).round() / 10.0));
            }
        }
    }
    let own = (
        document.double(slot::GEO_LATITUDE),
        document.double(slot::GEO_LONGITUDE),
    );
    if let (Some(latitude), Some(longitude)) = own {
        document.set(
            slot::GEO_LOCATION,
            Value::Point {
                latitude,
                longitude,
            },
        );
    }
    let has_own = document.has(slot::GEO_LOCATION) || document.has(slot::GEO_COUNTRY);
    if has_own && !document.has(slot::GEO_SOURCE) {
        document.set_text(slot::GEO_SOURCE, "event");
    }
}

#[cfg(test)]
pub(crate) mod tests;
