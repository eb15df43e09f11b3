//! Who may send: sources by their write key.
//!
//! With no source configured everybody may send. With any, a request must carry the key of one: in
//! `Authorization: Bearer`, in `X-Weir-Key`, or, for beacons and pixels, which have no headers of
//! their own, in the query as `key`. A key that stands in a page can be read by whoever reads the
//! page: there it tells sources apart, and the list of origins and the rate protect it. The `site`
//! that the snippet sends is no key.

use percent_encoding::percent_decode_str;
use runtime::http::Fields;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;
use crate::rate::{Rate, Shared};

/// A configured source.
#[derive(Clone, PartialEq)]
pub struct Source {
    /// Its name, written into each event.
    pub name: String,
    /// What a request must carry.
    pub key: String,
    /// Origins of pages that may send with the key; empty: those of the gateway.
    pub origins: Vec<String>,
    /// Events that may come with the key, from all clients together.
    pub rate_limit: Option<Rate>,
    /// Event types that may come with the key; empty: any.
    pub event_types: Vec<String>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key.
        f.debug_struct("Source").field("name", &self.name).finish()
    }
}

/// A source at work.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) source: Source,
    /// What all its clients share of its rate.
    pub(crate) allowance: Option<Shared>,
    digest: [u8; 32],
}

impl Known {
    /// Whether an event of this type may come with the key.
    pub(crate) fn takes(&self, event_type: &str) -> bool {
        let types = &self.source.event_types;
        types.is_empty() || types.iter().any(|one| one == event_type)
    }
}

/// Every configured source.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Known>);

impl Sources {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let known = |source: &Source| Known {
            source: source.clone(),
            allowance: source.rate_limit.map(Shared::new),
            digest: Sha256::digest(&source.key).into(),
        };
        Self(sources.iter().map(known).collect())
    }

    /// Whether any source is configured.
    pub(crate) fn are_configured(&self) -> bool {
        !self.0.is_empty()
    }

    /// The source whose key a request carries; `None` where none is configured.
    pub(crate) fn find(
        &self,
        fields: Fields<'_>,
        query: Option<&str>,
    ) -> Result<Option<&Known>, Problem> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = key(fields, query).ok_or(Problem::UnknownKey)?;
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        // Every key is looked at, and each whole: the time tells nothing of them.
        for known in &self.0 {
            let differs = known
                .digest
                .iter()
                .zip(digest)
                .fold(0, |d, (a, b)| d | (a ^ b));
            if differs == 0 {
                found = Some(known);
            }
        }
        found.map(Some).ok_or(Problem::UnknownKey)
    }

    /// Origins that some source lets in. A preflight tells no key, unless it is in the query.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|known| &known.source.origins)
    }
}

/// The name of the query's parameter.
pub(crate) const PARAMETER: &str = "key";

fn key(fields: Fields<'_>, query: Option<&str>) -> Option<Vec<u8>> {
    let bearer = fields.text("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| key.trim().as_bytes())
    });
    let own = || fields.get("x-weir-key");
    if let Some(key) = bearer.or_else(own) {
        return Some(key.to_vec());
    }
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == PARAMETER)?;
    Some(percent_decode_str(value).collect())
}

#[cfg(test)]
mod tests {
    use runtime::http::Field;

    use super::*;

    fn sources() -> Sources {
        let source = |name: &str, key: &str| Source {
            name: name.into(),
            key: key.into(),
            origins: Vec::new(),
            rate_limit: None,
            event_types: Vec::new(),
        };
        Sources::new(&[source("shop", "k+1"), source("blog", "k2")])
    }

    fn check(name: &str, value: &str, query: Option<&str>, expected: Option<&str>) {
        let value = value.as_bytes();
        let sources = sources();
        let fields = [Field { name, value }];
        let found = sources.find(Fields::from(&fields[..]), query);
        let found = found.ok().flatten().map(|known| known.source.name.as_str());
        assert_eq!(found, expected, "{fields:?} {query:?}");
    }

    #[test]
    fn key_is_found_wherever_it_may_stand() {
        check("authorization", "Bearer k+1", None, Some("shop"));
        check("authorization", "bearer k2", None, Some("blog"));
        check("x-weir-key", "k2", None, Some("blog"));
        check("accept", "*/*", Some("a=b&key=k%2B1"), Some("shop"));
        check("accept", "*/*", Some("key=k3"), None);
        check("accept", "*/*", Some("key="), None);
        check("accept", "*/*", None, None);
        check("authorization", "Basic k2", None, None);
        check("authorization", "Bearer k2x", Some("key=k2"), None);
    }
}
