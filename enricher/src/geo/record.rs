//! What is read of a file's record: a slim part of the MaxMind format, whatever the kind.

use serde::Deserialize;

/// A record, borrowing from the file.
#[derive(Debug, Deserialize)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow)]
    registered_country: Option<Country<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Named<'a>>,
    #[serde(borrow)]
    city: Option<Named<'a>>,
    #[serde(borrow)]
    location: Option<Location<'a>>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    #[serde(default)]
    is_tor_exit_node: bool,
    #[serde(default)]
    is_anonymous_vpn: bool,
    #[serde(default)]
    is_public_proxy: bool,
    #[serde(default)]
    is_residential_proxy: bool,
    #[serde(default)]
    is_hosting_provider: bool,
}

#[derive(Debug, Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Debug, Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct Location<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    time_zone: Option<&'a str>,
}

/// The place of an address and the network it belongs to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Region or state, in English.
    pub region: Option<String>,
    /// City, in English.
    pub city: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// Latitude and longitude in degrees, rounded to two decimals: about a kilometre, which is
    /// more than such files can promise.
    pub location: Option<(f64, f64)>,
    /// Number of the autonomous system.
    pub as_number: Option<u32>,
    /// Organisation of the autonomous system.
    pub as_name: Option<String>,
    /// What stands behind the address: tor, vpn, proxy, residential_proxy or hosting.
    pub ip_kind: Option<&'static str>,
}

impl Record<'_> {
    /// The record's place.
    pub(super) fn place(&self) -> Place {
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let name = |named: Option<&Named<'_>>| owned(named.and_then(|n| n.names.as_ref()?.en));
        // Codes for nowhere (ZZ, XX) and for Tor (T1) are no countries.
        let code = |country: &Option<Country<'_>>| {
            let code = country.as_ref()?.iso_code?;
            let is_country = code.len() == 2 && !matches!(code, "ZZ" | "XX" | "T1");
            is_country.then(|| code.to_owned())
        };
        let round = |degrees: f64| (degrees * 100.0).round() / 100.0;
        let location = self.location.as_ref();
        Place {
            country: code(&self.country).or_else(|| code(&self.registered_country)),
            region: name(self.subdivisions.first()),
            city: name(self.city.as_ref()),
            time_zone: owned(location.and_then(|l| l.time_zone)),
            location: location
                .and_then(|l| Some((l.latitude?, l.longitude?)))
                .filter(|(latitude, longitude)| latitude.abs() <= 90.0 && longitude.abs() <= 180.0)
                .map(|(latitude, longitude)| (round(latitude), round(longitude))),
            as_number: self.autonomous_system_number,
            as_name: owned(self.autonomous_system_organization),
            ip_kind: self.ip_kind(),
        }
    }
}

impl Record<'_> {
    /// The kind that says most where several hold.
    fn ip_kind(&self) -> Option<&'static str> {
        let kinds = [
            (self.is_tor_exit_node, "tor"),
            (self.is_anonymous_vpn, "vpn"),
            (self.is_public_proxy, "proxy"),
            (self.is_residential_proxy, "residential_proxy"),
            (self.is_hosting_provider, "hosting"),
        ];
        kinds.into_iter().find(|(is, _)| *is).map(|(_, kind)| kind)
    }
}

impl Place {
    /// This place with what only the other knows. Places of two files are not mixed: the other
    /// gives its place only where this one has none at all.
    pub(super) fn completed_by(&self, other: &Self) -> Self {
        let mut place = if self.country.is_some() {
            self.clone()
        } else {
            other.clone()
        };
        place.as_number = self.as_number.or(other.as_number);
        place.as_name = self.as_name.clone().or_else(|| other.as_name.clone());
        place.ip_kind = self.ip_kind.or(other.ip_kind);
        place
    }
}
