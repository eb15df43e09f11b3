//! Names of the Elastic Common Schema for fields of the table, so that dashboards and rules that
//! are written for those names find events too.

/// The common name and the field that it stands for.
pub const ECS_ALIASES: &[(&str, &str)] = &[
    ("event.action", "event_type"),
    ("event.id", "event_id"),
    ("event.created", "received_at"),
    ("event.ingested", "enriched_at"),
    ("url.full", "page_url"),
    ("url.path", "page_url_path"),
    ("url.domain", "page_host"),
    ("http.request.referrer", "referer_url"),
    ("source.ip", "ip_address"),
    ("source.as.number", "as_number"),
    ("source.as.organization.name", "as_name"),
    ("source.geo.location", "geo_location"),
    ("source.geo.country_iso_code", "geo_country"),
    ("source.geo.region_name", "geo_region_name"),
    ("source.geo.city_name", "geo_city"),
    ("source.geo.timezone", "geo_timezone"),
    ("user.id", "user_domain_id"),
    ("user_agent.original", "browser_user_agent"),
    ("user_agent.name", "browser_name"),
    ("user_agent.version", "browser_version"),
    ("user_agent.os.full", "os"),
    ("user_agent.os.name", "os_name"),
    ("user_agent.os.version", "os_version"),
    ("user_agent.device.name", "device_model"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_stands_for_a_field_and_hides_none() {
        for (alias, field) in ECS_ALIASES {
            assert!(crate::field(field).is_some(), "{field}");
            let root = alias.split('.').next().unwrap();
            assert!(crate::field(root).is_none(), "{alias} would hide {root}");
        }
    }
}
