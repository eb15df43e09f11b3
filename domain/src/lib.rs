//! Registrable domains, by the public suffix list.
//!
//! A crate of its own because of its weight: the list is some 10,000 generic functions, which are
//! compiled anew in every crate that calls them. Here they are compiled once.

/// The suffix of a host under which names are given out: `co.uk` of `www.example.co.uk`.
#[must_use]
#[inline(never)]
pub fn suffix(host: &str) -> Option<&str> {
    psl::suffix_str(host)
}

/// The part of a host that somebody registered: `example.co.uk` of `www.example.co.uk`; `None` for
/// a suffix alone.
#[must_use]
#[inline(never)]
pub fn registrable(host: &str) -> Option<&str> {
    psl::domain_str(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_suffix_are_not_registrable() {
        assert_eq!(suffix("www.example.co.uk"), Some("co.uk"));
        assert_eq!(registrable("www.example.co.uk"), Some("example.co.uk"));
        assert_eq!(registrable("a.b.example.com"), Some("example.com"));
        assert_eq!(registrable("co.uk"), None);
    }
}
