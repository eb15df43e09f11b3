//! The shop, its visitors and its hours, with their weights.
//!
//! The weights are those of the Python package fake-web-events 0.2.5 (MIT), whose events Weir's
//! predecessor was fed with. A table's weights sum to one.

use rand::{Rng, RngExt as _};

/// A table: values and their weights.
pub type Table<T> = &'static [(T, f64)];

/// A page of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Page {
    Home,
    ProductA,
    ProductB,
    Cart,
    Payment,
    Confirmation,
}

impl Page {
    /// Every page.
    pub const ALL: [Self; 6] = [
        Self::Home,
        Self::ProductA,
        Self::ProductB,
        Self::Cart,
        Self::Payment,
        Self::Confirmation,
    ];

    /// Its path, without the slash.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::ProductA => "product_a",
            Self::ProductB => "product_b",
            Self::Cart => "cart",
            Self::Payment => "payment",
            Self::Confirmation => "confirmation",
        }
    }

    /// Where a step leads from here; `None` ends the session.
    #[must_use]
    pub const fn next(self) -> Table<Option<Self>> {
        const HOME: Option<Page> = Some(Page::Home);
        const PRODUCT_A: Option<Page> = Some(Page::ProductA);
        const PRODUCT_B: Option<Page> = Some(Page::ProductB);
        const CART: Option<Page> = Some(Page::Cart);
        const PAYMENT: Option<Page> = Some(Page::Payment);
        const CONFIRMATION: Option<Page> = Some(Page::Confirmation);
        match self {
            Self::Home => &[
                (HOME, 0.45),
                (PRODUCT_A, 0.17),
                (PRODUCT_B, 0.12),
                (None, 0.26),
            ],
            Self::ProductA => &[(PRODUCT_A, 0.50), (HOME, 0.18), (CART, 0.12), (None, 0.20)],
            Self::ProductB => &[(PRODUCT_B, 0.40), (HOME, 0.22), (CART, 0.14), (None, 0.24)],
            Self::Cart => &[(CART, 0.25), (PAYMENT, 0.50), (HOME, 0.15), (None, 0.10)],
            Self::Payment => &[
                (PAYMENT, 0.45),
                (CONFIRMATION, 0.40),
                (CART, 0.10),
                (None, 0.05),
            ],
            Self::Confirmation => &[(CONFIRMATION, 0.40), (None, 0.60)],
        }
    }
}

/// The page on which a session begins.
pub const LANDING: Table<Page> = &[
    (Page::Home, 0.60),
    (Page::ProductA, 0.25),
    (Page::ProductB, 0.15),
];

/// Share of a day's sessions that begin in each hour, UTC, from midnight.
pub const VISITS_PER_HOUR: [f64; 24] = [
    0.0273, 0.0185, 0.0108, 0.0107, 0.0050, 0.0105, 0.0192, 0.0297, 0.0382, 0.0426, 0.0549, 0.0583,
    0.0646, 0.0627, 0.0572, 0.0521, 0.0590, 0.0667, 0.0718, 0.0662, 0.0696, 0.0428, 0.0329, 0.0287,
];

/// Families of operating systems.
pub const SYSTEMS: Table<&str> = &[
    ("iOS", 0.40),
    ("Android", 0.30),
    ("MacOS", 0.15),
    ("Windows", 0.10),
    ("Linux", 0.05),
];

/// Where visitors come from.
pub const SOURCES: Table<&str> = &[
    ("facebook", 0.30),
    ("mailchimp", 0.30),
    ("instagram", 0.20),
    ("google", 0.15),
    ("bing", 0.05),
];

/// By what kind of link.
pub const MEDIUMS: Table<&str> = &[
    ("organic", 0.40),
    ("cpc", 0.25),
    ("social", 0.25),
    ("affiliate", 0.10),
];

/// Which advertisement.
pub const ADS: Table<&str> = &[
    ("ad_1", 0.05),
    ("ad_2", 0.30),
    ("ad_3", 0.20),
    ("ad_4", 0.25),
    ("ad_5", 0.20),
];

/// Of which campaign.
pub const CAMPAIGNS: Table<&str> = &[("campaign_1", 0.80), ("campaign_2", 0.20)];

/// Browsers, and what their user agents contain.
pub const BROWSERS: Table<(&str, &[&str])> = &[
    (("Chrome", &["Chrome/"]), 0.50),
    (("Firefox", &["Firefox/"]), 0.25),
    (("Safari", &["Version/"]), 0.10),
    (("Opera", &["Opera/"]), 0.10),
    (("InternetExplorer", &["MSIE", "Trident/"]), 0.05),
];

/// Places: latitude, longitude, country, time zone, region.
pub const PLACES: &[(&str, &str, &str, &str, &str)] = &[
    ("52.52437", "13.41053", "DE", "Europe/Berlin", "Berlin"),
    ("50.23019", "8.77155", "DE", "Europe/Berlin", "Karben"),
    ("48.85341", "2.3488", "FR", "Europe/Paris", "Paris"),
    ("51.50853", "-0.12574", "GB", "Europe/London", "London"),
    ("40.4165", "-3.70256", "ES", "Europe/Madrid", "Madrid"),
    ("41.89193", "12.51133", "IT", "Europe/Rome", "Rome"),
    ("52.22977", "21.01178", "PL", "Europe/Warsaw", "Warsaw"),
    (
        "59.32938",
        "18.06871",
        "SE",
        "Europe/Stockholm",
        "Stockholm",
    ),
    (
        "40.71427",
        "-74.00597",
        "US",
        "America/New_York",
        "New York",
    ),
    ("41.85003", "-87.65005", "US", "America/Chicago", "Chicago"),
    (
        "34.05223",
        "-118.24368",
        "US",
        "America/Los_Angeles",
        "Los Angeles",
    ),
    ("43.70011", "-79.4163", "CA", "America/Toronto", "Toronto"),
    (
        "19.42847",
        "-99.12766",
        "MX",
        "America/Mexico_City",
        "Mexico City",
    ),
    (
        "-23.5475",
        "-46.63611",
        "BR",
        "America/Sao_Paulo",
        "Sao Paulo",
    ),
    (
        "-34.61315",
        "-58.37723",
        "AR",
        "America/Argentina/Buenos_Aires",
        "Buenos Aires",
    ),
    ("6.45407", "3.39467", "NG", "Africa/Lagos", "Lagos"),
    (
        "-26.20227",
        "28.04363",
        "ZA",
        "Africa/Johannesburg",
        "Johannesburg",
    ),
    ("30.06263", "31.24967", "EG", "Africa/Cairo", "Cairo"),
    ("28.65195", "77.23149", "IN", "Asia/Kolkata", "Delhi"),
    ("35.6895", "139.69171", "JP", "Asia/Tokyo", "Tokyo"),
    ("37.566", "126.9784", "KR", "Asia/Seoul", "Seoul"),
    ("-6.21462", "106.84513", "ID", "Asia/Jakarta", "Jakarta"),
    ("-33.86785", "151.20732", "AU", "Australia/Sydney", "Sydney"),
];

/// Languages of browsers.
pub const LANGUAGES: &[&str] = &[
    "de_DE", "en_GB", "en_US", "es_ES", "es_MX", "fr_FR", "hi_IN", "it_IT", "ja_JP", "ko_KR",
    "pl_PL", "pt_BR", "sv_SE", "wal_ET",
];

/// Draws a value by its weight.
pub fn draw<T: Copy>(table: &[(T, f64)], random: &mut (impl Rng + ?Sized)) -> T {
    let mut left: f64 = random.random();
    for (value, weight) in table {
        left -= weight;
        if left < 0.0 {
            return *value;
        }
    }
    // Reached where the weights' sum falls a rounding error short of one.
    table[table.len() - 1].0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums_to_one<T>(table: &[(T, f64)]) {
        let sum: f64 = table.iter().map(|(_, weight)| weight).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn weights_sum_to_one() {
        Page::ALL.iter().for_each(|page| sums_to_one(page.next()));
        sums_to_one(LANDING);
        sums_to_one(BROWSERS);
        [SYSTEMS, SOURCES, MEDIUMS, ADS, CAMPAIGNS]
            .into_iter()
            .for_each(sums_to_one);
        let day: f64 = VISITS_PER_HOUR.iter().sum();
        assert!((day - 1.0).abs() < 1e-9, "{day}");
    }
}
