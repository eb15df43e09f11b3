//! THE field table: every member of a document that Weir knows by name.
//!
//! The index mapping, the embedded store's schema, the removal of members that clients may not
//! set, and type repair all derive from [`FIELDS`], so that they cannot drift apart.

/// A member of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The member's name, on the wire and in the document.
    pub name: &'static str,
    /// How its values are indexed.
    pub kind: Kind,
    /// Who may set it.
    pub origin: Origin,
    /// What it means, one sentence.
    pub meaning: &'static str,
}

/// How values are indexed. Only kinds that Elasticsearch, OpenSearch and the embedded store share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Exact text.
    Keyword,
    /// 64-bit floating point.
    Double,
    /// 64-bit integer.
    Long,
    /// RFC 3339, millisecond precision when indexed.
    Date,
    /// IPv4 or IPv6 address.
    Ip,
    /// `{"lat": .., "lon": ..}`, degrees.
    GeoPoint,
    /// True or false.
    Boolean,
    /// One flat object; every leaf is indexed as a keyword.
    Flattened,
    /// Kept in the document, not indexed.
    Stored,
}

/// Who may set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The sender; Weir may complete or correct it.
    Client,
    /// Only the gateway: removed from what clients send.
    Gateway,
    /// Only the enricher: removed from what clients send.
    Enricher,
}

/// The field of this name.
#[must_use]
pub fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// The place in [`FIELDS`] of the field of this name, for constants.
///
/// # Panics
/// Where the table lacks the name: a constant of it does not compile.
#[must_use]
pub const fn place(name: &str) -> usize {
    let mut place = 0;
    while place < FIELDS.len() {
        if is_equal(FIELDS[place].name.as_bytes(), name.as_bytes()) {
            return place;
        }
        place += 1;
    }
    panic!("the field table lacks this name");
}

const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut place = 0;
    while place < a.len() {
        if a[place] != b[place] {
            return false;
        }
        place += 1;
    }
    true
}

const fn client(name: &'static str, kind: Kind, meaning: &'static str) -> Field {
    Field {
        name,
        kind,
        origin: Origin::Client,
        meaning,
    }
}
const fn gateway(name: &'static str, kind: Kind, meaning: &'static str) -> Field {
    Field {
        name,
        kind,
        origin: Origin::Gateway,
        meaning,
    }
}
const fn enricher(name: &'static str, kind: Kind, meaning: &'static str) -> Field {
    Field {
        name,
        kind,
        origin: Origin::Enricher,
        meaning,
    }
}

use Kind::{Boolean, Date, Double, Flattened, GeoPoint, Ip, Keyword, Long, Stored};

/// Every field. The first thirty are the canonical members of an event, in their canonical order.
pub const FIELDS: &[Field] = &[
    client("event_id", Keyword, "Id of the event; the document's _id."),
    client(
        "event_timestamp",
        Date,
        "When it happened, by the client's clock.",
    ),
    client(
        "event_type",
        Keyword,
        "Name of the event, such as pageview; the only required member.",
    ),
    client("page_url", Keyword, "Full address of the page."),
    client("page_url_path", Keyword, "Path of the page."),
    client("referer_url", Keyword, "Address of the referring page."),
    client(
        "referer_url_scheme",
        Keyword,
        "Scheme of the referring page.",
    ),
    client("referer_url_port", Keyword, "Port of the referring page."),
    client(
        "referer_medium",
        Keyword,
        "Kind of referrer as the client sees it.",
    ),
    client("utm_medium", Keyword, "Campaign medium."),
    client("utm_source", Keyword, "Campaign source."),
    client("utm_content", Keyword, "Campaign content."),
    client("utm_campaign", Keyword, "Campaign name."),
    client("click_id", Keyword, "Click id of an advertising network."),
    client("geo_latitude", Double, "Latitude in degrees."),
    client("geo_longitude", Double, "Longitude in degrees."),
    client("geo_country", Keyword, "Country, ISO 3166-1 alpha-2."),
    client("geo_timezone", Keyword, "IANA time zone of the place."),
    client("geo_region_name", Keyword, "Region or state."),
    client(
        "ip_address",
        Ip,
        "Address of the visitor, cut by the privacy settings.",
    ),
    client("browser_name", Keyword, "Family of the browser."),
    client("browser_user_agent", Keyword, "User agent as sent."),
    client("browser_language", Keyword, "Preferred language."),
    client(
        "os",
        Keyword,
        "Operating system with version, such as Android 14.",
    ),
    client(
        "os_name",
        Keyword,
        "Family of the operating system, such as Android.",
    ),
    client("os_timezone", Keyword, "IANA time zone of the device."),
    client(
        "device_type",
        Keyword,
        "Computer, Mobile, Tablet, TV, Console or XR.",
    ),
    client(
        "device_is_mobile",
        Boolean,
        "Whether the device is a phone.",
    ),
    client(
        "user_custom_id",
        Keyword,
        "Id that the site gives a known user.",
    ),
    client("user_domain_id", Keyword, "Id of the visitor on this site."),
    client("site", Keyword, "Name of the site."),
    client("sent_at", Date, "When the client sent it, by its clock."),
    client("session_id", Keyword, "Id of the visit."),
    client(
        "page_view_id",
        Keyword,
        "Id of the page view that the event belongs to.",
    ),
    client("page_title", Keyword, "Title of the page."),
    client("page_language", Keyword, "Language of the page."),
    client("screen_width", Long, "Width of the screen in CSS pixels."),
    client("screen_height", Long, "Height of the screen in CSS pixels."),
    client(
        "engaged_ms",
        Long,
        "Milliseconds for which the page was visible and focused.",
    ),
    client(
        "scroll_percent",
        Double,
        "Deepest scroll position, 0 to 100.",
    ),
    client("revenue_amount", Double, "Amount of money."),
    client(
        "revenue_currency",
        Keyword,
        "Currency of the amount, ISO 4217.",
    ),
    client("consent", Keyword, "granted, denied or unknown."),
    client(
        "lib",
        Keyword,
        "Sender and its version, such as weir-js/1.0.0.",
    ),
    client("hints", Stored, "Client hints and signals of the sender."),
    client(
        "props",
        Flattened,
        "Any further properties, one flat object.",
    ),
    gateway("received_at", Date, "When the gateway received it."),
    gateway("collector", Keyword, "Name of the gateway."),
    gateway(
        "source_name",
        Keyword,
        "The source whose write key the event came with.",
    ),
    gateway(
        "ip_source",
        Keyword,
        "Whether the address was claimed by the sender or is the connection's.",
    ),
    gateway(
        "gpc",
        Boolean,
        "Whether the browser sent Global Privacy Control.",
    ),
    gateway(
        "event_id_original",
        Keyword,
        "The id that was sent, where it could not be used.",
    ),
    enricher(
        "@timestamp",
        Date,
        "Event time, corrected; the time field of the index.",
    ),
    enricher(
        "time_quality",
        Keyword,
        "How @timestamp came about: client, corrected, received or record.",
    ),
    enricher(
        "is_late",
        Boolean,
        "Whether it arrived more than 72 hours after it happened.",
    ),
    enricher(
        "source_category",
        Keyword,
        "What kind of site sent the visit.",
    ),
    enricher(
        "channel",
        Keyword,
        "Acquisition channel, in the names of Google Analytics 4.",
    ),
    enricher("channel_reason", Keyword, "Which rule decided the channel."),
    enricher(
        "click_network",
        Keyword,
        "Advertising network of the click id.",
    ),
    enricher("utm_term", Keyword, "Campaign term."),
    enricher("utm_id", Keyword, "Campaign id."),
    enricher("geo_location", GeoPoint, "Place, rounded."),
    enricher("geo_city", Keyword, "City."),
    enricher(
        "geo_source",
        Keyword,
        "Where the place came from: ip or event.",
    ),
    enricher("as_number", Long, "Autonomous system number."),
    enricher("as_name", Keyword, "Organisation of the autonomous system."),
    enricher(
        "ip_kind",
        Keyword,
        "What stands behind the address, where it is no line of its own: tor, vpn, proxy, residential_proxy or hosting.",
    ),
    enricher("browser_version", Keyword, "Version of the browser."),
    enricher("browser_major", Keyword, "Major version of the browser."),
    enricher("os_version", Keyword, "Version of the operating system."),
    enricher("device_brand", Keyword, "Maker of the device."),
    enricher("device_model", Keyword, "Model of the device."),
    enricher(
        "is_bot",
        Boolean,
        "Whether a program rather than a person made the visit.",
    ),
    enricher(
        "bot_reasons",
        Keyword,
        "What speaks for a program; several values. asn_dc alone does not make is_bot true.",
    ),
    enricher("bot_name", Keyword, "Name of the bot."),
    enricher(
        "bot_class",
        Keyword,
        "Kind of bot: search, ai_training, monitor and so on.",
    ),
    enricher(
        "user_email_domain",
        Keyword,
        "Domain of user_custom_id, or n/a.",
    ),
    enricher(
        "is_duplicate",
        Boolean,
        "True where the same visitor sent the same under another id shortly before.",
    ),
    enricher("page_host", Keyword, "Host of page_url."),
    enricher("referer_host", Keyword, "Host of referer_url."),
    enricher(
        "invalid_fields",
        Keyword,
        "Members whose value did not fit; several values.",
    ),
    enricher("enriched_at", Date, "When the enricher wrote it."),
    enricher(
        "weir_version",
        Keyword,
        "Version of Weir that produced the document.",
    ),
    enricher("rules_version", Keyword, "Version of the enrichment rules."),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), FIELDS.len());
    }

    #[test]
    fn first_thirty_are_the_canonical_event() {
        assert_eq!(FIELDS[0].name, "event_id");
        assert_eq!(FIELDS[29].name, "user_domain_id");
        assert!(
            FIELDS[..30]
                .iter()
                .all(|field| field.origin == Origin::Client)
        );
    }
}
