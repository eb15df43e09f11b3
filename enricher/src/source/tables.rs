//! The rule tables: which host or word is what kind of source.
//!
//! Made from the files in `rules/` at the first use; plain hash maps, no patterns. A host is looked
//! up whole and then label by label from the left, so that the longest entry wins and a label is
//! never split: `mail.google.com` is found before `google.*`, and `netflix.com` never meets `x.com`.

use std::sync::LazyLock;

use foldhash::fast::RandomState;

use super::Category;

/// Version of the rules that this build holds. Raised by hand with every change of `rules/` or of
/// the order in which the rules are asked.
pub(crate) const RULES_VERSION: &str = "2026.11.2";

const HOSTS: &str = include_str!("../../rules/hosts.tsv");
const OVERLAY: &str = include_str!("../../rules/overlay.tsv");
const SPAM: &str = include_str!("../../rules/spam.tsv");
const ALIASES: &str = include_str!("../../rules/aliases.tsv");
const CLICKS: &str = include_str!("../../rules/clicks.tsv");

type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
type HashSet<K> = std::collections::HashSet<K, RandomState>;

/// What a table says of a host or word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The kind of site.
    pub(crate) kind: Kind,
    /// Its name, for people.
    pub(crate) name: &'static str,
}

/// The kind of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A source of visits.
    Source(Category),
    /// Where visitors come back from a payment or a sign-in.
    Return,
}

/// What a click id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Click {
    /// The parameter's name.
    pub(crate) parameter: &'static str,
    /// The network that adds it.
    pub(crate) network: &'static str,
    /// The source that the network stands for.
    pub(crate) source: &'static str,
    /// Whether only an advertisement adds it.
    pub(crate) is_ad: bool,
}

/// All tables.
#[derive(Debug)]
pub(crate) struct Tables {
    entries: HashMap<&'static str, Entry>,
    /// Entries that hold below a path alone, by host.
    paths: HashMap<&'static str, Vec<(&'static str, Entry)>>,
    spam: HashSet<&'static str>,
    aliases: HashMap<&'static str, (&'static str, bool)>,
    clicks: HashMap<&'static str, Click>,
}

/// The tables of this build.
pub(crate) fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);
    &TABLES
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split('\t').collect())
}

impl Tables {
    fn new() -> Self {
        let mut entries = HashMap::default();
        let mut paths: HashMap<_, Vec<_>> = HashMap::default();
        // The overlay comes last and so wins.
        for row in rows(HOSTS).chain(rows(OVERLAY)) {
            let [place, kind, name] = row[..] else {
                continue;
            };
            let kind = match Category::from_name(kind) {
                Some(category) => Kind::Source(category),
                None => Kind::Return,
            };
            let entry = Entry { kind, name };
            match place.find('/') {
                Some(slash) => paths
                    .entry(&place[..slash])
                    .or_default()
                    .push((&place[slash..], entry)),
                None => {
                    entries.insert(place, entry);
                }
            }
        }
        let alias = |row: Vec<&'static str>| (row[0], (row[1], row.get(2) == Some(&"paid")));
        let click = |row: Vec<&'static str>| {
            let click = Click {
                parameter: row[0],
                network: row[1],
                source: row[2],
                is_ad: row[3] == "ad",
            };
            (row[0], click)
        };
        Self {
            entries,
            paths,
            spam: rows(SPAM).map(|row| row[0]).collect(),
            aliases: rows(ALIASES).map(alias).collect(),
            clicks: rows(CLICKS).map(click).collect(),
        }
    }

    /// What the tables say of a host and the path behind it.
    pub(crate) fn host(&self, host: &str, path: &str) -> Option<Entry> {
        let suffix_len = domain::suffix(host).map_or(0, str::len);
        // The host without its public suffix, with a dot: `www.google.` of `www.google.co.uk`.
        let stem = &host[..host.len() - suffix_len];
        let mut wildcard = String::with_capacity(stem.len() + 1);
        for start in label_starts(host) {
            let candidate = &host[start..];
            if let Some(entry) = self.place(candidate, path) {
                return Some(entry);
            }
            if start < stem.len() && suffix_len > 0 {
                wildcard.clear();
                wildcard.push_str(&stem[start..]);
                wildcard.push('*');
                if let Some(entry) = self.place(&wildcard, path) {
                    return Some(entry);
                }
            }
        }
        None
    }

    fn place(&self, candidate: &str, path: &str) -> Option<Entry> {
        if path.len() > 1
            && let Some(paths) = self.paths.get(candidate)
        {
            let scoped = paths.iter().find(|(prefix, _)| is_below(path, prefix));
            if let Some((_, entry)) = scoped {
                return Some(*entry);
            }
        }
        // A single word is no host.
        let is_word = !candidate.contains('.');
        self.entries.get(candidate).filter(|_| !is_word).copied()
    }

    /// What the tables say of a campaign source that is a single word.
    pub(crate) fn word(&self, word: &str) -> Option<Entry> {
        self.entries.get(word).copied()
    }

    /// The usual spelling of a campaign source, and whether this spelling means paid.
    pub(crate) fn alias<'t>(&self, token: &'t str) -> (&'t str, bool)
    where
        'static: 't,
    {
        self.aliases.get(token).copied().unwrap_or((token, false))
    }

    /// What a parameter of the landing page says, where it is a click id.
    pub(crate) fn click(&self, parameter: &str) -> Option<Click> {
        self.clicks.get(parameter).copied()
    }

    /// Whether a referring host is known for referrer spam.
    pub(crate) fn is_spam(&self, host: &str) -> bool {
        label_starts(host).any(|start| self.spam.contains(&host[start..]))
    }
}

/// Where the labels of a host start, from the left. Hosts have few: what has more than ten is
/// looked up by its last ten.
pub(super) fn label_starts(host: &str) -> impl Iterator<Item = usize> {
    let starts =
        std::iter::once(0).chain(memchr::memchr_iter(b'.', host.as_bytes()).map(|at| at + 1));
    let labels = 1 + memchr::memchr_iter(b'.', host.as_bytes()).count();
    starts.skip(labels.saturating_sub(10))
}

/// Whether a path is `prefix` or below it.
pub(super) fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for row in rows(HOSTS).chain(rows(OVERLAY)) {
            let is_known = row.len() == 3
                && (row[1] == "return" || Category::from_name(row[1]).is_some())
                && row[0] == row[0].to_lowercase();
            assert!(is_known, "{row:?}");
        }
        for row in rows(ALIASES) {
            assert!(row.len() == 2 || row[2..] == ["paid"], "{row:?}");
            assert!(tables().word(row[1]).is_some(), "{row:?}");
        }
        for row in rows(CLICKS) {
            // What names a network must be what privacy blanks.
            assert!(event::privacy::CLICK_IDS.contains(&row[0]), "{row:?}");
            let is_known =
                row.len() == 4 && ["ad", "email", "social", "shopping"].contains(&row[3]);
            assert!(is_known && tables().word(row[2]).is_some(), "{row:?}");
        }
    }

    #[test]
    fn longest_entry_wins_at_label_boundaries() {
        let name = |host: &str| tables().host(host, "/").map(|entry| entry.name);
        assert_eq!(name("mail.google.com"), Some("Gmail"));
        assert_eq!(name("www.google.co.uk"), Some("Google"));
        assert_eq!(name("google.evil.example"), None);
        assert_eq!(name("netflix.com"), Some("Netflix"));
        assert_eq!(name("fox.com"), None);
        assert_eq!(name("microsoft.com"), None);
        assert_eq!(name("google"), None);
        let grok = tables()
            .host("x.com", "/i/grok/share")
            .map(|entry| entry.name);
        assert_eq!(grok, Some("Grok"));
        assert_ne!(
            tables().host("x.com", "/i/groks").map(|e| e.name),
            Some("Grok")
        );
    }

    #[test]
    fn spam_hosts_include_their_subdomains() {
        assert!(tables().is_spam("www.0-0.fr"));
        assert!(!tables().is_spam("example.com"));
    }
}
